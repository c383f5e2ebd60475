//! The side of the coordinator: all workers ready or nothing is sent, a common beginning, what they send together, and who
//! is lost.

use crate::bounds::ClockOffset;
use crate::error::FleetError;
use crate::launch::Launcher;
use crate::lines::{Halt, Hello, Opening, PROTOCOL, Ready, ToWorker, WorkPlan};
use crate::link::{Link, Said};
use crate::row::RowContent;
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::messages::Messages;
use llmuses_core::wording::counted;
use serde_json::value::RawValue;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What workers said and nobody has taken, at most.
const SAID_AHEAD: usize = 4096;

/// Pings to each worker before a load.
const PINGS: u64 = 20;

/// How long the pings before a load may take.
const LONGEST_PINGS: Duration = Duration::from_secs(20);

/// How long after the word to begin a load begins, at least.
const LEAST_LEAD: Duration = Duration::from_secs(1);

/// How often it is looked up for an interrupt, and for silence.
const LOOK_UP: Duration = Duration::from_millis(50);

/// How long workers have to end by themselves once nobody talks to them any more.
const TIME_TO_END: Duration = Duration::from_secs(2);

/// Which workers there are to be.
#[derive(Debug, Clone)]
pub struct FleetSettings {
    /// What starts one.
    pub launcher: Launcher,
    /// The machines, by the names that the command takes.
    pub hosts: Vec<String>,
    /// How long all have to be ready.
    pub timeout: Duration,
    /// The version of this program.
    pub version: String,
}

/// How far a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Started,
    Greeted,
    Waits,
    Runs,
    Done,
    Lost,
}

/// A worker and what is known of it.
#[derive(Debug)]
struct Member {
    link: Link,
    phase: Phase,
    hello: Option<Hello>,
    /// For the next load.
    ready: Option<Ready>,
    /// At the beginning of the load.
    offset: ClockOffset,
    rows: u64,
    connections: Vec<Opening>,
    lost: Option<Loss>,
    /// Why nothing comes from it any more, after the load.
    gone: Option<String>,
    totals: Option<Box<RawValue>>,
}

/// That a worker was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Loss {
    after: Duration,
    reason: String,
}

