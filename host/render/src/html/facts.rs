//! What is to be known about a run beside its times: failures, the circumstances under which it was
//! measured, what was asked for, and who made it.

use super::figure::{Figure, Part};
use super::table::{Cell, Piece, Table};
use crate::report::{UNKNOWN, percent};
use llmuses_core::wording::one_line;
use serde_json::Value;

/// Characters of a value from outside that are shown; the document in the page has all of it.
const LONGEST: usize = 400;

/// The failures by kind. `None`: there are none.
pub(super) fn failures(totals: &Part<'_>) -> Option<Table> {
    let mut kinds = totals.at("failures").members();
    if kinds.is_empty() {
        return None;
    }
    kinds.sort_by_key(|(_, kind)| std::cmp::Reverse(kind.at("requests").count()));
    let completed = totals.at("requests/completed").count();
    let mut table = Table::new(
        "Failures by kind",
        &["Kind", "requests", "share", "first message"],
    );
    for (name, kind) in kinds {
        let requests = kind.at("requests");
        table.rows.push(vec![
            Cell::name(name),
            Cell::number(requests.whole()),
            Cell::number(share(requests.count(), completed)),
            Cell::long(one_line(kind.at("first_message").text(), LONGEST)),
        ]);
    }
    table.notes.push(
        "Failed requests are in no percentile and in no rate of the figures above.".to_owned(),
    );
    Some(table)
}

fn share(part: u64, all: u64) -> String {
    if all == 0 {
        return UNKNOWN.to_owned();
    }
    percent(part as f64 / all as f64)
}

/// The figures of the parser's own. `None`: it has none.
pub(super) fn metrics(totals: &Part<'_>) -> Option<Table> {
    let metrics = totals.at("parser_metrics");
    let mut table = Table::new(
        "The parser's own figures",
        &[
            "Figure", "mean", "min", "p50", "p90", "p99", "max", "samples",
        ],
    );
    for (name, figures) in metrics.at("named").members() {
        let mut row = vec![Cell::name(one_line(name, 60))];
        row.extend(
            ["mean", "min", "p50", "p90", "p99", "max", "samples"]
                .map(|key| Cell::number(any_size(&figures.at(key)))),
        );
        table.rows.push(row);
    }
    for (key, text) in [
        (
            "values_beyond_the_limit_of_names",
            "Values under more names than are kept",
        ),
        (
            "values_not_finite",
            "Values left out, infinite or not a number",
        ),
    ] {
        let values = metrics.at(key).count();
        if values > 0 {
            table.notes.push(format!("{text}: {values}."));
        }
    }
    (!table.rows.is_empty() || !table.notes.is_empty()).then_some(table)
}

/// A figure of unknown unit and size, as in the text report.
fn any_size(part: &Part<'_>) -> Figure {
    match part.value() {
        Value::Number(number) if number.is_u64() => part.whole(),
        _ => part.shown(
            part.number()
                .map_or_else(|| UNKNOWN.to_owned(), crate::report::short_figure),
        ),
    }
}

/// How it was measured.
pub(super) fn circumstances(totals: &Part<'_>) -> Table {
    let mut table = Table::new("How it was measured", &[]);
    let requests = totals.at("requests");
    let whole = |key: &str| Piece::Figure(requests.at(key).whole());
    let counted_from = match totals.at("origin").text() {
        "intended" => "the instant at which the schedule wanted a request sent (open loop)",
        _ => "the instant at which a request was sent (closed loop)",
    };
    table.pair("Counted from (origin)", Cell::name(counted_from));
    table.pair(
        "Requests",
        Cell::of([
            whole("asked"),
            " asked for, ".into(),
            whole("issued"),
            " issued, ".into(),
            whole("sent"),
            " sent, ".into(),
            whole("completed"),
            " completed".into(),
        ]),
    );
    if requests.at("warmup").count() > 0 {
        table.pair(
            "Warm-up",
            Cell::of([
                whole("warmup"),
                " requests before the others, ".into(),
                whole("warmup_failed"),
                " of them failed; no other figure has them".into(),
            ]),
        );
    }
    in_flight(&mut table, totals);
    rates(&mut table, totals);
    table.pair(
        "Connections",
        Cell::of([
            whole("warm_connections"),
            " opened before the first request; ".into(),
            whole("own_connection"),
            " succeeded requests opened one of their own".into(),
        ]),
    );
    if requests.at("not_streamed").count() > 0 {
        table.pair(
            "Not streamed",
            Cell::of([
                whole("not_streamed"),
                " responses came in one piece, without a time to first token".into(),
            ]),
        );
    }
    packages(&mut table, totals);
    client(&mut table, totals);
    parser(&mut table, totals);
    dataset(&mut table, totals);
    table
}

