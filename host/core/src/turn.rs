//! Which turn of which session a request is.

use crate::clock::Moment;

/// The place of a request in a session: a conversation, each turn of which is a request of its own, sent after the one
/// before it has been answered. A request that stands alone is a session of one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnPlace {
    /// The session, in the order in which sessions begin, from 0.
    pub session: u64,
    /// The turn, from 0.
    pub turn: u32,
    /// How many turns the session is to have.
    pub turns: u32,
    /// When the schedule wanted the first turn sent, of a later one.
    pub began: Option<Moment>,
}

impl TurnPlace {
    /// The first turn of a session.
    pub fn first(session: u64, turns: u32) -> Self {
        Self {
            turns,
            ..Self::alone(session)
        }
    }

    /// The only turn of a session.
    pub fn alone(session: u64) -> Self {
        Self {
            session,
            turn: 0,
            turns: 1,
            began: None,
        }
    }

    /// Whether the session has several turns.
    pub fn is_of_several(&self) -> bool {
        self.turns > 1
    }

    /// Turns of the session that come after this one.
    pub fn left(&self) -> u32 {
        self.turns.saturating_sub(self.turn + 1)
    }

    /// The place of the turn after this one, which the schedule wanted sent at `intended`.
    pub fn next(self, intended: Moment) -> Self {
        Self {
            turn: self.turn + 1,
            began: self.began.or(Some(intended)),
            ..self
        }
    }
}
