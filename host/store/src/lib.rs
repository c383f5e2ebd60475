//! The database of runs, both ways: `sink` writes it while a run goes on, `results` reads it.

pub mod results;
pub mod sink;
