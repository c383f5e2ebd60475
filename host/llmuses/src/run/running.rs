//! The threads of this process as what carries the requests of a run.

use super::RunError;
use super::carrier::{Carried, Carrier, Ended, Halting, Next};
use super::other_runs;
use super::pauses::PauseWatch;
use super::pipeline::{Pipeline, Start};
use super::preparation::Preparation;
use super::role::Gate;
use llmuses_core::backlog::Backlog;
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::cost::ParserCost;
use llmuses_core::document::{ReplayFigures, UnsentRequests, UnsentWait};
use llmuses_core::exchange::ConnectionOpening;
use llmuses_core::late_reads::LateReads;
use llmuses_core::plan::{Plan, PromptSource, Split};
use llmuses_core::redact::Secrets;
use llmuses_kernel_io::processor_time::ThreadWaits;
use llmuses_kernel_io::{machine, priority, processor_time};
use llmuses_load::Unsent;
use llmuses_stats::{Circumstances, ConnectionUse, DatasetUse, OtherRuns, Pauses, ProcessorWaits};
use llmuses_workload::{AskedTurns, HeldBack, RequestSource, SourceEnd, SourceReport};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A run that sends requests.
pub(super) struct Running {
    pub(super) plan: Plan,
    pub(super) pipeline: Pipeline,
    pub(super) secrets: Arc<Secrets>,
    /// What requests ask whose text is made of lengths.
    pub(super) asked: AskedTurns,
    pub(super) max_in_flight: Option<u64>,
    /// Of a trace: its requests, and when the last one is due.
    pub(super) schedule: Option<(u64, Duration)>,
    /// When the first request was due.
    pub(super) started: Moment,
    pub(super) source: JoinHandle<(SourceReport, SourceEnd)>,
    /// Notices when this program stands still.
    pub(super) pauses: PauseWatch,
    /// Other runs on this machine when this one began.
    pub(super) other_runs: Option<OtherRuns>,
    /// The one of an open loop, and the one of later turns of sessions: each gives back which requests were due and not sent,
    /// and how it waited for a processor.
    pub(super) pacers: Vec<JoinHandle<(Unsent, Option<ThreadWaits>)>>,
}

impl Running {
    /// Has requests made and sent from now on.
    pub(super) fn begin(
        pipeline: Pipeline,
        start: Start,
        source: RequestSource,
        plan: &Plan,
        prepared: &Preparation,
        gate: &Gate<'_>,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Self, RunError> {
        let Start {
            begin,
            queue,
            pacing,
            later,
        } = start;
        // Runs of the other parts of a load are no others, and neither is the coordinator.
        let is_alone = plan.load.shard.is_whole() && !gate.is_coordinated();
        let other_runs = is_alone.then(|| other_runs::look(&plan.target)).flatten();
        let stop = Arc::clone(&pipeline.stop);
        let sessions = pipeline.sessions.clone();
        let source = std::thread::Builder::new()
            .name("source".to_owned())
            .spawn(move || source.run(&queue, &stop, sessions.as_deref()))?;
        let clock = pipeline.clock;
        let started = gate
            .wait(clock, &pipeline.gauge, interrupted)
            .inspect_err(|_| pipeline.stop.store(true, Ordering::Relaxed))?;
        if gate.is_ended() {
            pipeline.stop.store(true, Ordering::Relaxed);
        }
        if let Some(sessions) = &pipeline.sessions {
            sessions.start(started);
        }
        begin.send_replace(Some(started));
        let mut pacers = Vec::new();
        if let Some(pacing) = pacing {
            let stop = Arc::clone(&pipeline.stop);
            let pace = move || {
                priority::be_prompt();
                let unsent = pacing.run(&clock, started, &stop);
                (unsent, processor_time::waits_of_thread())
            };
            let pacer = std::thread::Builder::new().name("pacer".to_owned());
            pacers.push(pacer.spawn(pace)?);
        }
        if let (Some(later), Some(sessions)) = (later, pipeline.sessions.clone()) {
            let stop = Arc::clone(&pipeline.stop);
            let pace = move || {
                priority::be_prompt();
                let unsent = later.run(&clock, started, &stop);
                // Nobody is to wait for a turn that does not come.
                sessions.close();
                (unsent, processor_time::waits_of_thread())
            };
            let pacer = std::thread::Builder::new().name("turns".to_owned());
            pacers.push(pacer.spawn(pace)?);
        }
        Ok(Self {
            plan: plan.clone(),
            secrets: Arc::clone(&prepared.secrets),
            asked: prepared.asked.clone(),
            max_in_flight: prepared.max_in_flight,
            schedule: prepared.schedule,
            pipeline,
            started,
            source,
            pauses: PauseWatch::start()?,
            other_runs,
            pacers,
        })
    }
}

