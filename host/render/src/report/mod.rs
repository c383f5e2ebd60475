//! What a person reads: progress while a run goes on, and the summary at its end.
//!
//! Pure functions from totals to text. Nothing here prints, reads a clock or can fail, so that the room
//! has no error type. Lines of the summary fit 100 columns, as far as names and messages allow.

mod details;
mod frame;
mod progress;
mod search;
mod summary;
mod sweep;
mod table;
mod text;

#[cfg(test)]
mod tests;

pub(crate) use crate::sections::load_of;
pub use frame::{closing, nothing_succeeded, opening};
pub use progress::{Progress, ProgressNumber, progress_line};
pub use search::{probe_line, search_summary};
pub use summary::summary;
pub use sweep::sweep_summary;
