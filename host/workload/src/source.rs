//! The request source: has a parser make bodies, numbers them, and puts them into the bounded queue from which the clients
//! take.

mod end;
mod making;

pub use end::{SourceEnd, SourceError, SourceReport};

use super::asked::AskedTurns;
use super::bodies::{Bodies, Made};
use super::cancel_draws::CancelDraws;
use super::dataset::Dataset;
use super::later_entries::LaterEntry;
use super::sessions::SessionsUnderWay;
use super::waiting::{WAITING_BYTES, Waiting};
use llmuses_core::budget::{Budget, Charge};
use llmuses_core::exchange::Prepared;
use llmuses_core::messages::Messages;
use llmuses_core::plan::{LengthFilter, Split};
use llmuses_core::turn::TurnPlace;
use llmuses_kernel_io::priority;
use making::Making;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often the source looks for room while large bodies wait.
const LOOK_UP: Duration = Duration::from_millis(1);

/// What a source needs to know.
#[derive(Debug, Clone)]
pub struct SourceSettings {
    /// How long prompts of a data set must be, for messages.
    pub lengths: LengthFilter,
    /// How many requests to make, all turns of sessions counted. `None`: one pass, or as many as the sessions have.
    pub requests: Option<u64>,
    /// Which of them this process sends.
    pub split: Split,
    /// Which of them the client cancels.
    pub cancel: CancelDraws,
    /// How many sessions to begin. `None`: as many as there are requests for.
    pub sessions: Option<u64>,
    /// Whether bad entries are counted and passed over.
    pub skip_bad_lines: bool,
    /// Takes warnings of entries that were passed over.
    pub messages: Messages,
    /// What bodies draw their memory from.
    pub budget: Arc<Budget>,
    /// Whether every pass gives the bodies of the first one, so that the parser need not be asked again. Known of
    /// built-in parsers with a prompt; any other may make each pass another.
    pub passes_are_alike: bool,
}

/// Tells sessions that no further one begins.
struct Complete<'a>(&'a SessionsUnderWay);

impl Drop for Complete<'_> {
    fn drop(&mut self) {
        self.0.complete();
    }
}

/// Makes the requests of a run.
pub struct RequestSource {
    making: Making,
    waiting: Waiting,
    asked: AskedTurns,
    /// Of the report: requests that were handed over, and those before them that other processes send.
    issued: u64,
    /// Of the report: sessions of these.
    sessions: u64,
}

impl RequestSource {
    /// A source of `bodies`, which the parser of this name makes.
    pub fn new(
        parser: String,
        bodies: Box<dyn Bodies>,
        dataset: Option<Arc<Dataset>>,
        settings: SourceSettings,
    ) -> Self {
        Self {
            making: Making::new(parser, bodies, dataset, settings),
            waiting: Waiting::default(),
            asked: AskedTurns::default(),
            issued: 0,
            sessions: 0,
        }
    }

    /// What is asked of the requests that it hands over, where their texts were made of lengths.
    pub fn asked(&self) -> AskedTurns {
        self.asked.clone()
    }

    /// Makes the first bodies, as many as a queue of `capacity` can hold and memory allows, so that what is wrong with the
    /// beginning of a data set is known before the first request goes.
    ///
    /// # Errors
    /// Why there can be no run.
    pub fn prepare(&mut self, capacity: usize) -> Result<(), SourceError> {
        self.making.prepare(capacity, WAITING_BYTES)
    }

    /// Hands bodies over until all are, the parser has no more to give, or `stop` is set.
    pub fn run(
        mut self,
        queue: &flume::Sender<Prepared>,
        stop: &AtomicBool,
        sessions: Option<&SessionsUnderWay>,
    ) -> (SourceReport, SourceEnd) {
        // At the end, however that comes about: others wait for turns until it is known that there are no more.
        let _complete = sessions.map(Complete);
        let mut end = loop {
            if stop.load(Ordering::Relaxed) {
                break SourceEnd::Stopped;
            }
            match self.making.take() {
                Some(made) if !self.making.settings.split.takes(self.session_of(&made)) => {
                    self.count(&made);
                }
                Some(made) => {
                    if let Some(asked) = &made.asked {
                        self.asked.note(self.issued, Arc::clone(asked));
                    }
                    if !self.hand_over(made, queue, stop, sessions) {
                        break SourceEnd::Stopped;
                    }
                }
                None => match self.making.fill() {
                    Ok(true) => {}
                    Ok(false) => break SourceEnd::Complete,
                    Err(error) => break SourceEnd::Failed(error),
                },
            }
        };
        let (made, noted) = self.making.finish();
        // All requests may have been made; but a parser that breaks on the question is not to be trusted.
        if let Err(error) = noted
            && !matches!(end, SourceEnd::Failed(_))
        {
            end = SourceEnd::Failed(error);
        }
        let report = SourceReport {
            issued: self.issued,
            sessions: self.sessions,
            ..made
        };
        (report, end)
    }