fn in_flight(table: &mut Table, totals: &Part<'_>) {
    let requests = totals.at("requests");
    let mut pieces: Vec<Piece> = vec![requests.at("peak_in_flight").whole().into()];
    let held_up = totals.at("held_up");
    if held_up.at("samples").count() > 0 {
        pieces.push(" of ".into());
        pieces.push(requests.at("max_in_flight").whole().into());
        pieces.push(" that may be; ".into());
        pieces.push(held_up.at("samples").whole().into());
        pieces.push(" requests held up by that, ".into());
        pieces.push(held_up.at("max_seconds").fixed(3).into());
        pieces.push(" s at the longest".into());
    }
    let unsent = requests.at("due_and_not_sent");
    if unsent.count() > 0 {
        pieces.push("; ".into());
        pieces.push(unsent.whole().into());
        pieces.push(" due and not sent when the run ended".into());
    }
    table.pair("In flight at the peak", Cell::of(pieces));
}

fn rates(table: &mut Table, totals: &Part<'_>) {
    if totals.at("origin").text() != "intended" {
        return;
    }
    let rates = totals.at("rates");
    table.pair(
        "Rate",
        Cell::of([
            rates.at("scheduled_per_second").fixed(3).into(),
            " requests per second drawn by the schedule, ".into(),
            rates.at("sent_per_second").fixed(3).into(),
            " sent".into(),
        ]),
    );
}

fn packages(table: &mut Table, totals: &Part<'_>) {
    let packages = totals.at("packages");
    table.pair(
        "Packages (events of a stream)",
        Cell::of([
            packages.at("count").whole().into(),
            "; ".into(),
            packages.at("per_request").fixed(3).into(),
            " per request, average latency ".into(),
            packages.at("average_latency_seconds").millis(3).into(),
            " ms".into(),
        ]),
    );
    let gaps = packages.at("output_gaps");
    let coalesced = packages.at("coalesced_output_gaps");
    let zero: Vec<Piece> = if gaps.count() == 0 {
        vec!["no response had two chunks of output".into()]
    } else {
        vec![
            coalesced.whole().into(),
            " of ".into(),
            gaps.whole().into(),
            format!(
                " ({}) are zero: those chunks came in one read",
                share(coalesced.count(), gaps.count())
            )
            .into(),
        ]
    };
    table.pair("Gaps between output chunks", Cell::of(zero));
    table.pair(
        "Data received",
        Cell::of([totals.at("bytes_received").whole().into(), " bytes".into()]),
    );
}

fn client(table: &mut Table, totals: &Part<'_>) {
    let client = totals.at("client");
    table.pair(
        "Arrival times",
        Cell::of([
            "from the kernel for ".into(),
            client.at("kernel_stamped_responses").whole().into(),
            " responses, from the return of the read for ".into(),
            client.at("read_stamped_responses").whole().into(),
            format!(
                "; transport {}",
                one_line(client.at("transport").text(), 60)
            )
            .into(),
        ]),
    );
    let busy = client.at("busy_shares").items();
    if !busy.is_empty() {
        let mut pieces: Vec<Piece> = Vec::new();
        for share in busy {
            if !pieces.is_empty() {
                pieces.push(", ".into());
            }
            let text = share.number().map_or_else(|| UNKNOWN.to_owned(), percent);
            pieces.push(share.shown(text).into());
        }
        table.pair("Client threads busy", Cell::of(pieces));
    }
    table.pair(
        "Wall clock moved by",
        Cell::of([
            client.at("wall_clock_step_seconds").millis(3).into(),
            " ms against the monotonic clock".into(),
        ]),
    );
    let reason = client.at("stop_reason").text();
    if !reason.is_empty() {
        table.pair("Stopped early", Cell::long(one_line(reason, LONGEST)));
    }
    if client.at("interrupted").value() == &Value::Bool(true) {
        table.pair("Interrupted", Cell::name("someone ended the run"));
    }
}

