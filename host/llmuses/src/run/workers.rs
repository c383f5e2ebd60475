//! Workers as what carries the requests of a run.

use super::RunError;
use super::carrier::{Carried, Carrier, Ended, Halting, Next};
use super::preparation::Preparation;
use llmuses_core::backlog::Backlog;
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::document::{ReplayFigures, Totals, WorkerFigures};
use llmuses_core::exchange::ConnectionOpening;
use llmuses_core::plan::{Load, Plan, Shard, Split};
use llmuses_fleet::{Fleet, FleetEvent, Halt, Ready, Row, RowSender, WorkerReport};
use llmuses_load::{due_times, own_due_times};
use llmuses_stats::{Circumstances, RunSoFar, Sample, Sink, circumstances_of_parts};
use llmuses_workload::{AskedTurn, AskedTurns};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// That everything is in place for a load: what its requests are made from, and the connections that are open.
pub(super) fn ready(
    load: u32,
    made_from: Vec<(String, String)>,
    opened: &[ConnectionOpening],
) -> Ready {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    Ready {
        load,
        made_from,
        connections: opened
            .iter()
            .map(|opening| {
                let (dns, tls) = (opening.dns.map(nanos), opening.tls.map(nanos));
                (nanos(opening.total), dns, tls)
            })
            .collect(),
    }
}

/// The most requests of a lost worker that are counted as due: a rate without bounds has no end of them.
const MOST_COUNTED: usize = 10_000_000;

/// Workers that send a load.
pub(super) struct OnWorkers<'a> {
    fleet: &'a mut Fleet,
    started: Moment,
    connections: Vec<ConnectionOpening>,
    backlog: Arc<Backlog>,
    /// What belongs to each worker.
    splits: Vec<Split>,
    /// Whether they are on one machine by intent.
    on_this_machine: bool,
    requests: Option<u64>,
    /// Of a trace: its requests, and when the last one is due.
    schedule: Option<(u64, Duration)>,
    load: Load,
    /// The requests that there are to be, where they are due by the schedule of an open loop.
    expected: Option<u64>,
    has_turns: bool,
    is_stopped: bool,
    /// When issuing was ended before its time.
    stopped_at: Option<Moment>,
}

impl<'a> OnWorkers<'a> {
    /// Begins a load once all workers are ready. `ours`: what they must have as well.
    pub(super) fn begin(
        fleet: &'a mut Fleet,
        plan: &Plan,
        prepared: &Preparation,
        ours: &Ready,
        interrupted: &AtomicBool,
    ) -> Result<Self, RunError> {
        let started = fleet.begin(ours, interrupted)?;
        let span = Duration::from_nanos;
        let connections = fleet
            .connections()
            .map(|(total, dns, tls)| ConnectionOpening {
                total: span(total),
                dns: dns.map(span),
                tls: tls.map(span),
            });
        let split = |part| {
            let shard = Shard::new(part, fleet.size())?;
            let load = Load {
                shard,
                ..plan.load.clone()
            };
            Some(load.split())
        };
        Ok(Self {
            started,
            connections: connections.collect(),
            backlog: Arc::default(),
            splits: (0..fleet.size()).filter_map(split).collect(),
            requests: plan.load.requests,
            schedule: prepared.schedule,
            load: plan.load.clone(),
            expected: plan.expected_requests(),
            has_turns: plan.work.sessions.turns.is_some(),
            is_stopped: false,
            stopped_at: None,
            on_this_machine: fleet.is_local(),
            fleet,
        })
    }
}

impl OnWorkers<'_> {
    /// Requests of the part of a worker that were due by the end of issuing, beyond those of which there is a result.
    /// `None`: no schedule says when they were due, or how many there were to be.
    fn due_without_result(&self, worker: u32, results: u64) -> Option<u64> {
        let stopped = self.stopped_at.map(|at| at.since(self.started));
        let until = [stopped, self.load.duration].into_iter().flatten().min();
        // Of sessions, the first turns alone have a schedule; of one pass over a data set, its end is not known.
        let is_known = self.expected.is_some() || self.load.duration.is_some();
        if self.has_turns || !is_known {
            return None;
        }
        let split = *self.splits.get(worker as usize)?;
        let due = own_due_times(due_times(&self.load)?, split, self.expected)
            .take_while(|(_, due)| until.is_none_or(|until| *due < until))
            .take(MOST_COUNTED)
            .count();
        Some((due as u64).saturating_sub(results))
    }
}

