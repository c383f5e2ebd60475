//! Runs compared with one another: which differ, by how much, and whether that is more than chance.
//!
//! Everything comes from the documents of the runs (see [`llmuses_store::results`]), so that a database and the
//! JSON of the same run compare alike. Nothing here prints or writes.

mod bound;
mod comparison;
mod correction;
mod judgement;
mod load;
mod pairing;
mod table;

#[cfg(test)]
mod tests;

pub use bound::{Bound, BoundError};
pub use comparison::{GroupChanges, Places, RunComparison};
pub use judgement::{Change, Judgement};
pub use load::{CompareError, Results};
pub use pairing::{NotCompared, compare};
pub(crate) use table::{change_text, figure_text, means};
pub use table::{table, to_json};
