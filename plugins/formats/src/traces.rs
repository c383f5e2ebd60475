//! Traces: when requests came and how long they were. Most have no text.

mod blocks;
mod tabular;

use crate::bodies::as_body;
use crate::prompts::{asked, say_left_out};
use crate::record::{Members, PROMPTS, number_of, with_the_rest};
use crate::sessions::Sessions;
use crate::time::{Clock, seconds};
use blocks::fit_blocks;
use llmuses_plugin::{
    Conversation, Conversations, Entry, Format, Head, Skipped, Source, Value, dataset_lines, json,
};
use std::collections::HashMap;
pub(crate) use tabular::{Azure, BurstGpt};

/// Mooncake, and what aiperf makes of it.
pub(crate) struct Mooncake;

/// Bailian, of Qwen.
pub(crate) struct Bailian;

/// vLLM's timed trace.
pub(crate) struct TimedTrace;

/// guidellm's `trace_synthetic`.
pub(crate) struct GuidellmTrace;

/// evalscope's `workload_trace`.
pub(crate) struct WorkloadTrace;

/// The number of a request in traces of Bailian, which no other has.
const CHAT: &str = "chat_id";

/// Why a request is not sent that has only the new messages of its session: without those before, it would ask something
/// else than was recorded.
const ONLY_WHAT_IS_NEW: &str = "\"message_mode\" is \"delta\", which needs a \"session_id\", and the new messages in \
                                \"messages\" or as a text";

/// Where texts stand in the traces that have some.
const TEXTS: [&str; 2] = ["text_input", "input_text"];

impl Format for Mooncake {
    const NAME: &'static str = "mooncake";
    const DESCRIPTION: &'static str = "trace of Mooncake, JSON lines: `timestamp` in milliseconds, `input_length`, \
                                       `output_length`, `hash_ids` of blocks of 512 tokens; or a text";
    const SOURCE: Source = Source::JsonLines;

    fn recognises(head: &Head<'_>) -> bool {
        let has_text = |members: &Members| {
            let has = |name: &&str| members.contains_key(*name);
            let is_text = |name: &&str| members.get(*name).is_some_and(Value::is_string);
            if members.contains_key("payload") && !has(&"messages") && !PROMPTS.iter().any(is_text)
            {
                return true;
            }
            members.contains_key("output_length") && TEXTS.iter().chain(&["messages"]).any(has)
        };
        let has_lengths = |members: &Members| {
            has_both_lengths(members) && !members.contains_key(CHAT) && fit_blocks(members, 512)
        };
        records(head).is_some_and(|records| {
            let is_it = |members: &Members| {
                (members.contains_key("timestamp") || follows(members))
                    && (has_text(members) || has_lengths(members))
            };
            // Prompts of one block say nothing of its size. Times in milliseconds are whole.
            let in_seconds = records.iter().any(has_fraction)
                && records.iter().all(|members| fit_blocks(members, 16));
            records.iter().all(is_it) && !in_seconds
        })
    }

    fn open(_: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        opened(|members, state| {
            state.join_delta(members)?;
            let mut conversation = match text_of(members)? {
                Some(text) => with_the_rest(text, members)?,
                None => lengths_of(members, Some(512))?,
            };
            if let Some(delay) = members.get("delay").and_then(|delay| seconds(delay, 1e-3)) {
                conversation = conversation.also("delay", delay.into());
            }
            if let Some(session) = members.get("session_id").and_then(Value::as_str) {
                conversation = conversation.with("session", session.into());
            }
            conversation = with_extra(conversation, members);
            match members.contains_key("timestamp") {
                true => state.timed(conversation, members, 1e-3),
                false => Ok(conversation),
            }
        })
    }
}

impl Format for Bailian {
    const NAME: &'static str = "bailian";
    const DESCRIPTION: &'static str = "trace of Bailian, JSON lines: `chat_id`, `parent_chat_id`, `timestamp` in seconds, \
                                       `input_length`, `output_length`, `hash_ids` of blocks of 16 tokens";
    const SOURCE: Source = Source::JsonLines;

    fn recognises(head: &Head<'_>) -> bool {
        records(head).is_some_and(|records| {
            records
                .iter()
                .all(|members| is_timed(members) && members.contains_key(CHAT))
        })
    }

    fn open(_: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        let mut sessions = Sessions::default();
        opened(move |members, state| {
            let id = members.get(CHAT).unwrap_or(&Value::Null);
            let session = sessions.of(id, members.get("parent_chat_id"));
            let conversation = lengths_of(members, Some(16))?;
            let conversation = state.timed(conversation, members, 1.0)?;
            Ok(match session {
                Some(session) => conversation.with("session", session.into()),
                None => conversation,
            })
        })
    }
}

impl Format for TimedTrace {
    const NAME: &'static str = "timed_trace";
    const DESCRIPTION: &'static str = "vLLM's timed trace, JSON lines: `timestamp` in seconds, `input_length`, \
                                       `output_length`, `hash_ids` of blocks of 16 tokens";
    const SOURCE: Source = Source::JsonLines;