impl Carrier for OnWorkers<'_> {
    fn clock(&self) -> Clock {
        self.fleet.clock()
    }

    fn started(&self) -> Moment {
        self.started
    }

    // Texts stay with the workers.
    fn has_texts(&self) -> bool {
        false
    }

    fn workers(&mut self) -> Vec<WorkerFigures> {
        (0..)
            .zip(self.fleet.reports())
            .map(|(number, report)| figures(number, &report))
            .collect()
    }

    fn warm_connections(&self) -> &[ConnectionOpening] {
        &self.connections
    }

    fn next(&mut self) -> Next {
        match self.fleet.next_event() {
            FleetEvent::Row {
                worker,
                content,
                session,
            } => {
                let split = self.splits.get(worker as usize);
                if !split.is_some_and(|split| split.takes(session)) {
                    let reason = format!("it sent session {session}, which is not of its part");
                    return Next::Lost(self.fleet.reject(worker, reason));
                }
                let asked = content.asked.map(|asked| AskedTurn {
                    input: asked.input,
                    output: asked.output,
                    pieces: asked.pieces,
                });
                Next::Over(Box::new(Carried {
                    outcome: content.outcome,
                    worker: Some(worker),
                    asked: asked.map(Arc::new),
                }))
            }
            FleetEvent::Lost(told) => Next::Lost(told),
            FleetEvent::Nothing => Next::Nothing,
            FleetEvent::Over => Next::End,
        }
    }

    fn begun(&self) -> u64 {
        self.fleet.counts().0
    }

    fn in_flight(&self) -> u64 {
        self.fleet.counts().1
    }

    fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }

    fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    fn share_of(&self, all: u64) -> u64 {
        all
    }

    fn stop(&mut self, how: Halting) {
        self.is_stopped = true;
        if how != Halting::TimeIsUp {
            let now = self.fleet.clock().now();
            self.stopped_at.get_or_insert(now);
        }
        match how {
            // Each knows how long the load takes.
            Halting::TimeIsUp => {}
            Halting::Drain => self.fleet.halt(Halt::Drain),
            Halting::Now => self.fleet.halt(Halt::Now),
            Halting::Interrupt => self.fleet.halt(Halt::Interrupt),
        }
    }

    // Each gives up its own requests after the same time.
    fn cancel(&mut self) {}

    fn abandon(&mut self) {
        self.fleet.let_end();
    }

    fn end(self: Box<Self>, issued: u64) -> Ended {
        let mut troubles = Vec::new();
        let mut parts: Vec<(String, Totals)> = Vec::new();
        let mut workers = Vec::new();
        // Of workers that are lost, what is known of their peak.
        let mut of_the_lost = 0;
        for (number, report) in (0..).zip(self.fleet.reports()) {
            let mut figures = figures(number, &report);
            if report.lost.is_some() {
                figures.due_without_result = self.due_without_result(number, report.rows);
            }
            let Some(totals) = report.totals else {
                of_the_lost += report.missing;
                workers.push(figures);
                continue;
            };
            match serde_json::from_str::<Totals>(totals.get()) {
                Ok(totals) => {
                    if totals.client.interrupted && report.lost.is_none() {
                        troubles.push(format!("worker {} was ended by a signal", report.name));
                    }
                    let busy = totals.client.busy_shares.iter().copied();
                    figures.busy_share = busy.reduce(f64::max);
                    parts.push((format!("worker {}", report.name), totals));
                }
                Err(error) => {
                    troubles.push(format!("the totals of worker {}: {error}", report.name));
                }
            }
            workers.push(figures);
        }
        let named: Vec<(String, &Totals)> = parts
            .iter()
            .map(|(name, totals)| (name.clone(), totals))
            .collect();
        let of_all = circumstances_of_parts(&named);
        let most = parts
            .iter()
            .map(|(_, totals)| totals.requests.max_in_flight);
        troubles.extend(of_all.stop_reason.clone());
        let replay = self.schedule.map(|(requests, last_due)| ReplayFigures {
            requests,
            last_due_seconds: last_due.as_secs_f64(),
            ..of_all.replay.unwrap_or_default()
        });
        Ended {
            circumstances: Circumstances {
                asked: self.requests,
                issued,
                peak_in_flight: parts
                    .iter()
                    .map(|(_, totals)| totals.requests.peak_in_flight)
                    .sum::<u64>()
                    .saturating_add(of_the_lost),
                max_in_flight: most.sum(),
                // That the load was ended here is no fact about this part of it.
                ended_by_coordinator: false,
                stop_reason: None,
                replay,
                workers,
                workers_share_a_machine: self.on_this_machine,
                ..of_all
            },
            troubles,
        }
    }
}

/// What is known of a worker beside what it measured.
fn figures(worker: u32, report: &WorkerReport) -> WorkerFigures {
    let seconds = |nanos: f64| nanos / 1e9;
    let hello = report.hello.as_ref();
    WorkerFigures {
        worker,
        name: report.name.clone(),
        host: hello.and_then(|hello| hello.host.clone()),
        boot: hello.and_then(|hello| hello.boot.clone()),
        version: hello.map(|hello| hello.version.clone()),
        build: hello.map(|hello| hello.build.clone()),
        processors: hello.and_then(|hello| hello.processors),
        requests: report.rows,
        clock_offset_seconds: Some(seconds(report.wall_offset_nanos as f64)),
        clock_bound_seconds: Some(seconds(report.offset.bound_nanos as f64)),
        clock_drift_seconds: Some(seconds(report.drift_nanos as f64)),
        lost_after_seconds: report.lost.as_ref().map(|(after, _)| after.as_secs_f64()),
        lost: report.lost.as_ref().map(|(_, reason)| reason.clone()),
        requests_without_result: report.missing,
        ..WorkerFigures::default()
    }
}

/// Sends each request of a worker to the coordinator.
pub(super) struct RowsToCoordinator<'a> {
    pub(super) rows: &'a RowSender,
    pub(super) asked: AskedTurns,
}

impl Sink for RowsToCoordinator<'_> {
    // The coordinator reads standard output.
    fn stage(&self) -> llmuses_core::backlog::PipelineStage {
        llmuses_core::backlog::PipelineStage::Csv
    }

    fn offer(&mut self, sample: &Sample, _: &RunSoFar<'_>) {
        let asked = self.asked.get(sample.outcome.exchange.number);
        let asked = asked.map(|asked| llmuses_fleet::AskedOfRow {
            input: asked.input,
            output: asked.output,
            pieces: asked.pieces.clone(),
        });
        self.rows.send(Row::of(&sample.outcome, asked));
    }
}
