//! The database of runs, both ways: `sink` writes it while a run goes on, `results` reads it, `merge` makes one
//! of several.

#[cfg(any(test, feature = "fuzzed"))]
pub mod fuzzed;
pub mod merge;
pub mod results;
pub mod sink;
