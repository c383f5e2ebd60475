//! Where items come from: a prompt, or the entries of a data set. A generator of its own is one more implementation of
//! [`EntrySource`].

use super::conversation::{Conversation, Filling};
use super::session_draws::SessionDraws;
use llmuses_core::cost::CallCost;
use llmuses_core::item::Entry;
use llmuses_core::messages::Messages;
use llmuses_plugin_host::{CallError, FileOptions, ParserInstance};
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
        }
    }
}

impl EntrySource for FormatEntries {
    fn begin(&mut self) -> Result<(), CallError> {
        self.number = 0;
        self.pass = Some(self.format.open(&self.options)?);
        Ok(())
    }

    fn next(&mut self, max: u32) -> Result<Vec<Conversation>, CallError> {
        let Some(pass) = self.pass else {
            return Ok(Vec::new());
        };
        let entries = self.format.next_entries(pass, max)?;
        let has_times = |entry: &Entry| {
            let first = entry.turns.first().and_then(|turn| turn.delay);
            entry.at.is_some() || first.is_some()
        };
        if !self.has_warned && entries.iter().any(has_times) {
            self.has_warned = true;
            self.messages.say(
                "warning: the data set says when its entries are due (`at`, `delay` of a first turn), which is not used: \
                 requests go as --parallel or --rate says",
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
