//! What goes on before a load: all workers are there, are the same, know the plan and the time, and are ready.

use super::member::{Member, Phase};
use super::{Fleet, LOOK_UP};
use crate::error::FleetError;
use crate::lines::{PROTOCOL, Ready, SILENCE, ToWorker, WorkPlan, silent_for};
use crate::link::Said;
use llmuses_core::clock::Moment;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Pings to each worker before a load.
const PINGS: u64 = 20;

/// How long the pings before a load may take.
const LONGEST_PINGS: Duration = Duration::from_secs(20);

/// How long after the word to begin a load begins, at least.
const LEAST_LEAD: Duration = Duration::from_secs(1);

impl Fleet {
    /// Waits until all have said hello, and tells each what to do. `plan` makes what goes to the worker with this number;
    /// its clock is filled in.
    ///
    /// # Errors
    /// Where one does not come, or is not the same program.
    pub fn plan(&mut self, plan: impl Fn(u32) -> WorkPlan) -> Result<(), FleetError> {
        self.wait_for(|member| member.hello.is_some(), || false)?;
        for member in &self.members {
            let Some(hello) = &member.hello else { continue };
            let differs = |what: &str, theirs: String, ours: String| FleetError::Different {
                worker: member.link.name.clone(),
                what: what.to_owned(),
                theirs,
                ours,
            };
            if hello.version != self.program.version {
                let (theirs, ours) = (hello.version.clone(), self.program.version.clone());
                return Err(differs("version of llmuses", theirs, ours));
            }
            if hello.protocol != PROTOCOL {
                let (theirs, ours) = (hello.protocol.to_string(), PROTOCOL.to_string());
                return Err(differs("version of what workers say", theirs, ours));
            }
        }
        self.tell_other_builds();
        self.synchronise(|| false)?;
        let origin = self.clock.unix_nanos(Moment::default());
        for (number, member) in (0..).zip(&self.members) {
            let mut plan = plan(number);
            plan.unix_nanos = origin.saturating_add_signed(member.offset.nanos.saturating_neg());
            plan.run_id.clone_from(&self.run_id);
            member.link.say(ToWorker::Plan(plan));
        }
        Ok(())
    }

    /// Says which workers are another build of the same version. That is no error: machines may need builds of their own.
    fn tell_other_builds(&self) {
        let Some(ours) = &self.program.sha256 else {
            return;
        };
        let is_other = |member: &&Member| {
            let theirs = member.hello.as_ref();
            theirs.is_some_and(|theirs| theirs.program_sha256.as_ref().is_some_and(|it| it != ours))
        };
        let others = self.members.iter().filter(is_other);
        let names: Vec<&str> = others.map(|member| member.link.name.as_str()).collect();
        if !names.is_empty() {
            self.messages.say(format!(
                "note: the program of {} {} is another build of the same version (SHA-256)",
                if names.len() == 1 {
                    "worker"
                } else {
                    "workers"
                },
                names.join(", ")
            ));
        }
    }

    /// Begins a load once all workers are ready for it, and gives back the moment at which it does. `ours`: what each has
    /// to have.
    ///
    /// # Errors
    /// Where one is not ready in time, ends, or makes requests from something else.
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
            let theirs = member.ready.as_ref();
            let theirs = theirs.map_or(&[][..], |ready| ready.made_from.as_slice());
            if let Some((what, theirs, ours)) = difference(theirs, &ours.made_from) {
                return Err(FleetError::Different {
                    worker: member.link.name.clone(),
                    what: format!("{what} (SHA-256)"),
                    theirs,
                    ours,
                });
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
        self.load = load;
        self.over_by = None;
        self.is_halted = false;
        for member in &mut self.members {
            member.phase = Phase::Runs;
            member.connections = member.ready.take().unwrap_or_default().connections;
            member.rows = 0;
            member.totals = None;
            member.signalled = None;
            member.link.begin(member.offset);
            member.link.say(ToWorker::Go {
                load,
                start: member.offset.to_worker(self.started),
            });
        }
        Ok(self.started)
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
            self.check_alive()?;
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
            // Also while one message follows the other.
            if interrupted() {
                return Err(FleetError::Interrupted);
            }
            self.check_alive()?;
            let all_there = self.members.iter().all(&is_there);
            if !all_there && Instant::now() > self.deadline {
                let missing = self.members.iter().filter(|member| !is_there(member));
                let missing: Vec<String> = missing
                    .map(|member| {
                        let far = match member.phase {
                            Phase::Started => match member.link.printed() {
                                Some(line) => format!("no worker has begun; printed last: {line}"),
                                None => "said nothing".to_owned(),
                            },
                            _ => "is not prepared yet".to_owned(),
                        };
                        format!("worker {} ({far})", member.link.name)
                    })
                    .collect();
                return Err(FleetError::NotReady {
                    limit: self.timeout,
                    missing: missing.join(", "),
                });
            }
            let wait = match all_there {
                true => Duration::ZERO,
                false => LOOK_UP,
            };
            match self.said.recv_timeout(wait) {
                Ok((number, said)) => self.note_before(number, said)?,
                Err(_) if all_there => return Ok(()),
                Err(_) => {}
            }
        }
    }

    /// Fails where a worker has ended or is silent.
    fn check_alive(&self) -> Result<(), FleetError> {
        for member in &self.members {
            let reason = match &member.gone {
                Some(reason) => reason.clone(),
                None if member.link.is_silent() => silent_for(SILENCE),
                None => continue,
            };
            return Err(FleetError::Worker {
                worker: member.link.name.clone(),
                reason,
            });
        }
        Ok(())
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

/// The first thing of which two sides have different digests: what it is, theirs and ours.
fn difference(
    theirs: &[(String, String)],
    ours: &[(String, String)],
) -> Option<(String, String, String)> {
    let of = |side: &[(String, String)], what: &str| {
        let found = side.iter().find(|(known, _)| known == what);
        found.map_or("none".to_owned(), |(_, digest)| digest.clone())
    };
    ours.iter().chain(theirs).find_map(|(what, _)| {
        let (theirs, ours) = (of(theirs, what), of(ours, what));
        (theirs != ours).then(|| (what.clone(), theirs, ours))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let pairs = pairs.iter();
        pairs
            .map(|(what, digest)| ((*what).to_owned(), (*digest).to_owned()))
            .collect()
    }

    #[test]
    fn what_one_side_lacks_is_a_difference() {
        let ours = side(&[("parser", "1"), ("tokenizer", "2")]);
        assert_eq!(difference(&ours, &ours), None);
        for (theirs, what, found) in [
            (&[("parser", "1"), ("tokenizer", "3")][..], "tokenizer", "3"),
            (&[("parser", "1")], "tokenizer", "none"),
            (&[("parser", "4"), ("tokenizer", "2")], "parser", "4"),
        ] {
            let (name, theirs, _) = difference(&side(theirs), &ours).unwrap();
            assert_eq!((name.as_str(), theirs.as_str()), (what, found));
        }
        let more = side(&[("parser", "1"), ("tokenizer", "2"), ("text", "5")]);
        let (name, _, ours) = difference(&more, &ours).unwrap();
        assert_eq!((name.as_str(), ours.as_str()), ("text", "none"));
    }
}
