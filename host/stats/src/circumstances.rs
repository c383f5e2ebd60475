//! What the totals of a run cannot know, for the judgement and for the document.

use super::asked_lengths::LengthsAsked;
use super::objective::RunObjective;
use super::pauses::{OtherRuns, Pauses};
use super::workers::UnlikeWorker;
use llmuses_core::backlog::Waits;
use llmuses_core::cost::ParserCost;
use llmuses_core::document::{
    GroupFigures, Machine, ProbeFigures, ReplayFigures, Task, UnsentRequests, WorkerFigures,
};
use llmuses_core::late_reads::LateReads;
use std::time::Duration;

/// What the totals of a run cannot know.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Circumstances {
    /// Figures of groups of requests.
    pub groups: Vec<GroupFigures>,
    /// The workers that sent the requests. Empty: this process did.
    pub workers: Vec<WorkerFigures>,
    /// Those of them that measured something else than the others.
    pub unlike_workers: Vec<UnlikeWorker>,
    /// Whether several workers were to be on one machine.
    pub workers_share_a_machine: bool,
    /// The machine that sent the requests. `None`: nobody asked.
    pub machine: Option<Machine>,
    /// Requests asked for. `None`: as many as the data set gives.
    pub asked: Option<u64>,
    /// Requests issued.
    pub issued: u64,
    /// The data set, where prompts came from one.
    pub dataset: Option<DatasetUse>,
    /// For each client thread, the share of the run during which it was busy, from 0 to 1. Empty where
    /// that could not be measured.
    pub client_busy: Vec<f64>,
    /// The most requests that were in flight at once.
    pub peak_in_flight: u64,
    /// The most that might be in flight in an open loop.
    pub max_in_flight: Option<u64>,
    /// Requests that were due and not sent when the run ended.
    pub due_and_not_sent: u64,
    /// What these waited for, where that was counted.
    pub due_and_not_sent_waited_for: UnsentRequests,
    /// How long after the start of the run the last of these was due.
    pub last_due_and_not_sent: Option<Duration>,
    /// Requests whose bodies waited until there was memory for them.
    pub waited_for_memory: u64,
    /// By how many seconds the wall clock moved against the monotonic one during the run.
    pub wall_clock_step_seconds: f64,
    /// Whether someone ended the run before its end.
    pub interrupted: bool,
    /// The name of the transport.
    pub transport: String,
    /// Why this program chose it. `None`: the user did.
    pub transport_reason: Option<String>,
    /// How connections were used.
    pub connections: ConnectionUse,
    /// How often a client thread had to wait until a response was taken, by what held it up.
    pub backlog_waits: Waits,
    /// The length of the prompt in characters, where all requests have the same.
    pub one_prompt: Option<u64>,
    /// Output tokens that each response was asked to have at least: [`asked_output_tokens`].
    pub asked_output: Option<u64>,
    /// Lengths that were asked for beside what the server counted. `None`: none were asked for.
    pub lengths_asked: Option<LengthsAsked>,
    /// The time in which this program stood still.
    pub pauses: Pauses,
    /// How late this program read what had come.
    pub late_reads: LateReads,
    /// Other runs of this program on the machine, at the start or at the end, whichever was more. `None`: the system
    /// does not tell.
    pub other_runs: Option<OtherRuns>,
    /// What a model was asked for.
    pub task: Task,
    /// What the parser cost.
    pub parser_cost: ParserCost,
    /// Objectives of the run as a whole.
    pub objectives: Vec<RunObjective>,
    /// What became of the schedule of a trace.
    pub replay: Option<ReplayFigures>,
    /// What the run found as a probe of a search.
    pub probe: Option<ProbeFigures>,
    /// Whether this is a part of a load that its coordinator ended.
    pub ended_by_coordinator: bool,
    /// Why issuing stopped before all requests were issued, where it did for another reason.
    pub stop_reason: Option<String>,
    /// What stopped it, where that is more than a reason in words.
    pub stopped_by: Option<StoppedBy>,
    /// Whether an older version wrote the totals, so that these are made of the rows.
    pub totals_of_older_version: bool,
}

/// What ended a run before all requests were issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoppedBy {
    /// Every request failed.
    AllFailed,
    /// `--stop-if`.
    Rule,
    /// What ended the program, or that of a part: it did not write how the run ended.
    Kill,
}

/// The output tokens that `--parameters` ask each response to have at least: `min_tokens`, or the maximum
/// where the end of a text is to be ignored. A maximum alone is none: an answer may end before.
pub fn asked_output_tokens(parameters: &serde_json::Map<String, serde_json::Value>) -> Option<u64> {
    let number = |name: &str| parameters.get(name)?.as_u64();
    let ignores_end = parameters
        .get("ignore_eos")
        .and_then(|value| value.as_bool());
    let most = [
        "max_tokens",
        "max_completion_tokens",
        "max_new_tokens",
        "n_predict",
    ]
    .into_iter()
    .find_map(number)
    .filter(|_| ignores_end == Some(true));
    number("min_tokens").max(most)
}

/// How connections were used, over all requests of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionUse {
    /// Connections that were opened, those before the first request among them. `None`: nobody counted.
    pub opened: Option<u64>,
    /// Requests that went out once more on a new connection, since the server had closed the kept one without a byte
    /// of an answer.
    pub resent: u64,
    /// Streams that ended with `[DONE]`, since their body did not end in order behind that.
    pub ended_at_done: u64,
    /// Whether the server was found to close each connection behind its first answer.
    pub one_request_each: bool,
    /// The versions of HTTP in which responses came.
    pub http_versions: Vec<String>,
    /// What servers call themselves.
    pub servers: Vec<String>,
    /// Requests that waited until a connection of HTTP/2 had a stream for them.
    pub waited_for_stream: u64,
}

/// How a data set was used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DatasetUse {
    /// Passes over the data set by requests that were sent: complete ones, and the fraction of the last one.
    /// Above 1: entries were used again.
    pub passes: f64,
    /// Entries read in the first pass, used or not.
    pub entries_read: u64,
    /// Entries read but not wanted, by reason, in the first pass.
    pub skipped: Vec<(String, u64)>,
    /// Entries from which no request could be made, and that were passed over as the user wished.
    pub bad_entries: u64,
}
