//! Totals and verdict of a run as they stand in a document.

mod series;
mod spreads;

use super::asked_lengths::LengthsAsked;
use super::circumstances::{Circumstances, ConnectionUse};
use super::measure::Origin;
use super::over_time::times_over_time;
use super::running::RunStatistics;
use super::verdict::Doubt;
use llmuses_core::backlog::{PipelineStage, Waits};
use llmuses_core::cost::CallCost;
use llmuses_core::document::{
    BacklogWaits, ClientUse, ConnectionFigures, DatasetFigures, Distribution, FailureFigures,
    Goodput, GroupFigures, LateReadFigures, Named, Packages, ParserCalls, ParserCosts,
    ParserMetrics, ProbeFigures, Rates, Reason, RequestCounts, RunFigures, StatusFigures,
    TimeSeries, Times, Tokens, Totals, Verdict,
};
use llmuses_core::metric::{
    ByTime, GOODPUT, GOODPUT_SHARE, PACKAGES, QPS, Sums, THROUGHPUT, TIME_PER_TOKEN, TPOT, TTFT,
};
use series::{slowest, timeline};
use spreads::{distribution, figures, time_figures, tokens};
use std::time::Duration;

/// The totals of a run, with the circumstances under which they were measured.
pub fn totals(statistics: &RunStatistics, circumstances: &Circumstances) -> Totals {
    let counts = statistics.counts();
    let wall = time_of_rates(statistics, circumstances.probe.as_ref());
    let sums = Sums {
        wall_seconds: wall.map(seconds),
        ..statistics.sums()
    };
    let by_input_length = |time| Some(statistics.by_input_length(time).to_document());
    let mut totals = Totals {
        origin: statistics.origin().as_str().to_owned(),
        wall_seconds: wall.map(seconds),
        requests: RequestCounts {
            asked: circumstances.asked,
            issued: circumstances.issued,
            completed: counts.completed,
            disconnected: counts.disconnected,
            sent: counts.sent,
            succeeded: counts.succeeded,
            failed: counts.failed,
            empty_answers: counts.empty_answers,
            not_streamed: counts.plain,
            not_streamed_though_asked: counts.plain_though_asked,
            own_connection: counts.own_connections,
            warm_connections: counts.warm_connections,
            warmup: counts.warmup,
            warmup_failed: counts.warmup_failed,
            peak_in_flight: circumstances.peak_in_flight,
            max_in_flight: circumstances.max_in_flight,
            due_and_not_sent: circumstances.due_and_not_sent,
            due_and_not_sent_waited_for: circumstances.due_and_not_sent_waited_for,
            last_due_and_not_sent_seconds: circumstances.last_due_and_not_sent.map(seconds),
        },
        connections: connections(&circumstances.connections),
        failures: failures(statistics),
        figures: RunFigures::default(),
        figure_errors: statistics.ratio_errors().to_document(&sums),
        asked_lengths: circumstances
            .lengths_asked
            .as_ref()
            .map(LengthsAsked::to_document),
        task: circumstances.task,
        finish_reasons: statistics.finish_reasons().into_iter().collect(),
        rates: Rates {
            succeeded_per_second: QPS.of(&sums),
            scheduled_per_second: statistics.scheduled_rate(),
            sent_per_second: statistics.sent_rate(circumstances.last_due_and_not_sent),
            output_tokens_per_second: THROUGHPUT.of(&sums),
        },
        goodput: goodput(statistics, &sums),
        objectives: Vec::new(),
        groups: circumstances.groups.clone(),
        tokens: tokens_of(statistics, &sums),
        packages: packages(statistics, &sums),
        probe: circumstances.probe.clone(),
        replay: circumstances.replay,
        bytes_received: counts.bytes_received,
        times: Times(ByTime::of(|time| distribution(statistics, time))),
        parser_metrics: ParserMetrics {
            named: statistics
                .metrics()
                .named()
                .iter()
                .map(|(name, metric)| (name.clone(), figures(metric)))
                .collect(),
            values_not_finite: statistics.metrics().not_finite(),
            values_beyond_the_limit_of_names: statistics.metrics().unnamed(),
        },
        parser_cost: ParserCosts {
            requests: call_cost(&circumstances.parser_cost.requests, wall),
            responses: call_cost(&circumstances.parser_cost.responses, wall),
            replaced_instances: call_cost(&circumstances.parser_cost.replacements, wall),
        },
        client: ClientUse {
            machine: circumstances.machine.clone(),
            transport: circumstances.transport.clone(),
            transport_reason: circumstances.transport_reason.clone(),
            kernel_stamped_responses: counts.kernel_stamped,
            read_stamped_responses: counts.read_stamped,
            busy_shares: circumstances.client_busy.clone(),
            parser_backlog_waits: circumstances.backlog_waits.of(PipelineStage::Plugin),
            other_backlog_waits: other_waits(circumstances.backlog_waits),
            requests_that_waited_for_their_body: counts.waited_for_body,
            requests_that_waited_for_memory: circumstances.waited_for_memory,
            other_runs: circumstances.other_runs.map(|others| others.runs),
            other_runs_against_the_same_server: circumstances
                .other_runs
                .map(|others| others.same_server),
            stood_still_seconds: seconds(circumstances.pauses.total),
            throttled_seconds: circumstances.pauses.throttled.map(seconds),
            processor_wait_seconds: circumstances.pauses.waits.map(|waits| seconds(waits.total)),
            mean_processor_wait_seconds: circumstances
                .pauses
                .waits
                .map(|waits| seconds(waits.mean)),
            late_reads: (circumstances.late_reads.responses > 0).then(|| LateReadFigures {
                responses: circumstances.late_reads.responses,
                seconds: seconds(circumstances.late_reads.total),
            }),
            wall_clock_step_seconds: circumstances.wall_clock_step_seconds,
            interrupted: circumstances.interrupted,
            ended_by_coordinator: circumstances.ended_by_coordinator,
            stop_reason: circumstances.stop_reason.clone(),
        },
        workers: circumstances.workers.clone(),
        sessions: statistics.sessions().to_document(time_figures),
        data_set: circumstances
            .dataset
            .as_ref()
            .map(|dataset| DatasetFigures {
                passes: dataset.passes,
                entries_read: dataset.entries_read,
                entries_skipped: dataset.skipped.iter().cloned().collect(),
                bad_entries: dataset.bad_entries,
            }),
        timeline: TimeSeries {
            warmup_seconds: statistics.warmup().map(seconds),
            ..timeline(statistics.timeline(), statistics.objectives().is_some())
        },
        times_over_time: Some(times_over_time(statistics.timeline())),
        time_to_first_token_by_input_length: by_input_length(TTFT),
        time_per_output_token_by_input_length: by_input_length(TPOT),
        slowest_requests: slowest(statistics.slowest(), statistics.timeline().start()),
    };
    // As they come out of the document, so that one that is read back says the same.
    totals.figures = RunFigures::of(&totals.sums());
    totals.objectives = circumstances
        .objectives
        .iter()
        .map(|objective| objective.decide(&totals))
        .collect();
    totals
}

