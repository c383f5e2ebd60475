//! What is to be known about a run beside its times: failures, the circumstances under which it was
//! measured, what was asked for, and who made it.

use crate::digits::{counted, percent};
use crate::sections::{self, Cell, Part, Piece, Table, at};
use llmuses_core::document::{Run, Totals};
use llmuses_core::wording::one_line;
use serde_json::Value;

/// Characters of a value from outside that are shown; the document in the page has all of it.
const LONGEST: usize = 400;

/// The failures by kind and status. `None`: there are none.
pub(super) fn failures(totals: &Part<'_, Totals>) -> Option<Table> {
    let failures = sections::failures(totals);
    if failures.is_empty() {
        return None;
    }
    let completed = totals.value().requests.completed.max(1);
    let mut table = Table::new(
        "Failures by kind",
        &["Kind", "requests", "share", "first message"],
    );
    for failure in failures {
        let kind = match failure.status {
            Some(status) => format!("{} {status}", failure.kind),
            None => failure.kind.to_owned(),
        };
        table.rows.push(vec![
            Cell::name(one_line(&kind, 60)),
            Cell::number(failure.requests),
            Cell::number(percent(failure.count as f64 / completed as f64)),
            Cell::long(one_line(failure.message, LONGEST)),
        ]);
    }
    table.note("Failed requests are in no percentile and in no rate of the figures above.");
    Some(table)
}

/// How it was measured: the lines of the text report, and what only a page has room for.
pub(super) fn circumstances(run: &Run, totals: &Part<'_, Totals>) -> Table {
    let mut table = Table::new("How it was measured", &[]);
    for (label, text) in sections::lines(run, totals.value()) {
        table.pair(label, Cell::name(text));
    }
    let requests = at!(totals, requests);
    table.pair(
        "Requests",
        Cell::of([
            at!(requests, asked).whole().into(),
            " asked for, ".into(),
            at!(requests, issued).whole().into(),
            " issued, ".into(),
            at!(requests, sent).whole().into(),
            " sent, ".into(),
            at!(requests, completed).whole().into(),
            " completed, ".into(),
            at!(requests, disconnected).whole().into(),
            " disconnected by the client".into(),
        ]),
    );
    table.pair(
        "Chunks (events of a stream)",
        Cell::of([
            at!(totals, packages.count).whole().into(),
            "; ".into(),
            at!(totals, packages.per_request).fixed(3).into(),
            " per request, average latency ".into(),
            at!(totals, packages.average_latency_seconds)
                .millis(3)
                .into(),
            " ms".into(),
        ]),
    );
    client(&mut table, totals);
    table
}

fn client(table: &mut Table, totals: &Part<'_, Totals>) {
    let client = at!(totals, client);
    let mut busy: Vec<Piece> = Vec::new();
    for share in at!(client, busy_shares).items() {
        if !busy.is_empty() {
            busy.push(", ".into());
        }
        busy.push(share.shown(percent(*share.value())).into());
    }
    if !busy.is_empty() {
        table.pair("Client threads busy", Cell::of(busy));
    }
    table.pair(
        "Wall clock moved by",
        Cell::of([
            at!(client, wall_clock_step_seconds).millis(3).into(),
            " ms against the monotonic clock".into(),
        ]),
    );
    if client.value().parser_backlog_waits > 0 {
        let waits = at!(client, parser_backlog_waits).whole().into();
        let text = " of client threads".into();
        table.pair("Waits for the parser", Cell::of([waits, text]));
    }
    if let Some(reason) = client.value().why_stopped() {
        table.pair("Stopped early", Cell::long(one_line(&reason, LONGEST)));
    }
    if client.value().interrupted {
        table.pair("Interrupted", Cell::name("someone ended the run"));
    }
}

/// Where a run was made: the server as it calls itself, and the machine of this program. Names and values.
pub(super) fn place(run: &Run) -> Vec<(&'static str, String)> {
    let Some(totals) = &run.totals else {
        return Vec::new();
    };
    let used = &totals.connections;
    let server = match used.servers.as_slice() {
        [] => "none".to_owned(),
        servers => servers.join(", "),
    };
    let mut found = vec![("Server header", server)];
    if !used.http_versions.is_empty() {
        found.push(("Protocol", used.http_versions.join(" and ")));
    }
    if let Some(machine) = &totals.client.machine {
        let processors = machine.processors.map(|count| counted(count, "processor"));
        let cpu: Vec<String> = machine.cpu.clone().into_iter().chain(processors).collect();
        let known = |text: &Option<String>| text.clone().unwrap_or_default();
        found.extend([
            ("Client host", known(&machine.host)),
            ("Kernel", known(&machine.kernel)),
            ("CPU", cpu.join(", ")),
        ]);
    }
    found.retain(|(_, text)| !text.is_empty());
    let short = |(name, text): (&'static str, String)| (name, one_line(&text, LONGEST));
    found.into_iter().map(short).collect()
}

/// What was asked for.
pub(super) fn plan(run: &Run) -> Table {
    let mut table = Table::new("Plan", &[]);
    // Whatever flags there are: the plan of a document is as open as they are.
    let plan = serde_json::to_value(&run.plan).unwrap_or_default();
    for (name, value) in plan.as_object().into_iter().flatten() {
        // It stands above.
        if name == "command" {
            continue;
        }
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Array(items) if items.is_empty() => continue,
            Value::Object(members) if members.is_empty() => continue,
            other => other.to_string(),
        };
        table.pair(name, Cell::long(one_line(&text, LONGEST)));
    }
    table
}

/// Who made the run, and how many of its rows were kept.
pub(super) fn identity(run: &Part<'_, Run>) -> Table {
    let mut table = Table::new("Versions, parser and seed", &[]);
    let Run {
        versions,
        parser,
        schedule_seed,
        state,
        ..
    } = run.value();
    for (name, text) in [
        ("llmuses", versions.llmuses.as_str()),
        ("Contract with parsers", &versions.contract),
        ("wasmtime", &versions.wasmtime),
        ("Parser", &parser.name),
        ("Parser's version", &parser.version),
        ("Parser's source", &parser.source),
        ("Parser's SHA-256", &parser.sha256),
        ("Seed of the schedule", schedule_seed),
        ("State of the run", state.as_str()),
    ] {
        table.pair(name, Cell::long(one_line(text, LONGEST)));
    }
    let Some(rows) = at!(run, rows).known() else {
        table.pair("Rows in the database", Cell::name("not known"));
        return table;
    };
    table.pair(
        "Rows in the database",
        Cell::of([
            at!(rows, kept).whole().into(),
            " kept, ".into(),
            at!(rows, not_kept).whole().into(),
            " not kept".into(),
        ]),
    );
    if let Some(error) = &rows.value().write_error {
        table.pair("Why not kept", Cell::long(one_line(error, LONGEST)));
    }
    table
}
