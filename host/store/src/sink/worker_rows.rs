//! The rows of the workers of a run that several sent.

use super::schema;
use llmuses_core::document::WorkerFigures;
use rusqlite::{Connection, params};

/// Adds the workers of a run that several sent, or writes anew what is known of them.
pub(super) fn insert_workers(
    connection: &Connection,
    id: u32,
    workers: &[WorkerFigures],
) -> rusqlite::Result<()> {
    let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    for worker in workers {
        connection.execute(
            schema::INSERT_WORKER,
            params![
                id,
                worker.worker,
                worker.name,
                worker.host,
                worker.boot,
                worker.version,
                worker.build,
                worker.processors.map(whole),
                whole(worker.requests),
                whole(worker.requests_without_result),
                worker.clock_offset_seconds,
                worker.clock_bound_seconds,
                worker.clock_drift_seconds,
                worker.lost_after_seconds,
                worker.lost,
            ],
        )?;
    }
    Ok(())
}
