//! Databases of other versions, and databases that nobody honest made.

use super::{ResultsDatabase, ResultsError};
use llmuses_core::document::{Percentile, Run};
use llmuses_core::metric::TTFT;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A run of version 1 with two requests.
const VERSION_1: &str = include_str!("version_1.sql");
/// A run of version 2, killed, with two requests.
const VERSION_2: &str = include_str!("version_2.sql");

fn database(script: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch(script)
        .unwrap();
    (folder, path)
}

fn runs(path: &Path) -> Result<Vec<Run>, ResultsError> {
    ResultsDatabase::open(path)?.runs()
}

#[test]
fn older_versions_are_read_and_stay_as_they_are() {
    for script in [VERSION_1, VERSION_2] {
        let (_folder, path) = database(script);
        let before = std::fs::read(&path).unwrap();
        let database = ResultsDatabase::open(&path).unwrap();
        let runs = database.runs().unwrap();
        let totals = runs[0].totals.as_ref().unwrap();
        assert_eq!(runs[0].id, 1);
        assert_eq!(totals.requests.succeeded, 1);
        assert_eq!(totals.requests.failed, 1);
        let doubts = &runs[0].verdict.as_ref().unwrap().doubts;
        // Only what had no end is told to have been stopped.
        let expected = match script {
            VERSION_1 => "older-version",
            _ => "stopped-early",
        };
        for code in ["older-version", "stopped-early"] {
            let is_told = doubts.iter().any(|doubt| doubt.reason == *code);
            assert_eq!(is_told, code == expected, "{code} in {doubts:?}");
        }
        assert_eq!(totals.times[TTFT].percentile(Percentile::P50), Some(0.25));
        assert_eq!(totals.tokens.output.tokens, Some(4));
        let mut numbers = Vec::new();
        database
            .each_row(|row| {
                numbers.push((row.run, row.number, row.success));
            })
            .unwrap();
        assert_eq!(numbers, [(1, 0, true), (1, 1, false)]);
        drop(database);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[test]
fn what_an_error_repeats_of_a_database_is_short_and_does_nothing_to_a_terminal() {
    let state = format!("\u{1b}]0;owned\u{7}{}", "x".repeat(1 << 20));
    let script = VERSION_2.replace("'running'", &format!("'{state}'"));
    let (_folder, path) = database(&script);
    let said = runs(&path).unwrap_err().to_string();
    assert!(said.contains("xxx"), "{said:?}");
    assert!(!said.chars().any(char::is_control), "{said:?}");
    assert!(said.len() < 1000, "{} bytes", said.len());
}

#[test]
fn a_newer_version_is_refused_by_name() {
    let (_folder, path) = database(&VERSION_2.replace("user_version = 2", "user_version = 9"));
    let error = runs(&path).unwrap_err();
    assert!(error.is_usage());
    let said = error.to_string();
    assert!(said.contains("version 9"), "{said}");
    assert!(said.contains("update this one"), "{said}");
}

#[test]
fn more_runs_than_fit_into_memory_are_refused_by_their_number() {
    let copies = |count: u32| {
        let (folder, path) = database(VERSION_2);
        let connection = Connection::open(&path).unwrap();
        let columns: Vec<String> = connection
            .prepare("SELECT name FROM pragma_table_info('run') WHERE name <> 'id'")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        let columns = columns.join(", ");
        connection
            .execute_batch(&format!(
                "INSERT INTO run ({columns}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \
                 {count}) SELECT {columns} FROM (SELECT * FROM run LIMIT 1), n"
            ))
            .unwrap();
        (folder, path)
    };
    let (_folder, path) = copies(30_000);
    let error = runs(&path).unwrap_err().to_string();
    assert!(
        error.contains("has 30001 runs: at most 10000 are read"),
        "{error}"
    );
    let (_folder, path) = copies(20);
    let database = ResultsDatabase::open(&path).unwrap();
    database.bound_runs(21, 1 << 20).unwrap();
    assert!(database.bound_runs(20, 1 << 20).is_err());
    assert!(database.bound_runs(21, 21).is_err());
    assert_eq!(runs(&path).unwrap().len(), 21);
}

#[test]
fn what_is_no_ordinary_table_is_refused() {
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT";
    for (change, said) in [
        (
            format!("DROP TABLE run; CREATE VIEW run AS {endless} i AS id FROM n"),
            "`run` is a view",
        ),
        (
            format!("DROP TABLE result; CREATE VIEW result AS {endless} i AS number FROM n"),
            "`result` is a view",
        ),
        ("DROP TABLE result".to_owned(), "no table `result`"),
        (
            "ALTER TABLE run ADD COLUMN x AS (hex(zeroblob(400000000)))".to_owned(),
            "computed",
        ),
        (
            format!("CREATE VIEW worker AS {endless} i AS run FROM n"),
            "`worker` is a view",
        ),
        (
            "UPDATE run SET started_time = x'00'".to_owned(),
            "`started_time`",
        ),
        ("UPDATE run SET plan = '{'".to_owned(), "EOF while parsing"),
        (
            "UPDATE result SET response_messages = '[]'".to_owned(),
            "fewer events",
        ),
    ] {
        let (_folder, path) = database(&format!("{VERSION_2}; {change};"));
        let error = runs(&path).unwrap_err();
        assert!(matches!(error, ResultsError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn a_frame_that_holds_gigabytes_is_not_unpacked() {
    let (_folder, path) = database(VERSION_2);
    // 2 GiB of spaces in front of a list.
    let mut frame = zstd::Encoder::new(Vec::new(), 1).unwrap();
    for _ in 0..2048 {
        std::io::Write::write_all(&mut frame, &[b' '; 1 << 20]).unwrap();
    }
    let frame = frame.finish().unwrap();
    Connection::open(&path)
        .unwrap()
        .execute("UPDATE result SET response_messages = ?1", [frame])
        .unwrap();
    let error = runs(&path).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[test]
fn pages_that_name_each_other_do_not_keep_a_reader_for_ever() {
    let (_folder, path) = database(VERSION_2);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) \
             INSERT INTO result SELECT request, start_time, chunk_times, success, response_messages, \
             completed_time, latency, first_chunk_latency, n_chunks, chunk_time, prompt_tokens, \
             completion_tokens, intended_time, sent_time, connect_time, ttft, tpot, output_times, status, \
             error_kind, error, i, run, warmup, prompt_tokens_by, completion_tokens_by, dns_time, tls_time, \
             streamed, stamped_by, metrics FROM result, n WHERE number = 0",
        )
        .unwrap();
    let root: usize = connection
        .query_row(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'result'",
            [],
            |row| row.get::<_, i64>(0),
        )
        .unwrap() as usize;
    let page: usize = connection
        .pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))
        .unwrap() as usize;
    drop(connection);
    // Every cell of the root leads to the first child, and every cell of that one to its first leaf.
    let mut bytes = std::fs::read(&path).unwrap();
    let mut at = root;
    for _ in 0..3 {
        let start = (at - 1) * page;
        if bytes[start] != 5 {
            break;
        }
        let cells = u16::from_be_bytes([bytes[start + 3], bytes[start + 4]]) as usize;
        let pointer = |cell: usize| {
            let place = start + 12 + 2 * cell;
            start + u16::from_be_bytes([bytes[place], bytes[place + 1]]) as usize
        };
        let places: Vec<usize> = (0..cells).map(pointer).collect();
        let child: [u8; 4] = bytes[places[0]..places[0] + 4].try_into().unwrap();
        for place in places {
            bytes[place..place + 4].copy_from_slice(&child);
        }
        at = u32::from_be_bytes(child) as usize;
    }
    std::fs::write(&path, bytes).unwrap();
    let mut rows = 0_u64;
    let read = ResultsDatabase::open(&path).and_then(|database| {
        database.each_row(|_| {
            rows += 1;
        })
    });
    // As SQLite finds it: damage, or more work than the file can be worth. What matters is that it ends.
    assert!(read.is_err() || rows < 100_000_000, "{rows}");
}
