//! What may be used of this machine.

use crate::bounds::Bounds;
use crate::document::{BoundsRecord, LimitsRecord};

/// What may be used of this machine for a run: whoever loads and runs the parser needs this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// What the parser may take.
    pub parser: Bounds,
    /// Whether compiled parsers are kept on disk for the next run.
    pub compile_cache: bool,
    /// The bytes that responses, request bodies, what is read ahead and counting may take together.
    pub memory: u64,
}

impl Default for Limits {
    /// The default bounds of a parser, the cache, and all memory.
    fn default() -> Self {
        Self {
            parser: Bounds::default(),
            compile_cache: true,
            memory: u64::MAX,
        }
    }
}

impl Limits {
    /// As they stand in a document. Whether a parser was compiled anew changes nothing of a run.
    pub(super) fn to_record(self) -> LimitsRecord {
        let bounds = self.parser;
        LimitsRecord {
            memory_limit_bytes: (self.memory != u64::MAX).then_some(self.memory),
            parser_bounds: Some(BoundsRecord {
                memory_bytes: bounds.memory_bytes as u64,
                call_seconds: bounds.call_time.as_secs_f64(),
                call_wall_seconds: bounds.wall_time().as_secs_f64(),
                transfer_bytes: bounds.transfer_bytes as u64,
                log_bytes: bounds.log_bytes as u64,
                log_lines: u64::from(bounds.log_lines),
                file_bytes: bounds.file_bytes,
                compile_seconds: bounds.compile_time.as_secs_f64(),
                compile_memory_bytes: bounds.compile_memory_bytes,
                sandbox: bounds.sandbox.as_str().to_owned(),
            }),
        }
    }
}
