//! The load tester as a library; the program around it is thin.
//!
//! A run is a pipeline through the rooms below: `cli` makes a `plan`, `workload` and `schedule` say
//! what goes when, `client` sends it, `parse` has a parser of `plugin` make sense of what came back,
//! `stats` counts, `sink` stores and `report` tells. `run` alone knows the whole.

#![deny(missing_docs)]

pub mod calibration;
pub mod cli;
pub mod client;
pub mod clock;
pub mod compare;
pub mod document;
pub mod exchange;
pub mod ground_truth;
pub mod html;
pub mod interrupt;
pub mod kernel_io;
pub mod live;
pub mod metric;
pub mod metrics;
pub mod mock;
pub mod parse;
pub mod plan;
pub mod plugin;
pub mod priority;
pub mod redact;
pub mod render;
pub mod report;
pub mod results;
pub mod run;
pub mod schedule;
pub mod sink;
pub mod stats;
pub mod terminal;
pub mod trace;
pub mod wandb;
pub mod words;
pub mod workload;
