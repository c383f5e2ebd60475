//! The circumstances of a run of which several processes sent a part each: out of those of the parts.

use super::asked_lengths::LengthsAsked;
use super::circumstances::{Circumstances, ConnectionUse, DatasetUse};
use super::pauses::{OtherRuns, Pauses, ProcessorWaits};
use llmuses_core::backlog::{PipelineStage, Waits};
use llmuses_core::cost::{CallCost, ParserCost};
use llmuses_core::document::{MOST_SERVERS, ParserCalls, ReplayFigures, Totals};
use llmuses_core::late_reads::LateReads;
use std::time::Duration;

/// The circumstances of the whole run. `parts`: which part it is, in words, and its totals.
///
/// Counts are added up, of times in which a process stood still the longest counts, and of the peaks in flight nothing is
/// known together. What was asked for is not in the parts.
pub fn circumstances_of_parts(parts: &[(String, &Totals)]) -> Circumstances {
    let mut whole = Circumstances::default();
    let mut passes = 0.0;
    for (name, part) in parts {
        let client = &part.client;
        whole.issued += part.requests.issued;
        whole.due_and_not_sent += part.requests.due_and_not_sent;
        whole.due_and_not_sent_waited_for += part.requests.due_and_not_sent_waited_for;
        whole.last_due_and_not_sent = whole.last_due_and_not_sent.max(
            (part.requests.last_due_and_not_sent_seconds)
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        );
        whole.waited_for_memory += client.requests_that_waited_for_memory;
        whole.client_busy.extend(&client.busy_shares);
        whole.interrupted |= client.interrupted;
        whole.transport.clone_from(&client.transport);
        whole.transport_reason.clone_from(&client.transport_reason);
        if client.wall_clock_step_seconds.abs() > whole.wall_clock_step_seconds.abs() {
            whole.wall_clock_step_seconds = client.wall_clock_step_seconds;
        }
        add_connections(&mut whole.connections, part);
        add_waits(&mut whole.backlog_waits, part);
        add_pauses(&mut whole.pauses, part);
        if let Some(late) = client.late_reads {
            whole.late_reads += LateReads {
                responses: late.responses,
                total: Duration::try_from_secs_f64(late.seconds).unwrap_or_default(),
            };
        }
        add_replay(&mut whole.replay, part);
        if let (Some(runs), Some(same_server)) =
            (client.other_runs, client.other_runs_against_the_same_server)
        {
            whole.other_runs = whole.other_runs.max(Some(OtherRuns { same_server, runs }));
        }
        whole.parser_cost += ParserCost {
            requests: calls(&part.parser_cost.requests),
            responses: calls(&part.parser_cost.responses),
            replacements: calls(&part.parser_cost.replaced_instances),
        };
        if let Some(data) = &part.data_set {
            // Each part reads the whole data set.
            passes += data.passes / parts.len() as f64;
            let known = whole.dataset.get_or_insert_default();
            if data.entries_read >= known.entries_read {
                *known = DatasetUse {
                    passes: 0.0,
                    entries_read: data.entries_read,
                    skipped: data
                        .entries_skipped
                        .iter()
                        .map(|(reason, count)| (reason.to_owned(), *count))
                        .collect(),
                    bad_entries: data.bad_entries,
                };
            }
        }
        whole.ended_by_coordinator |= client.ended_by_coordinator;
        if let Some(reason) = &client.stop_reason {
            let reason = format!("{name}: {reason}");
            whole.stop_reason = Some(match whole.stop_reason.take() {
                None => reason,
                Some(before) => format!("{before}; {reason}"),
            });
        }
    }
    if let Some(dataset) = &mut whole.dataset {
        dataset.passes = passes;
    }
    let lengths = parts.iter();
    let lengths = lengths.filter_map(|(_, part)| part.asked_lengths.as_ref());
    whole.lengths_asked = LengthsAsked::of_parts(lengths);
    whole
}

fn add_connections(whole: &mut ConnectionUse, part: &Totals) {
    let used = &part.connections;
    whole.opened = match (whole.opened, used.opened) {
        (Some(before), Some(more)) => Some(before + more),
        (one, other) => one.or(other),
    };
    whole.resent += used.requests_sent_again;
    whole.ended_at_done += used.streams_ended_at_done;
    whole.one_request_each |= used.one_request_each;
    whole.waited_for_stream += used.requests_that_waited_for_a_stream;
    for version in &used.http_versions {
        if !whole.http_versions.contains(version) {
            whole.http_versions.push(version.clone());
        }
    }
    for server in &used.servers {
        if whole.servers.len() < MOST_SERVERS && !whole.servers.contains(server) {
            whole.servers.push(server.clone());
        }
    }
}

