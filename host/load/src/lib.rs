//! When requests go: arrival processes as pure functions of a seed, and the pacer that keeps to them.

mod arrivals;
mod pacer;

pub use arrivals::{DueTimes, due_times, own_due_times};
pub use pacer::Pacing;
