//! The side of the coordinator: all workers ready or nothing is sent, a common beginning, what they send together, and who
//! is lost.

mod before;
mod member;
mod report;

pub use report::WorkerReport;

use crate::error::FleetError;
use crate::launch::{FleetSettings, OwnProgram};
use crate::lines::{Halt, Opening, SILENCE, ToWorker, silent_for};
use crate::link::{Link, Said};
use crate::row::RowContent;
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::messages::Messages;
use llmuses_core::wording::counted;
use member::{Loss, Member, Phase, names};
use serde_json::value::RawValue;
use std::time::{Duration, Instant};

/// What workers said and nobody has taken, at most.
const SAID_AHEAD: usize = 4096;

/// How often it is looked up for an interrupt, and for silence.
const LOOK_UP: Duration = Duration::from_millis(50);

/// A signal that ends all, as Ctrl-C in a terminal does, is noticed by all within this time.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

/// How long workers have to end by themselves once nobody talks to them any more.
const TIME_TO_END: Duration = Duration::from_secs(2);

/// What comes of the workers.
#[derive(Debug)]
pub enum FleetEvent {
    /// A request is over.
    Row {
        /// Which worker sent it, from 0.
        worker: u32,
        /// The request.
        content: Box<RowContent>,
        /// The session that it belongs to.
        session: u64,
    },
    /// A worker is lost: how it is called, and when and why.
    Lost(String),
    /// Nothing within a moment.
    Nothing,
    /// The load is over for each of them.
    Over,
}

/// Workers, all of one run.
#[derive(Debug)]
pub struct Fleet {
    members: Vec<Member>,
    said: flume::Receiver<(usize, Said)>,
    clock: Clock,
    run_id: String,
    program: OwnProgram,
    messages: Messages,
    timeout: Duration,
    deadline: Instant,
    started: Moment,
    /// The load that goes on, from 1.
    load: u32,
    looked: Instant,
    is_local: bool,
    /// When the load has to be over.
    over_by: Option<Instant>,
    /// Whether the workers were told to end the load before its time.
    is_halted: bool,
}

impl Fleet {
    /// Starts all workers. What they say beside the protocol goes to `messages`.
    ///
    /// # Errors
    /// Where one cannot be started.
    pub fn start(
        settings: FleetSettings,
        clock: Clock,
        messages: &Messages,
    ) -> Result<Self, FleetError> {
        let (give, said) = flume::bounded(SAID_AHEAD);
        let names = names(&settings.hosts);
        let mut members = Vec::new();
        for (number, (name, host)) in names.iter().zip(&settings.hosts).enumerate() {
            let link = Link::start(&settings, number, name, host, clock, &give, messages)?;
            members.push(Member::started(link));
        }
        Ok(Self {
            members,
            said,
            clock,
            // The moment of its start, and the process.
            run_id: format!("{}-{}", clock.unix_nanos(clock.now()), std::process::id()),
            program: settings.program,
            messages: messages.clone(),
            timeout: settings.timeout,
            deadline: Instant::now() + settings.timeout,
            started: clock.now(),
            load: 0,
            looked: Instant::now(),
            over_by: None,
            is_halted: false,
            is_local: !settings.launcher.names_hosts(),
        })
    }