fn add_waits(whole: &mut Waits, part: &Totals) {
    let others = &part.client.other_backlog_waits;
    for (stage, waits) in [
        (PipelineStage::Plugin, part.client.parser_backlog_waits),
        (PipelineStage::Totals, others.totals),
        (PipelineStage::Database, others.database),
        (PipelineStage::Csv, others.csv),
        (PipelineStage::Terminal, others.terminal),
    ] {
        *whole = whole.with(stage, whole.of(stage) + waits);
    }
}

fn add_replay(whole: &mut Option<ReplayFigures>, part: &Totals) {
    if let Some(part) = &part.replay {
        let whole = whole.get_or_insert_default();
        let longest = |one: f64, other: f64| one.max(other);
        whole.requests += part.requests;
        whole.last_due_seconds = longest(whole.last_due_seconds, part.last_due_seconds);
        whole.held_back_requests += part.held_back_requests;
        whole.longest_held_back_seconds = longest(
            whole.longest_held_back_seconds,
            part.longest_held_back_seconds,
        );
    }
}

fn add_pauses(whole: &mut Pauses, part: &Totals) {
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
    whole.total = whole.total.max(seconds(part.client.stood_still_seconds));
    whole.throttled = whole
        .throttled
        .max(part.client.throttled_seconds.map(seconds));
    let waits = part
        .client
        .processor_wait_seconds
        .map(|total| ProcessorWaits {
            total: seconds(total),
            mean: seconds(part.client.mean_processor_wait_seconds.unwrap_or_default()),
        });
    whole.waits = whole.waits.max(waits);
}

fn calls(cost: &ParserCalls) -> CallCost {
    CallCost {
        calls: cost.calls,
        time: Duration::try_from_secs_f64(cost.seconds).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Origin, RunStatistics, totals};

    fn part(issued: u64, busy: f64, reason: Option<&str>) -> Totals {
        let circumstances = Circumstances {
            issued,
            client_busy: vec![busy],
            dataset: Some(DatasetUse {
                passes: issued as f64 / 10.0,
                entries_read: 20,
                ..DatasetUse::default()
            }),
            wall_clock_step_seconds: -busy,
            connections: ConnectionUse {
                opened: Some(4),
                resent: 2,
                http_versions: vec!["HTTP/1.1".to_owned()],
                ..ConnectionUse::default()
            },
            backlog_waits: Waits::default().with(PipelineStage::Csv, 3),
            pauses: Pauses {
                total: Duration::from_secs_f64(busy),
                waits: Some(ProcessorWaits {
                    total: Duration::from_secs_f64(busy * 2.0),
                    mean: Duration::from_millis(2),
                }),
                ..Pauses::default()
            },
            late_reads: LateReads {
                responses: issued,
                total: Duration::from_millis(issued),
            },
            stop_reason: reason.map(ToOwned::to_owned),
            ..Circumstances::default()
        };
        totals(&RunStatistics::new(Origin::Sent), &circumstances)
    }

    #[test]
    fn servers_of_all_parts_are_told_once_each_up_to_a_bound() {
        let of = |servers: &[&str]| {
            let mut part = part(1, 0.5, None);
            part.connections.servers = servers.iter().map(|name| (*name).to_owned()).collect();
            part
        };
        let (first, second) = (of(&["a", "b"]), of(&["b", "c", "d", "e"]));
        let parts = [("0".to_owned(), &first), ("1".to_owned(), &second)];
        let servers = circumstances_of_parts(&parts).connections.servers;
        assert_eq!(servers, ["a", "b", "c", "d"]);
        assert_eq!(servers.len(), MOST_SERVERS);
    }

    #[test]
    fn counts_are_added_and_the_longest_pause_counts() {
        let (first, second) = (part(3, 0.25, None), part(5, 0.5, Some("no place")));
        let parts = [
            ("part 0".to_owned(), &first),
            ("part 1".to_owned(), &second),
        ];
        let whole = circumstances_of_parts(&parts);
        assert_eq!(whole.issued, 8);
        assert_eq!(whole.client_busy, [0.25, 0.5]);
        assert_eq!(whole.wall_clock_step_seconds, -0.5);
        assert_eq!(whole.connections.resent, 4);
        assert_eq!(whole.connections.opened, Some(8));
        assert_eq!(whole.connections.http_versions, ["HTTP/1.1"]);
        assert_eq!(whole.backlog_waits.of(PipelineStage::Csv), 6);
        assert_eq!(whole.pauses.total, Duration::from_millis(500));
        let waits = whole.pauses.waits.unwrap();
        assert_eq!((waits.total.as_secs(), waits.mean.as_millis()), (1, 2));
        assert_eq!(whole.late_reads.responses, 8);
        assert_eq!(whole.late_reads.mean(), Some(Duration::from_millis(1)));
        assert_eq!(whole.stop_reason.as_deref(), Some("part 1: no place"));
        let dataset = whole.dataset.unwrap();
        assert!((dataset.passes - 0.4).abs() < 1e-12);
        assert_eq!(dataset.entries_read, 20);
    }
}
