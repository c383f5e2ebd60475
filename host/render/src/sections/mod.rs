//! The results of runs as tables and lines: made once of the document, and printed as text, as a page and as Markdown.
//!
//! A number of a table knows its full value and its place in the document, which a page shows beside its digits.

mod certainty;
mod failures;
mod groups;
mod lines;
mod number;
mod objectives;
mod parser;
mod repeats;
mod search;
mod sweep;
mod table;
mod times;
mod turns;
mod workers;

pub(crate) use certainty::{client_error, upper_bounds};
pub(crate) use failures::failures;
pub(crate) use groups::{STEADY, groups, kind_of_group};
pub(crate) use lines::lines;
pub(crate) use number::{Number, Part, at};
pub(crate) use objectives::{objectives, objectives_of_loads};
pub(crate) use parser::parser_figures;
pub(crate) use repeats::repeats;
pub(crate) use search::{probe_in_short, probes, search_lines};
pub(crate) use sweep::{load_of, sweep, verdict_in_short};
pub(crate) use table::{Cell, Column, Mark, Note, Piece, Table};
pub(crate) use times::{drawn_times, has_place, independent_samples, times};
pub(crate) use turns::turns;
pub(crate) use workers::workers;