impl Carrier for Running {
    fn clock(&self) -> Clock {
        self.pipeline.clock
    }

    fn started(&self) -> Moment {
        self.started
    }

    fn has_texts(&self) -> bool {
        true
    }

    fn warm_connections(&self) -> &[ConnectionOpening] {
        &self.pipeline.warm_connections
    }

    fn next(&mut self) -> Next {
        match self.pipeline.next_outcome() {
            Ok(outcome) => Next::Over(Box::new(Carried {
                asked: self.asked.get(outcome.exchange.number),
                outcome,
                worker: None,
            })),
            Err(flume::RecvTimeoutError::Timeout) => Next::Nothing,
            Err(flume::RecvTimeoutError::Disconnected) => Next::End,
        }
    }

    fn begun(&self) -> u64 {
        self.pipeline.gauge.begun()
    }

    fn in_flight(&self) -> u64 {
        self.pipeline.gauge.now()
    }

    fn backlog(&self) -> &Arc<Backlog> {
        self.pipeline.gauge.backlog()
    }

    fn is_stopped(&self) -> bool {
        self.pipeline.stop.load(Ordering::Relaxed)
    }

    fn share_of(&self, all: u64) -> u64 {
        self.plan.load.split().count(all)
    }

    // Clients and pacer stop by themselves when the time is up, to the moment; the flag is for the source.
    fn stop(&mut self, _: Halting) {
        self.pipeline.stop.store(true, Ordering::Relaxed);
    }

    fn cancel(&mut self) {
        self.pipeline.cancel.send_replace(true);
    }

    fn abandon(&mut self) {
        self.pipeline.gave_up.abandon();
    }

