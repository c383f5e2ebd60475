//! The database of a run as the rest of the program sees it: made, fed, finished.

use super::error::SinkError;
use super::file;
use super::rows::{RowWriter, WHOLE_REQUEST_BYTES};
use super::schema;
use super::text::UnixTime;
use super::worker_rows::insert_workers;
use super::writer::{Entry, Writer, Written};
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::document::{PlanRecord, Rows, RunState, Task, Totals, Verdict, WorkerFigures};
use llmuses_core::exchange::StampQuality;
use llmuses_core::wording::counted;
use llmuses_stats::Sample;
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

/// How many outcomes wait for the writer at most.
const QUEUE: usize = 1024;

/// What is known of a run when it starts.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// The id of the run in its database, from 1.
    pub id: u32,
    /// The clock of the run: all moments are turned into Unix time with it.
    pub clock: Clock,
    /// The start of the run.
    pub started: Moment,
    /// The plan, without credentials.
    pub plan: PlanRecord,
    /// The seed of the schedule.
    pub schedule_seed: u64,
    /// The version of this program.
    pub llmuses_version: String,
    /// The version of the contract between this program and its parsers.
    pub contract_version: String,
    /// The version of wasmtime.
    pub wasmtime_version: String,
    /// The name of the parser.
    pub plugin_name: String,
    /// The version of the parser.
    pub plugin_version: String,
    /// SHA-256 of the parser's component, in hexadecimal digits.
    pub plugin_sha256: String,
    /// `built in`, or the path of the parser's file.
    pub plugin_source: String,
    /// What a model is asked for.
    pub task: Task,
    /// The name of the transport.
    pub transport: String,
    /// Where arrival times are expected to come from; the totals say where they did.
    pub stamps: StampQuality,
}

/// What is known of a run when it is over.
#[derive(Debug, Clone)]
pub struct FinishedRun {
    /// The end of the run.
    pub finished: Moment,
    /// How it ended.
    pub state: RunState,
    /// The totals.
    pub totals: Totals,
    /// The verdict.
    pub verdict: Verdict,
    /// The summary as it is printed.
    pub summary: String,
}

/// How many of the outcomes that were sent were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkSummary {
    /// The file.
    pub path: PathBuf,
    /// Outcomes with a row.
    pub rows: u64,
    /// Outcomes without one.
    pub not_kept: u64,
    /// Why, in the words of SQLite: the first error. `None` where all were kept.
    pub first_error: Option<String>,
    /// Why the write-ahead log was left beside the file, in the words of SQLite: for want of space, most
    /// likely. Nothing is lost as long as the two stay together. `None` where the file is all there is.
    pub log_left: Option<String>,
    /// Outcomes whose row has only the beginning of the request's body, which is very large.
    pub cut_requests: u64,
}

impl SinkSummary {
    /// What somebody who moves or reads the file has to know.
    pub fn warnings(&self) -> Vec<String> {
        let path = self.path.display();
        let log_left = self.log_left.iter().map(|reason| {
            format!(
                "{path}-wal belongs to {path} and has to stay beside it; it could not be made part of it: {reason}"
            )
        });
        let cut = (self.cut_requests > 0).then(|| {
            format!(
                "{path} has the beginning only of {} whose bodies are larger than {} MiB",
                counted(self.cut_requests, "request"),
                WHOLE_REQUEST_BYTES >> 20
            )
        });
        log_left.chain(cut).collect()
    }

    /// The same as it stands in a document.
    pub fn rows(&self) -> Rows {
        Rows {
            kept: self.rows,
            not_kept: self.not_kept,
            write_error: self.first_error.clone(),
        }
    }
}

/// The open database of a run.
///
/// Dropped without [`Self::finish`], it keeps all outcomes that were sent, and the state `running`.
#[derive(Debug)]
pub struct Database {
    path: PathBuf,
    run: u32,
    queue: Option<flume::Sender<Entry>>,
    writer: Option<JoinHandle<Written>>,
    trouble: Arc<OnceLock<String>>,
    unix: UnixTime,
}

impl Database {
    /// Makes the file, its tables and the row of the run, and starts the writer.
    ///
    /// # Errors
    /// An existing file is an error and stays as it is; so are a missing folder, a file that cannot be
    /// made, a file system on which SQLite cannot work, and a writer that cannot start (the new file is removed again).
    pub fn create(path: &Path, record: &RunRecord) -> Result<Self, SinkError> {
        file::reserve(path)?;
        let unix = UnixTime::of(&record.clock);
        let connection = prepare(path, unix, record, true).inspect_err(|_| {
            // It holds nothing yet, and would be in the way of the next attempt.
            let _ = std::fs::remove_file(path);
        })?;
        Self::start(path, connection, unix, record).inspect_err(|_| file::remove(path))
    }

    /// Adds the row of a further run to a database of this program's own making, and starts the writer.
    ///
    /// # Errors
    /// Where SQLite cannot write the file any more.
    pub fn append(path: &Path, record: &RunRecord) -> Result<Self, SinkError> {
        let unix = UnixTime::of(&record.clock);
        let connection = prepare(path, unix, record, false)?;
        Self::start(path, connection, unix, record)
    }