/// What the rates of a run are divided by: the time from the first request sent to the last end.
///
/// Of a probe of a rate with which the server kept up, it is the time in which requests were sent. Such a probe ends as soon
/// as it is decided, at times after a few seconds, and the time in which its last requests came to their end is then a large
/// part of the whole: divided by the whole, its rates would be too low. In a closed loop that is no fault, since a request
/// is sent as another one ends.
pub fn time_of_rates(statistics: &RunStatistics, probe: Option<&ProbeFigures>) -> Option<Duration> {
    let is_open = statistics.origin() == Origin::Intended;
    let keeps_up = is_open && probe.is_some_and(|probe| probe.lost.is_none());
    let sending = keeps_up.then(|| statistics.sending()).flatten();
    sending.or_else(|| statistics.wall())
}

/// The figures of the requests of a group, but for its name. `time`: what its rates are divided by.
pub(super) fn group_figures(statistics: &RunStatistics, time: Option<Duration>) -> GroupFigures {
    let counts = statistics.counts();
    let sums = Sums {
        wall_seconds: time.map(seconds),
        ..statistics.sums()
    };
    GroupFigures {
        begins_seconds: None,
        by: String::new(),
        name: String::new(),
        seconds: sums.wall_seconds,
        completed: counts.completed,
        disconnected: counts.disconnected,
        sent: counts.sent,
        succeeded: counts.succeeded,
        failed: counts.failed,
        due_per_second: sums
            .wall_seconds
            .filter(|seconds| *seconds > 0.0)
            .map(|seconds| counts.over() as f64 / seconds),
        figures: RunFigures::of(&sums),
        goodput: goodput(statistics, &sums),
        tokens: tokens_of(statistics, &sums),
        packages: packages(statistics, &sums),
        bytes_received: counts.bytes_received,
        times: Times(ByTime::of(|time| Distribution {
            curve: None,
            ..distribution(statistics, time)
        })),
    }
}

