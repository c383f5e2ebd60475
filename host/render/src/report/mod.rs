//! What a person reads: progress while a run goes on, and the summary at its end.
//!
//! Pure functions from totals to text. Nothing here prints, reads a clock or can fail, so that the room
//! has no error type. Lines fit the columns of a [`Look`].

mod details;
mod frame;
mod histogram;
mod look;
mod paint;
mod progress;
mod search;
mod summary;
mod sweep;
pub(crate) mod table;
pub(crate) mod text;
mod times;

#[cfg(test)]
mod tests;

pub(crate) use crate::sections::load_of;
pub use frame::{closing, nothing_succeeded, opening};
pub use look::Look;
pub use paint::{Colour, Painted};
pub use progress::{Progress, ProgressNumber, progress_line};
pub use search::{probe_line, search_summary};
pub use summary::{summary, whole_summary};
pub use sweep::{load_line, sweep_summary};
