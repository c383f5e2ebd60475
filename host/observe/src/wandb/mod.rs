//! The metrics of a run at Weights & Biases: a row of figures every second, the configuration and the
//! summary, online as the run goes or in a folder that `wandb sync` takes later.
//!
//! What enters is values: settings that are known to be sound, JSON maps of figures. Everything that may
//! wait, the network and the disk, happens on a thread of its own behind a bounded queue, so that no
//! service of somebody else can slow a run down or make it fail. The key leaves this room in one header
//! of requests to the one host that it belongs to, and in no other way.
//!
//! The protocol has no specification. `protocol` and `records` hold what was seen of the Python client,
//! version 0.31: the requests between it and a recording server, and the file that it leaves offline.

mod client;
mod config;
mod datastore;
mod handle;
mod offline;
mod online;
mod protocol;
mod records;
mod row;
mod trouble;
mod worker;

#[cfg(test)]
mod tests;

pub use handle::{Wandb, WandbReport};
