//! The request source: asks a parser for bodies, batch after batch and pass after pass, numbers them,
//! and puts them into the bounded queue from which the clients take.

mod end;

pub use end::{SourceEnd, SourceError, SourceReport};

use super::asked::AskedTurns;
use super::bodies::{Bodies, Made};
use super::cancel_draws::CancelDraws;
use super::dataset::Dataset;
use super::later_entries::LaterEntry;
use super::sessions::SessionsUnderWay;
use super::trace_times::BegunConversations;
use super::waiting::{WAITING_BYTES, Waiting};
use llmuses_core::budget::{Budget, Charge};
use llmuses_core::exchange::Prepared;
use llmuses_core::messages::Messages;
use llmuses_core::plan::{LengthFilter, Split};
use llmuses_core::turn::TurnPlace;
use llmuses_kernel_io::priority;
use llmuses_plugin_host::CallError;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Bodies that are asked for at once at most. Batches make a call across the boundary cheap.
const BATCH: u32 = 64;

/// Bytes that a batch should have at most, judged by the largest body of the one before: a parser may hand over so
/// much in one call, and no more.
const BATCH_BYTES: usize = 8 << 20;

/// Bad entries that are shown one by one where they are passed over; the others are counted.
const SHOWN_BAD_ENTRIES: u64 = 5;

