//! The database as others find it: its columns, its rows, and what is left of it after trouble.

use super::database::{Database, RunRecord};
use super::tests_support::{finished, measured, record};
use super::text::UnixTime;
use super::{APPLICATION_ID, SCHEMA_VERSION, SinkError};
use llmuses_core::exchange::{FailureKind, Outcome, TokenSource};
use llmuses_samples::{OutcomeBuilder, moment};
use rusqlite::Connection;
use rusqlite::types::Value;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};

fn success(number: u64) -> Outcome {
    OutcomeBuilder::at(100)
        .number(number)
        .sent(110)
        .connected_in(8)
        .events(&[150, 160, 170, 170, 200])
        .end(205)
        .outputs(&[1, 2, 3])
        .tokens(7, 4, TokenSource::Server)
        .build()
}

fn count(connection: &Connection) -> i64 {
    connection
        .query_row("SELECT count(*) FROM result", [], |row| row.get(0))
        .unwrap()
}

fn state(connection: &Connection) -> String {
    connection
        .query_row("SELECT state FROM run", [], |row| row.get(0))
        .unwrap()
}

/// Waits until another connection sees that many rows.
fn wait_for_rows(path: &Path, rows: i64) {
    let reader = Connection::open(path).unwrap();
    let start = Instant::now();
    while count(&reader) < rows {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "rows do not come"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_finished_run_is_one_file_with_all_its_facts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let record = record();
    let database = Database::create(&path, &record).unwrap();
    database.send(measured(success(0), false));
    let failure = OutcomeBuilder::at(300)
        .number(1)
        .end(900)
        .fails(FailureKind::Connect, "connection refused")
        .build();
    database.send(measured(failure, false));
    let summary = database.finish(&finished()).unwrap();
    assert_eq!((summary.rows, summary.not_kept), (2, 0));
    assert_eq!(summary.first_error, None);
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["run.db"]);

    let connection = Connection::open(&path).unwrap();
    let pragma = |name: &str| -> i32 {
        connection
            .pragma_query_value(None, name, |row| row.get(0))
            .unwrap()
    };
    assert_eq!(pragma("application_id"), APPLICATION_ID);
    assert_eq!(pragma("user_version"), SCHEMA_VERSION);
    assert_eq!(pragma("page_size"), 32 << 10);
    let run: (String, String, String, String, i64, i64) = connection
        .query_row(
            "SELECT state, schedule_seed, totals, stamps, rows_kept, rows_not_kept FROM run",
            [],
            |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                ))
            },
        )
        .unwrap();
    assert_eq!(run.0, "finished");
    assert_eq!(run.1, u64::MAX.to_string());
    assert_eq!(run.2, serde_json::to_string(&finished().totals).unwrap());
    assert_eq!(run.3, "kernel receive time");
    assert_eq!((run.4, run.5), (2, 0));
}

#[test]
fn of_a_very_large_request_the_beginning_is_kept_and_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let database = Database::create(&path, &record()).unwrap();
    for (number, size) in [(0, 1 << 20), (1, 60 << 20)] {
        let mut outcome = success(number);
        outcome.exchange.request = "é".repeat(size / 2).into();
        database.send(measured(outcome, false));
    }
    let summary = database.finish(&finished()).unwrap();
    assert_eq!((summary.rows, summary.cut_requests), (2, 1));
    let said = summary.warnings().join("\n");
    assert!(said.contains("of 1 request whose"), "{said}");
    let connection = Connection::open(&path).unwrap();
    let requests: Vec<String> = connection
        .prepare("SELECT request FROM result ORDER BY number")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    assert_eq!(requests[0].len(), 1 << 20);
    assert!(requests[1].len() < 66_000);
    assert!(
        requests[1].ends_with("é (the first 65536 of 62914560 bytes)"),
        "{:?}",
        &requests[1][65_500..]
    );
}

