//! What this program adds to the specified block: the times in a table and as histograms, what is to be known about the
//! run line by line, failures, the parser's own figures; and last the verdict.

use super::histogram::histograms;
use super::look::Look;
use super::paint::{Colour, Painted};
use super::table::{push_notes, push_table};
use super::text::push_wrapped;
use crate::digits::{counted, percent, sentence};
use crate::sections::{self, Mark, Part, Table};
use llmuses_core::document::{DatasetFigures, Percentile, Reason, Run, Totals, Verdict};
use llmuses_core::metric::{DISPATCH_LAG, LATENCY, TTFT};
use llmuses_core::wording::one_line;

/// The width of the labels before a line of text.
const LABEL: usize = 16;

/// The longest message of a failure, in characters.
const LONGEST_MESSAGE: usize = 200;

/// The longest figure of a doubt, in characters.
const LONGEST_FIGURE: usize = 500;

/// So many doubts are told with cause and remedy where details are not asked for; of the others the figure is told.
const DOUBTS_IN_FULL: usize = 3;

/// The lines that everybody sees: they are there where somebody asked for them, or where something is odd.
const ALWAYS: [&str; 6] = [
    "Sessions",
    "Trace",
    "Warm-up",
    "Goodput",
    "Empty answers",
    "Disconnected",
];

/// Appends the block.
pub(super) fn details(out: &mut Painted, run: &Run, totals: &Totals, look: Look) {
    let part = Part::new("", totals);
    let times = &totals.times;
    if times[LATENCY].samples > 0 || times[DISPATCH_LAG].samples > 0 {
        let table = if look.details {
            all_times(&part, look)
        } else {
            super::times::times(&part)
        };
        times_table(out, table, totals, look);
    }
    let drawn = histograms(
        &[
            ("Time to first token, ms", &times[TTFT]),
            ("Request latency, ms", &times[LATENCY]),
        ],
        look.columns(),
    );
    if !drawn.plain().is_empty() {
        out.append(drawn);
        out.text.push('\n');
    }
    if let Some(table) = sections::turns(&part) {
        push_table(&mut out.text, &table, look.columns());
        push_notes(&mut out.text, &table, look.words());
        out.text.push('\n');
    }
    if let Some(table) = sections::workers(&part) {
        push_table(&mut out.text, &table, look.columns());
        push_notes(&mut out.text, &table, look.words());
        out.text.push('\n');
    }
    if let Some(table) = sections::objectives(&part) {
        push_table(&mut out.text, &table, look.columns());
        push_notes(&mut out.text, &table, look.words());
        out.text.push('\n');
    }
    // The steady state is one of the details.
    let is_told = |table: &&Table| look.details || table.label != sections::STEADY;
    for table in sections::groups(&part).iter().filter(is_told) {
        push_table(&mut out.text, table, look.columns());
        push_notes(&mut out.text, table, look.words());
        out.text.push('\n');
    }
    let lines = sections::lines(run, totals).into_iter();
    let is_told = |label: &str| look.details || is_told_in_short(label, totals);
    for (label, text) in lines.filter(|(label, _)| is_told(label)) {
        line(&mut out.text, label, &text, look);
    }
    failures(out, &part, look);
    if look.details
        && let Some(table) = sections::parser_figures(&part)
    {
        if !table.rows.is_empty() {
            out.text.push('\n');
            push_table(&mut out.text, &table, look.columns());
        }
        push_notes(&mut out.text, &table, look.words());
    }
    // One empty line before the verdict, whatever was there to be said.
    while !out.text.ends_with("\n\n") {
        out.text.push('\n');
    }
}

/// Whether a line is told where details are not asked for.
fn is_told_in_short(label: &str, totals: &Totals) -> bool {
    match label {
        // They stand in the place of output tokens.
        "Further figures" => !totals.task.has_output_tokens(),
        "Data set" => {
            let data_set = totals.data_set.as_ref();
            data_set.is_some_and(DatasetFigures::has_entries_without_request)
        }
        other => ALWAYS.contains(&other),
    }
}