/// What a worker did in a load.
#[derive(Debug)]
pub struct WorkerReport {
    /// How it is called.
    pub name: String,
    /// What it said it is.
    pub hello: Option<Hello>,
    /// The offset of its clock at the beginning of the load.
    pub offset: ClockOffset,
    /// By how much its wall clock was ahead of that of this machine, in nanoseconds.
    pub wall_offset_nanos: i64,
    /// The most by which the clocks moved against each other during the load, in nanoseconds.
    pub drift_nanos: u64,
    /// Results that came.
    pub rows: u64,
    /// Requests that it had begun and of which no result came, as far as it had said.
    pub missing: u64,
    /// When after the beginning it was lost, and why.
    pub lost: Option<(Duration, String)>,
    /// Its totals, as JSON. `None`: it was lost.
    pub totals: Option<Box<RawValue>>,
}

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
    version: String,
    timeout: Duration,
    deadline: Instant,
    started: Moment,
    looked: Instant,
    is_local: bool,
    /// When the load has to be over.
    over_by: Option<Instant>,
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
            let link = Link::start(
                &settings.launcher,
                number,
                name,
                host,
                clock,
                &give,
                messages,
            )?;
            members.push(Member {
                link,
                phase: Phase::Started,
                hello: None,
                ready: None,
                offset: ClockOffset {
                    nanos: 0,
                    bound_nanos: 0,
                },
                rows: 0,
                connections: Vec::new(),
                lost: None,
                gone: None,
                totals: None,
            });
        }
        Ok(Self {
            members,
            said,
            clock,
            version: settings.version,
            timeout: settings.timeout,
            deadline: Instant::now() + settings.timeout,
            started: clock.now(),
            looked: Instant::now(),
            over_by: None,
            is_local: !settings.launcher.names_hosts(),
        })
    }

    /// The clock in whose moments all is told.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Whether the command that starts workers names no machine, so that all are on one.
    pub fn is_local(&self) -> bool {
        self.is_local
    }

    /// How many workers there are.
    pub fn size(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }

    /// Waits until all have said hello, and tells each what to do. `plan` makes what goes to the worker with this number;
    /// its clock is filled in.
    ///
    /// # Errors
    /// Where one does not come, or is not the same program.
    pub fn plan(&mut self, plan: impl Fn(u32) -> WorkPlan) -> Result<(), FleetError> {
        self.wait_for(|member| member.hello.is_some(), || false)?;
        for member in &self.members {
            let Some(hello) = &member.hello else { continue };
            let differs = |what, theirs: String, ours: String| FleetError::Different {
                worker: member.link.name.clone(),
                what,
                theirs,
                ours,
            };
            if hello.version != self.version {
                let (theirs, ours) = (hello.version.clone(), self.version.clone());
                return Err(differs("version of llmuses", theirs, ours));
            }
            if hello.protocol != PROTOCOL {
                let (theirs, ours) = (hello.protocol.to_string(), PROTOCOL.to_string());
                return Err(differs("version of what workers say", theirs, ours));
            }
        }
        self.synchronise(|| false)?;
        let origin = self.clock.unix_nanos(Moment::default());
        for (number, member) in (0..).zip(&self.members) {
            let mut plan = plan(number);
            plan.unix_nanos = origin.saturating_add_signed(member.offset.nanos.saturating_neg());
            member.link.say(ToWorker::Plan(plan));
        }
        Ok(())
    }

    /// Begins a load once all workers are ready for it, and gives back the moment at which it does. `ours`: what each has
    /// to have.
    ///
    /// # Errors
    /// Where one is not ready in time, ends, or has another parser or data set.
    pub fn begin(&mut self, ours: &Ready, interrupted: &AtomicBool) -> Result<Moment, FleetError> {
        let is_interrupted = || interrupted.load(Ordering::Relaxed);
        if ours.load > 1 {
            self.deadline = Instant::now() + self.timeout;
        }
        let load = ours.load;
        self.wait_for(
            |member| {
                member
                    .ready
                    .as_ref()
                    .is_some_and(|ready| ready.load == load)
            },
            is_interrupted,
        )?;
        for member in &self.members {
            let Some(theirs) = &member.ready else {
                continue;
            };
            let named = |dataset: &Option<String>| dataset.clone().unwrap_or("none".to_owned());
            for (what, theirs, ours) in [
                (
                    "parser (SHA-256)",
                    theirs.parser.clone(),
                    ours.parser.clone(),
                ),
                (
                    "data set (SHA-256)",
                    named(&theirs.dataset),
                    named(&ours.dataset),
                ),
            ] {
                if theirs != ours {
                    return Err(FleetError::Different {
                        worker: member.link.name.clone(),
                        what,
                        theirs,
                        ours,
                    });
                }
            }
        }
        self.synchronise(is_interrupted)?;
        let slowest = self
            .members
            .iter()
            .map(|member| member.link.bounds().slowest_nanos());
        let slowest = Duration::from_nanos(slowest.max().unwrap_or_default());
        let lead = LEAST_LEAD.max(slowest.saturating_mul(2));
        self.started = self.clock.now().after(lead);
        self.over_by = None;
        for member in &mut self.members {
            member.phase = Phase::Runs;
            member.connections = member.ready.take().unwrap_or_default().connections;
            member.rows = 0;
            member.totals = None;
            member.link.begin(member.offset);
            member.link.say(ToWorker::Go {
                load,
                start: member.offset.to_worker(self.started),
            });
        }
        Ok(self.started)
    }

    /// What comes next, for which it waits a moment.
    pub fn next_event(&mut self) -> FleetEvent {
        if self
            .members
            .iter()
            .all(|member| member.phase != Phase::Runs)
        {
            return FleetEvent::Over;
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
            let silent = self
                .members
                .iter()
                .position(|member| member.phase == Phase::Runs && member.link.is_silent());
            if let Some(number) = silent {
                let reason = "nothing came from it for 5 s".to_owned();
                return self.lose(number, reason, None);
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

    fn lose(&mut self, number: usize, reason: String, exit: Option<String>) -> FleetEvent {
        let after = self.clock.now().since(self.started);
        let member = &mut self.members[number];
        let missing = missing(member);
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
            told.push_str(&format!("; {begun} that it had begun without a result"));
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
    pub fn halt(&self, halt: Halt) {
        for member in &self.members {
            if member.phase == Phase::Runs {
                member.link.say(ToWorker::Halt(halt));
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

    /// What each worker did in the load that is over.
    pub fn reports(&mut self) -> Vec<WorkerReport> {
        let clock = self.clock;
        let reports = self.members.iter_mut().map(|member| {
            let later = member.link.bounds().of_last().unwrap_or(member.offset);
            let origins = member.hello.as_ref().map_or(0, |hello| {
                i128::from(hello.unix_nanos) - i128::from(clock.unix_nanos(Moment::default()))
            });
            WorkerReport {
                name: member.link.name.clone(),
                hello: member.hello.clone(),
                offset: member.offset,
                wall_offset_nanos: i64::try_from(origins + i128::from(member.offset.nanos))
                    .unwrap_or_default(),
                drift_nanos: member.offset.drift_nanos(&later),
                rows: member.rows,
                missing: if member.lost.is_some() {
                    missing(member)
                } else {
                    0
                },
                lost: member.lost.clone().map(|loss| (loss.after, loss.reason)),
                totals: member.totals.take(),
            }
        });
        reports.collect()
    }

    /// Sends each worker its pings, one after another, and takes the offset of its clock.
    fn synchronise(&mut self, interrupted: impl Fn() -> bool) -> Result<(), FleetError> {
        let deadline = Instant::now() + LONGEST_PINGS;
        for member in &self.members {
            member.link.forget_pings();
            member.link.ping();
        }
        let mut sent = vec![1; self.members.len()];
        while self
            .members
            .iter()
            .any(|member| member.link.bounds().pings() < PINGS)
        {
            if interrupted() {
                return Err(FleetError::Interrupted);
            }
            if Instant::now() > deadline {
                let slow = |member: &&Member| member.link.bounds().pings() < PINGS;
                let slow = self.members.iter().filter(slow);
                let names: Vec<&str> = slow.map(|member| member.link.name.as_str()).collect();
                return Err(FleetError::NotReady {
                    limit: LONGEST_PINGS,
                    missing: format!("{} (answers to pings)", names.join(", ")),
                });
            }
            let Ok((number, said)) = self.said.recv_timeout(LOOK_UP) else {
                continue;
            };
            match said {
                Said::Pong if sent[number] < PINGS => {
                    sent[number] += 1;
                    self.members[number].link.ping();
                }
                said => self.note_before(number, said)?,
            }
        }
        for member in &mut self.members {
            if let Some(offset) = member.link.bounds().of_all() {
                member.offset = offset;
            }
        }
        Ok(())
    }

    /// Waits until all workers are so far.
    fn wait_for(
        &mut self,
        is_there: impl Fn(&Member) -> bool,
        interrupted: impl Fn() -> bool,
    ) -> Result<(), FleetError> {
        loop {
            let wait = if self.members.iter().all(&is_there) {
                Duration::ZERO
            } else {
                LOOK_UP
            };
            match self.said.recv_timeout(wait) {
                Ok((number, said)) => {
                    self.note_before(number, said)?;
                    continue;
                }
                Err(_) if wait.is_zero() => return Ok(()),
                Err(_) => {}
            }
            if interrupted() {
                return Err(FleetError::Interrupted);
            }
            for member in &self.members {
                if let Some(reason) = &member.gone {
                    return Err(FleetError::Worker {
                        worker: member.link.name.clone(),
                        reason: reason.clone(),
                    });
                }
                if member.link.is_silent() {
                    return Err(FleetError::Worker {
                        worker: member.link.name.clone(),
                        reason: "nothing came from it for 5 s".to_owned(),
                    });
                }
            }
            if Instant::now() > self.deadline {
                let missing = self.members.iter().filter(|member| !is_there(member));
                let missing: Vec<String> = missing
                    .map(|member| {
                        let far = match member.phase {
                            Phase::Started => "said nothing",
                            _ => "is not prepared yet",
                        };
                        format!("worker {} ({far})", member.link.name)
                    })
                    .collect();
                return Err(FleetError::NotReady {
                    limit: self.timeout,
                    missing: missing.join(", "),
                });
            }
        }
    }

    /// Takes in what a worker said before a load.
    fn note_before(&mut self, number: usize, said: Said) -> Result<(), FleetError> {
        let member = &mut self.members[number];
        match said {
            Said::Hello(hello) => {
                member.hello = Some(hello);
                member.phase = Phase::Greeted;
            }
            Said::Ready(ready) => {
                member.ready = Some(ready);
                member.phase = Phase::Waits;
            }
            Said::Failed(reason) => {
                return Err(FleetError::Worker {
                    worker: member.link.name.clone(),
                    reason,
                });
            }
            Said::Broken(reason) => {
                let exit = member.link.exit();
                return Err(FleetError::Worker {
                    worker: member.link.name.clone(),
                    reason: match exit {
                        Some(exit) => format!("{reason} ({exit})"),
                        None => reason,
                    },
                });
            }
            Said::Pong | Said::Row(..) | Said::Done(..) => {}
        }
        Ok(())
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

/// Requests that a worker had begun and of which no result came, as far as it had said.
fn missing(member: &Member) -> u64 {
    let (begun, _) = member.link.counts();
    begun.saturating_sub(member.rows)
}

/// How workers are called: by their machines, with a number where one machine has several.
fn names(hosts: &[String]) -> Vec<String> {
    let named = hosts.iter().enumerate().map(|(place, host)| {
        let of_host = |other: &&String| *other == host;
        if hosts.iter().filter(of_host).count() == 1 {
            return host.clone();
        }
        format!(
            "{host}#{}",
            hosts[..place].iter().filter(of_host).count() + 1
        )
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_on_one_machine_have_numbers() {
        let hosts = ["a", "b", "a"].map(str::to_owned);
        assert_eq!(names(&hosts), ["a#1", "b", "a#2"]);
    }
}
