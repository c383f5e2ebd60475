//! A connection to a database that somebody else may have made: it holds tables and nothing that acts, and reading it
//! ends after as much work as a file of its size can be worth.

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

/// How often the work is looked at, in steps of SQLite's machine.
const LOOK_UP: i32 = 100_000;

/// The work that any database is worth, in steps.
const STEPS: u64 = 50_000_000;

/// The work that a byte of a database is worth, in steps: a row has hundreds of bytes and takes some hundred steps a
/// pass.
const STEPS_A_BYTE: u64 = 8;

/// The largest value: a row may hold a large response.
const VALUE_BYTES: i32 = 1 << 30;

/// Opens the file to be read, with everything off that a schema could do by itself.
pub(super) fn open(path: &Path, file_bytes: u64) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    for (setting, on) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        // Those of the file; temporary ones are made here.
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(setting, on)?;
    }
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES)?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    let mut left = STEPS.saturating_add(file_bytes.saturating_mul(STEPS_A_BYTE));
    connection.progress_handler(
        LOOK_UP,
        Some(move || {
            left = left.saturating_sub(LOOK_UP.unsigned_abs().into());
            left == 0
        }),
    )?;
    Ok(connection)
}

/// Why the tables of the file are not those of a run: a name that is no ordinary table, or a column that is computed.
pub(super) fn what_is_odd(connection: &Connection) -> rusqlite::Result<Option<String>> {
    for (table, must_be) in [("run", true), ("result", true), ("worker", false)] {
        let kind = connection.query_row(
            "SELECT max(type) FROM pragma_table_list WHERE schema = 'main' AND lower(name) = ?1",
            [table],
            |row| row.get::<_, Option<String>>(0),
        )?;
        match kind.as_deref() {
            Some("table") => {}
            None if !must_be => continue,
            Some(other) => return Ok(Some(format!("`{table}` is a {other} and not a table"))),
            None => return Ok(Some(format!("it has no table `{table}`"))),
        }
        let computed: i64 = connection.query_row(
            "SELECT count(*) FROM pragma_table_xinfo(?1, 'main') WHERE hidden <> 0",
            [table],
            |row| row.get(0),
        )?;
        if computed > 0 {
            return Ok(Some(format!("`{table}` has columns that are computed")));
        }
    }
    Ok(None)
}