    fn recognises(head: &Head<'_>) -> bool {
        records(head).is_some_and(|records| {
            records
                .iter()
                .all(|members| is_timed(members) && fit_blocks(members, 16))
        })
    }

    fn open(_: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        opened(|members, state| state.timed(lengths_of(members, Some(16))?, members, 1.0))
    }
}

impl Format for GuidellmTrace {
    const NAME: &'static str = "guidellm_trace";
    const DESCRIPTION: &'static str = "guidellm's trace_synthetic, JSON lines: `timestamp` in seconds, `input_length`, \
                                       `output_length`";
    const SOURCE: Source = Source::JsonLines;

    fn recognises(head: &Head<'_>) -> bool {
        records(head).is_some_and(|records| {
            records
                .iter()
                .all(|members| is_timed(members) && !members.contains_key("hash_ids"))
        })
    }

    fn open(_: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        opened(|members, state| state.timed(lengths_of(members, None)?, members, 1.0))
    }
}

impl Format for WorkloadTrace {
    const NAME: &'static str = "workload_trace";
    const DESCRIPTION: &'static str = "evalscope's workload_trace, JSON lines: the request in `body`, `timestamp` in \
                                       seconds or as ISO 8601";
    const SOURCE: Source = Source::JsonLines;

    fn recognises(head: &Head<'_>) -> bool {
        records(head).is_some_and(|records| {
            records.iter().all(|members| {
                members.contains_key("timestamp")
                    && members
                        .get("body")
                        .is_some_and(|body| as_body(body.clone()).is_ok())
            })
        })
    }

    fn open(_: &Head<'_>) -> Result<Box<dyn Conversations>, String> {
        opened(|members, state| {
            let body = members.remove("body").ok_or("no field \"body\"")?;
            say_left_out(&beside_the_body(members), false);
            let conversation = Conversation::default().turn("body", as_body(body)?);
            state.timed(conversation, members, 1.0)
        })
    }
}

/// The members of a record that are not sent: headers are those of the run, and what was answered is for it to find out.
fn beside_the_body(members: &Members) -> Vec<&str> {
    let names = members.keys().map(String::as_str);
    let mut names: Vec<&str> = names.filter(|name| *name != "timestamp").collect();
    names.sort_unstable();
    names
}

/// Why a request of a trace is passed over.
pub(crate) const NO_OUTPUT: &str = "without output tokens";

/// What the requests of a trace have in common.
#[derive(Debug, Default)]
pub(crate) struct State {
    clock: Clock,
    /// The messages of each session of which requests have only the new ones.
    histories: HashMap<String, Vec<Value>>,
}

impl State {
    /// Puts the messages of the session so far before those of a request that has only the new ones (`message_mode`
    /// `delta`). Others stay as they are.
    fn join_delta(&mut self, members: &mut Members) -> Result<(), String> {
        if members
            .get("message_mode")
            .is_none_or(|mode| mode != "delta")
        {
            return Ok(());
        }
        let text = TEXTS
            .iter()
            .find_map(|name| members.get(*name)?.as_str().map(str::to_owned));
        let new = match (members.get("messages"), text) {
            (Some(Value::Array(messages)), None) => messages.clone(),
            (None, Some(text)) => vec![json!({"role": "user", "content": text})],
            _ => return Err(ONLY_WHAT_IS_NEW.to_owned()),
        };
        let session = members.get("session_id").and_then(Value::as_str);
        let session = session.ok_or(ONLY_WHAT_IS_NEW)?.to_owned();
        let history = self.histories.entry(session).or_default();
        history.extend(new);
        for name in TEXTS {
            members.shift_remove(name);
        }
        members.insert("messages".to_owned(), history.clone().into());
        Ok(())
    }

    /// With the time of the request.
    pub(crate) fn timed(
        &mut self,
        conversation: Conversation,
        members: &Members,
        unit: f64,
    ) -> Result<Conversation, String> {
        let time = members.get("timestamp").ok_or("no field \"timestamp\"")?;
        let time = seconds(time, unit).ok_or("\"timestamp\" is neither a number nor a date")?;
        Ok(conversation.with("at", self.clock.since_start(time)?.into()))
    }
}

/// The first records of a file of JSON lines, up to one that is no JSON object. `None`: the first one is none.
fn records(head: &Head<'_>) -> Option<Vec<Members>> {
    /// So many show what a trace is.
    const ENOUGH: usize = 32;
    let mut lines: Vec<&[u8]> = head.bytes.split(|byte| *byte == b'\n').collect();
    // The last one may be cut.
    if !head.is_whole() && lines.len() > 1 {
        lines.pop();
    }
    let lines = lines.into_iter().map(<[u8]>::trim_ascii);
    let records: Vec<Members> = lines
        .filter(|line| !line.is_empty())
        .take(ENOUGH)
        .map_while(|line| match std::str::from_utf8(line).ok()?.parse() {
            Ok(Value::Object(members)) => Some(members),
            _ => None,
        })
        .collect();
    (!records.is_empty()).then_some(records)
}

