//! Where the source has its bodies from, pass after pass: an API that makes them by itself, or items that an API makes
//! requests of.

mod items;
mod own;

pub(crate) use items::own_head;
pub use items::{ApiSettings, ItemBodies};
pub use own::OwnBodies;

use super::asked::AskedTurn;
use super::conversation::Conversation;
use super::trace_times::TracePlace;
use bytes::Bytes;
use llmuses_core::cost::CallCost;
use llmuses_core::exchange::OwnHead;
use llmuses_plugin_host::CallError;
use std::sync::Arc;

/// A body, and what the head of its request has of its own.
#[derive(Debug, Clone)]
pub struct Made {
    /// The model that it asks for, where the run has several.
    pub model: Option<Arc<str>>,
    /// The body.
    pub body: Bytes,
    /// What the head has in place of what all others have.
    pub own_head: Option<Arc<OwnHead>>,
    /// What it asks, where its text was made of lengths.
    pub asked: Option<Arc<AskedTurn>>,
    /// Its place in a trace that is replayed.
    pub place: Option<TracePlace>,
    /// How long after the entry before it in its conversation it comes, in seconds, where the data set says so.
    pub delay: Option<f64>,
    /// What is to be asked after it, where it is the first turn of several.
    pub rest: Option<Box<Conversation>>,
}

impl Made {
    /// How many turns its session has.
    pub fn turns(&self) -> u32 {
        let rest = self.rest.as_ref().map_or(0, |rest| rest.turns_left());
        rest.saturating_add(1)
    }

    /// Leaves so many turns of its session at most; one at least.
    pub fn truncate(&mut self, turns: u32) {
        if let Some(rest) = &mut self.rest {
            rest.truncate(turns.saturating_sub(1));
        }
        self.rest.take_if(|rest| rest.turns_left() == 0);
    }

    /// About how many bytes are kept of it.
    pub fn bytes(&self) -> usize {
        self.body.len() + self.rest.as_ref().map_or(0, |rest| rest.bytes())
    }
}

/// Makes the bodies of a run.
pub trait Bodies: Send {
    /// Begins a pass.
    ///
    /// # Errors
    /// Where the plugin refuses, or breaks.
    fn begin(&mut self) -> Result<(), CallError>;

    /// At most `max` further bodies, of first turns; an empty list is the end of the pass.
    ///
    /// # Errors
    /// Where the plugin refuses (that is one bad entry), or breaks.
    fn next(&mut self, max: u32) -> Result<Vec<Made>, CallError>;

    /// What was passed over in this pass so far, by reason.
    ///
    /// # Errors
    /// Where the plugin breaks.
    fn skipped(&mut self) -> Result<Vec<(String, u64)>, CallError>;

    /// Ends a pass.
    ///
    /// # Errors
    /// Where the plugin breaks.
    fn end(&mut self) -> Result<(), CallError>;

    /// What the calls into plugins have cost so far.
    fn cost(&self) -> CallCost;
}
