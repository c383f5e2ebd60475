//! A search of the highest load: a line for each probe, and its result.

use super::sweep::sweep_summary;
use super::table::{push_notes, push_table};
use super::text::push_wrapped;
use crate::sections::{self, Part};
use llmuses_core::document::{Document, Run};

/// A line for a probe that is over. `None`: the run is no probe.
pub fn probe_line(run: &Run) -> Option<String> {
    sections::probe_in_short(run)
}

/// The result, the probes and the curve of all loads; empty where the runs are no search.
pub fn search_summary(document: &Document) -> String {
    let Some(search) = &document.search else {
        return String::new();
    };
    let mut out = "\nSearch summary:\n".to_owned();
    for line in sections::search_lines(search) {
        push_wrapped(&mut out, " ", &line);
    }
    out.push('\n');
    let parts = Part::new("/runs", &document.runs).items();
    if let Some(table) = sections::probes(&parts) {
        push_table(&mut out, &table);
        push_notes(&mut out, &table);
    }
    out.push('\n');
    out.push_str(&sweep_summary(&document.runs));
    out
}
