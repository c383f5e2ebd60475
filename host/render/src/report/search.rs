//! A search of the highest load: a line for each probe, and its result.

use super::look::Look;
use super::paint::Painted;
use super::sweep::sweep_summary;
use super::table::{push_notes, push_table};
use super::text::push_wrapped;
use crate::sections::{self, Part};
use llmuses_core::document::{Run, SearchFigures};

/// A line for a probe that is over. `None`: the run is no probe.
pub fn probe_line(run: &Run) -> Option<String> {
    sections::probe_in_short(run)
}

/// The result, the probes and the curve of all loads.
pub fn search_summary(search: &SearchFigures, runs: &[Run], look: Look) -> Painted {
    let mut out = Painted::default();
    out.text = "\nSearch summary:\n".to_owned();
    for line in sections::search_lines(search) {
        push_wrapped(&mut out.text, " ", &line, look.words());
    }
    out.text.push('\n');
    let parts: Vec<Part<'_, Run>> = runs.iter().map(|run| Part::new("", run)).collect();
    if let Some(table) = sections::probes(&parts) {
        push_table(&mut out.text, &table, look.columns());
        push_notes(&mut out.text, &table, look.words());
    }
    out.append(sweep_summary(runs, None, look));
    out
}
