//! What this program adds to the specified block: the table of times, what is to be known about the run line by line,
//! failures, the parser's own figures; and last the verdict.

use super::table::{push_notes, push_table};
use super::text::{WIDTH, push_wrapped};
use crate::digits::{counted, percent, sentence};
use crate::sections::{self, Mark, Part};
use llmuses_core::document::{Percentile, Run, Totals, Verdict};
use llmuses_core::metric::{DISPATCH_LAG, LATENCY, TTFT};
use llmuses_core::wording::one_line;

/// The width of the labels before a line of text.
const LABEL: usize = 16;

/// Appends the block.
pub(super) fn details(out: &mut String, run: &Run, totals: &Totals) {
    let part = Part::new("", totals);
    times(out, &part);
    turns(out, &part);
    objectives(out, &part);
    for (label, text) in sections::lines(run, totals) {
        line(out, label, &text);
    }
    failures(out, &part);
    if let Some(table) = sections::parser_figures(&part) {
        if !table.rows.is_empty() {
            out.push('\n');
            push_table(out, &table);
        }
        push_notes(out, &table);
    }
}

/// Appends the table of times, with an empty line behind it; nothing where no request was sent.
fn times(out: &mut String, totals: &Part<'_, Totals>) {
    let times = &totals.value().times;
    if times[LATENCY].samples == 0 && times[DISPATCH_LAG].samples == 0 {
        return;
    }
    let mut table = sections::times(totals);
    for note in table
        .notes
        .iter_mut()
        .filter(|note| note.mark == Mark::Marked)
    {
        note.text.push_str(&of_the_lists(totals.value()));
    }
    push_table(out, &table);
    push_notes(out, &table);
    out.push('\n');
}

/// Appends the objectives, with an empty line behind them; nothing where there are none.
fn objectives(out: &mut String, totals: &Part<'_, Totals>) {
    if let Some(table) = sections::objectives(totals) {
        push_table(out, &table);
        push_notes(out, &table);
        out.push('\n');
    }
}

/// Appends the table of turns, with an empty line behind it, where sessions have several.
fn turns(out: &mut String, totals: &Part<'_, Totals>) {
    if let Some(table) = sections::turns(totals) {
        push_table(out, &table);
        push_notes(out, &table);
        out.push('\n');
    }
}

/// Which percentiles of the specified block would have a mark.
fn of_the_lists(totals: &Totals) -> String {
    let samples = totals.times[TTFT]
        .samples
        .min(totals.times[LATENCY].samples);
    let short: Vec<String> = Percentile::LISTED
        .into_iter()
        .filter(|percentile| percentile.is_short(samples))
        .map(Percentile::label)
        .collect();
    if short.is_empty() {
        return String::new();
    }
    format!("; in the lists above: {}", short.join(", "))
}

fn failures(out: &mut String, totals: &Part<'_, Totals>) {
    let failures = sections::failures(totals);
    let counts = &totals.value().requests;
    if failures.is_empty() {
        line(out, "Failures", "none");
        return;
    }
    line(
        out,
        "Failures",
        &format!(
            "{} of {} requests ({}); the first message of each kind and status:",
            counts.failed,
            counts.completed,
            percent(counts.failed as f64 / counts.completed.max(1) as f64)
        ),
    );
    let widths = failures.iter().map(|failure| failure.requests.text.len());
    let width = widths.max().unwrap_or(0);
    for failure in failures {
        let (requests, kind) = (failure.count, failure.kind);
        let first = format!("   {requests:>width$}  {kind:<LABEL$}");
        push_wrapped(out, &first, &one_line(failure.message, 2 * WIDTH));
    }
}

fn line(out: &mut String, label: &str, text: &str) {
    push_wrapped(out, &format!(" {label:<LABEL$}"), text);
}

/// Appends the verdict.
pub(super) fn verdict(out: &mut String, verdict: &Verdict) {
    let doubts = &verdict.doubts;
    if doubts.is_empty() {
        out.push_str("Verdict: nothing speaks against these numbers.\n");
        return;
    }
    let reasons = counted(doubts.len() as u64, "reason");
    out.push_str(&format!(
        "Verdict: {reasons} to read these numbers with care.\n"
    ));
    for (index, doubt) in doubts.iter().enumerate() {
        let figure = sentence(&one_line(&doubt.figure, 5 * WIDTH));
        push_wrapped(out, &format!("{:>3}. ", index + 1), &figure);
        push_wrapped(
            out,
            "     Likely cause: ",
            &format!("{}.", doubt.likely_cause),
        );
        push_wrapped(
            out,
            "     What to do:   ",
            &format!("{}.", doubt.what_to_do),
        );
    }
}
