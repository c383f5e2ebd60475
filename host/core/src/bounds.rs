//! The bounds that hold a parser. All of them are on by default; each has a flag, and a run stores them.

use std::time::Duration;

/// Waiting for the host is not the parser's time, but a call must end all the same: after this many
/// times its own limit, waits for the data set and the tokenizer included. One minute by default: a
/// parser that looks for the few fitting entries of a large file may read for a while in one call.
const WALL_TIMES: u32 = 12;

/// What one parser may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Memory of one instance in bytes: all its memories and tables together.
    pub memory_bytes: usize,
    /// Time of one call in the parser itself. Time in the host's functions does not count.
    pub call_time: Duration,
    /// Data that one call may move from the parser to the host, in bytes, as the host holds it.
    pub transfer_bytes: usize,
    /// Log output that is shown of a run, in bytes.
    pub log_bytes: usize,
    /// Log output that is shown of a run, in lines.
    pub log_lines: u32,
    /// Size of the file, in bytes.
    pub file_bytes: u64,
    /// Time for compiling an unknown component.
    pub compile_time: Duration,
    /// Memory for compiling an unknown component, in bytes.
    pub compile_memory_bytes: u64,
    /// What a parser may import beside the contract.
    pub sandbox: Sandbox,
}

/// What a parser may import beside the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// Nothing at all.
    Strict,
    /// WASI 0.2 without sockets, and with nothing behind it: no folder, variable or argument, a clock
    /// that stands still, random numbers from the seed of the run.
    Wasi,
}

impl Sandbox {
    /// The word for `--sandbox`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Wasi => "wasi",
        }
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            call_time: Duration::from_secs(5),
            transfer_bytes: 64 << 20,
            log_bytes: 64 << 10,
            log_lines: 200,
            file_bytes: 128 << 20,
            compile_time: Duration::from_secs(60),
            compile_memory_bytes: 1 << 30,
            sandbox: Sandbox::Wasi,
        }
    }
}

impl Bounds {
    /// After this time a call is ended, whatever it waited for.
    pub fn wall_time(&self) -> Duration {
        self.call_time.saturating_mul(WALL_TIMES)
    }
}
