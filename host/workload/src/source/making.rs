//! The making of bodies: asks the parser for them, batch after batch and pass after pass, and passes over bad entries.

use super::SourceSettings;
use super::end::{SourceError, SourceReport};
use crate::bodies::{Bodies, Made};
use crate::dataset::Dataset;
use crate::trace_times::BegunConversations;
use llmuses_plugin_host::CallError;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// Bodies that are asked for at once at most. Batches make a call across the boundary cheap.
const BATCH: u32 = 64;

/// Bytes that a batch should have at most, judged by the largest body of the one before: a parser may hand over so
/// much in one call, and no more.
const BATCH_BYTES: usize = 8 << 20;

/// Bad entries that are shown one by one where they are passed over; the others are counted.
const SHOWN_BAD_ENTRIES: u64 = 5;

/// A parser that makes more requests of an entry than this, over a whole pass, goes in circles.
const BODIES_OF_AN_ENTRY: u64 = 1000;

/// Where the first bodies take longer than this, it is told how far they are, and again each time it has passed.
const SILENCE: Duration = Duration::from_secs(2);

/// Makes bodies, and keeps those that are still to be handed over.
pub(super) struct Making {
    parser: String,
    bodies: Box<dyn Bodies>,
    dataset: Option<Arc<Dataset>>,
    pub(super) settings: SourceSettings,
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
    pass_is_over: bool,
    /// Sessions of which the first body was made.
    sessions: u64,
    /// Requests of these.
    made: u64,
    /// Of a trace that is replayed.
    begun: BegunConversations,
    /// A bad entry behind bodies that are good. It ends the run when these have been handed over.
    bad: Option<SourceError>,
    report: SourceReport,
}

impl Making {
    pub(super) fn new(
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
            pass_is_over: false,
            sessions: 0,
            made: 0,
            begun: BegunConversations::default(),
            bad: None,
            report: SourceReport::default(),
        }
    }

    /// Makes the first bodies: so many, or fewer where they have as many bytes. A thread tells how far they are: even one may
    /// take long, where many entries before it are passed over.
    pub(super) fn prepare(
        &mut self,
        capacity: usize,
        most_bytes: usize,
    ) -> Result<(), SourceError> {
        let made = AtomicUsize::new(0);
        let (over, is_over) = mpsc::channel::<()>();
        let (parser, dataset) = (self.parser.clone(), self.dataset.clone());
        let messages = self.settings.messages.clone();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            let made = &made;
            let tell = move || {
                while is_over.recv_timeout(SILENCE) == Err(RecvTimeoutError::Timeout) {
                    let entries = dataset.as_ref().map(|dataset| dataset.entries_read());
                    messages.say(format!(
                        "parser `{parser}` makes the first requests, up to {capacity}, before one is sent: {} in {:.0} s{}",
                        made.load(Ordering::Relaxed),
                        begun.elapsed().as_secs_f64(),
                        entries.map_or(String::new(), |entries| format!(", {entries} entries read"))
                    ));
                }
            };
            // Where the system gives no thread they are made all the same.
            let _ = std::thread::Builder::new().spawn_scoped(scope, tell);
            let prepared = self.prepare_silently(capacity, most_bytes, made);
            drop(over);
            prepared
        })
    }

    fn prepare_silently(
        &mut self,
        capacity: usize,
        most_bytes: usize,
        made: &AtomicUsize,
    ) -> Result<(), SourceError> {
        let mut bytes = 0;
        while self.buffer.len() < capacity && bytes < most_bytes {
            let before = self.buffer.len();
            if !self.fill()? {
                break;
            }
            bytes += self.buffer.range(before..).map(Made::bytes).sum::<usize>();
            made.store(self.buffer.len(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// A body that was made and not taken yet.
    pub(super) fn take(&mut self) -> Option<Made> {
        self.buffer.pop_front()
    }

    /// Ends, and tells what was made: requests and sessions are for the caller to count.
    ///
    /// # Errors
    /// Where the parser breaks when asked what it passed over.
    pub(super) fn finish(mut self) -> (SourceReport, Result<(), SourceError>) {
        let noted = self.note_first_pass();
        self.report.cost = self.bodies.cost();
        (self.report, noted)
    }

    /// Asks for one more batch. False where all requests have been made.
    pub(super) fn fill(&mut self) -> Result<bool, SourceError> {
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
                let budget = &self.settings.budget;
                if largest > budget.most_for_one() {
                    return Err(SourceError::TooLarge {
                        parser: self.parser.clone(),
                        bytes: largest,
                        limit: budget.limit(),
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