#[test]
fn rows_hold_their_columns_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let record = record();
    let unix = UnixTime::of(&record.clock);
    let database = Database::create(&path, &record).unwrap();
    let mut told = success(0);
    told.reading.as_mut().unwrap().tokens_so_far = Some(vec![1, 2, 4]);
    let mut told = measured(told, false);
    told.asked_output = Some(9);
    database.send(told);
    let failure = OutcomeBuilder::at(300)
        .number(1)
        .held_up(250)
        .status(503, 800)
        .end(900)
        .fails(FailureKind::HttpStatus, "HTTP 503: busy")
        .build();
    database.send(measured(failure, true));
    database.finish(&finished()).unwrap();

    let connection = Connection::open(&path).unwrap();
    let mut statement = connection
        .prepare("SELECT * FROM result ORDER BY number")
        .unwrap();
    let names: Vec<&str> = statement.column_names().collect();
    assert_eq!(
        names.join(","),
        "request,start_time,chunk_times,success,response_messages,completed_time,latency,\
         first_chunk_latency,n_chunks,chunk_time,prompt_tokens,completion_tokens,intended_time,\
         sent_time,connect_time,ttft,tpot,output_times,status,error_kind,error,number,run,warmup,\
         prompt_tokens_by,completion_tokens_by,dns_time,tls_time,streamed,stamped_by,metrics,answer_latency,\
         head_latency,held_up_time,session_time,finish_reason,label,url,session,turn,turns,tokens_so_far,worker,\
         model,request_id,asked_output_tokens"
    );
    let rows: Vec<Vec<Value>> = statement
        .query_map([], |row| (0..46).map(|column| row.get(column)).collect())
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();

    let time = |millis| Value::Real(unix.seconds(moment(millis)));
    let list = |millis: &[u64]| {
        let list: Vec<String> = millis
            .iter()
            .map(|at| format!("{:.6}", unix.seconds(moment(*at))))
            .collect();
        Value::Text(format!("[{}]", list.join(",")))
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let messages: Vec<String> = (0..5).map(|i| format!(r#"{{"i":{i}}}"#)).collect();
    let expected = [
        text(r#"{"model":"qwen"}"#),
        time(110),
        list(&[150, 160, 170, 170, 200]),
        Value::Integer(1),
        Value::Text(json!(messages).to_string()),
        time(205),
        Value::Real(0.095),
        Value::Real(0.040),
        Value::Integer(5),
        Value::Real(0.020 / 3.0),
        Value::Integer(7),
        Value::Integer(4),
        time(100),
        time(110),
        Value::Real(0.008),
        Value::Real(0.050),
        Value::Real(0.003333333),
        list(&[160, 170, 170]),
        Value::Integer(200),
        Value::Null,
        Value::Null,
        Value::Integer(0),
        Value::Integer(1),
        Value::Integer(0),
        text("server"),
        text("server"),
        Value::Null,
        Value::Null,
        Value::Integer(1),
        text("kernel"),
        Value::Null,
        Value::Null,
        Value::Real(0.040),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Integer(0),
        Value::Integer(0),
        Value::Integer(1),
        text("[1,2,4]"),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Integer(9),
    ];
    assert_eq!(rows[0], expected);
    // Never sent: it starts when it was intended.
    assert_eq!(rows[1][1], time(300));
    assert_eq!(rows[1][2], text("[]"));
    assert_eq!(rows[1][3], Value::Integer(0));
    assert_eq!(rows[1][6], Value::Real(0.6));
    for absent in [7, 9, 10, 11, 13, 14, 15, 16, 17] {
        assert_eq!(rows[1][absent], Value::Null, "column {absent}");
    }
    assert_eq!(rows[1][18], Value::Integer(503));
    assert_eq!(rows[1][19], text("http-status"));
    assert_eq!(rows[1][20], text("HTTP 503: busy"));
    assert_eq!(rows[1][23], Value::Integer(1));
    assert_eq!(rows[1][33], Value::Real(0.25));
}

#[test]
fn an_existing_file_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    std::fs::write(&path, "mine").unwrap();
    let error = Database::create(&path, &record()).unwrap_err();
    assert!(matches!(error, SinkError::Exists { .. }));
    assert!(error.to_string().contains("--name"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"mine");

    let missing = folder.path().join("no/run.db");
    let error = Database::create(&missing, &record()).unwrap_err();
    assert!(matches!(error, SinkError::NoFolder { .. }), "{error}");
}

#[test]
fn a_killed_process_leaves_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let database = Database::create(&path, &record()).unwrap();
    for number in 0..10 {
        database.send(measured(success(number), false));
    }
    // Less than half a second after they came, rows are what a kill would leave: the files as they are.
    let sent = Instant::now();
    wait_for_rows(&path, 10);
    assert!(sent.elapsed() < Duration::from_millis(1500));
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(
        folder.path().join("run.db-wal"),
        folder.path().join("copy.db-wal"),
    )
    .unwrap();
    let connection = Connection::open(&copy).unwrap();
    assert_eq!(count(&connection), 10);
    assert_eq!(state(&connection), "running");
    let check: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn a_dropped_database_keeps_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let database = Database::create(&path, &record()).unwrap();
    for number in 0..3000 {
        database.send(measured(success(number), false));
    }
    drop(database);
    let connection = Connection::open(&path).unwrap();
    assert_eq!(count(&connection), 3000);
    assert_eq!(state(&connection), "running");
}

/// A database whose file may not grow beyond that many pages of 32 KiB.
fn cramped(path: &Path, pages: u32) -> Database {
    let record = record();
    // Tables and the row of the run come from the usual way; only then it gets tight.
    drop(Database::create(path, &record).unwrap());
    let connection = Connection::open(path).unwrap();
    connection
        .pragma_update(None, "max_page_count", pages)
        .unwrap();
    let unix = UnixTime::of(&record.clock);
    Database::start(path, connection, unix, &record).unwrap()
}

#[test]
fn a_full_disk_loses_rows_but_not_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let database = cramped(&path, 40);
    // Far more than the queue holds: nobody waits for the full disk.
    for number in 0..20_000 {
        database.send(measured(success(number), false));
    }
    let start = Instant::now();
    while database.trouble().is_none() {
        assert!(start.elapsed() < Duration::from_secs(10), "no trouble");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(database.trouble().unwrap().contains("full"));
    let summary = database.finish(&finished()).unwrap();
    assert!(summary.rows > 0);
    assert_eq!(summary.rows + summary.not_kept, 20_000);
    assert!(summary.first_error.unwrap().contains("full"));

    let connection = Connection::open(&path).unwrap();
    assert_eq!(count(&connection), summary.rows as i64);
    let (state, not_kept, error): (String, i64, String) = connection
        .query_row(
            "SELECT state, rows_not_kept, write_error FROM run",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .unwrap();
    assert_eq!(
        (state.as_str(), not_kept),
        ("finished", summary.not_kept as i64)
    );
    assert!(error.contains("full"));
}

#[test]
fn a_row_that_cannot_be_kept_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let database = Database::create(&path, &record()).unwrap();
    for number in [0, 1, 1, 2] {
        database.send(measured(success(number), false));
    }
    let summary = database.finish(&finished()).unwrap();
    assert_eq!((summary.rows, summary.not_kept), (3, 1));
    assert!(summary.first_error.is_some());
}

#[test]
fn a_further_run_stands_beside_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    let database = Database::create(&path, &record()).unwrap();
    database.send(measured(success(0), false));
    database.finish(&finished()).unwrap();
    let second = RunRecord { id: 2, ..record() };
    let database = Database::append(&path, &second).unwrap();
    database.send(measured(success(0), false));
    assert_eq!(database.finish(&finished()).unwrap().rows, 1);
    // One that never began leaves the others.
    let third = RunRecord { id: 3, ..record() };
    Database::append(&path, &third).unwrap().discard();

    let connection = Connection::open(&path).unwrap();
    assert_eq!(count(&connection), 2);
    let runs: Vec<(i64, String)> = connection
        .prepare("SELECT id, state FROM run ORDER BY id")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let finished = "finished".to_owned();
    assert_eq!(runs, [(1, finished.clone()), (2, finished)]);
}
