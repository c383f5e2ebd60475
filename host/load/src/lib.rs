//! When requests go: arrival processes as pure functions of a seed, the pacer that keeps to them, and the later turns of
//! sessions, each of which is due some time after the one before has ended.

mod arrivals;
mod pacer;
mod turns;
mod unsent;

pub use arrivals::{DueTimes, due_times, own_due_times};
pub use pacer::Pacing;
pub use turns::{LaterTurn, TurnPacing};
pub use unsent::Unsent;
