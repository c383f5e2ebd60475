//! What to do about it.

use super::Doubt;
use crate::circumstances::StoppedBy;
use crate::short_outputs::{EndedBy, ShortOutputs};
use llmuses_core::backlog::PipelineStage;
use llmuses_core::document::UnsentWait;
use llmuses_core::exchange::FailureKind;

impl Doubt {
    /// What to do: a sentence without a full stop.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NothingSucceeded {
                commonest: Some((kind, ..)),
                ..
            } => kind_remedy(*kind),
            Self::NothingSucceeded { .. } => "try a single request, and see what it says",
            Self::Interrupted { .. } => "let the run end by itself, or ask for fewer requests",
            Self::StoppedEarly { stopped_by, .. } => match stopped_by {
                Some(StoppedBy::AllFailed) => {
                    "see to that failure; --keep-going sends all requests all the same"
                }
                Some(StoppedBy::Rule) => {
                    "lower the load, or see to what slows the server or makes it fail; the figures are of a part of the run"
                }
                Some(StoppedBy::Kill) => {
                    "if the run goes on, report when it has ended; else look for what killed it, as in the log of the kernel, and run again: the figures are of a part of the run"
                }
                None => {
                    "see to the reason; ask for fewer requests, or use a data set with more prompts that fit"
                }
            },
            Self::OlderVersion { .. } => {
                "read what no row has, as how busy the client was, in a report of that version"
            }
            Self::LostWorker { .. } => "see to the reason, and run again",
            Self::WorkersApart { .. } => {
                "times of requests are right; read the start, the timeline and what was in flight together with that in mind"
            }
            Self::UnlikeWorkers(_) => {
                "use machines that are equally near to the server and do nothing else, or read each worker by itself"
            }
            Self::WorkersOnOneMachine { .. } => "give each machine once",
            Self::Failures { commonest, .. } => kind_remedy(*commonest),
            Self::Saturated(_) => {
                "lower --rate until this is gone; for the most that the server can do, use --parallel"
            }
            Self::HeldUp { .. } => {
                "lower --rate, or raise --max-in-flight; latency and time to first token are counted from when a request was due, and have the wait in them"
            }
            Self::DueAndNotSent { waited_for, .. } => match waited_for.commonest() {
                Some(UnsentWait::PlaceInFlight) | None => {
                    "lower --rate, raise --max-in-flight, or ask for a number of requests (-n) in place of a time"
                }
                Some(UnsentWait::Body) => {
                    "use a faster plugin or disk, a smaller data set that fits into memory, or less load"
                }
                Some(UnsentWait::Memory) => {
                    "raise --memory-limit, send smaller bodies, or lower the load"
                }
                Some(UnsentWait::Processor) => {
                    "stop what else runs here, use a machine with more cores, or lower the load"
                }
            },
            Self::LostTime { pauses, .. }
                if pauses.throttled.is_some_and(|time| !time.is_zero()) =>
            {
                "raise that limit, or lower the load"
            }
            Self::LostTime { .. } => {
                "run again on a machine that has nothing else to do, and do not stop the program"
            }
            Self::ProcessorWaits { .. } => {
                "stop what else runs here, raise the limit of processor time, or use a machine of its own"
            }
            Self::LateReads { .. } => {
                "stop what else runs here, use more client threads or a machine of its own, or lower the load"
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
            Self::BodiesLate {
                waited, for_memory, ..
            } if *for_memory * 2 > *waited => {
                "raise --memory-limit, send smaller bodies, or have fewer requests in flight"
            }
            Self::BodiesLate { .. } => {
                "use a faster plugin or disk, a smaller data set that fits into memory, or less load"
            }
            Self::OutputBehind { stage, .. } => match stage {
                PipelineStage::Database => "use a faster disk, or --save summary",
                PipelineStage::Csv => "write --csv to a file on a faster disk, or read it faster",
                PipelineStage::Terminal => "leave --debug out, or show progress less often",
                PipelineStage::Plugin | PipelineStage::Totals => {
                    "use a machine with more cores, or less load"
                }
            },
            Self::WallClockStepped { .. } => {
                "check the times of the rows, and run again when the clock is steady"
            }
            Self::Coalesced {
                by_client: true, ..
            } => {
                "run again where this program has a processor when it needs one; until then trust neither times to first token nor times between chunks"
            }
            Self::Coalesced {
                coalesced, gaps, ..
            } if *coalesced * 2 > *gaps => {
                "look for a proxy that buffers; until then trust the latency alone: the first tokens waited for the others too, so that time to first token, inter-token latency and time per output token are all wrong"
            }
            Self::Coalesced { .. } => {
                "read inter-token latency with care, trust time per output token instead; look for a proxy that buffers"
            }
            Self::FewSamples { .. } => "run more requests, or leave these percentiles out",
            Self::PromptRepeated { .. } => {
                "use --dataset with as many prompts as requests, or turn the prefix cache of the server off"
            }
            Self::OtherCacheHits(cached)
                if cached.mean_reported_tokens > cached.mean_predicted_tokens =>
            {
                "run again with another --seed, or with an empty cache"
            }
            Self::OtherCacheHits(_) => {
                "look at the cache settings of the server before times are compared with those of other runs"
            }
            Self::OtherPromptLengths(_) => {
                "give the folder of the model that the server runs as --tokenizer-path; compare with other runs by the counted length"
            }
            Self::OtherTurnLengths(_) => {
                "compare with other runs by the counted lengths of each turn; look at the longest context of the server"
            }
            Self::OtherOutputLengths(lengths) => short_outputs(&ShortOutputs::of(lengths)),
            Self::ShorterThanAsked { short, .. } => short_outputs(short),
            Self::WithoutTokens { .. } => {
                "look at the answers in the database, and at the prompt and its template"
            }
            Self::ChunksAreNotTokens { .. } => {
                "compare time per output token rather than inter-token latency, or inter-token latency per token where the \
                 server tells its tokens with every chunk (stream_options.continuous_usage_stats of vLLM)"
            }
            Self::TokensUnknown { .. } => {
                "give a tokenizer with --tokenizer-path, or make the server report its usage"
            }
            Self::DatasetReused { .. } => {
                "use a larger data set, fewer requests, or turn the prefix cache of the server off"
            }
            Self::DatasetCached { .. } => {
                "use other entries, or empty the cache of the server; or read the times as those of a warm cache"
            }
            Self::WithoutEnd { .. } => {
                "compare such a response in the database with one that curl gets"
            }
            Self::NotStreamed { .. } => {
                "check whether the server streams, or ask for plain answers with --parameters stream=false"
            }
            Self::HiddenReasoning { .. } => {
                "compare output tokens per second with those of such services only, or turn reasoning off"
            }
            Self::MoreTokensThanBytes { .. } => {
                "do not use figures of output tokens of this run; compare the server's usage with its answers, or turn reasoning off"
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

fn short_outputs(short: &ShortOutputs) -> &'static str {
    match short.ended_by() {
        EndedBy::Limit => {
            "ask for prompts and outputs that fit the longest context of the server, or raise its limit"
        }
        EndedBy::Model => {
            "compare figures per token with those of other runs, not those per request; use an API and a server that can be asked for an exact length"
        }
        EndedBy::Unknown => {
            "look at the answers; ask for outputs that the server can give, or compare figures per token"
        }
    }
}

fn kind_remedy(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Dns => "check the host in --url",
        FailureKind::Connect => "check --url and whether the server runs, or lower the load",
        FailureKind::Tls => "check the scheme and the port in --url, and the certificate",
        FailureKind::Send => "look at the server's log, or lower the load",
        FailureKind::HttpStatus => {
            "read the message; check --url, --model, and the key (--api-key-env, --headers), or lower the load"
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
        FailureKind::Disconnected => "leave --cancel out",
        FailureKind::ClientResource => {
            "raise the limits of this machine, or --memory-limit where that is used up; or lower the load"
        }
    }
}
