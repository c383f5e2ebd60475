//! Where items come from: a prompt, or the entries of a data set. A generator of its own is one more implementation of
//! [`EntrySource`].

use super::conversation::{Conversation, Filling};
use super::session_draws::SessionDraws;
use super::trace_times::TraceTimes;
use llmuses_core::cost::CallCost;
use llmuses_core::item::Entry;
use llmuses_core::messages::Messages;
use llmuses_core::plan::Replay;
use llmuses_plugin_host::{CallError, FileOptions, ParserInstance};
use std::collections::VecDeque;
use std::sync::Arc;

/// Gives conversations.
pub trait EntrySource: Send {
    /// Begins a pass.
    ///
    /// # Errors
    /// Where the plugin behind it refuses, or breaks.
    fn begin(&mut self) -> Result<(), CallError>;

    /// At most `max` further ones; an empty list is the end of the pass.
    ///
    /// # Errors
    /// Where the plugin behind it refuses (that is one bad entry), or breaks.
    fn next(&mut self, max: u32) -> Result<Vec<Conversation>, CallError>;

    /// What was passed over in this pass so far, by reason.
    ///
    /// # Errors
    /// Where the plugin behind it breaks.
    fn skipped(&mut self) -> Result<Vec<(String, u64)>, CallError>;

    /// Ends a pass.
    ///
    /// # Errors
    /// Where the plugin behind it breaks.
    fn end(&mut self) -> Result<(), CallError>;

    /// Whether only prompts of some lengths are wanted of it. What was chosen by hand is wanted in any case.
    fn is_filtered(&self) -> bool;

    /// What calls into a plugin have cost so far.
    fn cost(&self) -> CallCost;
}

/// The one prompt of `--prompt`.
#[derive(Debug)]
pub struct OnePrompt {
    text: String,
    draws: SessionDraws,
    /// Sessions so far.
    sessions: u64,
    is_given: bool,
}

impl OnePrompt {
    /// An entry in each pass, each turn of which is `text`.
    pub fn new(text: String, draws: SessionDraws) -> Self {
        Self {
            text,
            draws,
            sessions: 0,
            is_given: false,
        }
    }
}

impl EntrySource for OnePrompt {
    fn begin(&mut self) -> Result<(), CallError> {
        self.is_given = false;
        Ok(())
    }

    fn next(&mut self, _max: u32) -> Result<Vec<Conversation>, CallError> {
        if std::mem::replace(&mut self.is_given, true) {
            return Ok(Vec::new());
        }
        let turns = self.draws.turns(self.sessions);
        self.sessions += 1;
        Ok(vec![Conversation::of_prompt(self.text.clone(), turns)])
    }

    fn skipped(&mut self) -> Result<Vec<(String, u64)>, CallError> {
        Ok(Vec::new())
    }

    fn end(&mut self) -> Result<(), CallError> {
        Ok(())
    }

    fn is_filtered(&self) -> bool {
        false
    }

    fn cost(&self) -> CallCost {
        CallCost::default()
    }
}

/// The entries of a data set, read by a format.
pub struct FormatEntries {
    format: ParserInstance,
    options: FileOptions,
    filling: Arc<Filling>,
    /// The entries of this pass so far.
    number: u64,
    pass: Option<llmuses_plugin_host::OpenEntries>,
    messages: Messages,
    has_warned: bool,
    /// How it is replayed by the times of its entries. `None`: it is not.
    replay: Option<Replay>,
    times: TraceTimes,
    /// What was read of a trace and not handed over yet.
    waiting: VecDeque<Result<Conversation, String>>,
    /// Whether the trace is over, or nothing more of it is to be sent.
    is_over: bool,
}

impl FormatEntries {
    /// What `format` reads of the data set that its instance was given, told these options, with this filled in.
    /// `messages` takes a warning of what is not used.
    pub fn new(
        format: ParserInstance,
        options: FileOptions,
        filling: Arc<Filling>,
        messages: Messages,
    ) -> Self {
        Self {
            format,
            options,
            filling,
            number: 0,
            pass: None,
            messages,
            has_warned: false,
            replay: None,
            times: TraceTimes::default(),
            waiting: VecDeque::new(),
            is_over: false,
        }
    }

    /// The entries with the times at which they are due in such a replay.
    #[must_use]
    pub fn replayed(mut self, replay: Option<Replay>) -> Self {
        self.replay = replay;
        self
    }

    /// Further entries of a trace. One without a place in it is a bad one, and stands alone: it must not cost those that
    /// were read with it.
    fn next_of_trace(
        &mut self,
        pass: llmuses_plugin_host::OpenEntries,
        max: u32,
    ) -> Result<Vec<Conversation>, CallError> {
        if self.waiting.is_empty() && !self.is_over {
            let entries = self.format.next_entries(pass, max)?;
            self.is_over = entries.is_empty();
            for mut entry in entries {
                self.number += 1;
                let number = self.number - 1;
                self.waiting.push_back(match self.times.place(&mut entry) {
                    Ok(Some(place)) => {
                        Ok(Conversation::filled(entry, number, &self.filling).placed(place))
                    }
                    Ok(None) => {
                        self.is_over = true;
                        break;
                    }
                    Err(reason) => Err(format!("entry {}: {reason}", self.number)),
                });
            }
        }
        let mut good = Vec::new();
        while let Some(next) = self.waiting.pop_front() {
            match next {
                Ok(conversation) => good.push(conversation),
                Err(reason) if good.is_empty() => return Err(CallError::Refused(reason)),
                Err(reason) => {
                    self.waiting.push_front(Err(reason));
                    break;
                }
            }
        }
        Ok(good)
    }
}

impl EntrySource for FormatEntries {
    fn begin(&mut self) -> Result<(), CallError> {
        self.number = 0;
        self.pass = Some(self.format.open(&self.options)?);
        self.times = TraceTimes::new(self.replay.unwrap_or_default());
        self.waiting.clear();
        self.is_over = false;
        Ok(())
    }

    fn next(&mut self, max: u32) -> Result<Vec<Conversation>, CallError> {
        let Some(pass) = self.pass else {
            return Ok(Vec::new());
        };
        if self.replay.is_some() {
            return self.next_of_trace(pass, max);
        }
        let entries = self.format.next_entries(pass, max)?;
        let has_times = |entry: &Entry| {
            let first = entry.turns.first().and_then(|turn| turn.delay);
            entry.at.is_some() || first.is_some()
        };
        if !self.has_warned && entries.iter().any(has_times) {
            self.has_warned = true;
            self.messages.say(
                "note: the data set says when its entries are due, and requests go as --parallel or --rate says all the \
                 same; --trace goes by those times",
            );
        }
        let begin = self.number;
        self.number += entries.len() as u64;
        let conversation = |(number, entry)| Conversation::filled(entry, number, &self.filling);
        Ok((begin..).zip(entries).map(conversation).collect())
    }

    fn skipped(&mut self) -> Result<Vec<(String, u64)>, CallError> {
        match self.pass {
            Some(pass) => self.format.skipped_entries(pass),
            None => Ok(Vec::new()),
        }
    }

    fn end(&mut self) -> Result<(), CallError> {
        match self.pass.take() {
            Some(pass) => self.format.drop_entries(pass),
            None => Ok(()),
        }
    }

    fn is_filtered(&self) -> bool {
        true
    }

    fn cost(&self) -> CallCost {
        self.format.cost()
    }
}
