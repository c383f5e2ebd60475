//! The reasons for which figures of a run are not to be trusted. Each one knows its figure, what most
//! likely caused it, and what to do about it.

use super::pauses::{OtherRuns, Pauses};
use super::saturation::{Saturation, Slope};
use llmuses_core::backlog::Stage;
use llmuses_core::document::{AskedLength, Reason};
use llmuses_core::exchange::{FailureKind, TokenSource};
use llmuses_core::wording::counted;
use std::time::Duration;

/// One side of an exchange, where tokens are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenSide {
    /// The prompt.
    Input,
    /// What the model produced.
    Output,
}

impl TokenSide {
    /// `input` or `output`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// A reason to doubt the figures of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Doubt {
    /// No request succeeded, or none was even completed.
    NothingSucceeded {
        /// Completed requests.
        completed: u64,
        /// The most frequent kind of failure, its count and its first message.
        commonest: Option<(FailureKind, u64, String)>,
    },
    /// Someone ended the run.
    Interrupted {
        /// Requests that were in flight and count as cancelled.
        cancelled: u64,
    },
    /// Fewer requests were issued than were asked for, or issuing stopped for a reason.
    StoppedEarly {
        /// Requests asked for, where that is known.
        asked: Option<u64>,
        /// Requests issued.
        issued: u64,
        /// Why issuing stopped, where that is known.
        reason: Option<String>,
        /// Whether that is because every request failed.
        all_failed: bool,
    },
    /// More than 1 % of the requests failed.
    Failures {
        /// Failed requests.
        failed: u64,
        /// Completed requests.
        completed: u64,
        /// The most frequent kind.
        commonest: FailureKind,
        /// Its count.
        commonest_count: u64,
    },
    /// The server did not keep up with the schedule.
    Saturated(Saturation),
    /// More than 1 % of the requests were due while as many as may be were in flight.
    HeldUp {
        /// Such requests.
        requests: u64,
        /// Completed requests.
        completed: u64,
        /// How long one of them waited at the longest.
        longest: Duration,
        /// The most that might be in flight, where that is known.
        most: Option<u64>,
    },
    /// More than 1 % of the requests that were due had not been sent when the run ended.
    DueAndNotSent {
        /// Such requests.
        requests: u64,
        /// All that were due.
        due: u64,
    },
    /// This program stood still for more than 1 % of the run.
    LostTime {
        /// For how long.
        pauses: Pauses,
        /// The length of the run.
        wall: Duration,
    },
    /// A client thread was busy for more than 70 % of the run.
    ClientBusy {
        /// The share of the busiest thread, from 0 to 1.
        share: f64,
        /// How many threads were above the limit.
        busy: usize,
        /// How many there were.
        threads: usize,
    },
    /// The client sent late: p99 of the dispatch lag, without the opening of connections and the wait for
    /// bodies, is above the larger of 5 ms and 1 % of the shortest time to first token.
    DispatchLag {
        /// The 99th percentile.
        p99: Duration,
        /// The limit that held for this run.
        limit: Duration,
    },
    /// Requests were late since connections of HTTP/2 had no stream for them.
    FewStreams {
        /// How many waited.
        waited: u64,
        /// Completed requests.
        completed: u64,
        /// The 99th percentile of the dispatch lag.
        p99: Duration,
    },
    /// Other runs of this program were on the machine: they ask the same server, or this client was short of the processor.
    OtherRuns(OtherRuns),
    /// Requests waited for their bodies, p99 longer than the limit of the dispatch lag.
    BodiesLate {
        /// The 99th percentile.
        p99: Duration,
        /// The limit that held for this run.
        limit: Duration,
        /// Requests that waited at all.
        waited: u64,
        /// Completed requests.
        completed: u64,
    },
    /// Client threads had to wait since something behind the parser took no finished response, for more
    /// than 1 % of the requests.
    OutputBehind {
        /// What took none.
        stage: Stage,
        /// How often they waited.
        waits: u64,
        /// Completed requests.
        completed: u64,
    },
    /// Client threads had to wait until the parser took a finished response, for more than 1 % of the
    /// requests.
    ParserBehind {
        /// How often they waited.
        waits: u64,
        /// Completed requests.
        completed: u64,
    },
    /// The wall clock moved against the monotonic one by more than slewing explains.
    WallClockStepped {
        /// By how many seconds.
        seconds: f64,
    },
    /// More than 20 % of the gaps between output events are zero.
    Coalesced {
        /// Zero gaps.
        coalesced: u64,
        /// All gaps.
        gaps: u64,
    },
    /// Percentiles of the summary rest on fewer samples than they need.
    FewSamples {
        /// Succeeded requests.
        samples: u64,
        /// The percentiles concerned, with the number of samples that each needs; ascending.
        short: Vec<(String, u64)>,
    },
    /// The data set was used more than once.
    DatasetReused {
        /// How often its entries were used, on average.
        passes: f64,
        /// The share of the tokens of prompts from the cache of the server, where it is known.
        cached: Option<f64>,
    },
    /// All requests had the same prompt.
    PromptRepeated {
        /// Completed requests.
        requests: u64,
        /// The share of the tokens of prompts from the cache of the server, where it is known.
        cached: Option<f64>,
    },
    /// Outputs are shorter than the parameters ask for.
    ShorterThanAsked {
        /// Output tokens per request.
        mean: f64,
        /// The fewest of one.
        shortest: u64,
        /// How many were asked for.
        asked: u64,
    },
    /// More than 1 % of the prompts have another length than was asked for.
    OtherPromptLengths(AskedLength),
    /// More than 1 % of the outputs have a clearly other length than was asked for.
    OtherOutputLengths(AskedLength),
    /// More than 1 % of the succeeded requests have no output token.
    WithoutTokens {
        /// Such requests.
        requests: u64,
        /// Succeeded requests.
        succeeded: u64,
    },
    /// A chunk of output is not a token.
    ChunksAreNotTokens {
        /// Tokens per chunk.
        tokens_per_chunk: f64,
    },
    /// Nobody counted any tokens.
    TokensUnknown {
        /// Succeeded requests.
        succeeded: u64,
    },
    /// Streams were asked for, and plain answers came.
    NotStreamed {
        /// Succeeded requests to which that happened.
        plain: u64,
        /// Succeeded requests.
        succeeded: u64,
    },
    /// The server counted tokens of reasoning that it did not send.
    HiddenReasoning {
        /// Succeeded requests with such tokens.
        requests: u64,
        /// Those tokens.
        tokens: u64,
    },
    /// Tokens of one side were counted in more than one way.
    TokensMixed {
        /// The side.
        side: TokenSide,
        /// Who counted for how many requests.
        sources: Vec<(TokenSource, u64)>,
    },
    /// Some succeeded requests knew their tokens and some did not.
    TokensPartlyKnown {
        /// The side.
        side: TokenSide,
        /// Succeeded requests that knew.
        known: u64,
        /// Succeeded requests.
        succeeded: u64,
    },
}