/// A terminal that has room for all columns of times.
const ROOMY: usize = 120;

/// All times; how they vary, and the shortest, where there is room.
fn all_times(totals: &Part<'_, Totals>, look: Look) -> Table {
    let mut table = sections::times(totals);
    for column in table.columns.iter_mut().filter(|column| column.of_a_page) {
        column.of_a_page = look.columns() < ROOMY;
    }
    table
}

/// Appends the table of times, with an empty line behind it.
fn times_table(out: &mut Painted, mut table: Table, totals: &Totals, look: Look) {
    let marked = |note: &&mut sections::Note| note.mark == Mark::Marked;
    for note in table.notes.iter_mut().filter(marked) {
        note.text.push_str(&of_the_lists(totals));
    }
    push_table(&mut out.text, &table, look.columns());
    push_notes(&mut out.text, &table, look.words());
    out.text.push('\n');
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

fn failures(out: &mut Painted, totals: &Part<'_, Totals>, look: Look) {
    let failures = sections::failures(totals);
    let counts = &totals.value().requests;
    if failures.is_empty() {
        if look.details {
            line(&mut out.text, "Failures", "none", look);
        }
        return;
    }
    let mut text = String::new();
    line(
        &mut text,
        "Failures",
        &format!(
            "{} of {} requests ({}); the first message of each kind and status:",
            counts.failed,
            counts.completed,
            percent(counts.failed as f64 / counts.completed.max(1) as f64)
        ),
        look,
    );
    let widths = failures.iter().map(|failure| failure.requests.text.len());
    let width = widths.max().unwrap_or(0);
    for failure in failures {
        let (requests, kind) = (failure.count, failure.kind);
        let first = format!("   {requests:>width$}  {kind:<LABEL$}");
        let message = one_line(failure.message, LONGEST_MESSAGE);
        push_wrapped(&mut text, &first, &message, look.words());
    }
    out.push(Colour::Bad, &text);
}

fn line(out: &mut String, label: &str, text: &str, look: Look) {
    push_wrapped(out, &format!(" {label:<LABEL$}"), text, look.words());
}

/// Appends the verdict.
pub(super) fn verdict(out: &mut Painted, verdict: &Verdict, look: Look) {
    let doubts = &verdict.doubts;
    if doubts.is_empty() {
        let text = "Verdict: nothing speaks against these numbers.";
        out.push(Colour::Good, text);
        out.text.push('\n');
        return;
    }
    let reasons = counted(doubts.len() as u64, "reason");
    let text = format!("Verdict: {reasons} to read these numbers with care.");
    out.push(Colour::Careful, &text);
    out.text.push('\n');
    let in_full = match look.details {
        true => doubts.len(),
        false => DOUBTS_IN_FULL,
    };
    for (index, doubt) in doubts.iter().enumerate() {
        let number = format!("{:>3}. ", index + 1);
        push_doubt(&mut out.text, &number, "", doubt, index < in_full, look);
    }
}

/// Appends a doubt: `whose` before its figure, and where it is told in full, cause and remedy.
pub(super) fn push_doubt(
    out: &mut String,
    number: &str,
    whose: &str,
    doubt: &Reason,
    in_full: bool,
    look: Look,
) {
    let figure = one_line(&doubt.figure, LONGEST_FIGURE);
    let text = match whose {
        "" => sentence(&figure),
        whose => format!("{whose}{figure}."),
    };
    push_wrapped(out, number, &text, look.words());
    if in_full {
        for (label, text) in [
            ("     Likely cause: ", &doubt.likely_cause),
            ("     What to do:   ", &doubt.what_to_do),
        ] {
            push_wrapped(out, label, &format!("{text}."), look.words());
        }
    }
}

/// Appends where the rest is to be found.
pub(super) fn more(out: &mut Painted, look: Look) {
    if !look.details {
        let text = "More figures: --details, or `llmuses report` with the database.";
        push_wrapped(&mut out.text, "", text, look.words());
    }
}
