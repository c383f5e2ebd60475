//! The file of a database: made, opened for writing, closed.

use super::error::SinkError;
use super::schema;
use llmuses_kernel_io::private_file::create_new;
use rusqlite::{Connection, OpenFlags};
use std::io::ErrorKind;
use std::path::Path;

/// The size of a page. The answers of a stream are rows of tens or hundreds of kilobytes: in pages of 4 KiB, which is
/// what SQLite takes by itself, they cost twice the processor time of the writer, and a row of 2 KB wastes half a page.
const PAGE_BYTES: u32 = 32 << 10;

/// How long the write-ahead log becomes before its pages are moved into the database.
const LOG_BYTES: u32 = 4 << 20;

/// Makes the empty file, and refuses one that is there: SQLite itself would open it.
pub(super) fn reserve(path: &Path) -> Result<(), SinkError> {
    let path_buf = || path.to_owned();
    match create_new(path) {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.kind() {
            ErrorKind::AlreadyExists => SinkError::Exists { path: path_buf() },
            ErrorKind::NotFound => SinkError::NoFolder { path: path_buf() },
            _ => SinkError::Create {
                path: path_buf(),
                reason: error,
            },
        }),
    }
}

/// Opens the reserved file, or one with runs in it, and makes the tables where it is new.
pub(super) fn open(path: &Path, new: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    // Another program that reads the database meanwhile may hold it up for a moment.
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    // Before anything is written, since the first page fixes it.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", schema::SCHEMA_VERSION)?;
    // A process that is killed loses nothing that was committed; a machine that loses its power may
    // lose the last commits, but never the database.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", LOG_BYTES / PAGE_BYTES)?;
    if new {
        connection.execute_batch(&schema::tables())?;
    }
    Ok(connection)
}

/// Moves what is in the write-ahead log into the database, and does away with the log.
pub(super) fn close(connection: Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    // Refused while another program reads: the log stays then, and goes with its last reader.
    let _ = connection.pragma_update(None, "journal_mode", "DELETE");
    connection.close().map_err(|(_, reason)| reason)
}

/// Removes the database, and what SQLite may have beside it.
pub(super) fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut path = path.to_owned().into_os_string();
        path.push(suffix);
        let _ = std::fs::remove_file(path);
    }
}
