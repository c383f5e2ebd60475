//! Reads a database that a run left.

use super::cells::{json, not_ours, place, shown, shown_always, shown_named, unsigned};
use super::error::ResultsError;
use super::guard;
use super::row::{CsvRow, RowStages, tokens_of};
use super::versions::migrate;
use crate::sink::{APPLICATION_ID, SCHEMA_VERSION, TASK, added_columns, last_columns};
use llmuses_core::document::{
    ParserIdentity, PlanRecord, Rows, Run, RunState, Task, Versions, WorkerFigures,
};
use llmuses_core::metric::{CACHED_TOKENS, REASONING_TOKENS};
use llmuses_core::plan::Load;
use llmuses_core::wording::one_line;
use llmuses_kernel_io::regular_file::open_regular;
use rusqlite::{Connection, ErrorCode, Row};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The most runs of a database that are read: all are held at once, and shown one below the other.
const MOST_RUNS: i64 = 10_000;

/// The most bytes of their plans, totals and verdicts: in memory they take several times as much.
const MOST_RUN_BYTES: i64 = 256 << 20;

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
    /// A file that is not there, that is no database of this program, or one of a newer version.
    pub fn open(path: &Path) -> Result<Self, ResultsError> {
        let mut file = open_regular(path).map_err(|reason| ResultsError::Read {
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
        let bytes = file.metadata().map_or(0, |file| file.len());
        let failed = |reason| failed(path, reason);
        let connection = guard::open(path, bytes).map_err(failed)?;
        let pragma = |name: &str| -> Result<i32, ResultsError> {
            connection
                .pragma_query_value(None, name, |row| row.get(0))
                .map_err(failed)
        };
        if pragma("application_id")? != APPLICATION_ID {
            return Err(not_ours("another program made this SQLite database"));
        }
        let found = pragma("user_version")?;
        if found > SCHEMA_VERSION {
            return Err(ResultsError::Version {
                path: path.to_owned(),
                found,
                known: SCHEMA_VERSION,
            });
        }
        let damaged = |what: String| ResultsError::Damaged {
            path: path.to_owned(),
            what,
        };
        if found < 1 {
            return Err(damaged(format!(
                "version {found} of the tables does not exist"
            )));
        }
        if let Some(odd) = guard::what_is_odd(&connection).map_err(failed)? {
            return Err(damaged(odd));
        }
        migrate(&connection, found).map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All runs as they stand in the table, each with the time at which requests began to be issued.
    pub(super) fn unfinished_runs(&self) -> Result<Vec<(Run, NotedAtStart)>, ResultsError> {
        self.bound_runs(MOST_RUNS, MOST_RUN_BYTES)?;
        self.select_runs("ORDER BY id", [])
    }

    /// A run as it stands in the table, whether it has totals or not.
    pub(crate) fn unfinished(&self, id: u32) -> Result<(Run, NotedAtStart), ResultsError> {
        let found = self.select_runs("WHERE id = ?1", [id])?;
        let found = found.into_iter().next();
        found.ok_or_else(|| self.damaged(format!("it has no run {id}")))
    }

    /// Fails where there are more runs, or more bytes of them, than are held in memory at once.
    pub(super) fn bound_runs(&self, most: i64, most_bytes: i64) -> Result<(), ResultsError> {
        let read = || -> rusqlite::Result<(i64, i64)> {
            let runs = self
                .connection
                .query_row("SELECT count(*) FROM run", [], |row| row.get(0))?;
            let bytes = self.connection.query_row(
                "SELECT coalesce(sum(coalesce(length(plan), 0) + coalesce(length(totals), 0) + \
                 coalesce(length(verdict), 0)), 0) FROM (SELECT * FROM run LIMIT ?1)",
                [most],
                |row| row.get(0),
            )?;
            Ok((runs, bytes))
        };
        let (runs, bytes) = read().map_err(|reason| self.failed(reason))?;
        if runs <= most && bytes <= most_bytes {
            return Ok(());
        }
        Err(ResultsError::TooManyRuns {
            path: self.path.clone(),
            runs: runs.unsigned_abs(),
            most: most.unsigned_abs(),
            most_mib: most_bytes.unsigned_abs() >> 20,
        })
    }

    fn select_runs(
        &self,
        which: &str,
        parameters: impl rusqlite::Params,
    ) -> Result<Vec<(Run, NotedAtStart)>, ResultsError> {
        let read = || -> rusqlite::Result<Vec<(Run, NotedAtStart)>> {
            let task = match self.has_column("run", TASK)? {
                true => TASK,
                false => "NULL",
            };
            self.connection
                .prepare(&format!(
                    "SELECT id, state, started_time, finished_time, plan, schedule_seed, \
                     llmuses_version, contract_version, wasmtime_version, plugin_name, plugin_version, \
                     plugin_sha256, plugin_source, totals, verdict, rows_kept, rows_not_kept, \
                     write_error, first_due_time, {task} FROM run {which}",
                ))?
                .query_map(parameters, |row| Ok((run(row)?, NotedAtStart::of(row)?)))?
                .collect()
        };
        read().map_err(|reason| self.failed(reason))
    }

    /// The workers of a run that several sent, as they stand in the table: what they did is known once it is over.
    pub(super) fn workers(&self, id: u32) -> Result<Vec<WorkerFigures>, ResultsError> {
        let read = || -> rusqlite::Result<Vec<WorkerFigures>> {
            // Older databases have no such table.
            if !self.has_column("worker", "worker")? {
                return Ok(Vec::new());
            }
            self.connection
                .prepare(
                    "SELECT worker, name, host, boot, version, build, processors, requests_without_result, \
                     clock_offset, clock_bound, clock_drift, lost_after, lost FROM worker WHERE run = ?1 \
                     ORDER BY worker",
                )?
                .query_map([id], worker)?
                .collect()
        };
        read().map_err(|reason| self.failed(reason))
    }

    /// The numbers of the sessions of a run, ascending, and the most turns that one was to have.
    pub(crate) fn sessions(&self, id: u32) -> Result<(Vec<u64>, u32), ResultsError> {
        let read = || -> rusqlite::Result<(Vec<u64>, u32)> {
            let numbers = self
                .connection
                .prepare("SELECT DISTINCT session FROM result WHERE run = ?1 ORDER BY session")?
                .query_map([id], |row| Ok(row.get::<_, i64>(0)?.unsigned_abs()))?
                .collect::<rusqlite::Result<_>>()?;
            let most: Option<u32> = self.connection.query_row(
                "SELECT max(turns) FROM result WHERE run = ?1",
                [id],
                |row| row.get(0),
            )?;
            Ok((numbers, most.unwrap_or_default()))
        };
        read().map_err(|reason| self.failed(reason))
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
            .prepare(&format!(
                "SELECT run, number, warmup, success, intended_time, sent_time, completed_time, latency, \
                 ttft, first_chunk_latency, tpot, chunk_time, n_chunks, connect_time, prompt_tokens, \
                 completion_tokens, status, error_kind, error{}, metrics FROM result ORDER BY rowid",
                self.added_columns().map_err(failed)?
            ))
            .map_err(failed)?;
        let stages = self.stages().map_err(failed)?;
        let rows = statement.query_map([], csv_row).map_err(failed)?;
        for row in rows {
            let mut row = row.map_err(failed)?;
            let of_run = stages.get(&row.run);
            row.stage = of_run.and_then(|stages| stages.of(row.intended_unix_seconds));
            take(row);
        }
        Ok(())
    }

    /// The stages of the loads of all runs.
    fn stages(&self) -> rusqlite::Result<BTreeMap<u32, RowStages>> {
        self.connection
            .prepare("SELECT id, plan, first_due_time FROM run")?
            .query_map([], |row| {
                let plan: Option<PlanRecord> = json(row, 1)?;
                let began: Option<f64> = row.get(2)?;
                let stages = RowStages {
                    stages: plan.and_then(|plan| Load::stages_of_record(&plan.load)),
                    began_unix_seconds: began.unwrap_or_default(),
                };
                Ok((row.get(0)?, stages))
            })?
            .collect()
    }

    /// The columns that were added later, those of times first, each after a comma; null where this database is older.
    pub(super) fn added_columns(&self) -> rusqlite::Result<String> {
        added_columns()
            .map(|(_, column)| column)
            .chain(last_columns())
            .map(|column| {
                let known = self.has_column("result", column)?;
                Ok(format!(
                    ", {} AS {column}",
                    if known { column } else { "NULL" }
                ))
            })
            .collect()
    }

    /// Whether a table has a column.
    fn has_column(&self, table: &str, column: &str) -> rusqlite::Result<bool> {
        self.connection.query_row(
            "SELECT count(*) > 0 FROM pragma_table_info(?1) WHERE name = ?2",
            [table, column],
            |row| row.get(0),
        )
    }

    fn known_columns(&self) -> rusqlite::Result<Vec<String>> {
        self.connection
            .prepare("SELECT name FROM pragma_table_info('result')")?
            .query_map([], |row| row.get(0))?
            .collect()
    }

    /// The names of the columns of the table of requests.
    pub(crate) fn columns_of_result(&self) -> Result<Vec<String>, ResultsError> {
        self.known_columns().map_err(|reason| self.failed(reason))
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn failed(&self, reason: rusqlite::Error) -> ResultsError {
        failed(&self.path, reason)
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> ResultsError {
        ResultsError::Damaged {
            path: self.path.clone(),
            what: what.into(),
        }
    }
}

fn failed(path: &Path, reason: rusqlite::Error) -> ResultsError {
    let path = path.to_owned();
    match reason {
        // Nobody else interrupts.
        reason if reason.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            ResultsError::Damaged {
                path,
                what: "reading it takes far more work than its size can be worth".to_owned(),
            }
        }
        rusqlite::Error::InvalidColumnType(_, column, found) => ResultsError::Damaged {
            path,
            what: format!(
                "column `{}` holds a value of type {found}",
                one_line(&column, LONGEST_REASON)
            ),
        },
        rusqlite::Error::FromSqlConversionFailure(_, _, reason) => ResultsError::Damaged {
            path,
            what: one_line(&reason.to_string(), LONGEST_REASON),
        },
        reason => ResultsError::Database {
            path,
            reason: one_line(&reason.to_string(), LONGEST_REASON),
        },
    }
}

/// The longest reason that is told, in characters: it may repeat what is in the file, whoever wrote that.
const LONGEST_REASON: usize = 300;

/// What is noted of a run before its first request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NotedAtStart {
    /// When requests began to be issued, as Unix time. `None`: that was not noted.
    pub first_due: Option<f64>,
    /// What a model was asked for. Of older versions, that is taken to be tokens.
    pub task: Task,
}

impl NotedAtStart {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            first_due: row.get(18)?,
            task: json(row, 19)?.unwrap_or_default(),
        })
    }
}

