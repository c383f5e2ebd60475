//! A run under way: takes outcomes, looks after interrupts, and ends.

use super::other_runs;
use super::outputs::{Outputs, Save};
use super::pauses::PauseWatch;
use super::pipeline::Pipeline;
use super::preparation::Preparation;
use super::sinks::Sinks;
use super::watch::{Stop, Watch};
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::cost::ParserCost;
use llmuses_core::plan::{Load, Plan, PromptSource, Shard};
use llmuses_kernel_io::machine;
use llmuses_observe::terminal;
use llmuses_stats::{
    Circumstances, ConnectionUse, DatasetUse, FirstRequests, Groups, LengthsAsked, Origin,
    OtherRuns, RunSoFar, RunStatistics, Sample, asked_output_tokens, time_of_rates,
};
use llmuses_workload::{SourceEnd, SourceReport};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long requests in flight have, after an interrupt or where every request fails, before they are given up.
const DRAIN: Duration = Duration::from_secs(5);

/// A run that sends requests.
pub(super) struct Running {
    pub(super) pipeline: Pipeline,
    /// When the first request was due.
    pub(super) started: Moment,
    pub(super) source: JoinHandle<(SourceReport, SourceEnd)>,
    /// Notices when this program stands still.
    pub(super) pauses: PauseWatch,
    /// Other runs on this machine when this one began.
    pub(super) other_runs: Option<OtherRuns>,
    /// The one of an open loop, and the one of later turns of sessions.
    pub(super) pacers: Vec<JoinHandle<u64>>,
}

impl Running {
    /// Measures outcomes until all are there, offers them to the sinks, and looks after interrupts meanwhile.
    pub(super) fn collect(
        self,
        plan: &Plan,
        outputs: &Outputs,
        prepared: &Preparation,
        mut sinks: Sinks<'_>,
        watch: &mut dyn Watch,
        interrupted: &AtomicBool,
    ) -> Collected {
        let origin = Origin::of(&plan.load.arrivals);
        let mut statistics = RunStatistics::new(origin)
            .starting_at(self.started)
            .with_objectives(plan.load.objectives)
            .with_texts(outputs.save == Save::Full)
            .with_asked_output(asked_output_tokens(&plan.work.parameters));
        let stages = plan.load.stages.clone();
        let mut groups = Groups::new(origin, self.started, plan.load.objectives, stages)
            .with_labels(plan.target.label_header.is_some());
        for opening in &self.pipeline.warm_connections {
            statistics.record_warm_connection(*opening);
        }
        let mut first_requests = FirstRequests::default();
        let maker = prepared.prompts.as_ref();
        let mut lengths_asked =
            maker.map(|maker| LengthsAsked::new(prepared.learned, maker.overhead()));
        let mut end = Ending::new(&plan.load, self.pipeline.clock, self.started);
        loop {
            match self.pipeline.next_outcome() {
                Ok(outcome) => {
                    if !plan.load.keep_going
                        && let Some(reason) = first_requests.note(&outcome)
                        && self.has_more(plan)
                    {
                        if !outputs.quiet {
                            terminal::say(format!("error: the run is stopped: {reason}"));
                        }
                        end.all_failed = Some(reason);
                    }
                    let exchange = &outcome.exchange;
                    // Of a session, all turns or none.
                    let intended = exchange.place.began.unwrap_or(exchange.intended);
                    let intended = intended.since(self.started);
                    let warmup = plan.load.warmup.covers(exchange.place.session, intended);
                    if let (Some(maker), Some(lengths), false) = (maker, &mut lengths_asked, warmup)
                    {
                        let asked = maker.asked(exchange.number, exchange.place);
                        lengths.add(&outcome, asked.input, asked.output);
                        let prefix = asked.prefix.map(|(which, tokens)| (which.into(), tokens));
                        lengths.add_cached(&outcome, prefix.as_slice(), true);
                    }
                    if let Some(asked) = prepared.asked.take(exchange.number) {
                        let lengths = lengths_asked
                            .get_or_insert_with(|| LengthsAsked::new(prepared.learned, 0));
                        if !warmup {
                            lengths.add(&outcome, asked.input, asked.output);
                        }
                        lengths.add_cached(&outcome, &asked.pieces, !warmup);
                    }
                    let sample = Sample::of(outcome, origin, warmup);
                    statistics.add(&sample);
                    groups.add(&sample);
                    watch.offer(&sample);
                    sinks.offer(sample, &self.so_far(&statistics, &end));
                }
                Err(flume::RecvTimeoutError::Timeout) => {}
                Err(flume::RecvTimeoutError::Disconnected) => break,
            }
            end.stop(watch.look(&self.so_far(&statistics, &end)), outputs.quiet);
            end.look_up(&self.pipeline, interrupted);
            sinks.tick(&self.so_far(&statistics, &end));
        }
        sinks.end(&self.so_far(&statistics, &end));
        let probe = watch.probe();
        let groups = groups.figures(time_of_rates(&statistics, probe.as_ref()));
        let mut collected = self.end(
            plan,
            prepared,
            lengths_asked,
            statistics,
            end,
            interrupted.load(Ordering::Relaxed),
        );
        collected.circumstances.groups = groups;
        collected.circumstances.objectives = outputs.objectives.clone();
        collected.circumstances.probe = probe;
        collected
    }