    fn end(self: Box<Self>, issued: u64) -> Ended {
        let running = *self;
        let mut troubles = Vec::new();
        let mut client_busy = Vec::new();
        let mut waits = Vec::new();
        let mut late_reads = LateReads::NONE;
        for worker in running.pipeline.workers {
            match worker.join() {
                Ok(report) => {
                    client_busy.push(report.busy);
                    waits.extend(report.waits);
                    late_reads += report.late_reads;
                }
                Err(_) => troubles.push("a client thread failed".to_owned()),
            }
        }
        match running.pipeline.gauge.panics() {
            0 => {}
            panics => troubles.push(format!(
                "the client failed in {panics} requests, which have no result: a fault of this program"
            )),
        }
        // A client thread does not send what it was handed where this process stood still for long.
        let stood_still = running.pipeline.gauge.not_sent();
        let mut unsent = Unsent {
            requests: UnsentRequests::of(UnsentWait::Processor, stood_still),
            last_due: None,
        };
        for pacer in running.pacers {
            let (not_sent, waited) = pacer.join().unwrap_or_else(|_| {
                troubles.push("the thread that keeps the schedule failed".to_owned());
                (Unsent::default(), None)
            });
            unsent += not_sent;
            waits.extend(waited);
        }
        let mut parser_cost = ParserCost::default();
        for parser in running.pipeline.parsers {
            match parser.join() {
                Ok(cost) => parser_cost += cost,
                Err(_) => troubles.push("a parser thread failed".to_owned()),
            }
        }
        let (report, source_end) = running.source.join().unwrap_or_else(|_| {
            troubles.push("the thread that makes requests failed".to_owned());
            (SourceReport::default(), SourceEnd::Stopped)
        });
        parser_cost.requests += report.cost;
        if let SourceEnd::Failed(error) = source_end {
            troubles.push(error.to_string());
        }
        troubles.extend(running.pipeline.gave_up.reason());
        let sessions = running.pipeline.sessions.as_ref();
        troubles.extend(sessions.and_then(|sessions| sessions.trouble()));
        let dataset =
            matches!(running.plan.work.prompts, PromptSource::Dataset(_)).then(|| DatasetUse {
                passes: passes(report.bodies_of_a_pass, running.plan.load.split(), issued),
                entries_read: report.entries_read,
                skipped: report.skipped.clone(),
                bad_entries: report.bad_entries,
            });
        let load = &running.plan.load;
        let circumstances = Circumstances {
            machine: Some(machine::this_one()),
            asked: load
                .requests
                // How many turns the sessions of this part have is not known before.
                .filter(|_| load.shard.is_whole() || report.sessions == report.issued)
                .map(|requests| load.split().count(requests)),
            issued,
            dataset,
            client_busy,
            peak_in_flight: running.pipeline.gauge.peak(),
            max_in_flight: running.max_in_flight,
            waited_for_memory: running.pipeline.gauge.waited_for_memory(),
            due_and_not_sent: unsent.requests.total(),
            due_and_not_sent_waited_for: unsent.requests,
            last_due_and_not_sent: unsent.last_due,
            wall_clock_step_seconds: running.pipeline.clock.wall_step_seconds(),
            transport: running.plan.transport.choice.as_str().to_owned(),
            transport_reason: running
                .plan
                .transport
                .by_auto
                .then(|| running.plan.transport.choice.reason().to_owned()),
            connections: ConnectionUse {
                opened: Some(running.pipeline.notes.opened()),
                resent: running.pipeline.notes.resent(),
                ended_at_done: running.pipeline.notes.ended_at_done(),
                one_request_each: running.pipeline.notes.has_one_request_each(),
                http_versions: running
                    .pipeline
                    .notes
                    .versions()
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
                servers: running
                    .pipeline
                    .notes
                    .servers()
                    .iter()
                    .map(|name| running.secrets.blank_text(name).into_owned())
                    .collect(),
                waited_for_stream: running.pipeline.notes.waited_for_stream(),
            },
            backlog_waits: running.pipeline.gauge.backlog().waits(),
            pauses: Pauses {
                waits: waits.into_iter().map(processor_waits).max(),
                ..running.pauses.end()
            },
            late_reads,
            other_runs: running
                .other_runs
                .and_then(|before| other_runs::look(&running.plan.target).max(Some(before))),
            parser_cost,
            replay: running.schedule.map(|(requests, last_due)| {
                let held_back =
                    sessions.map_or_else(HeldBack::default, |sessions| sessions.held_back());
                ReplayFigures {
                    requests,
                    last_due_seconds: last_due.as_secs_f64(),
                    held_back_requests: held_back.requests,
                    longest_held_back_seconds: held_back.longest.as_secs_f64(),
                }
            }),
            ..Circumstances::default()
        };
        Ended {
            circumstances,
            troubles,
        }
    }
}

fn processor_waits(waits: ThreadWaits) -> ProcessorWaits {
    ProcessorWaits {
        total: waits.time,
        mean: Duration::from_secs_f64(waits.time.as_secs_f64() / waits.turns.max(1) as f64),
    }
}

/// How often the data set was used: requests issued, in requests of a whole pass. What was made ahead of them does
/// not count. `of_a_pass`: those of all parts of the load. `None`: the first pass was not over when the run was.
fn passes(of_a_pass: Option<u64>, split: Split, issued: u64) -> f64 {
    // Which requests are of this part is drawn, so that it has more of a pass than another part, or less.
    match of_a_pass.map(|whole| split.count(whole)) {
        Some(own) if own > 0 => issued as f64 / own as f64,
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::plan::{Arrivals, Gaps, Load, Shard};

    #[test]
    fn all_parts_of_one_pass_make_one_pass_however_many_requests_each_has() {
        let mut counts = Vec::new();
        for part in 0..2 {
            let load = Load {
                shard: Shard::new(part, 2).unwrap(),
                arrivals: Arrivals::Open {
                    rate: 10.0,
                    gaps: Gaps::Poisson,
                },
                ..Load::default()
            };
            let split = load.split();
            counts.push(split.count(101));
            assert_eq!(passes(Some(101), split, split.count(101)), 1.0);
        }
        assert_ne!(counts[0], counts[1]);
        assert_eq!(passes(None, Split::default(), 7), 1.0);
        assert_eq!(passes(Some(10), Split::default(), 25), 2.5);
    }
}
