//! What most likely caused it.

use super::Doubt;
use crate::circumstances::StoppedBy;
use crate::pauses::OtherRuns;
use crate::short_outputs::{EndedBy, ShortOutputs};
use llmuses_core::backlog::PipelineStage;
use llmuses_core::document::UnsentWait;
use llmuses_core::exchange::FailureKind;

impl Doubt {
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
            Self::StoppedEarly { stopped_by, .. } => match stopped_by {
                Some(StoppedBy::AllFailed) => {
                    "what made the first requests fail would have made the others fail too"
                }
                Some(StoppedBy::Rule) => "what --stop-if names has happened",
                Some(StoppedBy::Kill) => {
                    "a signal that no program can handle (SIGKILL, as for want of memory) or the end of the machine; a run that goes on looks the same"
                }
                None => {
                    "the source of prompts, a part of the load or of this program gave up before the run was over"
                }
            },
            Self::OlderVersion { .. } => {
                "the totals of that version had another form, and are not read"
            }
            Self::LostWorker { .. } => {
                "its program, its machine or the way to it failed; a load with a hole is another load, so that all stopped"
            }
            Self::WorkersApart { .. } => {
                "a slow or busy way between the machines, or a clock that runs fast or slow"
            }
            Self::UnlikeWorkers(_) => {
                "it is further from the server than the others, or its machine or network is busy: percentiles are of two populations"
            }
            Self::WorkersOnOneMachine { .. } => {
                "two names of --hosts are one machine: its workers share processors and network"
            }
            Self::Failures { commonest, .. } => kind_cause(*commonest),
            Self::Saturated(_) => {
                "more requests were sent than the server can answer: they queue, and their times say how long the run was, not how fast the server is"
            }
            Self::HeldUp { .. } => {
                "the server answers more slowly than requests are due, or fewer may be in flight than the rate needs"
            }
            Self::DueAndNotSent { waited_for, .. } => match waited_for.commonest() {
                Some(UnsentWait::PlaceInFlight) => {
                    "they waited until fewer requests were in flight than --max-in-flight allows"
                }
                Some(UnsentWait::Body) => {
                    "they waited for their bodies: the plugin makes them, or the disk gives the data set, more slowly than requests are due"
                }
                Some(UnsentWait::Memory) => {
                    "they waited for memory for their bodies: more than half of --memory-limit was in use, for bodies and responses of the requests in flight"
                }
                Some(UnsentWait::Processor) => {
                    "this program had no processor at the instants at which it had to send them"
                }
                None => {
                    "they waited until fewer requests were in flight (--max-in-flight), for their bodies, or for a processor: this run did not count which"
                }
            },
            Self::LostTime { pauses, .. }
                if pauses.throttled.is_some_and(|time| !time.is_zero()) =>
            {
                "the limit of processor time of the container, or control group, that this program runs in"
            }
            Self::LostTime { .. } => {
                "this program was stopped, or other programs, or the host of this virtual machine, had the processor"
            }
            Self::ProcessorWaits { .. } => {
                "other programs had the processor, or a limit of processor time holds this program back: times have the waits of this client in them, which are no times of the server"
            }
            Self::LateReads { .. } => {
                "this program had other work, or no processor, when answers came: times do not have this in them, but requests were sent that much later, and fewer of them"
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
            Self::BodiesLate {
                waited, for_memory, ..
            } if *for_memory * 2 > *waited => {
                "bodies wait while more than half of --memory-limit is in use, for bodies and responses of the requests in flight"
            }
            Self::BodiesLate { .. } => {
                "the plugin makes bodies, or the disk gives the data set, more slowly than requests are sent"
            }
            Self::OutputBehind { stage, .. } => match stage {
                PipelineStage::Database => "the disk of the database is slower than responses come",
                PipelineStage::Csv => {
                    "the disk, or the program that reads the rows of --csv, is slower than responses come"
                }
                PipelineStage::Terminal => {
                    "the text for standard error takes longer to make than responses take to come"
                }
                PipelineStage::Plugin | PipelineStage::Totals => {
                    "this machine has too few cores for the load"
                }
            },
            Self::WallClockStepped { .. } => {
                "time synchronisation or a person set the clock; stamps from the kernel are wall-clock times"
            }
            Self::Coalesced {
                by_client: true, ..
            } => {
                "this program did not run when they came, and chunks that wait to be read are merged: each has the time of the last of them, the first token too"
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
            Self::OtherCacheHits(cached)
                if cached.mean_reported_tokens > cached.mean_predicted_tokens =>
            {
                "the server has seen these prompts before: a run with the same --seed, or a system message of its own in each prompt"
            }
            Self::OtherCacheHits(_) => {
                "the prefix cache of the server is off, too small for the number of prefixes, or split over several replicas"
            }
            Self::OtherPromptLengths(_) => {
                "the server has another tokenizer or chat template than --tokenizer-path, or adds a text of its own; without --tokenizer-path words differ in their tokens"
            }
            Self::OtherTurnLengths(_) => {
                "the server cuts conversations, leaves reasoning out of them, or counts the text of a reply otherwise than it produced it"
            }
            Self::OtherOutputLengths(lengths) => short_outputs(&ShortOutputs::of(lengths)),
            Self::ShorterThanAsked { short, .. } => short_outputs(short),
            Self::WithoutTokens { .. } => {
                "the model said nothing: the prompt, the template of the server, or a stop string ends the text at once"
            }
            Self::ChunksAreNotTokens { tokens_per_chunk } if *tokens_per_chunk > 1.0 => {
                "the server sends several tokens in a chunk (speculative decoding, or chunks that are gathered), or counts tokens that it does not send, such as hidden reasoning"
            }
            Self::ChunksAreNotTokens { .. } => {
                "the server sends parts of tokens in chunks of their own, or does not count all tokens that it sends"
            }
            Self::TokensUnknown {
                only_output: false, ..
            } => "the server reports no usage, and no tokenizer was given",
            Self::TokensUnknown { .. } => {
                "the usage that the server reports has no number of output tokens, and no tokenizer was given"
            }
            Self::DatasetReused { .. } => {
                "more requests were asked for than the data set has prompts; a server with a prefix cache answers a repeated prompt faster"
            }
            Self::DatasetCached { .. } => {
                "these prompts were sent to this server before, as by an earlier run; or all of them begin alike, as with a \
                 long system message that they have in common"
            }
            Self::WithoutEnd { .. } => {
                "the server, or a proxy before it, ended the stream early, and the answer is not whole; or it never says \
                 where an answer ends"
            }
            Self::NotStreamed { .. } => {
                "the server, or a proxy before it, does not stream for this model or these parameters"
            }
            Self::HiddenReasoning { .. } => {
                "the service keeps the reasoning of its models to itself; the time to first token has the time that it took"
            }
            Self::MoreTokensThanBytes { .. } => {
                "the usage that the server reports is wrong, or has tokens of reasoning that were neither sent nor told apart"
            }
            Self::TokensMixed { .. } => "only part of the responses carried a usage",
            Self::TokensPartlyKnown { .. } => {
                "part of the responses carried no usage, and no tokenizer was given"
            }
        }
    }
}

fn short_outputs(short: &ShortOutputs) -> &'static str {
    match short.ended_by() {
        EndedBy::Limit => {
            "the server ended the outputs at a limit of its own: the longest context or output of the model, or of its settings"
        }
        EndedBy::Model => {
            "the model ended the outputs: the server, or the API, does not know ignore_eos or min_tokens, or a stop string ended them"
        }
        EndedBy::Unknown => {
            "the server does not know ignore_eos or min_tokens, or has a limit of its own"
        }
    }
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
        FailureKind::Disconnected => "the client cancelled requests, as --cancel asks",
        FailureKind::ClientResource => {
            "this machine ran out of open files, ports or memory, or responses and requests took more memory than --memory-limit allows"
        }
    }
}