fn run(row: &Row<'_>) -> rusqlite::Result<Run> {
    let state: String = row.get(1)?;
    let unknown = || std::io::Error::other(format!("`{state}` is no state of a run"));
    Ok(Run {
        id: row.get(0)?,
        state: RunState::of_name(&state).ok_or_else(|| not_ours(1, unknown()))?,
        started_unix_seconds: row.get(2)?,
        finished_unix_seconds: row.get(3)?,
        plan: json(row, 4)?.ok_or_else(|| not_ours(4, std::io::Error::other("it is null")))?,
        schedule_seed: shown_always(row, 5)?,
        versions: Versions {
            llmuses: shown_always(row, 6)?,
            contract: shown_always(row, 7)?,
            wasmtime: shown_always(row, 8)?,
        },
        parser: ParserIdentity {
            name: shown_always(row, 9)?,
            version: shown_always(row, 10)?,
            sha256: shown_always(row, 11)?,
            source: shown_always(row, 12)?,
        },
        totals: json(row, 13)?,
        verdict: json(row, 14)?,
        rows: match unsigned(row.get(15)?) {
            Some(kept) => Some(Rows {
                kept,
                not_kept: unsigned(row.get(16)?).unwrap_or_default(),
                write_error: shown(row, 17)?,
            }),
            None => None,
        },
    })
}

