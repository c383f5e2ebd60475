//! What was found, with its figure.

use super::Doubt;
use crate::circumstances::StoppedBy;
use crate::saturation::{Saturation, Slope};
use crate::short_outputs::ShortOutputs;
use llmuses_core::backlog::PipelineStage;
use llmuses_core::document::{AskedLength, UnsentRequests, UnsentWait};
use llmuses_core::wording::counted;
use std::time::Duration;

impl Doubt {
    /// What was found, with its figure: a sentence without a full stop.
    pub fn figure(&self) -> String {
        match self {
            Self::NothingSucceeded {
                completed,
                commonest,
            } => match commonest {
                Some((kind, _, message)) if *completed == 1 => {
                    format!("the only request failed with {kind}: {message}")
                }
                Some((kind, count, message)) => format!(
                    "none of {completed} requests succeeded; {count} failed with {kind}: {message}"
                ),
                None => "no request was completed".to_owned(),
            },
            Self::Interrupted { cancelled } => {
                format!("the run was interrupted; requests cancelled in flight: {cancelled}")
            }
            Self::StoppedEarly {
                asked,
                issued,
                reason,
                stopped_by,
            } => {
                let asked = asked
                    .map(|asked| format!(" of {asked}"))
                    .unwrap_or_default();
                match reason {
                    Some(reason) if *stopped_by == Some(StoppedBy::Kill) => {
                        format!(
                            "the run did not end, {issued}{asked} requests have a row: {reason}"
                        )
                    }
                    Some(reason) => {
                        format!("issuing stopped after {issued}{asked} requests: {reason}")
                    }
                    None => format!("only {issued}{asked} requests were issued"),
                }
            }
            Self::OlderVersion { requests } => format!(
                "an older version of this program wrote the database; these figures are made of the rows of {requests} requests"
            ),
            Self::LostWorker {
                name,
                after_seconds,
                reason,
                without_result,
                due_without_result,
            } => {
                let begun = match without_result {
                    0 => String::new(),
                    count => format!(
                        "; {} that it had begun without a result",
                        counted(*count, "request")
                    ),
                };
                let due = match due_without_result {
                    None | Some(0) => String::new(),
                    Some(1) => "; 1 request of its part that was due has no result".to_owned(),
                    Some(count) => format!(
                        "; {} of its part that were due have no result",
                        counted(*count, "request")
                    ),
                };
                format!(
                    "worker {name} was lost {after_seconds:.1} s after the start: {reason}{begun}{due}"
                )
            }
            Self::WorkersApart {
                name,
                seconds,
                limit,
            } => format!(
                "the clock of worker {name} may be {:.2} ms from where it was taken to be (limit {:.2} ms)",
                seconds * 1e3,
                limit.as_secs_f64() * 1e3
            ),
            Self::UnlikeWorkers(worker) => {
                let more = match worker.difference_seconds < 0.0 {
                    true => "shorter",
                    false => "longer",
                };
                format!(
                    "times to first token of worker {} are {:.2} ± {:.2} ms {more} than those of the others (its mean is {:.2} ms)",
                    worker.name,
                    worker.difference_seconds.abs() * 1e3,
                    worker.half_width_seconds * 1e3,
                    worker.mean_seconds * 1e3
                )
            }
            Self::WorkersOnOneMachine {
                names: [one, other],
            } => {
                format!("workers {one} and {other} are on one machine")
            }
            Self::Failures {
                failed,
                completed,
                commonest,
                commonest_count,
            } => format!(
                "{} of the requests failed ({failed} of {completed}, limit 1 %), {commonest_count} of them with {commonest}",
                percent(*failed as f64 / *completed as f64)
            ),
            Self::Saturated(found) => saturated(found),
            Self::HeldUp {
                requests,
                over,
                longest,
                most,
            } => format!(
                "{requests} of {over} requests were held up by --max-in-flight{}, {:.3} s at the longest: the arrivals are not those of the schedule",
                most.map(|most| format!(" {most}")).unwrap_or_default(),
                longest.as_secs_f64()
            ),
            Self::DueAndNotSent {
                requests,
                due,
                waited_for,
            } => format!(
                "{requests} of {due} requests that were due had not been sent when the run ended{}; no other figure has them",
                waits(*waited_for)
            ),
            Self::LostTime { pauses, wall } => {
                let seconds = |time: Duration| format!("{:.2}", time.as_secs_f64());
                let mut text = format!(
                    "this program stood still for {} of {} seconds (limit 1 %)",
                    seconds(pauses.total),
                    seconds(*wall)
                );
                if !pauses.longest.is_zero() {
                    let millis = pauses.longest.as_secs_f64() * 1e3;
                    text.push_str(&format!(", {millis:.0} ms at a time at most"));
                }
                if let Some(throttled) = pauses.throttled.filter(|time| !time.is_zero()) {
                    text.push_str(&format!(
                        "; its control group had used up its processor time for {} seconds, summed over processors",
                        seconds(throttled)
                    ));
                }
                text
            }
            Self::ProcessorWaits {
                waits,
                wall,
                latency,
            } => format!(
                "a thread of this program waited for a processor for {:.2} of {:.2} seconds (limit 1 %), each time for {:.2} ms on average, {} of the median latency (limit 1 %)",
                waits.total.as_secs_f64(),
                wall.as_secs_f64(),
                waits.mean.as_secs_f64() * 1e3,
                percent(waits.mean.as_secs_f64() / latency.as_secs_f64())
            ),
            Self::ClientBusy {
                share,
                busy,
                threads,
            } => format!(
                "the busiest client thread worked {} of the time (limit 70 %; {busy} of {threads} threads are above it)",
                percent(*share)
            ),
            Self::LateReads {
                mean,
                limit,
                latency,
            } => format!(
                "the last bytes of a response had been there for {:.3} ms on average when this program read them (limit {:.3} ms), {} of the mean latency",
                mean.as_secs_f64() * 1e3,
                limit.as_secs_f64() * 1e3,
                percent(mean.as_secs_f64() / latency.as_secs_f64())
            ),
            Self::FewStreams { waited, over, p99 } => format!(
                "{waited} of {over} requests waited for a stream of HTTP/2; the send delay reached {:.3} ms at p99",
                p99.as_secs_f64() * 1e3
            ),
            Self::DispatchLag { p99, limit } => format!(
                "the send delay reached {:.3} ms at p99 (limit {:.3} ms), connecting not counted",
                p99.as_secs_f64() * 1e3,
                limit.as_secs_f64() * 1e3
            ),
            Self::OtherRuns(others) => {
                let mut text = format!(
                    "there {} of this program on the machine when this one began or ended",
                    match others.runs {
                        1 => "was 1 other run".to_owned(),
                        runs => format!("were {runs} other runs"),
                    }
                );
                if others.same_server > 0 {
                    text.push_str(&format!(", {} against the same server", others.same_server));
                }
                text
            }
            Self::ParserBehind { waits, over } => {
                format!("client threads waited {waits} times for the parser, in {over} requests")
            }
            Self::BodiesLate {
                p99,
                limit,
                waited,
                for_memory,
                over,
            } => format!(
                "{waited} of {over} requests waited for their bodies, {:.3} ms at p99 (limit {:.3} ms){}",
                p99.as_secs_f64() * 1e3,
                limit.as_secs_f64() * 1e3,
                match for_memory {
                    0 => String::new(),
                    for_memory => format!("; {for_memory} of them for memory (--memory-limit)"),
                }
            ),
            Self::OutputBehind { stage, waits, over } => format!(
                "client threads waited {waits} times for {}, in {over} requests",
                match stage {
                    PipelineStage::Plugin => "the parser",
                    PipelineStage::Totals => "the totals",
                    PipelineStage::Database => "the database",
                    PipelineStage::Csv => "the rows of --csv to be taken",
                    PipelineStage::Terminal => "standard error to be written",
                }
            ),
            Self::WallClockStepped { seconds } => {
                format!("the wall clock moved by {seconds:+.3} seconds during the run")
            }
            Self::Coalesced {
                coalesced, gaps, ..
            } => format!(
                "{} of the gaps between output chunks are zero ({coalesced} of {gaps}, limit 20 %)",
                percent(*coalesced as f64 / *gaps as f64)
            ),
            Self::FewSamples { samples, short } => {
                let short: Vec<String> = short
                    .iter()
                    .map(|(label, needs)| format!("{label} needs {needs}"))
                    .collect();
                format!(
                    "{}, but {}",
                    counted(*samples, "succeeded request"),
                    short.join(", ")
                )
            }
            Self::DatasetReused { passes, cached } => {
                format!(
                    "the data set was used {passes:.1} times{}",
                    from_cache(*cached)
                )
            }
            Self::DatasetCached {
                share,
                of_first_turns,
            } => format!(
                "{} of the tokens of prompts{} came from the cache of the server, though no entry of the data set was sent \
                 twice",
                percent(*share),
                if *of_first_turns {
                    " of first turns"
                } else {
                    ""
                }
            ),
            Self::PromptRepeated { requests, cached } => format!(
                "all {requests} requests had the same prompt{}",
                from_cache(*cached)
            ),
            Self::ShorterThanAsked {
                mean,
                shortest,
                asked,
                short,
            } => format!(
                "outputs have {mean:.1} tokens on average, {shortest} at least; the parameters ask for {asked}{short}"
            ),
            Self::OtherPromptLengths(lengths) => other_lengths("prompts", lengths),
            Self::OtherTurnLengths(lengths) => format!(
                "{} of {} prompts of later turns have other lengths than the turn before, its reply and the new message \
                 together: {:.1} tokens on average for {:.1}, at worst {:+}",
                lengths.different,
                lengths.requests,
                lengths.mean_counted_tokens.unwrap_or_default(),
                lengths.mean_asked_tokens.unwrap_or_default(),
                lengths.worst_difference_tokens,
            ),
            Self::OtherCacheHits(cached) => format!(
                "the server took {:.1} tokens of each prompt from its prefix cache on average, where the prompts let expect {}",
                cached.mean_reported_tokens,
                cached.expected()
            ),
            Self::OtherOutputLengths(lengths) => other_lengths("outputs", lengths),
            Self::WithoutTokens {
                requests,
                succeeded,
            } => format!(
                "{requests} of {succeeded} succeeded requests have no output tokens, by what was counted"
            ),
            Self::ChunksAreNotTokens { tokens_per_chunk } => format!(
                "a chunk of output carries {tokens_per_chunk:.2} tokens on average: inter-token latency is the \
                 time between chunks, not between tokens"
            ),
            Self::TokensUnknown {
                succeeded,
                only_output,
            } => format!(
                "nobody counted the {} of any of {}",
                if *only_output {
                    "output tokens"
                } else {
                    "tokens"
                },
                counted(*succeeded, "succeeded request")
            ),
            Self::WithoutEnd { streams, succeeded } => format!(
                "{streams} of {succeeded} succeeded requests got a stream that did not say that it is over: it has no finish \
                 reason, no usage at its end and no [DONE]"
            ),
            Self::NotStreamed { plain, succeeded } => format!(
                "{plain} of {succeeded} succeeded requests asked for a stream and got a plain answer, which has no time to first token"
            ),
            Self::HiddenReasoning { requests, tokens } => format!(
                "{tokens} tokens of reasoning were counted and not sent, in {}; the time per output token is that of the others",
                counted(*requests, "succeeded request")
            ),
            Self::MoreTokensThanBytes {
                requests,
                succeeded,
                tokens,
                bytes,
            } => format!(
                "{requests} of {succeeded} succeeded requests count more output tokens than their responses have bytes, at the most {tokens} tokens in {}",
                counted(*bytes, "byte")
            ),
            Self::TokensMixed { side, sources } => {
                let sources: Vec<String> = sources
                    .iter()
                    .map(|(source, requests)| format!("{requests} by {}", source.as_str()))
                    .collect();
                format!(
                    "{} tokens were counted in more than one way: {}",
                    side.as_str(),
                    sources.join(", ")
                )
            }
            Self::TokensPartlyKnown {
                side,
                known,
                succeeded,
            } => format!(
                "{} tokens are known for {known} of {succeeded} succeeded requests",
                side.as_str()
            ),
        }
    }
}

