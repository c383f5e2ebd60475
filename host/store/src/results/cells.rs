//! Reads cells of the tables: texts are bounded and may be shown, values that stand as JSON become types.

use llmuses_core::clean::{printable, printable_json};
use llmuses_core::turn::TurnPlace;
use rusqlite::Row;
use serde::de::DeserializeOwned;

/// The longest text of a run: its plan, totals and verdict are some hundred kilobytes.
const RUN_TEXT_BYTES: usize = 64 << 20;

/// A text of the row of a run.
fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    let length = row.get_ref(column)?.as_str_or_null().ok().flatten();
    if length.is_some_and(|text| text.len() > RUN_TEXT_BYTES) {
        return Err(rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            format!(
                "a text of a run is longer than {} MiB",
                RUN_TEXT_BYTES >> 20
            )
            .into(),
        ));
    }
    row.get(column)
}

/// Unsigned numbers are kept as signed ones; nothing below zero is ever written.
pub(super) fn unsigned(number: Option<i64>) -> Option<u64> {
    number.map(|number| u64::try_from(number).unwrap_or_default())
}

/// A text that is shown: a terminal acts on nothing in it, whoever wrote the database.
pub(super) fn shown(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<String>> {
    Ok(text(row, column)?.map(|text| printable(&text)))
}

/// The same of a column that is named.
pub(super) fn shown_named(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<String>> {
    shown(row, row.as_ref().column_index(column)?)
}

/// The same of a column that is never null.
pub(super) fn shown_always(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    Ok(printable(&row.get::<_, String>(column)?))
}

/// A value that stands in a column as JSON, with texts that may be shown.
pub(super) fn json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    text(row, column)?
        .map(|text| {
            serde_json::from_str(&text)
                .and_then(|value| serde_json::from_value(printable_json(value)))
                .map_err(|error| not_ours(column, error))
        })
        .transpose()
}

pub(super) fn not_ours(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

/// The place of a request in its session, which stands in three columns from this one on. `number`: that of the request,
/// which stood alone where an older version wrote the row.
pub(super) fn place(row: &Row<'_>, number: u64) -> rusqlite::Result<TurnPlace> {
    Ok(match unsigned(row.get("session")?) {
        Some(session) => TurnPlace {
            turn: row.get("turn")?,
            ..TurnPlace::first(session, row.get("turns")?)
        },
        None => TurnPlace::alone(number),
    })
}
