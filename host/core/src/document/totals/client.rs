//! What the client did beside waiting for the server: connections, calls into the parser, the data set.

use super::super::machine::Machine;
use super::super::named::Named;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most different servers that a run tells.
pub const MOST_SERVERS: usize = 4;

/// How connections were used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectionFigures {
    /// Connections that were opened, those before the first request among them; null where nobody counted.
    #[serde(default)]
    pub opened: Option<u64>,
    /// The versions of HTTP in which responses came.
    pub http_versions: Vec<String>,
    /// What servers call themselves in the header `server` of their responses: 4 different texts at most.
    #[serde(default)]
    pub servers: Vec<String>,
    /// Requests that waited until a connection of HTTP/2 had a stream for them.
    #[serde(default)]
    pub requests_that_waited_for_a_stream: u64,
    /// Requests that went out once more on a new connection, since the server had closed the kept one without a byte of an
    /// answer.
    pub requests_sent_again: u64,
    /// Whether the server was found to close each connection behind its first answer.
    pub one_request_each: bool,
    /// Streams that ended with `[DONE]`, since their body did not end in order behind that.
    pub streams_ended_at_done: u64,
}

/// What the parser cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParserCosts {
    /// Making requests.
    pub requests: ParserCalls,
    /// Reading responses.
    pub responses: ParserCalls,
    /// New instances after it broke.
    pub replaced_instances: ParserCalls,
}

/// Calls into the parser.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ParserCalls {
    /// How many.
    pub calls: u64,
    /// How long in all.
    pub seconds: f64,
    /// The mean.
    pub seconds_per_call: Option<f64>,
    /// Of one processor; parsers run on several threads.
    pub share_of_run: Option<f64>,
}

/// How the client measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientUse {
    /// The machine that sent the requests; null in documents of older versions.
    #[serde(default)]
    pub machine: Option<Machine>,
    /// What carried requests.
    pub transport: String,
    /// Why this program chose it; absent where the user did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub transport_reason: Option<String>,
    /// Responses whose arrivals the kernel stamped.
    pub kernel_stamped_responses: u64,
    /// Responses that were stamped when a read returned.
    pub read_stamped_responses: u64,
    /// Of each client thread, the share of the run during which it was busy.
    pub busy_shares: Vec<f64>,
    /// How often a client thread had to wait until the parser took a response.
    pub parser_backlog_waits: u64,
    /// How often one had to wait for something behind the parser.
    #[serde(default)]
    pub other_backlog_waits: BacklogWaits,
    /// Requests that had to wait for their body.
    #[serde(default)]
    pub requests_that_waited_for_their_body: u64,
    /// Requests whose bodies waited until there was memory for them (`--memory-limit`), those of the warm-up among them.
    #[serde(default)]
    pub requests_that_waited_for_memory: u64,
    /// Other runs of this program on the machine when this one began or ended; null where the system does not tell.
    #[serde(default)]
    pub other_runs: Option<u64>,
    /// Of these, those that asked the same server.
    #[serde(default)]
    pub other_runs_against_the_same_server: Option<u64>,
    /// For how long this program stood still.
    #[serde(default)]
    pub stood_still_seconds: f64,
    /// For how long its control group had used up its share of processor time; null where the system does not tell.
    #[serde(default)]
    pub throttled_seconds: Option<f64>,
    /// For how long a thread that carries or issues requests could have run and had no processor, of the thread that
    /// waited longest; null where the system does not tell.
    #[serde(default)]
    pub processor_wait_seconds: Option<f64>,
    /// The mean of these waits.
    #[serde(default)]
    pub mean_processor_wait_seconds: Option<f64>,
    /// How long the last bytes of responses had been there when they were read; null where the kernel stamped none.
    #[serde(default)]
    pub late_reads: Option<LateReadFigures>,
    /// By how much the wall clock moved against the monotonic one.
    pub wall_clock_step_seconds: f64,
    /// Whether someone ended the run.
    pub interrupted: bool,
    /// Whether it was a part of a load that its coordinator ended.
    #[serde(default)]
    pub ended_by_coordinator: bool,
    /// Why issuing stopped early.
    pub stop_reason: Option<String>,
}

/// How long the last bytes of responses had been there when they were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LateReadFigures {
    /// Responses whose last bytes the kernel stamped.
    pub responses: u64,
    /// For how long, summed over these.
    pub seconds: f64,
}

impl ClientUse {
    /// Why issuing stopped early, as a text.
    pub fn why_stopped(&self) -> Option<String> {
        why_stopped(self.ended_by_coordinator, self.stop_reason.as_deref())
    }
}

/// Why issuing stopped early, as a text. `by_coordinator`: whether the coordinator of a part ended the load.
pub fn why_stopped(by_coordinator: bool, reason: Option<&str>) -> Option<String> {
    match (by_coordinator, reason) {
        (false, reason) => reason.map(ToOwned::to_owned),
        (true, None) => Some(ENDED_BY_COORDINATOR.to_owned()),
        (true, Some(reason)) => Some(format!("{ENDED_BY_COORDINATOR}; {reason}")),
    }
}

/// What is said of a part that its coordinator ended.
const ENDED_BY_COORDINATOR: &str = "its coordinator ended the load";

/// How often a client thread had to wait until a response was taken, by what took none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BacklogWaits {
    /// The totals.
    pub totals: u64,
    /// The database.
    pub database: u64,
    /// The CSV file, or the reader of standard output.
    pub csv: u64,
    /// Standard error.
    pub terminal: u64,
}

/// How a data set was used.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DatasetFigures {
    /// Above 1: entries were used again.
    pub passes: f64,
    /// Read in the first pass.
    pub entries_read: u64,
    /// Read but not wanted, by reason.
    pub entries_skipped: Named<u64>,
    /// From which no request could be made.
    pub bad_entries: u64,
}

impl DatasetFigures {
    /// Whether entries were read of which no request was made.
    #[must_use]
    pub fn has_entries_without_request(&self) -> bool {
        self.bad_entries > 0 || !self.entries_skipped.is_empty()
    }
}