fn csv_row(row: &Row<'_>) -> rusqlite::Result<CsvRow> {
    let number = unsigned(row.get(1)?).unwrap_or_default();
    let place = place(row, number)?;
    let metrics = row.as_ref().column_index("metrics")?;
    // What is no number is null in JSON.
    let metrics: Vec<(String, Option<f64>)> = json(row, metrics)?.unwrap_or_default();
    let metric = |name: &str| {
        let mut named = metrics.iter().filter(|(known, _)| known == name);
        named.next().and_then(|(_, value)| tokens_of((*value)?))
    };
    Ok(CsvRow {
        run: row.get(0)?,
        number,
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
        error_kind: shown(row, 17)?,
        error: shown(row, 18)?,
        added: (19..)
            .zip(added_columns())
            .map(|(column, _)| row.get(column))
            .collect::<rusqlite::Result<_>>()?,
        finish_reason: shown_named(row, "finish_reason")?,
        label: shown_named(row, "label")?,
        url: shown_named(row, "url")?,
        session: place.session,
        turn: place.turn,
        turns: place.turns,
        // Whoever knows the load of the run says it.
        stage: None,
        model: shown_named(row, "model")?,
        request_id: shown_named(row, "request_id")?,
        cached_tokens: metric(CACHED_TOKENS),
        reasoning_tokens: metric(REASONING_TOKENS),
        asked_output_tokens: row.get("asked_output_tokens")?,
    })
}

/// A row of the table of workers.
fn worker(row: &Row<'_>) -> rusqlite::Result<WorkerFigures> {
    Ok(WorkerFigures {
        worker: row.get(0)?,
        name: shown_always(row, 1)?,
        host: shown(row, 2)?,
        boot: shown(row, 3)?,
        version: shown(row, 4)?,
        build: shown(row, 5)?,
        processors: unsigned(row.get(6)?),
        requests_without_result: unsigned(row.get(7)?).unwrap_or_default(),
        clock_offset_seconds: row.get(8)?,
        clock_bound_seconds: row.get(9)?,
        clock_drift_seconds: row.get(10)?,
        lost_after_seconds: row.get(11)?,
        lost: shown(row, 12)?,
        ..WorkerFigures::default()
    })
}