    pub(super) fn start(
        path: &Path,
        connection: Connection,
        unix: UnixTime,
        record: &RunRecord,
    ) -> Result<Self, SinkError> {
        let (sender, receiver) = flume::bounded(QUEUE);
        let trouble = Arc::new(OnceLock::new());
        let mut writer = Writer::new(
            connection,
            RowWriter::new(unix, record.id),
            Arc::clone(&trouble),
        );
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || {
                writer.run(&receiver);
                writer.into_written()
            })
            .map_err(|reason| SinkError::Thread {
                path: path.to_owned(),
                reason,
            })?;
        Ok(Self {
            path: path.to_owned(),
            run: record.id,
            queue: Some(sender),
            writer: Some(thread),
            trouble,
            unix,
        })
    }

    /// Hands a sample to the writer; waits while 1,024 others are before it. Samples may come from
    /// several threads and in any order. Once the database takes no more rows they are counted and
    /// dropped, without a wait for the disk.
    pub fn send(&self, sample: Sample) {
        if let Some(queue) = &self.queue {
            // Fails only when the writer is gone, which `finish` reports.
            let _ = queue.send(Entry::Row(sample));
        }
    }

    /// Notes that requests begin to be issued. It is written at once, for a program that is killed: the parts of
    /// the timeline are counted from here.
    pub fn begin(&self, at: Moment) {
        if let Some(queue) = &self.queue {
            // Fails only when the writer is gone, which `finish` reports.
            let _ = queue.send(Entry::Begin(self.unix.seconds(at)));
        }
    }

    /// Notes which workers send the run, for a program that is killed: what they did is written at the end.
    pub fn note_workers(&self, workers: Vec<WorkerFigures>) {
        if let Some(queue) = self.queue.as_ref().filter(|_| !workers.is_empty()) {
            // Fails only when the writer is gone, which `finish` reports.
            let _ = queue.send(Entry::Workers(workers));
        }
    }

    /// The first error of the writer so far, in the words of SQLite: to be said at once, since rows are
    /// being lost.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.get().map(String::as_str)
    }

    /// Takes the row of the run away again, and the file where it holds no other one: for a run that never
    /// began.
    pub fn discard(mut self) {
        drop(self.queue.take());
        // What cannot be removed stays, and says `running`.
        if let Some(writer) = self.writer.take()
            && let Ok(written) = writer.join()
            && self.run > 1
        {
            let _ = written
                .connection
                .execute("DELETE FROM run WHERE id = ?1", [self.run]);
        }
        if self.run > 1 {
            return;
        }
        file::remove(&self.path);
    }

    /// Waits for all rows, writes totals and verdict, and makes the database one file without `-wal` and
    /// `-shm` beside it.
    ///
    /// Rows that could not be kept are no error here: they are in the summary, and in the row of the
    /// run.
    ///
    /// # Errors
    /// Where the row of the run could not be completed, or the writer is gone.
    pub fn finish(mut self, run: &FinishedRun) -> Result<SinkSummary, SinkError> {
        let gone = || SinkError::WriterGone {
            path: self.path.clone(),
        };
        drop(self.queue.take());
        let written = self
            .writer
            .take()
            .ok_or_else(gone)?
            .join()
            .map_err(|_| gone())?;
        let Written {
            connection,
            rows,
            not_kept,
            cut_requests,
        } = written;
        let first_error = self.trouble.get().cloned();
        let complete = || {
            connection.execute(
                schema::FINISH_RUN,
                params![
                    self.unix.seconds(run.finished),
                    run.state.as_str(),
                    json(&run.totals)?,
                    json(&run.verdict)?,
                    run.summary,
                    rows as i64,
                    not_kept as i64,
                    first_error,
                    self.run,
                ],
            )
        };
        let completed =
            complete().and_then(|_| insert_workers(&connection, self.run, &run.totals.workers));
        let closed = file::close(connection);
        completed.map_err(|reason| SinkError::Finish {
            path: self.path.clone(),
            reason,
            rows: [rows, not_kept],
        })?;
        Ok(SinkSummary {
            path: self.path.clone(),
            rows,
            not_kept,
            first_error,
            log_left: closed.err().map(|reason| reason.to_string()),
            cut_requests,
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Ends the queue, and with it the writer, which commits what it has.
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// A part of the document for a column.
pub(super) fn json(part: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(part)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// Opens the reserved file, or one with runs in it, and writes everything that is known at the start.
fn prepare(
    path: &Path,
    unix: UnixTime,
    record: &RunRecord,
    new: bool,
) -> Result<Connection, SinkError> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = file::open(path, new)?;
        connection.execute(
            schema::INSERT_RUN,
            params![
                record.id,
                unix.seconds(record.started),
                json(&record.plan)?,
                record.schedule_seed.to_string(),
                record.llmuses_version,
                record.contract_version,
                record.wasmtime_version,
                record.plugin_name,
                record.plugin_version,
                record.plugin_sha256,
                record.plugin_source,
                record.transport,
                record.stamps.as_str(),
                json(&record.task)?,
            ],
        )?;
        Ok(connection)
    };
    open().map_err(|reason| SinkError::Prepare {
        path: path.to_owned(),
        reason,
    })
}