/// Whether it has a time and both lengths.
fn is_timed(members: &Members) -> bool {
    members.contains_key("timestamp") && has_both_lengths(members)
}

fn has_both_lengths(members: &Members) -> bool {
    members.contains_key("input_length") && members.contains_key("output_length")
}

/// Whether it comes so long after another one of its session, and has no time.
fn follows(members: &Members) -> bool {
    members.contains_key("session_id") && members.contains_key("delay")
}

/// Whether its time is a number that is not whole.
fn has_fraction(members: &Members) -> bool {
    let time = members.get("timestamp").and_then(Value::as_f64);
    time.is_some_and(|time| time.fract() != 0.0)
}

/// The requests of a trace in JSON lines.
fn opened(
    mut read: impl FnMut(&mut Members, &mut State) -> Result<Conversation, String> + 'static,
) -> Result<Box<dyn Conversations>, String> {
    let mut state = State::default();
    Ok(Box::new(Requests {
        entries: dataset_lines()?,
        skipped: Skipped::default(),
        read: move |entry: Entry| {
            if entry.text().trim().is_empty() {
                return Ok(Err("blank"));
            }
            let mut members: Members = entry.json()?;
            // Nothing can be asked for no answer: such a request failed when it was recorded.
            if number_of(&members, &["output_length"]) == Some(0) {
                return Ok(Err(NO_OUTPUT));
            }
            let conversation = read(&mut members, &mut state);
            conversation.map(Ok).map_err(|reason| entry.error(reason))
        },
    }))
}

/// A conversation, or why it is passed over.
pub(crate) type Wanted = Result<Conversation, &'static str>;

/// Requests, with those that are passed over counted.
pub(crate) struct Requests<E, R> {
    pub(crate) entries: E,
    pub(crate) skipped: Skipped,
    pub(crate) read: R,
}

impl<T, E, R> Conversations for Requests<E, R>
where
    E: Iterator<Item = Result<T, String>>,
    R: FnMut(T) -> Result<Wanted, String>,
{
    fn next_conversation(&mut self) -> Option<Result<Conversation, String>> {
        loop {
            match self.entries.next()?.and_then(&mut self.read) {
                Ok(Ok(conversation)) => return Some(Ok(conversation)),
                Ok(Err(reason)) => self.skipped.count(reason),
                Err(error) => return Some(Err(error)),
            }
        }
    }

    fn skipped(&self) -> Vec<(String, u64)> {
        self.skipped.to_list()
    }
}

/// With the members of the body that aiperf has in `extra`. Those of the conversation have names of their own.
fn with_extra(conversation: Conversation, members: &mut Members) -> Conversation {
    let Some(Value::Object(mut extra)) = members.remove("extra") else {
        return conversation;
    };
    for name in ["model", "messages", "prompt", "stream", "tools"] {
        extra.shift_remove(name);
    }
    conversation.parameters(extra)
}

/// The text of a request, where the trace has it.
fn text_of(members: &mut Members) -> Result<Option<Conversation>, String> {
    for name in TEXTS {
        match members.remove(name) {
            Some(Value::String(text)) => return Ok(Some(Conversation::of_prompt(text))),
            Some(_) => return Err(format!("\"{name}\" is not a string")),
            None => {}
        }
    }
    if let Some(messages) = members.remove("messages") {
        return match messages {
            Value::Array(messages) if !messages.is_empty() => {
                Ok(Some(Conversation::of_messages(asked(messages))))
            }
            _ => Err("\"messages\" is not a list of messages".to_owned()),
        };
    }
    let payload = members.remove("payload").map(as_body).transpose()?;
    Ok(payload.map(|payload| Conversation::default().turn("body", payload)))
}

/// A request of which only the lengths are known, with its blocks of so many tokens.
fn lengths_of(members: &mut Members, block: Option<u64>) -> Result<Conversation, String> {
    let input = length(members, "input_length")?;
    let output = length(members, "output_length")?;
    let mut conversation = of_lengths(input, output);
    if let Some(block) = block
        && let Some(ids) = members.remove("hash_ids")
    {
        let ids = blocks::checked(ids, input, block)?;
        conversation = conversation
            .also("hash_ids", ids)
            .also("block_tokens", block.into());
    }
    Ok(conversation)
}

/// A request of these lengths, in tokens.
pub(crate) fn of_lengths(input: u64, output: u64) -> Conversation {
    Conversation::default()
        .turn("input_tokens", input.into())
        .output_tokens(output)
}

pub(crate) fn length(members: &Members, name: &str) -> Result<u64, String> {
    match number_of(members, &[name]) {
        Some(0) => Err(format!("\"{name}\" is 0")),
        Some(length) => Ok(length),
        None if members.contains_key(name) => Err(format!("\"{name}\" is not a number of tokens")),
        None => Err(format!("no field \"{name}\"")),
    }
}

#[cfg(test)]
mod tests;