    /// Counts the session that begins with this body, and its requests.
    fn count(&mut self, made: &Made) {
        self.sessions = self.sessions.max(self.session_of(made) + 1);
        self.issued += u64::from(made.turns());
    }

    /// The number of the session that begins with this body: of a trace, that of its conversation.
    fn session_of(&self, made: &Made) -> u64 {
        let place = made.place.as_ref();
        place.map_or(self.sessions, |place| place.conversation)
    }

    /// Hands a body over when there is room for it. False where nobody takes any more.
    fn hand_over(
        &mut self,
        made: Made,
        queue: &flume::Sender<Prepared>,
        stop: &AtomicBool,
        sessions: Option<&SessionsUnderWay>,
    ) -> bool {
        let size = made.bytes();
        let place = TurnPlace::first(self.session_of(&made), made.turns());
        let number = self.issued;
        self.count(&made);
        let mut prepared = Prepared {
            number,
            place,
            model: made.model,
            cancel_after: self.making.settings.cancel.of(number),
            body: made.body,
            own_head: made.own_head,
            held: Charge::default(),
            at: made.place.and_then(|place| place.due),
            later: None,
        };
        while !self.waiting.has_room_for(size, queue.len()) {
            if stop.load(Ordering::Relaxed) || queue.is_disconnected() {
                return false;
            }
            std::thread::sleep(LOOK_UP);
        }
        // One body that all requests share is no more memory with each of them.
        if !self.making.settings.passes_are_alike {
            let Some(held) = self.charge(prepared.body.len(), queue, stop) else {
                return false;
            };
            prepared.held = held;
        }
        let rest = match made.rest {
            Some(rest) => {
                let Some(held) = self.charge(rest.bytes(), queue, stop) else {
                    return false;
                };
                Some((*rest, held))
            }
            None => None,
        };
        if let Some(sessions) = sessions {
            if made.place.is_some_and(|place| place.is_named) {
                let entry = LaterEntry {
                    delay: made.delay,
                    prepared,
                    rest,
                };
                match sessions.follow(entry) {
                    Some(first) => prepared = first,
                    // It goes when the one before it is over.
                    None => return true,
                }
            } else if let Some((rest, held)) = rest {
                prepared.later = sessions.begin(place, rest, held);
            }
        }
        self.waiting.add(size);
        match queue.try_send(prepared) {
            Ok(()) => return true,
            Err(flume::TrySendError::Disconnected(_)) => return false,
            Err(flume::TrySendError::Full(back)) => prepared = back,
        }
        loop {
            match queue.send_timeout(prepared, Duration::from_millis(100)) {
                Ok(()) => {
                    // There is room for one now. To be woken for each would cost more than to make it.
                    std::thread::sleep(priority::GATHER);
                    return true;
                }
                Err(flume::SendTimeoutError::Disconnected(_)) => return false,
                Err(flume::SendTimeoutError::Timeout(back)) => {
                    if stop.load(Ordering::Relaxed) {
                        return false;
                    }
                    prepared = back;
                }
            }
        }
    }

    /// Waits until there is memory for so many bytes. `None` where nobody takes any more.
    fn charge(
        &self,
        bytes: usize,
        queue: &flume::Sender<Prepared>,
        stop: &AtomicBool,
    ) -> Option<Charge> {
        let mut held = Charge::of(&self.making.settings.budget);
        while held.grow_within_half(bytes).is_err() {
            if stop.load(Ordering::Relaxed) || queue.is_disconnected() {
                return None;
            }
            self.making.settings.budget.await_memory_for_body(LOOK_UP);
        }
        Some(held)
    }
}

#[cfg(test)]
mod tests;
