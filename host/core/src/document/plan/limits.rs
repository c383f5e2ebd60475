//! What might be used of the machine.

use super::group::{Difference, group, is_told};

group! {
    /// What might be used of the machine.
    #[derive(Default)]
    pub struct LimitsRecord {
        /// What responses, request bodies, what is read ahead and counting might take together.
        memory_limit_bytes: Option<u64> => is_told("--memory-limit in bytes"),
        /// What the parser might take.
        parser_bounds: Option<BoundsRecord> => each_bound("bounds of the plugin"),
    }
}

group! {
    /// What the parser might take.
    #[derive(Default)]
    pub struct BoundsRecord {
        /// Memory of one instance.
        memory_bytes: u64 => is_told("memory of the plugin in bytes"),
        /// Time of one call in the parser itself.
        call_seconds: f64 => is_told("--plugin-call-timeout"),
        /// Time of one call with what it waited for.
        call_wall_seconds: f64 => is_told("longest call of the plugin in seconds"),
        /// Data that one call may move from the parser to the host.
        transfer_bytes: u64 => is_told("data of one call of the plugin in bytes"),
        /// Log output that is shown of a run.
        log_bytes: u64 => is_told("log of the plugin in bytes"),
        /// Lines of log output that are shown of a run.
        log_lines: u64 => is_told("--plugin-log-lines"),
        /// Size of the file.
        file_bytes: u64 => is_told("file of the plugin in bytes"),
        /// Time for compiling an unknown component.
        compile_seconds: f64 => is_told("--plugin-compile-timeout"),
        /// Memory for compiling an unknown component.
        compile_memory_bytes: u64 => is_told("memory for compiling the plugin in bytes"),
        /// What a parser may import beside the contract: `strict` or `wasi`.
        sandbox: String => is_told("--sandbox"),
    }
}

fn each_bound(
    name: &str,
    before: &Option<BoundsRecord>,
    after: &Option<BoundsRecord>,
) -> Vec<Difference> {
    match (before, after) {
        (Some(before), Some(after)) => before.differences(after),
        (before, after) => is_told(name, before, after).into_iter().collect(),
    }
}
