//! Traces that are tables.

use super::{NO_OUTPUT, Requests, State, Wanted, length, of_lengths};
use crate::record::number_of;
use crate::tables::{Row, names_of, rows};
use llmuses_plugin::{Conversation, Conversations, Format, Head, Skipped, Source, dataset_lines};

/// The traces of Azure of 2023 and 2024.
pub(crate) struct Azure;

/// BurstGPT.
pub(crate) struct BurstGpt;

impl Format for Azure {
    const NAME: &'static str = "azure";
    const DESCRIPTION: &'static str =
        "Azure LLM inference trace of 2023 or 2024, CSV: TIMESTAMP, ContextTokens, GeneratedTokens";
    const SOURCE: Source = Source::Lines;

    fn recognises(head: &Head<'_>) -> bool {
        has(head, &["timestamp", "contexttokens", "generatedtokens"])
    }

    fn open(_: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        requests("contexttokens", "generatedtokens")
    }
}

impl Format for BurstGpt {
    const NAME: &'static str = "burstgpt";
    const DESCRIPTION: &'static str =
        "BurstGPT, CSV: Timestamp in seconds, Request tokens, Response tokens";
    const SOURCE: Source = Source::Lines;

    fn recognises(head: &Head<'_>) -> bool {
        has(head, &["timestamp", "request tokens", "response tokens"])
    }

    fn open(_: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        requests("request tokens", "response tokens")
    }
}

fn has(head: &Head<'_>, columns: &[&str]) -> bool {
    names_of(head, b',').is_some_and(|names| {
        columns
            .iter()
            .all(|column| names.iter().any(|name| name == column))
    })
}

fn requests(input: &'static str, output: &'static str) -> Result<Box<dyn Conversations>, String> {
    let mut state = State::default();
    Ok(Box::new(Requests {
        entries: rows(dataset_lines()?, b','),
        skipped: Skipped::default(),
        read: move |row: Row| {
            // In BurstGPT, a request that failed.
            if number_of(&row.members, &[output]) == Some(0) {
                return Ok(Err(NO_OUTPUT));
            }
            let made = request(&row, input, output, &mut state);
            made.map(Wanted::Ok).map_err(|reason| row.error(reason))
        },
    }))
}

fn request(
    row: &Row,
    input: &str,
    output: &str,
    state: &mut State,
) -> Result<Conversation, String> {
    let members = &row.members;
    let lengths = of_lengths(length(members, input)?, length(members, output)?);
    let conversation = state.timed(lengths, members, 1.0)?;
    let session = ["session id", "sessionid"]
        .iter()
        .find_map(|name| members.get(*name));
    Ok(match session {
        Some(session) => conversation.with("session", session.clone()),
        None => conversation,
    })
}
