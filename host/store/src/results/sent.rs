//! The requests of a run as they were sent.

use super::error::ResultsError;
use super::reader::ResultsDatabase;
use crate::sink::is_beginning_of_request;
use llmuses_core::exchange::FailureKind;
use rusqlite::types::ValueRef;

/// A request that was sent, and how long question and answer were.
#[derive(Debug, Clone, PartialEq)]
pub struct SentRequest {
    /// When it was sent, in Unix seconds.
    pub sent_unix_seconds: f64,
    /// The session of which it is a turn.
    pub session: u64,
    /// Its body.
    pub body: String,
    /// Whether only the beginning of the body was kept.
    pub is_cut: bool,
    /// Whether it succeeded.
    pub success: bool,
    /// Whether the client broke it off.
    pub is_disconnected: bool,
    /// Tokens of the prompt.
    pub input_tokens: Option<u64>,
    /// Tokens of the completion.
    pub output_tokens: Option<u64>,
}

impl ResultsDatabase {
    /// Hands over the requests of a run that were sent, in the order in which they were, those of the warm-up too.
    ///
    /// # Errors
    /// Where SQLite cannot go on.
    pub fn each_sent(
        &self,
        run: u32,
        mut take: impl FnMut(SentRequest),
    ) -> Result<(), ResultsError> {
        let failed = |reason| self.failed(reason);
        let mut statement = self
            .connection()
            .prepare(&format!(
                "SELECT number, sent_time, success, request, prompt_tokens, completion_tokens, error_kind{} FROM result \
                 WHERE run = ?1 AND sent_time IS NOT NULL ORDER BY sent_time, number",
                self.added_columns().map_err(failed)?
            ))
            .map_err(failed)?;
        let rows = statement
            .query_map([run], |row| {
                let unsigned = |number: i64| u64::try_from(number).unwrap_or_default();
                let tokens = |column: usize| -> rusqlite::Result<Option<u64>> {
                    Ok(row.get::<_, Option<i64>>(column)?.map(unsigned))
                };
                let number: i64 = row.get(0)?;
                let session: Option<i64> = row.get("session")?;
                let kind: Option<String> = row.get("error_kind")?;
                let body = match row.get_ref(3)? {
                    ValueRef::Text(text) | ValueRef::Blob(text) => {
                        String::from_utf8_lossy(text).into_owned()
                    }
                    _ => String::new(),
                };
                Ok::<_, rusqlite::Error>(SentRequest {
                    sent_unix_seconds: row.get(1)?,
                    // In older databases each request stands alone.
                    session: unsigned(session.unwrap_or(number)),
                    is_cut: is_beginning_of_request(&body),
                    body,
                    success: row.get(2)?,
                    is_disconnected: kind.as_deref() == Some(FailureKind::Disconnected.as_str()),
                    input_tokens: tokens(4)?,
                    output_tokens: tokens(5)?,
                })
            })
            .map_err(failed)?;
        for row in rows {
            take(row.map_err(failed)?);
        }
        Ok(())
    }
}
