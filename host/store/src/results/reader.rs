//! Reads a database that a run left.

use super::document::{Rows, StoredRun};
use super::error::ResultsError;
use super::rebuild::rebuild;
use super::row::CsvRow;
use crate::sink::{APPLICATION_ID, RunState, SCHEMA_VERSION};
use rusqlite::{Connection, OpenFlags, Row};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// An open database of results. Nothing is ever written to it.
#[derive(Debug)]
pub struct ResultsDatabase {
    path: PathBuf,
    connection: Connection,
}

impl ResultsDatabase {
    /// Opens the database.
    ///
    /// # Errors
    /// A file that is not there, that is no database of this program, or one of another version.
    pub fn open(path: &Path) -> Result<Self, ResultsError> {
        let mut file = std::fs::File::open(path).map_err(|reason| ResultsError::Read {
            path: path.to_owned(),
            reason,
        })?;
        let not_ours = |reason: &str| ResultsError::NotOurs {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let mut magic = [0; 16];
        let read = std::io::Read::read(&mut file, &mut magic).unwrap_or(0);
        if &magic[..read] != b"SQLite format 3\0" {
            return Err(not_ours("it is no SQLite database"));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |reason| ResultsError::Database {
            path: path.to_owned(),
            reason,
        };
        let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        let pragma = |name: &str| -> Result<i32, ResultsError> {
            connection
                .pragma_query_value(None, name, |row| row.get(0))
                .map_err(failed)
        };
        if pragma("application_id")? != APPLICATION_ID {
            return Err(not_ours("another program made this SQLite database"));
        }
        let found = pragma("user_version")?;
        if found != SCHEMA_VERSION {
            return Err(ResultsError::Version {
                path: path.to_owned(),
                found,
                known: SCHEMA_VERSION,
            });
        }
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All runs, in the order in which they were made. The totals of a run whose program was ended before
    /// it could write them are made again from the rows.
    ///
    /// # Errors
    /// Where SQLite cannot go on, or a column holds what this program does not write.
    pub fn runs(&self) -> Result<Vec<StoredRun>, ResultsError> {
        let read = || -> rusqlite::Result<Vec<StoredRun>> {
            self.connection
                .prepare(
                    "SELECT id, state, started_time, finished_time, plan, schedule_seed, \
                     llmuses_version, contract_version, wasmtime_version, plugin_name, plugin_version, \
                     plugin_sha256, plugin_source, totals, verdict, rows_kept, rows_not_kept, \
                     write_error, summary FROM run ORDER BY id",
                )?
                .query_map([], stored_run)?
                .collect()
        };
        let mut runs = read().map_err(|reason| self.failed(reason))?;
        if runs.is_empty() {
            return Err(self.damaged("it has no run"));
        }
        for run in &mut runs {
            if run.totals.is_none() && run.state == RunState::RUNNING {
                rebuild(self, run)?;
            }
        }
        Ok(runs)
    }

    /// Hands over the requests of all runs as rows of the table, in the order in which they were written:
    /// as they ended.
    ///
    /// # Errors
    /// Where SQLite cannot go on.
    pub fn each_row(&self, mut take: impl FnMut(CsvRow)) -> Result<(), ResultsError> {
        let failed = |reason| self.failed(reason);
        let mut statement = self
            .connection
            .prepare(
                "SELECT run, number, warmup, success, intended_time, sent_time, completed_time, latency, \
                 ttft, first_chunk_latency, tpot, chunk_time, n_chunks, connect_time, prompt_tokens, \
                 completion_tokens, status, error_kind, error FROM result ORDER BY rowid",
            )
            .map_err(failed)?;
        let rows = statement.query_map([], csv_row).map_err(failed)?;
        for row in rows {
            take(row.map_err(failed)?);
        }
        Ok(())
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn failed(&self, reason: rusqlite::Error) -> ResultsError {
        ResultsError::Database {
            path: self.path.clone(),
            reason,
        }
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> ResultsError {
        ResultsError::Damaged {
            path: self.path.clone(),
            what: what.into(),
        }
    }
}

/// Unsigned numbers are kept as signed ones; nothing below zero is ever written.
fn unsigned(number: Option<i64>) -> Option<u64> {
    number.map(|number| u64::try_from(number).unwrap_or_default())
}

fn json(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Value>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| {
        serde_json::from_str(&text).map_err(|error| {
            rusqlite::Error::FromSqlConversionFailure(
                column,
                rusqlite::types::Type::Text,
                Box::new(error),
            )
        })
    })
    .transpose()
}

fn stored_run(row: &Row<'_>) -> rusqlite::Result<StoredRun> {
    let kept = unsigned(row.get(15)?);
    Ok(StoredRun {
        id: row.get(0)?,
        state: row.get(1)?,
        started: row.get(2)?,
        finished: row.get(3)?,
        plan: json(row, 4)?.unwrap_or_default(),
        schedule_seed: row.get(5)?,
        versions: [row.get(6)?, row.get(7)?, row.get(8)?],
        parser: [row.get(9)?, row.get(10)?, row.get(11)?, row.get(12)?],
        totals: json(row, 13)?,
        verdict: json(row, 14)?,
        summary: row.get(18)?,
        rebuilt: None,
        rows: match kept {
            Some(kept) => Some(Rows {
                kept,
                not_kept: unsigned(row.get(16)?).unwrap_or_default(),
                write_error: row.get(17)?,
            }),
            None => None,
        },
    })
}

fn csv_row(row: &Row<'_>) -> rusqlite::Result<CsvRow> {
    Ok(CsvRow {
        run: row.get(0)?,
        number: unsigned(row.get(1)?).unwrap_or_default(),
        warmup: row.get(2)?,
        success: row.get(3)?,
        intended_unix_seconds: row.get(4)?,
        sent_unix_seconds: row.get(5)?,
        completed_unix_seconds: row.get(6)?,
        latency_seconds: row.get(7)?,
        time_to_first_token_seconds: row.get(8)?,
        time_to_first_package_seconds: row.get(9)?,
        time_per_output_token_seconds: row.get(10)?,
        package_latency_seconds: row.get(11)?,
        packages: unsigned(row.get(12)?).unwrap_or_default(),
        connect_seconds: row.get(13)?,
        input_tokens: unsigned(row.get(14)?),
        output_tokens: unsigned(row.get(15)?),
        status: row.get(16)?,
        error_kind: row.get(17)?,
        error: row.get(18)?,
    })
}
