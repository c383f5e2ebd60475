//! A database that is filled with the rows of others.

use super::database::json;
use super::error::SinkError;
use super::file;
use super::schema::{self, WORKER};
use super::worker_rows::insert_workers;
use llmuses_core::document::{PlanRecord, Rows, Run, WorkerFigures};
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, ErrorCode, params};
use std::path::{Path, PathBuf};

/// The new database cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// It cannot be made.
    #[error(transparent)]
    Make(#[from] SinkError),
    /// Two databases hold the same request.
    #[error("{} holds a request that another database holds too: they are not parts of one run", path.display())]
    Overlap {
        /// The file whose rows were being copied.
        path: PathBuf,
    },
    /// SQLite cannot go on.
    #[error("what is in {} cannot be copied: {reason}", path.display())]
    Copy {
        /// The file whose rows were being copied, or the new one.
        path: PathBuf,
        /// What SQLite said.
        reason: rusqlite::Error,
    },
}

impl CopyError {
    /// Whether the arguments are at fault.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Overlap { .. } => true,
            Self::Make(error) => {
                matches!(error, SinkError::Exists { .. } | SinkError::NoFolder { .. })
            }
            Self::Copy { .. } => false,
        }
    }
}

/// What the run of a copied database has beside what a [`Run`] says.
#[derive(Debug)]
pub struct FinishedCopy {
    /// When requests began to be issued, in Unix seconds.
    pub first_due: Option<f64>,
    /// The summary as it is printed.
    pub summary: String,
}

/// A database that is filled with the rows of others.
#[derive(Debug)]
pub struct Copied {
    path: PathBuf,
    connection: Connection,
}

impl Copied {
    /// Makes the file and its tables.
    ///
    /// # Errors
    /// Where it is there, or cannot be made.
    pub fn create(path: &Path) -> Result<Self, CopyError> {
        file::reserve(path)?;
        let connection = file::open(path, true).map_err(|reason| {
            let _ = std::fs::remove_file(path);
            SinkError::Prepare {
                path: path.to_owned(),
                reason,
            }
        })?;
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }

    /// Adds a run as it stands in the database `from`, which is read with `source`, with another plan and without what was
    /// known at its end.
    ///
    /// # Errors
    /// Where SQLite cannot go on.
    pub fn add_run(
        &self,
        from: &Path,
        source: &Connection,
        id: u32,
        plan: &PlanRecord,
    ) -> Result<(), CopyError> {
        let copy = || -> rusqlite::Result<()> {
            let columns = "started_time, schedule_seed, llmuses_version, contract_version, wasmtime_version, \
                           plugin_name, plugin_version, plugin_sha256, plugin_source, transport, stamps, task";
            let mut select = source.prepare(&format!("SELECT {columns} FROM run WHERE id = ?1"))?;
            let mut rows = select.query([id])?;
            let Some(row) = rows.next()? else {
                return Ok(());
            };
            let mut insert = self.connection.prepare(schema::INSERT_RUN)?;
            insert.raw_bind_parameter(1, id)?;
            insert.raw_bind_parameter(2, ToSqlOutput::Borrowed(row.get_ref(0)?))?;
            insert.raw_bind_parameter(3, json(plan)?)?;
            for column in 1..12 {
                insert
                    .raw_bind_parameter(column + 3, ToSqlOutput::Borrowed(row.get_ref(column)?))?;
            }
            insert.raw_execute()?;
            Ok(())
        };
        copy().map_err(|reason| self.failed(from, reason))
    }

    /// Adds the rows of a run of the database `from`, which is read with `source` and has these columns. `worker`: who
    /// sent them.
    ///
    /// # Errors
    /// Where a request is there already, or SQLite cannot go on.
    pub fn add_rows(
        &self,
        from: &Path,
        source: &Connection,
        columns: &[String],
        id: u32,
        worker: u32,
    ) -> Result<(), CopyError> {
        let copy = || -> rusqlite::Result<()> {
            let wanted: Vec<String> = self
                .connection
                .prepare("SELECT name FROM pragma_table_info('result')")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            let selected: Vec<String> = wanted
                .iter()
                .map(|name| match name.as_str() {
                    WORKER => worker.to_string(),
                    name if columns.iter().any(|known| known == name) => name.to_owned(),
                    _ => "NULL".to_owned(),
                })
                .collect();
            let select = format!(
                "SELECT {} FROM result WHERE run = ?1 ORDER BY rowid",
                selected.join(", ")
            );
            let mut select = source.prepare(&select)?;
            let mut rows = select.query([id])?;
            let transaction = self.connection.unchecked_transaction()?;
            let mut insert = transaction.prepare(&schema::insert_result())?;
            while let Some(row) = rows.next()? {
                for column in 0..wanted.len() {
                    let value = ToSqlOutput::Borrowed(row.get_ref(column)?);
                    insert.raw_bind_parameter(column + 1, value)?;
                }
                insert.raw_execute()?;
            }
            drop(insert);
            transaction.commit()
        };
        copy().map_err(|reason| self.failed(from, reason))
    }

    /// Notes who sent a part of a run.
    ///
    /// # Errors
    /// Where SQLite cannot go on.
    pub fn add_worker(&self, from: &Path, id: u32, worker: WorkerFigures) -> Result<(), CopyError> {
        insert_workers(&self.connection, id, &[worker]).map_err(|reason| self.failed(from, reason))
    }

    /// Completes a run whose rows are there, and tells how many there are.
    ///
    /// # Errors
    /// Where SQLite cannot go on.
    pub fn finish_run(&self, run: &Run, finished: &FinishedCopy) -> Result<Rows, CopyError> {
        let complete = || -> rusqlite::Result<u64> {
            let kept: i64 = self.connection.query_row(
                "SELECT count(*) FROM result WHERE run = ?1",
                [run.id],
                |row| row.get(0),
            )?;
            self.connection.execute(
                schema::FINISH_RUN,
                params![
                    run.finished_unix_seconds,
                    run.state.as_str(),
                    json(&run.totals)?,
                    json(&run.verdict)?,
                    finished.summary,
                    kept,
                    0,
                    None::<String>,
                    run.id,
                ],
            )?;
            let workers = run.totals.iter().flat_map(|totals| &totals.workers);
            let workers: Vec<WorkerFigures> = workers.cloned().collect();
            insert_workers(&self.connection, run.id, &workers)?;
            self.connection.execute(
                "UPDATE run SET started_time = ?1, first_due_time = ?2 WHERE id = ?3",
                params![run.started_unix_seconds, finished.first_due, run.id],
            )?;
            Ok(kept.unsigned_abs())
        };
        let kept = complete().map_err(|reason| self.failed(&self.path, reason))?;
        Ok(Rows {
            kept,
            not_kept: 0,
            write_error: None,
        })
    }

    /// Makes the database one file.
    ///
    /// # Errors
    /// Where SQLite cannot go on.
    pub fn close(self) -> Result<(), CopyError> {
        let Self { path, connection } = self;
        file::close(connection).map_err(|reason| CopyError::Copy { path, reason })
    }

    /// Takes the file away again.
    pub fn discard(self) {
        let Self { path, connection } = self;
        drop(connection);
        file::remove(&path);
    }

    fn failed(&self, from: &Path, reason: rusqlite::Error) -> CopyError {
        let path = from.to_owned();
        match reason.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => CopyError::Overlap { path },
            _ => CopyError::Copy { path, reason },
        }
    }
}
