//! A run under way: takes outcomes, looks after interrupts, and ends.

use super::carrier::{Carried, Carrier, Halting, Next};
use super::outputs::{Outputs, Save};
use super::preparation::Preparation;
use super::sinks::Sinks;
use super::watch::{Stop, Watch};
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::plan::{Load, Plan, PromptSource};
use llmuses_observe::terminal;
use llmuses_stats::{
    ByWorker, Circumstances, FirstRequests, Groups, LengthsAsked, Origin, RunSoFar, RunStatistics,
    Sample, StoppedBy, asked_output_tokens, time_of_rates,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long requests in flight have, after an interrupt or where every request fails, before they are given up.
const DRAIN: Duration = Duration::from_secs(5);

/// How long after an interrupt it is noticed at the latest.
const NOTICED_WITHIN: Duration = Duration::from_millis(200);

/// Measures outcomes until all are there, offers them to the sinks, and looks after interrupts meanwhile.
pub(super) fn collect(
    mut carrier: Box<dyn Carrier + '_>,
    plan: &Plan,
    outputs: &Outputs,
    prepared: &Preparation,
    mut sinks: Sinks<'_>,
    watch: &mut dyn Watch,
    interrupted: &AtomicBool,
) -> Collected {
    let started = carrier.started();
    let origin = Origin::of(&plan.load.arrivals);
    let mut statistics = RunStatistics::new(origin)
        .starting_at(started)
        .with_objectives(plan.load.objectives)
        .with_texts(outputs.save == Save::Full && carrier.has_texts())
        .with_asked_output(asked_output_tokens(&plan.work.parameters));
    let stages = plan.load.stages.clone();
    let mut groups = Groups::new(origin, started, plan.load.objectives, stages)
        .with_labels(plan.target.label_header.is_some())
        .with_warmup(plan.load.warmup, &plan.load.arrivals)
        .with_steady_state(!plan.load.arrivals.is_open(), plan.load.ramp_up);
    for opening in carrier.warm_connections() {
        statistics.record_warm_connection(*opening);
    }
    let mut by_worker = ByWorker::new(started);
    let mut first_requests = FirstRequests::default();
    let maker = prepared.prompts.as_ref();
    let new_lengths = |overhead: u32| {
        let lengths = LengthsAsked::new(prepared.learned, overhead);
        match plan.load.shard.is_whole() {
            true => lengths,
            false => lengths.with_others(),
        }
    };
    let mut lengths_asked = maker.map(|maker| new_lengths(maker.overhead()));
    let mut end = Ending::new(&plan.load, carrier.clock(), started);
    loop {
        match carrier.next() {
            Next::Over(carried) => {
                let Carried {
                    mut outcome,
                    worker,
                    asked,
                } = *carried;
                if end.is_interrupted_at(interrupted, outcome.exchange.end) {
                    outcome.exchange.excuse_closed_connection();
                }
                let number = outcome.exchange.number;
                if !plan.load.keep_going
                    && let Some(reason) = first_requests.note(&outcome)
                    && has_more(carrier.as_ref(), plan)
                {
                    if !outputs.quiet {
                        terminal::say(format!("error: the run is stopped: {reason}"));
                    }
                    end.all_failed = Some(reason);
                }
                let exchange = &outcome.exchange;
                // Of a session, all turns or none.
                let intended = exchange.place.began.unwrap_or(exchange.intended);
                let intended = intended.since(started);
                let warmup = plan.load.warmup.covers(exchange.place.session, intended);
                let made = maker.map(|maker| maker.asked(exchange.number, exchange.place));
                let asked_output = match (&asked, &made) {
                    (Some(asked), _) => asked.output,
                    (None, made) => made.as_ref().and_then(|made| made.output),
                };
                if let (Some(made), Some(lengths), false) = (&made, &mut lengths_asked, warmup) {
                    lengths.add(&outcome, made.input, made.output);
                    let prefix = made.prefix.map(|(which, tokens)| (which.into(), tokens));
                    lengths.add_cached(&outcome, prefix.as_slice(), true);
                }
                if let Some(asked) = asked {
                    let lengths =
                        lengths_asked.get_or_insert_with(|| new_lengths(prepared.tokens_around));
                    if !warmup {
                        lengths.add(&outcome, asked.input, asked.output);
                    }
                    lengths.add_cached(&outcome, &asked.pieces, !warmup);
                }
                let sample = Sample {
                    worker,
                    asked_output,
                    ..Sample::of(outcome, origin, warmup)
                };
                statistics.add(&sample);
                groups.add(&sample);
                by_worker.add(&sample);
                watch.offer(&sample);
                sinks.offer(sample, &so_far(carrier.as_ref(), &statistics, &end));
                prepared.asked.take(number);
            }
            Next::Nothing => {}
            Next::Lost(reason) => end.lose(&reason),
            Next::End => break,
        }
        end.stop(
            watch.look(&so_far(carrier.as_ref(), &statistics, &end)),
            outputs.quiet,
        );
        end.look_up(carrier.as_mut(), interrupted);
        sinks.tick(&so_far(carrier.as_ref(), &statistics, &end));
    }
    sinks.end(&so_far(carrier.as_ref(), &statistics, &end));
    let probe = watch.probe();
    let was_cut = end.is_early() || (plan.load.requests.is_some() && !end.by_time);
    let groups = groups.figures(time_of_rates(&statistics, probe.as_ref()), was_cut);
    let counts = statistics.counts();
    let ended = carrier.end(counts.over() + counts.warmup);
    let by_rule = end.failed.as_ref().map(|_| StoppedBy::Rule);
    let all_failed = end.all_failed.as_ref().map(|_| StoppedBy::AllFailed);
    let stopped_by = all_failed.or(by_rule);
    let before = end.all_failed.into_iter().chain(end.failed);
    let reasons = before.chain(ended.troubles);
    let reasons: Vec<String> = reasons.collect();
    let mut known = ended.circumstances;
    by_worker.fill(&mut known.workers);
    let of_the_lost = known
        .workers
        .iter()
        .filter_map(|worker| worker.due_without_result);
    let of_the_lost: u64 = of_the_lost.sum();
    let with_the_lost = (of_the_lost > 0).then_some(known.issued + of_the_lost);
    let circumstances = Circumstances {
        groups,
        unlike_workers: by_worker.unlike(&known.workers),
        // Time was up: as many as there were are all that was asked for.
        asked: known.asked.filter(|_| !end.by_time).or(with_the_lost),
        interrupted: known.interrupted || end.is_interrupted || interrupted.load(Ordering::Relaxed),
        one_prompt: match &plan.work.prompts {
            PromptSource::Prompt(text) => Some(text.chars().count() as u64),
            PromptSource::Dataset(_) | PromptSource::Generated(_) => None,
        },
        lengths_asked,
        asked_output: asked_output_tokens(&plan.work.parameters),
        task: prepared.parser.info().task,
        objectives: outputs.objectives.clone(),
        probe,
        stopped_by,
        ended_by_coordinator: end.ends_now || known.ended_by_coordinator,
        stop_reason: (!reasons.is_empty()).then(|| reasons.join("; ")),
        ..known
    };
    Collected {
        was_ended: circumstances.interrupted || circumstances.ended_by_coordinator,
        statistics,
        circumstances,
    }
}

/// Whether further requests are to be sent, as far as is known.
fn has_more(carrier: &dyn Carrier, plan: &Plan) -> bool {
    !carrier.is_stopped()
        && plan
            .expected_requests()
            .is_none_or(|all| carrier.begun() < carrier.share_of(all))
}

fn so_far<'a>(carrier: &dyn Carrier, statistics: &'a RunStatistics, end: &Ending) -> RunSoFar<'a> {
    RunSoFar {
        statistics,
        begun: carrier.begun(),
        in_flight: carrier.in_flight(),
        is_draining: end.is_draining(),
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
    /// Whether the run is ended as by an interrupt.
    is_interrupted: bool,
    /// Whether the coordinator of this worker wants the load ended at once, for a reason that it tells itself.
    ends_now: bool,
    /// Whether that reason is an interrupt.
    is_interrupted_elsewhere: bool,
    /// When an interrupt was noticed.
    interrupt_noticed: Option<Moment>,
    /// What those who carry requests were told last.
    told: Option<Halting>,
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
            is_interrupted: false,
            ends_now: false,
            is_interrupted_elsewhere: false,
            interrupt_noticed: None,
            told: None,
        }
    }

    /// A part of those who carry requests is gone. A load with a hole is another load, so that all stop.
    fn lose(&mut self, reason: &str) {
        terminal::say(format!("error: {reason}"));
        self.is_interrupted = true;
    }

    /// Ends issuing, and says so once.
    fn halt(&mut self, carrier: &mut dyn Carrier, how: Halting) {
        let is_told_last = matches!(self.told, Some(Halting::Now | Halting::Interrupt));
        if self.told != Some(how) && !is_told_last {
            self.told = Some(how);
            carrier.stop(how);
        }
    }

    /// Takes in what watches the run. Requests in flight have as long as at the end of its time.
    fn stop(&mut self, stop: Option<Stop>, quiet: bool) {
        match stop {
            Some(Stop::Now { is_interrupt }) => {
                self.ends_now = true;
                self.is_interrupted_elsewhere |= is_interrupt;
                return;
            }
            _ if self.is_draining() => return,
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

    /// Whether the run had been interrupted at `moment`, as far as that can be told.
    fn is_interrupted_at(&mut self, interrupted: &AtomicBool, moment: Moment) -> bool {
        // The signal that ends the coordinator may end the server too, whoever gets it here.
        if !interrupted.load(Ordering::Relaxed) && !self.is_interrupted_elsewhere {
            return false;
        }
        let now = self.clock.now();
        let noticed = *self.interrupt_noticed.get_or_insert(now);
        moment.after(NOTICED_WITHIN) >= noticed
    }

    /// Whether something ended the run before all of its requests were due.
    fn is_early(&self) -> bool {
        let is_interrupted = self.is_interrupted || self.interrupt_noticed.is_some();
        let has_failed = self.failed.is_some() || self.all_failed.is_some();
        is_interrupted || has_failed || self.ends_now
    }

    fn is_draining(&self) -> bool {
        self.give_up_at.is_some()
    }

    fn look_up(&mut self, carrier: &mut dyn Carrier, interrupted: &AtomicBool) {
        let now = self.clock.now();
        if let Some(at) = self.time_is_up.filter(|at| *at <= now) {
            // Clients and pacer stop by themselves, to the moment; this is for the source, and for the end.
            if self.told.is_none() {
                self.halt(carrier, Halting::TimeIsUp);
            }
            self.by_time = true;
            self.give_up_at.get_or_insert(at.after(self.drain));
        }
        if self.is_stopped {
            self.halt(carrier, Halting::Drain);
            self.give_up_at.get_or_insert(now.after(self.drain));
        }
        let is_interrupt = self.is_interrupted_at(interrupted, now);
        if is_interrupt || self.is_interrupted || self.ends_now || self.all_failed.is_some() {
            let how = match is_interrupt {
                true => Halting::Interrupt,
                false => Halting::Now,
            };
            self.halt(carrier, how);
            let soon = now.after(DRAIN);
            let at = self.give_up_at.map_or(soon, |at| at.min(soon));
            self.give_up_at = Some(at);
        }
        if let Some(at) = self.give_up_at {
            if now >= at {
                carrier.cancel();
            }
            if now >= at.after(DRAIN) {
                carrier.abandon();
            }
        }
    }
}

pub(super) struct Collected {
    pub(super) statistics: RunStatistics,
    pub(super) circumstances: Circumstances,
    /// Whether the load was ended before all of its requests were due.
    pub(super) was_ended: bool,
}

impl Collected {
    /// Takes in that the coordinator was gone: that ended the load, and not a signal as which it was passed on here.
    pub(super) fn without_coordinator(&mut self, reason: &str) {
        let known = &mut self.circumstances;
        let gone = format!("the coordinator was gone: {reason}");
        known.interrupted = false;
        known.stop_reason = Some(match known.stop_reason.take() {
            Some(before) => format!("{gone}; {before}"),
            None => gone,
        });
        self.was_ended = true;
    }
}
