//! What a person reads: progress while a run goes on, and the summary at its end.
//!
//! Pure functions from totals to text. Nothing here prints, reads a clock or can fail, so that the room
//! has no error type. Lines of the summary fit 100 columns, as far as names and messages allow.

mod details;
mod frame;
mod progress;
mod spreads;
mod summary;
mod sweep;
mod table;
mod text;

#[cfg(test)]
mod tests;

pub use frame::{closing, nothing_succeeded, opening};
pub use progress::{Number, Progress, progress_line};
pub use summary::summary;
pub use sweep::{load_of, sweep_summary};

// The words and digits of the text report, and which times it tells, for the other forms of the same figures.
pub(crate) use spreads::{independent_samples, is_told};
pub(crate) use text::{UNKNOWN, counted, fixed, percent, sentence, short_figure, time_decimals};
