//! A run while it goes on: the live view of a terminal, Prometheus, Weights & Biases, and the trace of
//! `--debug`.

pub mod live;
pub mod live_text;
pub mod metrics;
pub mod terminal;
pub mod trace;
#[cfg(feature = "wandb")]
pub mod wandb;
