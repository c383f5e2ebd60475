//! The program around the crates of `host`: `cli` makes a plan out of arguments, and `run` puts the crates
//! together for one run.

pub mod calibration;
pub mod cli;
pub mod ground_truth;
pub mod interrupt;
pub mod run;