impl Doubt {
    /// A short name for the database, which stays the same when wordings change.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NothingSucceeded { .. } => Reason::NOTHING_SUCCEEDED,
            Self::Interrupted { .. } => "interrupted",
            Self::StoppedEarly { .. } => "stopped-early",
            Self::Failures { .. } => "failures",
            Self::Saturated(_) => "saturated",
            Self::HeldUp { .. } => "held-up",
            Self::DueAndNotSent { .. } => "due-and-not-sent",
            Self::LostTime { .. } => "lost-time",
            Self::ClientBusy { .. } => "client-busy",
            Self::DispatchLag { .. } => "dispatch-lag",
            Self::FewStreams { .. } => "few-streams",
            Self::OtherRuns(_) => "other-runs",
            Self::BodiesLate { .. } => "bodies-late",
            Self::ParserBehind { .. } => "parser-behind",
            Self::OutputBehind { .. } => "output-behind",
            Self::WallClockStepped { .. } => "wall-clock-stepped",
            Self::Coalesced { .. } => "coalesced-chunks",
            Self::FewSamples { .. } => "few-samples",
            Self::DatasetReused { .. } => "data-set-reused",
            Self::PromptRepeated { .. } => "prompt-repeated",
            Self::ShorterThanAsked { .. } => "shorter-than-asked",
            Self::OtherPromptLengths(_) => "other-prompt-lengths",
            Self::OtherOutputLengths(_) => "other-output-lengths",
            Self::WithoutTokens { .. } => "no-output-tokens",
            Self::ChunksAreNotTokens { .. } => "chunks-are-not-tokens",
            Self::TokensUnknown { .. } => "tokens-unknown",
            Self::NotStreamed { .. } => "not-streamed",
            Self::HiddenReasoning { .. } => "hidden-reasoning",
            Self::TokensMixed { .. } => "tokens-mixed",
            Self::TokensPartlyKnown { .. } => "tokens-partly-known",
        }
    }

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
                ..
            } => {
                let asked = asked
                    .map(|asked| format!(" of {asked}"))
                    .unwrap_or_default();
                match reason {
                    Some(reason) => {
                        format!("issuing stopped after {issued}{asked} requests: {reason}")
                    }
                    None => format!("only {issued}{asked} requests were issued"),
                }
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
                completed,
                longest,
                most,
            } => format!(
                "{requests} of {completed} requests were held up by --max-in-flight{}, {:.3} s at the longest: the arrivals are not those of the schedule",
                most.map(|most| format!(" {most}")).unwrap_or_default(),
                longest.as_secs_f64()
            ),
            Self::DueAndNotSent { requests, due } => format!(
                "{requests} of {due} requests that were due had not been sent when the run ended; no other figure has them"
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
            Self::ClientBusy {
                share,
                busy,
                threads,
            } => format!(
                "the busiest client thread worked {} of the time (limit 70 %; {busy} of {threads} threads are above it)",
                percent(*share)
            ),
            Self::FewStreams {
                waited,
                completed,
                p99,
            } => format!(
                "{waited} of {completed} requests waited for a stream of HTTP/2; the dispatch lag reached {:.3} ms at p99",
                p99.as_secs_f64() * 1e3
            ),
            Self::DispatchLag { p99, limit } => format!(
                "the dispatch lag reached {:.3} ms at p99 (limit {:.3} ms), connecting not counted",
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
            Self::ParserBehind { waits, completed } => format!(
                "client threads waited {waits} times for the parser, in {completed} requests"
            ),
            Self::BodiesLate {
                p99,
                limit,
                waited,
                completed,
            } => format!(
                "{waited} of {completed} requests waited for their bodies, {:.3} ms at p99 (limit {:.3} ms)",
                p99.as_secs_f64() * 1e3,
                limit.as_secs_f64() * 1e3
            ),
            Self::OutputBehind {
                stage,
                waits,
                completed,
            } => format!(
                "client threads waited {waits} times for {}, in {completed} requests",
                match stage {
                    Stage::Plugin => "the parser",
                    Stage::Totals => "the totals",
                    Stage::Database => "the database",
                    Stage::Csv => "the rows of --csv to be taken",
                    Stage::Terminal => "standard error to be written",
                }
            ),
            Self::WallClockStepped { seconds } => {
                format!("the wall clock moved by {seconds:+.3} seconds during the run")
            }
            Self::Coalesced { coalesced, gaps } => format!(
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
            Self::PromptRepeated { requests, cached } => format!(
                "all {requests} requests had the same prompt{}",
                from_cache(*cached)
            ),
            Self::ShorterThanAsked {
                mean,
                shortest,
                asked,
            } => format!(
                "outputs have {mean:.1} tokens on average, {shortest} at least; the parameters ask for {asked}"
            ),
            Self::OtherPromptLengths(lengths) => other_lengths("prompts", lengths),
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
            Self::TokensUnknown { succeeded } => format!(
                "nobody counted the tokens of any of {}",
                counted(*succeeded, "succeeded request")
            ),
            Self::NotStreamed { plain, succeeded } => format!(
                "{plain} of {succeeded} succeeded requests asked for a stream and got a plain answer, which has no time to first token"
            ),
            Self::HiddenReasoning { requests, tokens } => format!(
                "{tokens} tokens of reasoning were counted and not sent, in {}; the time per output token is that of the others",
                counted(*requests, "succeeded request")
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

    /// The likely cause: a sentence without a full stop.
    pub fn likely_cause(&self) -> &'static str {
        match self {
            Self::NothingSucceeded {
                commonest: Some((kind, ..)),
                ..
            } => kind_cause(*kind),
            Self::NothingSucceeded { .. } => {
                "no request could be made, or the run ended before the first answer"
            }
            Self::Interrupted { .. } => "a signal or Ctrl-C ended the run before its last request",
            Self::StoppedEarly {
                all_failed: true, ..
            } => "what made the first requests fail would have made the others fail too",
            Self::StoppedEarly { .. } => {
                "the source of prompts, or a part of this program, gave up before the run was over"
            }
            Self::Failures { commonest, .. } => kind_cause(*commonest),
            Self::Saturated(_) => {
                "more requests were sent than the server can answer: they queue, and their times say how long the run was, not how fast the server is"
            }
            Self::HeldUp { .. } => {
                "the server answers more slowly than requests are due, or fewer may be in flight than the rate needs"
            }
            Self::DueAndNotSent { .. } => {
                "they waited until fewer requests were in flight (--max-in-flight), or for their bodies"
            }
            Self::LostTime { pauses, .. }
                if pauses.throttled.is_some_and(|time| !time.is_zero()) =>
            {
                "the limit of processor time of the container, or control group, that this program runs in"
            }
            Self::LostTime { .. } => {
                "this program was stopped, or other programs, or the host of this virtual machine, had the processor"
            }
            Self::ClientBusy { .. } => {
                "this machine has too few cores for the load, or the server shares them"
            }
            Self::OtherRuns(OtherRuns { same_server: 0, .. }) => {
                "the other runs took the processor when this one needed it"
            }
            Self::OtherRuns(_) => "the server answered the requests of the other runs too",
            Self::FewStreams { .. } => {
                "the server's limit of streams on a connection (SETTINGS_MAX_CONCURRENT_STREAMS), or of bytes that it has not read; each client thread has one connection"
            }
            Self::DispatchLag { .. } => {
                "this client had no processor at the instants at which it had to send"
            }
            Self::ParserBehind { .. } => {
                "the parser takes longer for a response than the server takes to send one"
            }
            Self::BodiesLate { .. } => {
                "the plugin makes bodies, or the disk gives the data set, more slowly than requests are sent"
            }
            Self::OutputBehind { stage, .. } => match stage {
                Stage::Database => "the disk of the database is slower than responses come",
                Stage::Csv => {
                    "the disk, or the program that reads the rows of --csv, is slower than responses come"
                }
                Stage::Terminal => {
                    "the text for standard error takes longer to make than responses take to come"
                }
                Stage::Plugin | Stage::Totals => "this machine has too few cores for the load",
            },
            Self::WallClockStepped { .. } => {
                "time synchronisation or a person set the clock; stamps from the kernel are wall-clock times"
            }
            Self::Coalesced { .. } => {
                "the server, a proxy or the network gathers several chunks before they are passed on"
            }
            Self::FewSamples { .. } => {
                "the run is short: it is not 99 % certain that even one sample lies beyond the true percentile"
            }
            Self::PromptRepeated { cached: None, .. } => {
                "--prompt gives one prompt; a server with a prefix cache computes it once, and this one does not tell how much of it was cached"
            }
            Self::PromptRepeated { .. } => {
                "--prompt gives one prompt, and the server computes what it has cached only once"
            }
            Self::OtherPromptLengths(_) => {
                "the server has another tokenizer or chat template than --tokenizer-path, or adds a text of its own"
            }
            Self::OtherOutputLengths(_) => {
                "the server does not know ignore_eos or min_tokens, or has a limit of its own"
            }
            Self::ShorterThanAsked { .. } => {
                "the server does not know ignore_eos or min_tokens, or has a limit of its own"
            }
            Self::WithoutTokens { .. } => {
                "the model said nothing: the prompt, the template of the server, or a stop string ends the text at once"
            }
            Self::ChunksAreNotTokens { tokens_per_chunk } if *tokens_per_chunk > 1.0 => {
                "the server sends several tokens in a chunk (speculative decoding, or chunks that are gathered), or counts tokens that it does not send, such as hidden reasoning"
            }
            Self::ChunksAreNotTokens { .. } => {
                "the server sends parts of tokens in chunks of their own, or does not count all tokens that it sends"
            }
            Self::TokensUnknown { .. } => "the server reports no usage, and no tokenizer was given",
            Self::DatasetReused { .. } => {
                "more requests were asked for than the data set has prompts; a server with a prefix cache answers a repeated prompt faster"
            }
            Self::NotStreamed { .. } => {
                "the server, or a proxy before it, does not stream for this model or these parameters"
            }
            Self::HiddenReasoning { .. } => {
                "the service keeps the reasoning of its models to itself; the time to first token has the time that it took"
            }
            Self::TokensMixed { .. } => "only part of the responses carried a usage",
            Self::TokensPartlyKnown { .. } => {
                "part of the responses carried no usage, and no tokenizer was given"
            }
        }
    }

    /// What to do: a sentence without a full stop.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NothingSucceeded {
                commonest: Some((kind, ..)),
                ..
            } => kind_remedy(*kind),
            Self::NothingSucceeded { .. } => "try a single request, and see what it says",
            Self::Interrupted { .. } => "let the run end by itself, or ask for fewer requests",
            Self::StoppedEarly {
                all_failed: true, ..
            } => "see to that failure; --keep-going sends all requests, whatever becomes of them",
            Self::StoppedEarly { .. } => {
                "see to the reason; ask for fewer requests, or use a data set with more prompts that fit"
            }
            Self::Failures { commonest, .. } => kind_remedy(*commonest),
            Self::Saturated(_) => {
                "lower --rate until this is gone; for the most that the server can do, use --parallel"
            }
            Self::HeldUp { .. } => {
                "lower --rate, or raise --max-in-flight; latency and time to first token are counted from when a request was due, and have the wait in them"
            }
            Self::DueAndNotSent { .. } => {
                "lower --rate, raise --max-in-flight, or ask for a number of requests (-n) in place of a time"
            }
            Self::LostTime { pauses, .. }
                if pauses.throttled.is_some_and(|time| !time.is_zero()) =>
            {
                "raise that limit, or lower the load"
            }
            Self::LostTime { .. } => {
                "run again on a machine that has nothing else to do, and do not stop the program"
            }
            Self::ClientBusy { .. } => {
                "use more client threads or a machine of its own, or lower the load"
            }
            Self::OtherRuns(_) => "run one after the other, or each on a machine of its own",
            Self::FewStreams { .. } => {
                "use --transport socket, which has a connection for each request; or more --client-threads, a higher limit at the server, or less load"
            }
            Self::DispatchLag { .. } => {
                "stop what else runs here, use a machine with more cores, or lower the load"
            }
            Self::ParserBehind { .. } => {
                "use a faster parser, a machine with more cores, or less load"
            }
            Self::BodiesLate { .. } => {
                "use a faster plugin or disk, a smaller data set that fits into memory, or less load"
            }
            Self::OutputBehind { stage, .. } => match stage {
                Stage::Database => "use a faster disk, or --save summary",
                Stage::Csv => "write --csv to a file on a faster disk, or read it faster",
                Stage::Terminal => "leave --debug out, or show progress less often",
                Stage::Plugin | Stage::Totals => "use a machine with more cores, or less load",
            },
            Self::WallClockStepped { .. } => {
                "check the times of the rows, and run again when the clock is steady"
            }
            Self::Coalesced { coalesced, gaps } if *coalesced * 2 > *gaps => {
                "look for a proxy that buffers; until then trust the latency alone: the first tokens waited for the others too, so that time to first token, inter-token latency and time per output token are all wrong"
            }
            Self::Coalesced { .. } => {
                "read inter-token latency with care, trust time per output token instead; look for a proxy that buffers"
            }
            Self::FewSamples { .. } => "run more requests, or leave these percentiles out",
            Self::PromptRepeated { .. } => {
                "use --dataset with as many prompts as requests, or turn the prefix cache of the server off"
            }
            Self::OtherPromptLengths(_) => {
                "give the folder of the model that the server runs as --tokenizer-path; compare with other runs by the counted length"
            }
            Self::OtherOutputLengths(_) => {
                "look at the finish reasons; ask for outputs that the server can give, or use figures per token"
            }
            Self::ShorterThanAsked { .. } => {
                "compare the throughput with nothing else; check the parameters and the limits of the server"
            }
            Self::WithoutTokens { .. } => {
                "look at the answers in the database, and at the prompt and its template"
            }
            Self::ChunksAreNotTokens { .. } => {
                "compare time per output token rather than inter-token latency"
            }
            Self::TokensUnknown { .. } => {
                "give a tokenizer with --tokenizer-path, or make the server report its usage"
            }
            Self::DatasetReused { .. } => {
                "use a larger data set, fewer requests, or turn the prefix cache of the server off"
            }
            Self::NotStreamed { .. } => {
                "check whether the server streams, or ask for plain answers with --parameters stream=false"
            }
            Self::HiddenReasoning { .. } => {
                "compare output tokens per second with those of such services only, or turn reasoning off"
            }
            Self::TokensMixed { .. } => {
                "make the server report its usage for every request, or compare no token figures"
            }
            Self::TokensPartlyKnown { .. } => {
                "give a tokenizer with --tokenizer-path, or make the server report its usage"
            }
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

/// A share as percent with one decimal.
fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn kind_cause(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Dns => "the name of the host is unknown, or the resolver is overloaded",
        FailureKind::Connect => {
            "nothing listens there, or the server has no room for more connections"
        }
        FailureKind::Tls => {
            "the certificate is not trusted, or the server speaks no TLS on this port"
        }
        FailureKind::Send => "the server closed connections while requests were being written",
        FailureKind::HttpStatus => "the server refused the requests, or was overloaded",
        FailureKind::TimeoutConnect => "the server is unreachable, or accepts too slowly",
        FailureKind::TimeoutRead => "the server was silent for too long: overloaded, or queueing",
        FailureKind::TimeoutTotal => "the answers took longer than a request may take",
        FailureKind::Protocol => "what answers does not speak HTTP as it should",
        FailureKind::Truncated => {
            "the server, or a proxy before it, dropped connections in the middle of answers"
        }
        FailureKind::StreamError => "the server gave up on answers that it had begun",
        FailureKind::NoOutput => {
            "the server answered with something else than what the model says: another API, a message, or nothing"
        }
        FailureKind::Parse => "the parser is not made for the answers of this server",
        FailureKind::Cancelled => "requests were still in flight when the run ended",
        FailureKind::ClientResource => "this machine ran out of open files, ports or memory",
    }
}

fn kind_remedy(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Dns => "check the host in --url",
        FailureKind::Connect => "check --url and whether the server runs, or lower the load",
        FailureKind::Tls => "check the scheme and the port in --url, and the certificate",
        FailureKind::Send => "look at the server's log, or lower the load",
        FailureKind::HttpStatus => {
            "read the message; check --url, --model and --headers, or lower the load"
        }
        FailureKind::TimeoutConnect => "check --url, raise --connect-timeout, or lower the load",
        FailureKind::TimeoutRead => "raise --read-timeout, or lower the load",
        FailureKind::TimeoutTotal => "raise --total-timeout, or lower the load",
        FailureKind::Protocol => "check the scheme and the port in --url",
        FailureKind::Truncated => "look at the logs of the server and of any proxy before it",
        FailureKind::StreamError => "look at the server's log, or lower the load",
        FailureKind::NoOutput => {
            "read the message; check --url and --model, and whether --parser is made for this API"
        }
        FailureKind::Parse => "choose another --parser",
        FailureKind::Cancelled => "give the run more time at its end, or lower the load",
        FailureKind::ClientResource => "raise the limits of this machine, or lower the load",
    }
}
/// The sentence about lengths that are not those asked for.
fn other_lengths(what: &str, lengths: &AskedLength) -> String {
    format!(
        "{} of {} {what} have another length than was asked for: {:.1} tokens on average for {:.1}, at worst {:+}",
        lengths.different,
        lengths.requests,
        lengths.mean_counted_tokens.unwrap_or_default(),
        lengths.mean_asked_tokens.unwrap_or_default(),
        lengths.worst_difference_tokens,
    )
}
