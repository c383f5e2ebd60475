//! Which part this process has in a run that several send.

use super::RunError;
use super::start::await_start;
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::in_flight::InFlight;
use llmuses_fleet::{Fleet, Ready, Session, SessionError};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Which part this process has in a run.
pub(super) enum Role<'a> {
    /// It sends all of it, or a part that nobody coordinates.
    Alone,
    /// It sends what a coordinator says. The clock tells the time of the coordinator.
    Worker(&'a Session, Clock),
    /// It has workers send.
    Coordinator(Box<Fleet>),
}

impl Role<'_> {
    /// The clock of a run.
    pub(super) fn clock(&self) -> Clock {
        match self {
            Self::Alone => Clock::start(),
            Self::Worker(_, clock) => *clock,
            Self::Coordinator(fleet) => fleet.clock(),
        }
    }

    /// What tells a run that several send from all others. `None`: nobody coordinates it.
    pub(super) fn run_id(&self) -> Option<&str> {
        match self {
            Self::Alone => None,
            Self::Worker(session, _) => session.run_id(),
            Self::Coordinator(fleet) => Some(fleet.run_id()),
        }
    }

    /// Whether the coordinator of this worker has ended a load, and with it all that follow.
    pub(super) fn is_ended(&self, load: u32) -> bool {
        matches!(self, Self::Worker(session, _) if session.ends_now(load))
    }
}

/// What says when a run begins.
pub(super) enum Gate<'a> {
    /// The wall clock, or nothing.
    At(Option<Duration>),
    /// The coordinator, once it knows that all is ready here.
    Coordinator(&'a Session, Ready),
}

impl Gate<'_> {
    /// Whether a coordinator says it: what else runs on this machine is then part of the same load.
    pub(super) fn is_coordinated(&self) -> bool {
        matches!(self, Self::Coordinator(..))
    }

    /// Whether the load has been ended before its beginning.
    pub(super) fn is_ended(&self) -> bool {
        matches!(self, Self::Coordinator(session, ready) if session.ends_now(ready.load))
    }

    /// Waits for the beginning, and gives back its moment. `gauge` counts the requests.
    pub(super) fn wait(
        &self,
        clock: Clock,
        gauge: &Arc<InFlight>,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Moment, RunError> {
        match self {
            Self::At(instant) => await_start(clock, *instant, interrupted),
            Self::Coordinator(session, ready) => {
                let start = session.ready(ready, Arc::clone(gauge), Arc::clone(interrupted))?;
                super::start::wait(clock.instant(start), interrupted, |late| {
                    SessionError::Late { late }.into()
                })?;
                Ok(start)
            }
        }
    }
}
