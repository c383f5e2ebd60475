//! The workers of a run that several sent, side by side.

use super::number::{Part, at};
use super::table::{Cell, Column, Table};
use crate::digits::{counted, fixed};
use llmuses_core::document::{Totals, WorkerFigures};
use llmuses_core::wording::one_line;

/// The workers, one row for each. `None`: one process sent the run.
pub(crate) fn workers(totals: &Part<'_, Totals>) -> Option<Table> {
    let workers = at!(totals, workers).items();
    if workers.is_empty() {
        return None;
    }
    let mut table = Table::of_columns(
        "Workers",
        [
            Column::new("Worker"),
            Column::new("requests"),
            Column::new("TTFT p50"),
            Column::new("send delay p99").narrow("delay p99".to_owned()),
            Column::new("busy %"),
            Column::new("clock ahead").narrow("clock".to_owned()),
            Column::new("±"),
            Column::new("drift").of_a_page(),
            Column::new("no result"),
        ],
    );
    for worker in &workers {
        let busy = at!(worker, busy_share);
        let percent = fixed(busy.number().map(|share| share * 100.0), 1);
        let offset = at!(worker, clock_offset_seconds);
        // Not "-0.00".
        let ahead = offset
            .number()
            .map(|seconds| (seconds * 1e5).round() / 1e2 + 0.0);
        let ahead = fixed(ahead, 2);
        table.rows.push(vec![
            Cell::name(named(worker.value())),
            Cell::number(at!(worker, requests).whole()),
            Cell::number(at!(worker, time_to_first_token_p50_seconds).millis(1)),
            Cell::number(at!(worker, dispatch_lag_p99_seconds).millis(2)),
            Cell::number(busy.shown(percent)),
            Cell::number(offset.shown(ahead)),
            Cell::number(at!(worker, clock_bound_seconds).millis(3)),
            Cell::number(at!(worker, clock_drift_seconds).millis(3)),
            Cell::number(at!(worker, requests_without_result).whole()),
        ]);
    }
    table.note(
        "Times in milliseconds. Clock: by how much its time of day was ahead, at the start; results stand in the time of the \
         coordinator. No result: requests that a lost worker had begun as far as it had said, which it does each second.",
    );
    Some(table)
}

/// How a worker is called, with the name of its machine where that is another.
fn named(worker: &WorkerFigures) -> String {
    let name = one_line(&worker.name, 40);
    match &worker.host {
        Some(host) if *host != worker.name => format!("{name} ({})", one_line(host, 40)),
        _ => name,
    }
}

/// How far the clocks of workers were from that of the coordinator. `None`: one process sent the run.
pub(super) fn clocks(totals: &Totals) -> Option<String> {
    let most = |of: fn(&WorkerFigures) -> Option<f64>| {
        let workers = totals.workers.iter().filter_map(of);
        workers.reduce(f64::max).map(|seconds| seconds * 1e3)
    };
    let bound = most(|worker| worker.clock_bound_seconds)?;
    let drift = most(|worker| worker.clock_drift_seconds)?;
    Some(format!(
        "{} known within ±{} ms of this machine's, drift at most {} ms",
        counted(totals.workers.len() as u64, "worker"),
        fixed(Some(bound), 3),
        fixed(Some(drift), 3)
    ))
}