fn saturated(found: &Saturation) -> String {
    let slope = |slope: &Slope, factor: f64| {
        format!(
            "{:+.2} (95 % confidence {:+.2} to {:+.2})",
            slope.value * factor,
            slope.low * factor,
            slope.high * factor
        )
    };
    let mut text = format!(
        "the server did not keep up: {:.1} requests were sent per second and {:.1} were over, {} were in flight \
         at the end of the schedule; in flight per second {}",
        found.sent,
        found.done,
        found.at_the_end,
        slope(&found.in_flight, 1.0)
    );
    for (name, times) in [
        ("time to first token", &found.ttft),
        ("latency", &found.latency),
    ] {
        if let Some(times) = times {
            text.push_str(&format!(", {name} per second {} ms", slope(times, 1e3)));
        }
    }
    text
}

/// What is known of the cache of the server.
fn from_cache(share: Option<f64>) -> String {
    share.map_or_else(String::new, |share| {
        format!(
            "; {} of the tokens of prompts came from the cache of the server",
            percent(share)
        )
    })
}

/// What requests that were not sent waited for, where that was more than one thing.
fn waits(waited_for: UnsentRequests) -> String {
    let counted = waited_for
        .each()
        .into_iter()
        .filter(|(_, requests)| *requests > 0);
    let texts: Vec<String> = counted
        .map(|(wait, requests)| {
            let what = match wait {
                UnsentWait::PlaceInFlight => "until fewer were in flight (--max-in-flight)",
                UnsentWait::Body => "for their bodies",
                UnsentWait::Memory => "for memory for their bodies (--memory-limit)",
                UnsentWait::Processor => "for a processor",
            };
            format!("{requests} waited {what}")
        })
        .collect();
    match texts.len() {
        0 | 1 => String::new(),
        _ => format!(" ({})", texts.join(", ")),
    }
}

/// A share as percent with one decimal.
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The sentence about lengths that are not those asked for.
fn other_lengths(what: &str, lengths: &AskedLength) -> String {
    format!(
        "{} of {} {what} have another length than was asked for: {:.1} tokens on average for {:.1}, at worst {:+}{}",
        lengths.different,
        lengths.requests,
        lengths.mean_counted_tokens.unwrap_or_default(),
        lengths.mean_asked_tokens.unwrap_or_default(),
        lengths.worst_difference_tokens,
        ShortOutputs::of(lengths),
    )
}