fn goodput(statistics: &RunStatistics, sums: &Sums) -> Option<Goodput> {
    statistics.objectives().map(|objectives| Goodput {
        objectives: objectives.to_record(),
        requests_that_met_all: statistics.counts().met_objectives,
        share_of_completed: GOODPUT_SHARE.of(sums),
        per_second: GOODPUT.of(sums),
    })
}

fn tokens_of(statistics: &RunStatistics, sums: &Sums) -> Tokens {
    let counts = statistics.counts();
    Tokens {
        input: tokens(&counts.prompt, &statistics.lengths().input),
        output: tokens(&counts.completion, &statistics.lengths().output),
        output_counted_but_not_sent: counts.hidden_tokens,
        average_seconds_per_output_token: TIME_PER_TOKEN.of(sums),
    }
}

fn packages(statistics: &RunStatistics, sums: &Sums) -> Packages {
    let counts = statistics.counts();
    Packages {
        count: counts.packages,
        per_request: PACKAGES.of(sums),
        average_latency_seconds: statistics.average_package_latency(),
        output_gaps: counts.output_gaps,
        coalesced_output_gaps: counts.coalesced_gaps,
        token_chunks: counts.token_chunks,
        chunks_of_several_tokens: counts.chunks_of_several_tokens,
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn connections(used: &ConnectionUse) -> ConnectionFigures {
    ConnectionFigures {
        opened: used.opened,
        http_versions: used.http_versions.clone(),
        servers: used.servers.clone(),
        requests_that_waited_for_a_stream: used.waited_for_stream,
        requests_sent_again: used.resent,
        one_request_each: used.one_request_each,
        streams_ended_at_done: used.ended_at_done,
    }
}

fn failures(statistics: &RunStatistics) -> Named<FailureFigures> {
    let parts = statistics.failures_by_status();
    statistics
        .failures()
        .into_iter()
        .map(|failure| {
            let figures = FailureFigures {
                requests: failure.count,
                first_message: failure.example,
                by_status: parts
                    .iter()
                    .filter(|part| part.kind == failure.kind && part.status.is_some())
                    .map(|part| StatusFigures {
                        status: part.status,
                        requests: part.count,
                        first_message: part.example.clone(),
                    })
                    .collect(),
            };
            (failure.kind.as_str().to_owned(), figures)
        })
        .collect()
}

fn other_waits(waits: Waits) -> BacklogWaits {
    BacklogWaits {
        totals: waits.of(PipelineStage::Totals),
        database: waits.of(PipelineStage::Database),
        csv: waits.of(PipelineStage::Csv),
        terminal: waits.of(PipelineStage::Terminal),
    }
}

fn call_cost(cost: &CallCost, wall: Option<Duration>) -> ParserCalls {
    ParserCalls {
        calls: cost.calls,
        seconds: seconds(cost.time),
        seconds_per_call: cost.mean().map(seconds),
        share_of_run: wall
            .filter(|wall| !wall.is_zero())
            .map(|wall| seconds(cost.time) / seconds(wall)),
    }
}

/// The verdict: whether anything speaks against the figures, and what.
pub fn verdict(doubts: &[Doubt]) -> Verdict {
    Verdict {
        trusted: doubts.is_empty(),
        doubts: doubts
            .iter()
            .map(|doubt| Reason {
                reason: doubt.code().to_owned(),
                figure: doubt.figure(),
                likely_cause: doubt.likely_cause().to_owned(),
                what_to_do: doubt.remedy().to_owned(),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests;
