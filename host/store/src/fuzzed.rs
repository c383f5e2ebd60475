//! What is fuzzed of this crate, as a function of an input: `host/fuzz` gives it to a fuzzer, the test here the inputs
//! that are kept as its seeds.

use crate::results::ResultsDatabase;
use crate::sink::Database;
use crate::sink::tests_support::{finished, measured, record};
use llmuses_core::exchange::Outcome;
use llmuses_samples::OutcomeBuilder;
use rusqlite::Connection;
use rusqlite::types::Value;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;

/// Databases of each version, of which inputs make damaged ones.
static WHOLE: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let read = |path: &Path| std::fs::read(path).expect("the database that was made");
    let of_script = |script: &str| {
        let path = folder.path().join(script.len().to_string());
        let connection = Connection::open(&path).expect("a new database");
        connection
            .execute_batch(&format!("PRAGMA page_size = 1024; {script}"))
            .expect("the script of an older version");
        drop(connection);
        read(&path)
    };
    let path = folder.path().join("newest");
    let database = Database::create(&path, &record()).expect("a new database");
    for number in 0..3 {
        database.send(measured(outcome(number), false));
    }
    database.finish(&finished()).expect("the end of the run");
    [
        of_script(include_str!("results/version_1.sql")),
        of_script(include_str!("results/version_2.sql")),
        read(&path),
    ]
});

/// A request that was answered with two events.
fn outcome(number: u64) -> Outcome {
    let begun = 1000 * number;
    OutcomeBuilder::at(begun)
        .number(number)
        .sent(begun)
        .events(&[begun + 5, begun + 8])
        .outputs(&[0, 1])
        .status(200, begun + 4)
        .end(begun + 9)
        .build()
}

/// The value that an input's bytes are, of the type that the first one says.
fn value(bytes: &[u8]) -> Value {
    let Some((kind, rest)) = bytes.split_first() else {
        return Value::Null;
    };
    let mut number = [0; 8];
    for (to, from) in number.iter_mut().zip(rest) {
        *to = *from;
    }
    match kind % 5 {
        0 => Value::Text(String::from_utf8_lossy(rest).into_owned()),
        1 => Value::Integer(i64::from_le_bytes(number)),
        2 => Value::Real(f64::from_le_bytes(number)),
        3 => Value::Blob(rest.to_vec()),
        _ => Value::Null,
    }
}

/// Puts a value into a column of all rows.
fn put(path: &Path, table: u8, column: u8, value: Value) -> rusqlite::Result<()> {
    let table = if table.is_multiple_of(2) {
        "run"
    } else {
        "result"
    };
    let connection = Connection::open(path)?;
    let columns: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_info(?1)")?
        .query_map([table], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let column = &columns[usize::from(column) % columns.len()];
    // Without that a number would become a text, or the other way.
    connection.execute_batch("PRAGMA ignore_check_constraints = on; PRAGMA synchronous = off")?;
    connection.execute(&format!("UPDATE {table} SET {column} = ?1"), [value])?;
    Ok(())
}

/// A database that somebody damaged or made up: it is read or refused, and what it says is fit for a terminal. The first
/// byte of the input says of which version it is, the second how the rest changes it: bytes at offsets, or a value in a
/// column.
pub fn database(input: &[u8]) {
    thread_local! {
        static FOLDER: TempDir = tempfile::tempdir().expect("a temporary folder");
    }
    let [version, how, rest @ ..] = input else {
        return;
    };
    let path: PathBuf = FOLDER.with(|folder| folder.path().join("damaged.db"));
    let mut bytes = WHOLE[usize::from(*version) % WHOLE.len()].clone();
    if how.is_multiple_of(2) {
        for edit in rest.chunks_exact(4) {
            let at = u32::from_le_bytes([edit[0], edit[1], edit[2], 0]) as usize % bytes.len();
            bytes[at] = edit[3];
        }
        std::fs::write(&path, bytes).expect("a file in a temporary folder");
    } else {
        std::fs::write(&path, bytes).expect("a file in a temporary folder");
        let [table, column, rest @ ..] = rest else {
            return;
        };
        // What a column does not take is not there to be read.
        let _ = put(&path, *table, *column, value(rest));
    }
    read(&path);
}

fn read(path: &Path) {
    let database = match ResultsDatabase::open(path) {
        Ok(database) => database,
        Err(error) => return assert_fit(&error.to_string()),
    };
    match database.runs() {
        Ok(runs) => {
            for run in runs {
                let texts = [&run.parser.name, &run.parser.version, &run.versions.llmuses];
                texts.into_iter().for_each(|text| assert_fit(text));
                assert_fit(&run.plan.target.model);
            }
        }
        Err(error) => assert_fit(&error.to_string()),
    }
    let rows = database.each_row(|row| {
        for text in [
            &row.error,
            &row.error_kind,
            &row.label,
            &row.url,
            &row.finish_reason,
        ] {
            text.iter().for_each(|text| assert_fit(text));
        }
    });
    if let Err(error) = rows {
        assert_fit(&error.to_string());
    }
}

/// A terminal acts on nothing in it.
fn assert_fit(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_of_the_fuzzer_hold() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/seeds/database");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            super::database(&std::fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count >= 5, "{count}");
    }
}