fn parser(table: &mut Table, totals: &Part<'_>) {
    let cost = totals.at("parser_cost");
    for (name, key) in [
        ("Parser, making requests", "requests"),
        ("Parser, reading responses", "responses"),
        ("Parser, new instances after it broke", "replaced_instances"),
    ] {
        let calls = cost.at(key);
        let Some(each) = calls.at("seconds_per_call").number() else {
            continue;
        };
        let mut pieces: Vec<Piece> = vec![
            calls.at("calls").whole().into(),
            " calls of ".into(),
            calls
                .at("seconds_per_call")
                .shown(format!("{:.1}", each * 1e6))
                .into(),
            " µs".into(),
        ];
        let of_run = calls.at("share_of_run");
        if let Some(share) = of_run.number() {
            pieces.push(", ".into());
            pieces.push(of_run.shown(percent(share)).into());
            pieces.push(" of the run".into());
        }
        table.pair(name, Cell::of(pieces));
    }
    let waits = totals.at("client/parser_backlog_waits");
    if waits.count() > 0 {
        table.pair(
            "Waits for the parser",
            Cell::of([waits.whole().into(), " of client threads".into()]),
        );
    }
}

fn dataset(table: &mut Table, totals: &Part<'_>) {
    let dataset = totals.at("data_set");
    if dataset.value().is_null() {
        return;
    }
    let mut pieces: Vec<Piece> = vec![
        dataset.at("entries_read").whole().into(),
        " entries read, used ".into(),
        dataset.at("passes").fixed(2).into(),
        " times".into(),
    ];
    for (reason, entries) in dataset.at("entries_skipped").members() {
        pieces.push("; ".into());
        pieces.push(entries.whole().into());
        pieces.push(format!(" skipped: {}", one_line(reason, 60)).into());
    }
    if dataset.at("bad_entries").count() > 0 {
        pieces.push("; ".into());
        pieces.push(dataset.at("bad_entries").whole().into());
        pieces.push(" passed over, no request could be made of them".into());
    }
    table.pair("Data set", Cell::of(pieces));
}

/// What was asked for.
pub(super) fn plan(run: &Part<'_>) -> Table {
    let mut table = Table::new("Plan", &[]);
    for (name, value) in run.at("plan").members() {
        let text = match value.value() {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Array(items) if items.is_empty() => continue,
            Value::Object(members) if members.is_empty() => continue,
            Value::Number(_) => {
                table.pair(name, Cell::of([value.whole().into()]));
                continue;
            }
            other => other.to_string(),
        };
        table.pair(name, Cell::long(one_line(&text, LONGEST)));
    }
    table
}

/// Who made the run, and what became of its rows.
pub(super) fn identity(run: &Part<'_>) -> Table {
    let mut table = Table::new("Versions, parser and seed", &[]);
    let long = |path: &str| Cell::long(one_line(run.at(path).text(), LONGEST));
    for (name, path) in [
        ("llmuses", "versions/llmuses"),
        ("Contract with parsers", "versions/contract"),
        ("wasmtime", "versions/wasmtime"),
        ("Parser", "parser/name"),
        ("Parser's version", "parser/version"),
        ("Parser's source", "parser/source"),
        ("Parser's SHA-256", "parser/sha256"),
        ("Seed of the schedule", "schedule_seed"),
        ("State of the run", "state"),
    ] {
        table.pair(name, long(path));
    }
    let rows = run.at("rows");
    if rows.value().is_null() {
        table.pair("Rows in the database", Cell::name("not known"));
    } else {
        table.pair(
            "Rows in the database",
            Cell::of([
                rows.at("kept").whole().into(),
                " kept, ".into(),
                rows.at("not_kept").whole().into(),
                " not kept".into(),
            ]),
        );
        let error = rows.at("write_error").text();
        if !error.is_empty() {
            table.pair("Why not kept", Cell::long(one_line(error, LONGEST)));
        }
    }
    table
}
