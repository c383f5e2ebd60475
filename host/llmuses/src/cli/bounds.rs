//! The flags for the bounds of a parser, shared by the commands that load one.

use super::values::seconds;
use clap::Args;
use llmuses_core::bounds::{Bounds, Sandbox};
use std::time::Duration;

/// The flags of the bounds.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Parser bounds")]
pub(super) struct BoundsArguments {
    /// Memory of one instance of the parser, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = mebibytes())]
    plugin_memory_mib: u32,

    /// Processor time that one call into the parser may take; time in the host's functions does not count,
    /// but after 12 times as long a call is ended in any case.
    #[arg(long, value_name = "TIME", default_value = "5", value_parser = seconds)]
    plugin_call_timeout: Duration,

    /// Data that one call may move from the parser to the host, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = mebibytes())]
    plugin_transfer_mib: u32,

    /// Log output of the parser that is shown of a run, in KiB.
    #[arg(long, value_name = "KIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(0..=1 << 20))]
    plugin_log_kib: u32,

    /// Log output of the parser that is shown of a run, in lines.
    #[arg(long, value_name = "N", default_value_t = 200)]
    plugin_log_lines: u32,

    /// Size of a parser's file, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 128, value_parser = mebibytes())]
    plugin_file_mib: u32,

    /// Time that compiling an unknown parser may take.
    #[arg(long, value_name = "TIME", default_value = "60", value_parser = seconds)]
    plugin_compile_timeout: Duration,

    /// Memory that compiling an unknown parser may take, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = mebibytes())]
    plugin_compile_memory_mib: u32,

    /// What a parser may import beside the contract.
    #[arg(long, value_name = "KIND", value_enum, default_value = "wasi")]
    sandbox: SandboxArgument,
}

/// The kinds of `--sandbox`.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum SandboxArgument {
    /// Nothing at all.
    Strict,
    /// WASI 0.2 without sockets, and with nothing behind it: no folder, variable or argument, a clock
    /// that stands still, random numbers from the seed of the run.
    Wasi,
}

/// 4 GiB are what WebAssembly can address.
fn mebibytes() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=4096)
}

impl BoundsArguments {
    /// The bounds that were meant.
    pub(super) fn into_bounds(self) -> Bounds {
        let bytes = |mebibytes: u32| (mebibytes as usize) << 20;
        Bounds {
            memory_bytes: bytes(self.plugin_memory_mib),
            call_time: self.plugin_call_timeout,
            transfer_bytes: bytes(self.plugin_transfer_mib),
            log_bytes: (self.plugin_log_kib as usize) << 10,
            log_lines: self.plugin_log_lines,
            file_bytes: u64::from(self.plugin_file_mib) << 20,
            compile_time: self.plugin_compile_timeout,
            compile_memory_bytes: u64::from(self.plugin_compile_memory_mib) << 20,
            sandbox: match self.sandbox {
                SandboxArgument::Strict => Sandbox::Strict,
                SandboxArgument::Wasi => Sandbox::Wasi,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Typed {
        #[command(flatten)]
        bounds: BoundsArguments,
    }

    #[test]
    fn what_is_not_typed_is_the_default() {
        let typed = Typed::try_parse_from(["x"]).unwrap();
        assert_eq!(typed.bounds.into_bounds(), Bounds::default());
    }

    #[test]
    fn what_is_typed_is_taken() {
        let typed = Typed::try_parse_from([
            "x",
            "--plugin-memory-mib=4096",
            "--plugin-call-timeout=0.5",
            "--sandbox=strict",
        ])
        .unwrap();
        let bounds = typed.bounds.into_bounds();
        assert_eq!(bounds.memory_bytes, 4 << 30);
        assert_eq!(bounds.wall_time(), Duration::from_secs(6));
        assert_eq!(bounds.sandbox, Sandbox::Strict);
        assert!(Typed::try_parse_from(["x", "--plugin-memory-mib=0"]).is_err());
    }
}
