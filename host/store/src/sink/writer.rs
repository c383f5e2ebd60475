//! The thread that writes: it takes outcomes from the queue and commits them in batches.

use super::rows::RowWriter;
use super::schema;
use super::worker_rows::insert_workers;
use flume::{Receiver, RecvTimeoutError};
use llmuses_core::document::WorkerFigures;
use llmuses_stats::Sample;
use rusqlite::{Connection, ErrorCode, Statement, params};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// A batch is committed after this many rows, so that the log stays short.
const BATCH_ROWS: u64 = 2048;
/// And after this time: a process that is killed loses no more than the rows since.
const BATCH_TIME: Duration = Duration::from_millis(250);

/// What is on its way to the database.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are rows, and a box for each would cost an allocation"
)]
pub(super) enum Entry {
    /// Requests begin to be issued, at this Unix time.
    Begin(f64),
    /// These workers send the run.
    Workers(Vec<WorkerFigures>),
    /// One ended.
    Row(Sample),
}

/// The state of the writer.
#[derive(Debug)]
pub(super) struct Writer {
    connection: Connection,
    rows: RowWriter,
    /// The first error. After one that is not of a single row, outcomes are counted, not written.
    trouble: Arc<OnceLock<String>>,
    kept: u64,
    not_kept: u64,
}

/// What is left when all outcomes have come.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) connection: Connection,
    pub(super) rows: u64,
    pub(super) not_kept: u64,
    pub(super) cut_requests: u64,
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        rows: RowWriter,
        trouble: Arc<OnceLock<String>>,
    ) -> Self {
        Self {
            connection,
            rows,
            trouble,
            kept: 0,
            not_kept: 0,
        }
    }

    pub(super) fn into_written(self) -> Written {
        Written {
            cut_requests: self.rows.cut_requests(),
            connection: self.connection,
            rows: self.kept,
            not_kept: self.not_kept,
        }
    }

    /// Writes until the queue has no sender left.
    pub(super) fn run(&mut self, queue: &Receiver<Entry>) {
        if let Err(error) = self.write_all(queue) {
            note(&self.trouble, &error);
        }
        // After an error: nobody must wait for a disk that takes nothing.
        self.not_kept += queue
            .iter()
            .filter(|entry| matches!(entry, Entry::Row(_)))
            .count() as u64;
    }

    fn write_all(&mut self, queue: &Receiver<Entry>) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare(&schema::insert_result())?;
        while let Ok(first) = queue.recv() {
            let mut batch = Batch::default();
            let result = batch.write(
                &mut Target {
                    connection: &self.connection,
                    statement: &mut statement,
                    rows: &mut self.rows,
                    trouble: &self.trouble,
                },
                queue,
                &first,
            );
            self.kept += batch.committed;
            self.not_kept += batch.taken - batch.committed;
            result?;
        }
        Ok(())
    }
}

/// Keeps the first error.
fn note(trouble: &OnceLock<String>, error: &rusqlite::Error) {
    // Fails where there is one already.
    let _ = trouble.set(error.to_string());
}

/// Where rows go.
struct Target<'a, 'c> {
    connection: &'c Connection,
    statement: &'a mut Statement<'c>,
    rows: &'a mut RowWriter,
    trouble: &'a OnceLock<String>,
}

impl Target<'_, '_> {
    /// Writes the beginning of the run.
    fn begin(&self, at: f64) -> rusqlite::Result<()> {
        self.connection
            .execute(schema::BEGIN_RUN, params![at, self.rows.run()])
            .map(drop)
    }

    /// Inserts a row. Gives back whether it is in; an error that is of this row alone is noted, and the
    /// next row may do better.
    fn insert(&mut self, sample: &Sample) -> rusqlite::Result<bool> {
        match self.rows.insert(self.statement, sample) {
            Ok(()) => Ok(true),
            Err(error) => match error.sqlite_error_code() {
                Some(ErrorCode::TooBig | ErrorCode::ConstraintViolation) => {
                    note(self.trouble, &error);
                    Ok(false)
                }
                _ => Err(error),
            },
        }
    }
}

/// The rows of one transaction.
#[derive(Debug, Default)]
struct Batch {
    /// Outcomes taken from the queue.
    taken: u64,
    /// Rows inserted.
    inserted: u64,
    /// Rows that are in the database for good.
    committed: u64,
}

impl Batch {
    fn write(
        &mut self,
        target: &mut Target<'_, '_>,
        queue: &Receiver<Entry>,
        first: &Entry,
    ) -> rusqlite::Result<()> {
        let connection = target.connection;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        let inserted = self.insert(target, queue, first);
        // Most errors undo only the row that met them, and the rows before it are worth a try. Where
        // SQLite has taken back the whole transaction, it has also ended it.
        if !connection.is_autocommit() {
            if let Err(error) = connection.execute_batch("COMMIT") {
                let _ = connection.execute_batch("ROLLBACK");
                return inserted.and(Err(error));
            }
            self.committed = self.inserted;
        }
        inserted
    }

    fn insert(
        &mut self,
        target: &mut Target<'_, '_>,
        queue: &Receiver<Entry>,
        first: &Entry,
    ) -> rusqlite::Result<()> {
        let deadline = Instant::now() + BATCH_TIME;
        self.add(target, first)?;
        while self.taken < BATCH_ROWS {
            match queue.recv_deadline(deadline) {
                Ok(entry) => self.add(target, &entry)?,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        Ok(())
    }

    fn add(&mut self, target: &mut Target<'_, '_>, entry: &Entry) -> rusqlite::Result<()> {
        match entry {
            Entry::Begin(at) => target.begin(*at),
            Entry::Workers(workers) => {
                insert_workers(target.connection, target.rows.run(), workers)
            }
            Entry::Row(sample) => {
                self.taken += 1;
                self.inserted += u64::from(target.insert(sample)?);
                Ok(())
            }
        }
    }
}