    /// Whether further requests are to be sent, as far as is known.
    fn has_more(&self, plan: &Plan) -> bool {
        let begun = self.pipeline.gauge.begun();
        !self.pipeline.stop.load(Ordering::Relaxed)
            && plan
                .expected_requests()
                .is_none_or(|all| begun < plan.load.split().count(all))
    }

    fn so_far<'a>(&self, statistics: &'a RunStatistics, end: &Ending) -> RunSoFar<'a> {
        RunSoFar {
            statistics,
            begun: self.pipeline.gauge.begun(),
            in_flight: self.pipeline.gauge.now(),
            is_draining: end.is_draining(),
        }
    }

    fn end(
        self,
        plan: &Plan,
        prepared: &Preparation,
        lengths_asked: Option<LengthsAsked>,
        statistics: RunStatistics,
        end: Ending,
        interrupted: bool,
    ) -> Collected {
        let all_failed = end.all_failed.is_some();
        let mut troubles: Vec<String> = end.all_failed.into_iter().chain(end.failed).collect();
        let mut client_busy = Vec::new();
        for worker in self.pipeline.workers {
            match worker.join() {
                Ok(report) => client_busy.push(report.busy),
                Err(_) => troubles.push("a client thread failed".to_owned()),
            }
        }
        match self.pipeline.gauge.panics() {
            0 => {}
            panics => troubles.push(format!(
                "the client failed in {panics} requests, which have no result: a fault of this program"
            )),
        }
        let mut due_and_not_sent = 0;
        for pacer in self.pacers {
            due_and_not_sent += pacer.join().unwrap_or_else(|_| {
                troubles.push("the thread that keeps the schedule failed".to_owned());
                0
            });
        }
        let mut parser_cost = ParserCost::default();
        for parser in self.pipeline.parsers {
            match parser.join() {
                Ok(cost) => parser_cost += cost,
                Err(_) => troubles.push("a parser thread failed".to_owned()),
            }
        }
        let (report, source_end) = self.source.join().unwrap_or_else(|_| {
            troubles.push("the thread that makes requests failed".to_owned());
            (SourceReport::default(), SourceEnd::Stopped)
        });
        parser_cost.requests += report.cost;
        if let SourceEnd::Failed(error) = source_end {
            troubles.push(error.to_string());
        }
        troubles.extend(self.pipeline.gave_up.reason());
        let sessions = self.pipeline.sessions.as_ref();
        troubles.extend(sessions.and_then(|sessions| sessions.trouble()));
        let counts = statistics.counts();
        let issued = counts.completed + counts.disconnected + counts.warmup;
        let dataset = matches!(plan.work.prompts, PromptSource::Dataset(_)).then(|| DatasetUse {
            passes: passes(&report, plan.load.shard, issued),
            entries_read: report.entries_read,
            skipped: report.skipped.clone(),
            bad_entries: report.bad_entries,
        });
        let circumstances = Circumstances {
            groups: Vec::new(),
            machine: Some(machine::this_one()),
            // Time was up: as many as there were are all that was asked for.
            asked: plan
                .load
                .requests
                .filter(|_| !end.by_time)
                // How many turns the sessions of this part have is not known before.
                .filter(|_| plan.load.shard.is_whole() || report.sessions == report.issued)
                .map(|requests| plan.load.split().count(requests)),
            issued,
            dataset,
            client_busy,
            peak_in_flight: self.pipeline.gauge.peak(),
            max_in_flight: prepared.max_in_flight,
            due_and_not_sent,
            wall_clock_step_seconds: self.pipeline.clock.wall_step_seconds(),
            interrupted,
            transport: plan.transport.choice.as_str().to_owned(),
            transport_reason: plan
                .transport
                .by_auto
                .then(|| plan.transport.choice.reason().to_owned()),
            connections: ConnectionUse {
                opened: Some(self.pipeline.notes.opened()),
                resent: self.pipeline.notes.resent(),
                ended_at_done: self.pipeline.notes.ended_at_done(),
                one_request_each: self.pipeline.notes.has_one_request_each(),
                http_versions: self
                    .pipeline
                    .notes
                    .versions()
                    .into_iter()
                    .map(str::to_owned)
                    .collect(),
                servers: self
                    .pipeline
                    .notes
                    .servers()
                    .iter()
                    .map(|name| prepared.secrets.blank_text(name).into_owned())
                    .collect(),
                waited_for_stream: self.pipeline.notes.waited_for_stream(),
            },
            backlog_waits: self.pipeline.gauge.backlog().waits(),
            one_prompt: match &plan.work.prompts {
                PromptSource::Prompt(text) => Some(text.chars().count() as u64),
                PromptSource::Dataset(_) | PromptSource::Generated(_) => None,
            },
            lengths_asked,
            asked_output: asked_output_tokens(&plan.work.parameters),
            pauses: self.pauses.end(),
            other_runs: self
                .other_runs
                .and_then(|before| other_runs::look(&plan.target).max(Some(before))),
            task: prepared.parser.info().task,
            parser_cost,
            objectives: Vec::new(),
            probe: None,
            all_failed,
            stop_reason: (!troubles.is_empty()).then(|| troubles.join("; ")),
        };
        Collected {
            statistics,
            circumstances,
        }
    }
}