/// A parser that makes more requests of an entry than this, over a whole pass, goes in circles.
const BODIES_OF_AN_ENTRY: u64 = 1000;

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
    /// Which of them the client breaks off.
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
    parser: String,
    bodies: Box<dyn Bodies>,
    dataset: Option<Arc<Dataset>>,
    settings: SourceSettings,
    /// Whether a pass is under way.
    is_in_pass: bool,
    /// Bodies of the pass under way.
    of_this_pass: u64,
    /// Errors of entries since the last body.
    errors_in_a_row: u64,
    entries_at_last_error: u64,
    buffer: VecDeque<Made>,
    /// Bodies to ask for at once.
    batch: u32,
    /// The bodies of a pass, where all passes are alike.
    pass: Vec<Made>,
    waiting: Waiting,
    pass_is_over: bool,
    /// Sessions of which the first body was made.
    sessions: u64,
    /// Requests of these.
    made: u64,
    asked: AskedTurns,
    /// Of a trace that is replayed.
    begun: BegunConversations,
    /// A bad entry behind bodies that are good. It ends the run when these have been handed over.
    bad: Option<SourceError>,
    report: SourceReport,
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
            parser,
            bodies,
            dataset,
            settings,
            is_in_pass: false,
            of_this_pass: 0,
            errors_in_a_row: 0,
            entries_at_last_error: 0,
            buffer: VecDeque::new(),
            batch: 1,
            pass: Vec::new(),
            waiting: Waiting::default(),
            pass_is_over: false,
            sessions: 0,
            made: 0,
            asked: AskedTurns::default(),
            begun: BegunConversations::default(),
            bad: None,
            report: SourceReport::default(),
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
        let mut bytes = 0;
        while self.buffer.len() < capacity && bytes < WAITING_BYTES {
            let before = self.buffer.len();
            if !self.fill()? {
                break;
            }
            bytes += self.buffer.range(before..).map(Made::bytes).sum::<usize>();
        }
        Ok(())
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
            match self.buffer.pop_front() {
                Some(made) if !self.settings.split.takes(self.session_of(&made)) => {
                    self.report.sessions = self.report.sessions.max(self.session_of(&made) + 1);
                    self.report.issued += u64::from(made.turns());
                }
                Some(made) => {
                    if let Some(asked) = &made.asked {
                        self.asked.note(self.report.issued, Arc::clone(asked));
                    }
                    if !self.hand_over(made, queue, stop, sessions) {
                        break SourceEnd::Stopped;
                    }
                }
                None => match self.fill() {
                    Ok(true) => {}
                    Ok(false) => break SourceEnd::Complete,
                    Err(error) => break SourceEnd::Failed(error),
                },
            }
        };
        // All requests may have been made; but a parser that breaks on the question is not to be trusted.
        if let Err(error) = self.note_first_pass()
            && !matches!(end, SourceEnd::Failed(_))
        {
            end = SourceEnd::Failed(error);
        }
        self.report.cost = self.bodies.cost();
        (self.report, end)
    }

    /// The number of the session that begins with this body: of a trace, that of its conversation.
    fn session_of(&self, made: &Made) -> u64 {
        let place = made.place.as_ref();
        place.map_or(self.report.sessions, |place| place.conversation)
    }

    /// Hands a body over when there is room for it. False where nobody takes any more.
    fn hand_over(
        &mut self,
        made: Made,
        queue: &flume::Sender<Prepared>,
        stop: &AtomicBool,
        sessions: Option<&SessionsUnderWay>,
    ) -> bool {
        let (size, turns) = (made.bytes(), made.turns());
        let session = self.session_of(&made);
        let place = TurnPlace::first(session, turns);
        let mut prepared = Prepared {
            number: self.report.issued,
            place,
            model: made.model,
            cancel_after: self.settings.cancel.of(self.report.issued),
            body: made.body,
            own_head: made.own_head,
            held: Charge::default(),
            at: made.place.and_then(|place| place.due),
            later: None,
        };
        self.report.sessions = self.report.sessions.max(session + 1);
        self.report.issued += u64::from(turns);
        while !self.waiting.has_room_for(size, queue.len()) {
            if stop.load(Ordering::Relaxed) || queue.is_disconnected() {
                return false;
            }
            std::thread::sleep(LOOK_UP);
        }
        // One body that all requests share is no more memory with each of them.
        if !self.settings.passes_are_alike {
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
        let mut held = Charge::of(&self.settings.budget);
        while held.grow_within_half(bytes).is_err() {
            if stop.load(Ordering::Relaxed) || queue.is_disconnected() {
                return None;
            }
            std::thread::sleep(LOOK_UP);
        }
        Some(held)
    }

    /// Asks for one more batch. False where all requests have been made.
    fn fill(&mut self) -> Result<bool, SourceError> {
        let SourceSettings {
            requests, sessions, ..
        } = self.settings;
        if let Some(error) = self.bad.take() {
            return Err(error);
        }
        let left = |all: Option<u64>, made| all.map_or(u64::MAX, |all| all.saturating_sub(made));
        let wanted = left(requests, self.made).min(left(sessions, self.sessions));
        let is_one_pass = requests.is_none() && sessions.is_none();
        if wanted == 0 || (self.pass_is_over && is_one_pass) {
            return Ok(false);
        }
        if self.settings.passes_are_alike && self.report.passes > 0 {
            self.repeat_pass(wanted);
            return Ok(true);
        }
        if !self.is_in_pass {
            self.begin_pass()?;
        }
        let max = u32::try_from(wanted).unwrap_or(u32::MAX).min(self.batch);
        match self.bodies.next(max) {
            Ok(bodies) if bodies.is_empty() => self.end_pass()?,
            Ok(bodies) => {
                self.errors_in_a_row = 0;
                let bodies = self.within_bounds(bodies);
                let largest = bodies
                    .iter()
                    .map(|made| made.body.len())
                    .max()
                    .unwrap_or_default();
                let limit = self.settings.budget.limit();
                if largest > limit / 4 {
                    return Err(SourceError::TooLarge {
                        parser: self.parser.clone(),
                        bytes: largest,
                        limit,
                    });
                }
                let fitting = u32::try_from(BATCH_BYTES / largest.max(1)).unwrap_or(u32::MAX);
                self.batch = fitting.clamp(1, BATCH);
                let before = self.buffer.len();
                self.buffer.extend(bodies);
                if self.settings.passes_are_alike {
                    self.pass.extend(self.buffer.range(before..).cloned());
                }
                self.ensure_it_ends()?;
            }
            Err(CallError::Refused(message)) => self.bad_entry(message)?,
            Err(broken) => return Err(broken.into()),
        }
        Ok(true)
    }

    /// Counts the requests of sessions that begin with these bodies, and leaves out those beyond the number of requests
    /// that was asked for: the last session may be shorter for it. Of a trace, a body that comes after a request that was
    /// passed over is a bad entry, also where another process would send it: all of them number requests alike.
    fn within_bounds(&mut self, bodies: Vec<Made>) -> Vec<Made> {
        let mut wanted = Vec::with_capacity(bodies.len());
        for mut made in bodies {
            let left = match self.settings.requests {
                Some(requests) => requests.saturating_sub(self.made),
                None => u64::MAX,
            };
            if left == 0 {
                break;
            }
            if let Some(place) = &made.place
                && let Err(reason) = self.begun.take(place, self.made)
            {
                if let Err(error) = self.bad_entry(reason) {
                    self.bad = Some(error);
                    break;
                }
                continue;
            }
            made.truncate(u32::try_from(left).unwrap_or(u32::MAX));
            let turns = u64::from(made.turns());
            self.of_this_pass += turns;
            self.made += turns;
            self.sessions += 1;
            wanted.push(made);
        }
        wanted
    }

    /// One more pass, or as much of it as is wanted, without the parser.
    fn repeat_pass(&mut self, wanted: u64) {
        let before = self.buffer.len();
        let most = usize::try_from(wanted).unwrap_or(usize::MAX);
        self.buffer.extend(self.pass.iter().take(most).cloned());
        let more = (self.buffer.len() - before) as u64;
        self.made += more;
        self.sessions += more;
        self.report.passes += 1;
    }

    /// Without a number of requests, the end of the pass is the end of the run: it has to come.
    fn ensure_it_ends(&self) -> Result<(), SourceError> {
        let bound = self.settings.requests.or(self.settings.sessions);
        let (Some(dataset), None) = (&self.dataset, bound) else {
            return Ok(());
        };
        let entries = dataset.entries_read();
        let most = entries.saturating_add(1).saturating_mul(BODIES_OF_AN_ENTRY);
        if self.of_this_pass > most {
            return Err(SourceError::Endless {
                parser: self.parser.clone(),
                bodies: self.of_this_pass,
                entries,
            });
        }
        Ok(())
    }

    fn begin_pass(&mut self) -> Result<(), SourceError> {
        self.bodies.begin().map_err(|error| match error {
            CallError::Refused(message) => SourceError::Begin {
                parser: self.parser.clone(),
                message,
            },
            broken => broken.into(),
        })?;
        self.is_in_pass = true;
        self.pass_is_over = false;
        self.of_this_pass = 0;
        Ok(())
    }

    fn end_pass(&mut self) -> Result<(), SourceError> {
        self.note_first_pass()?;
        if self.of_this_pass == 0 {
            return Err(SourceError::Nothing(self.why_nothing()));
        }
        self.report.passes += 1;
        self.report
            .bodies_of_a_pass
            .get_or_insert(self.of_this_pass);
        self.is_in_pass = false;
        self.pass_is_over = true;
        self.bodies.end()?;
        Ok(())
    }

    fn bad_entry(&mut self, message: String) -> Result<(), SourceError> {
        let Some(dataset) = &self.dataset else {
            return Err(SourceError::BadPrompt {
                parser: self.parser.clone(),
                message,
            });
        };
        let path = dataset.path().to_owned();
        if !self.settings.skip_bad_lines {
            return Err(SourceError::BadEntry { path, message });
        }
        // Passing over an entry must bring the parser further; one that gives the same error for ever
        // must not keep the run from ending.
        let read = dataset.entries_read();
        if read == self.entries_at_last_error {
            self.errors_in_a_row += 1;
        } else {
            self.errors_in_a_row = 0;
        }
        self.entries_at_last_error = read;
        // As many errors as can wait in a batch of the reader.
        if self.errors_in_a_row > 100_000 {
            return Err(SourceError::BadEntry { path, message });
        }
        self.report.bad_entries += 1;
        if self.report.bad_entries <= SHOWN_BAD_ENTRIES {
            self.settings.messages.say(format!(
                "warning: passed over in {}: {message}",
                path.display()
            ));
        } else if self.report.bad_entries == SHOWN_BAD_ENTRIES + 1 {
            self.settings
                .messages
                .say("warning: further bad entries are counted, not shown");
        }
        Ok(())
    }

    /// Notes what the first pass read and passed over.
    fn note_first_pass(&mut self) -> Result<(), SourceError> {
        if self.report.passes > 0 {
            return Ok(());
        }
        if let Some(dataset) = &self.dataset {
            self.report.entries_read = dataset.entries_read();
        }
        if self.is_in_pass {
            self.report.skipped = self.bodies.skipped()?;
        }
        Ok(())
    }

    fn why_nothing(&self) -> String {
        let Some(dataset) = &self.dataset else {
            return format!("parser `{}` made no request of the prompt", self.parser);
        };
        if self.report.entries_read == 0 {
            return format!(
                "no request could be made from {}: it has no entries",
                dataset.path().display()
            );
        }
        let mut reasons: Vec<String> = self
            .report
            .skipped
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        if self.report.bad_entries > 0 {
            reasons.push(format!("{} could not be read", self.report.bad_entries));
        }
        if reasons.is_empty() {
            reasons.push("parser `".to_owned() + &self.parser + "` gave no reason");
        }
        let bounds = match (self.settings.lengths.min, self.settings.lengths.max) {
            (0, u64::MAX) => String::new(),
            (min, u64::MAX) => format!(" (prompts must be longer than {min} characters)"),
            (min, max) => {
                format!(" (prompts must be longer than {min} and shorter than {max} characters)")
            }
        };
        let read = match self.report.entries_read {
            1 => "1 entry was read".to_owned(),
            entries => format!("{entries} entries were read"),
        };
        format!(
            "no request could be made from {}: {read}; {}{bounds}",
            dataset.path().display(),
            reasons.join(", ")
        )
    }
}

#[cfg(test)]
mod tests;
