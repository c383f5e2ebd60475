//! Results as one HTML file each: nothing is fetched, from nowhere, and nothing is asked of a server.
//!
//! Every number is text, with the digits of the text report; the full value and its place in the document
//! of results stand beside it, in a `data` element. Charts are SVG that is made here, so that they are shown without
//! JavaScript and on paper; the script adds what the pointer is on, and zoom. A page is small whatever the run was:
//! curves and timeline have a few hundred points at most.
//!
//! Names and messages come from servers and files. What goes through a template is escaped, and in the
//! document of the page no character is left that HTML knows. Only what this room makes of numbers is
//! markup. The room takes a document, or a comparison, and gives back text; it neither prints nor
//! writes, and nothing in it can fail, so that it has no error type.

mod chart;
mod comparison;
mod curves;
mod drawn;
mod facts;
mod headline;
mod over_time;
mod page;
mod plot;
mod run;
mod scatter;
mod spreads;
mod sweep;
mod table;
mod tokens;

#[cfg(test)]
mod tests;

pub use comparison::comparison_page;
pub use sweep::report_page;