    /// The clock in whose moments all is told.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// What tells this run from all others.
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// Whether the command that starts workers names no machine, so that all are on one.
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// How many workers there are.
    pub fn size(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// What comes next, for which it waits a moment.
    pub fn next_event(&mut self) -> FleetEvent {
        if self
            .members
            .iter()
            .all(|member| member.phase != Phase::Runs)
        {
            let are_all = self.members.iter().all(|member| member.signalled.is_some());
            let lost = (!are_all).then(|| self.lose_the_signalled(Duration::ZERO));
            return lost.flatten().unwrap_or(FleetEvent::Over);
        }
        if self.looked.elapsed() >= LOOK_UP {
            self.looked = Instant::now();
            if self.over_by.is_some_and(|until| Instant::now() > until)
                && let Some(number) = self
                    .members
                    .iter()
                    .position(|member| member.phase == Phase::Runs)
            {
                return self.lose(number, "it did not end in time".to_owned(), None);
            }
            if let Some(lost) = self.lose_the_signalled(SAME_SIGNAL) {
                return lost;
            }
            let silent = self
                .members
                .iter()
                .position(|member| member.phase == Phase::Runs && member.link.is_silent());
            if let Some(number) = silent {
                return self.lose(number, silent_for(SILENCE), None);
            }
        }
        match self.said.recv_timeout(LOOK_UP) {
            Ok((number, said)) => self.note(number, said),
            Err(_) => FleetEvent::Nothing,
        }
    }

    fn note(&mut self, number: usize, said: Said) -> FleetEvent {
        let member = &mut self.members[number];
        let runs = member.phase == Phase::Runs;
        match said {
            Said::Row(content, session) if runs => {
                member.rows += 1;
                return FleetEvent::Row {
                    // There are as many as were typed.
                    worker: u32::try_from(number).unwrap_or(u32::MAX),
                    content,
                    session,
                };
            }
            Said::Done(totals) if runs => {
                member.phase = Phase::Done;
                member.signalled = was_interrupted(&totals).then(|| self.clock.now());
                member.totals = Some(totals);
            }
            Said::Ready(ready) => member.ready = Some(ready),
            Said::Failed(reason) | Said::Broken(reason) if runs => {
                let exit = member.link.exit();
                return self.lose(number, reason, exit);
            }
            // It ended behind its work, which the next load finds.
            Said::Failed(reason) | Said::Broken(reason) => {
                member.gone.get_or_insert(reason);
            }
            Said::Hello(_) | Said::Pong | Said::Row(..) | Said::Done(..) => {}
        }
        FleetEvent::Nothing
    }

    /// Loses a worker that a signal has ended for that long, where nothing ended the others.
    fn lose_the_signalled(&mut self, waited: Duration) -> Option<FleetEvent> {
        if self.is_halted || self.over_by.is_some() {
            return None;
        }
        let now = self.clock.now();
        let (number, at) = self
            .members
            .iter()
            .enumerate()
            .find_map(|(number, member)| {
                let at = member.signalled.filter(|_| member.phase == Phase::Done)?;
                (now.since(at) >= waited).then_some((number, at))
            })?;
        let reason = "it was ended by a signal".to_owned();
        Some(self.lose_at(number, at, reason, None))
    }

    fn lose(&mut self, number: usize, reason: String, exit: Option<String>) -> FleetEvent {
        self.lose_at(number, self.clock.now(), reason, exit)
    }

    fn lose_at(
        &mut self,
        number: usize,
        at: Moment,
        reason: String,
        exit: Option<String>,
    ) -> FleetEvent {
        let after = at.since(self.started);
        let member = &mut self.members[number];
        let missing = member.missing();
        let reason = match exit {
            Some(exit) => format!("{reason} ({exit})"),
            None => reason,
        };
        let mut told = format!(
            "worker {} was lost {:.1} s after the start: {reason}",
            member.link.name,
            after.as_secs_f64(),
        );
        if missing > 0 {
            let begun = counted(missing, "request");
            told.push_str(&format!(
                "; at least {begun} that it had begun without a result"
            ));
        }
        member.phase = Phase::Lost;
        member.lost = Some(Loss { after, reason });
        // Nothing it says from now on is of use, and whatever carries it is not to keep the machine busy.
        member.link.kill();
        FleetEvent::Lost(told)
    }

    /// Loses a worker for what it sent, and says so.
    pub fn reject(&mut self, worker: u32, reason: String) -> String {
        match self.lose(worker as usize, reason, None) {
            FleetEvent::Lost(told) => told,
            _ => String::new(),
        }
    }

    /// Gives the workers a moment to end the load. Who has not ended it by then is lost.
    pub fn let_end(&mut self) {
        self.over_by.get_or_insert(Instant::now() + TIME_TO_END);
    }

    /// The connections that workers have opened before the load: all of each opening in nanoseconds, name resolution, TLS.
    pub fn connections(&self) -> impl Iterator<Item = Opening> + '_ {
        let members = self.members.iter();
        members.flat_map(|member| member.connections.iter().copied())
    }

    /// Ends the load of all workers before its time.
    pub fn halt(&mut self, how: Halt) {
        self.is_halted = true;
        for member in &self.members {
            if member.phase == Phase::Runs {
                let load = self.load;
                member.link.say(ToWorker::Halt { load, how });
            }
        }
    }

    /// Requests begun, and in flight, as the workers said last.
    pub fn counts(&self) -> (u64, u64) {
        self.members
            .iter()
            .fold((0, 0), |(begun, in_flight), member| {
                let (more, now) = member.link.counts();
                let now = if member.phase == Phase::Runs { now } else { 0 };
                (begun + more.max(member.rows), in_flight + now)
            })
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for member in &mut self.members {
            member.link.say(ToWorker::End);
            member.link.close();
        }
        let until = Instant::now() + TIME_TO_END;
        for member in &mut self.members {
            member.link.end(until);
        }
    }
}

/// Whether a worker was ended by a signal, as its totals say.
fn was_interrupted(totals: &RawValue) -> bool {
    #[derive(serde::Deserialize)]
    struct Totals {
        client: Client,
    }

    #[derive(serde::Deserialize)]
    struct Client {
        interrupted: bool,
    }

    serde_json::from_str::<Totals>(totals.get()).is_ok_and(|totals| totals.client.interrupted)
}