/// The end of a run: by an interrupt, because its time is up, or because every request fails. First nothing more is
/// issued, then what is in flight is given up, and last the parsers are left to themselves.
struct Ending {
    clock: Clock,
    /// When the time for issuing is up.
    time_is_up: Option<Moment>,
    drain: Duration,
    give_up_at: Option<Moment>,
    /// Whether the time was up before all requests were done.
    by_time: bool,
    /// Why it makes no sense to go on.
    all_failed: Option<String>,
    /// Whether it was ended by what watches it.
    is_stopped: bool,
    /// Why that is a failure.
    failed: Option<String>,
}

impl Ending {
    fn new(load: &Load, clock: Clock, started: Moment) -> Self {
        Self {
            clock,
            time_is_up: load.duration.map(|duration| started.after(duration)),
            drain: load.drain,
            give_up_at: None,
            by_time: false,
            all_failed: None,
            is_stopped: false,
            failed: None,
        }
    }

    /// Takes in what watches the run. Requests in flight have as long as at the end of its time.
    fn stop(&mut self, stop: Option<Stop>, quiet: bool) {
        match stop.filter(|_| !self.is_draining()) {
            Some(Stop::Failed(reason)) => {
                if !quiet {
                    terminal::say(format!("error: the run is stopped: {reason}"));
                }
                self.failed = Some(reason);
            }
            Some(Stop::Enough) => self.by_time = true,
            None => return,
        }
        self.is_stopped = true;
    }

    fn is_draining(&self) -> bool {
        self.give_up_at.is_some()
    }

    fn look_up(&mut self, pipeline: &Pipeline, interrupted: &AtomicBool) {
        let now = self.clock.now();
        if let Some(at) = self.time_is_up.filter(|at| *at <= now) {
            // Clients and pacer stop by themselves, to the moment; this is for the source, and for the end.
            pipeline.stop.store(true, Ordering::Relaxed);
            self.by_time = true;
            self.give_up_at.get_or_insert(at.after(self.drain));
        }
        if self.is_stopped {
            pipeline.stop.store(true, Ordering::Relaxed);
            self.give_up_at.get_or_insert(now.after(self.drain));
        }
        if interrupted.load(Ordering::Relaxed) || self.all_failed.is_some() {
            pipeline.stop.store(true, Ordering::Relaxed);
            let soon = now.after(DRAIN);
            let at = self.give_up_at.map_or(soon, |at| at.min(soon));
            self.give_up_at = Some(at);
        }
        if let Some(at) = self.give_up_at {
            if now >= at {
                pipeline.cancel.send_replace(true);
            }
            if now >= at.after(DRAIN) {
                pipeline.gave_up.abandon();
            }
        }
    }
}

/// How often the data set was used: requests issued, in requests of a whole pass. What was made ahead of them does
/// not count.
pub(super) fn passes(report: &SourceReport, shard: Shard, issued: u64) -> f64 {
    // The other parts issue as many.
    let issued_by_all = issued as f64 * f64::from(shard.parts());
    match report.bodies_of_a_pass {
        Some(whole) if whole > 0 => issued_by_all / whole as f64,
        // The first pass was not over when the run was.
        _ => 1.0,
    }
}

pub(super) struct Collected {
    pub(super) statistics: RunStatistics,
    pub(super) circumstances: Circumstances,
}
