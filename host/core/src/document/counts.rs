//! How many requests there were, and what became of them.

use super::plan::GoodputBounds;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Requests, counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestCounts {
    /// Null: as many as the data set gives, or as the time allows.
    pub asked: Option<u64>,
    /// Issued.
    pub issued: u64,
    /// Over, well or badly.
    pub completed: u64,
    /// That the client cancelled (`--cancel`): neither succeeded nor failed, and not among the completed ones.
    #[serde(default)]
    pub disconnected: u64,
    /// Sent, whether they succeeded or not.
    pub sent: u64,
    /// Whose response arrived whole.
    pub succeeded: u64,
    /// That failed, cancelled ones among them.
    pub failed: u64,
    /// Succeeded ones to which the model answered nothing, as the server says.
    #[serde(default)]
    pub empty_answers: u64,
    /// Succeeded ones whose response came in one piece.
    pub not_streamed: u64,
    /// Of these, those that asked for a stream.
    #[serde(default)]
    pub not_streamed_though_asked: u64,
    /// Succeeded ones that opened a connection.
    pub own_connection: u64,
    /// Connections that were opened before the first request.
    pub warm_connections: u64,
    /// Requests of the warm-up; no other figure has them, but issued.
    pub warmup: u64,
    /// Of these, failed ones.
    pub warmup_failed: u64,
    /// The most in flight at once.
    pub peak_in_flight: u64,
    /// The most that might be; null in a closed loop.
    #[serde(default)]
    pub max_in_flight: Option<u64>,
    /// Due and not sent when the run ended.
    #[serde(default)]
    pub due_and_not_sent: u64,
    /// What these waited for.
    #[serde(default)]
    pub due_and_not_sent_waited_for: UnsentRequests,
    /// How long after the start the last of these was due; null where there are none.
    #[serde(default)]
    pub last_due_and_not_sent_seconds: Option<f64>,
}

impl RequestCounts {
    /// Requests that are over, those that the client cancelled among them.
    pub fn over(&self) -> u64 {
        self.completed + self.disconnected
    }
}

/// Requests that were due and not sent when the run ended, by what they waited for at that moment. All zero: nobody
/// counted, as in files of earlier versions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnsentRequests {
    /// Until fewer requests were in flight (`--max-in-flight`).
    pub place_in_flight: u64,
    /// Until their bodies were made.
    pub body: u64,
    /// Until there was memory for their bodies (`--memory-limit`).
    #[serde(default)]
    pub memory: u64,
    /// Until this program had the processor.
    pub processor: u64,
}

/// What a request that is due waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnsentWait {
    /// Until fewer requests are in flight.
    PlaceInFlight,
    /// Until its body is made.
    Body,
    /// Until there is memory for its body.
    Memory,
    /// Until this program has the processor.
    Processor,
}

impl UnsentRequests {
    /// So many that waited for the same.
    pub fn of(wait: UnsentWait, requests: u64) -> Self {
        let mut all = Self::default();
        *match wait {
            UnsentWait::PlaceInFlight => &mut all.place_in_flight,
            UnsentWait::Body => &mut all.body,
            UnsentWait::Memory => &mut all.memory,
            UnsentWait::Processor => &mut all.processor,
        } = requests;
        all
    }

    /// All of them.
    pub fn total(self) -> u64 {
        self.each().into_iter().map(|(_, requests)| requests).sum()
    }

    /// How many waited for what, in a fixed order.
    pub fn each(self) -> [(UnsentWait, u64); 4] {
        [
            (UnsentWait::PlaceInFlight, self.place_in_flight),
            (UnsentWait::Body, self.body),
            (UnsentWait::Memory, self.memory),
            (UnsentWait::Processor, self.processor),
        ]
    }

    /// What most of them waited for. `None`: nobody counted.
    pub fn commonest(self) -> Option<UnsentWait> {
        let counted = self
            .each()
            .into_iter()
            .filter(|(_, requests)| *requests > 0);
        counted
            .max_by_key(|(_, requests)| *requests)
            .map(|(wait, _)| wait)
    }
}

impl std::ops::AddAssign for UnsentRequests {
    fn add_assign(&mut self, other: Self) {
        self.place_in_flight += other.place_in_flight;
        self.body += other.body;
        self.memory += other.memory;
        self.processor += other.processor;
    }
}

/// Requests that met every objective.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Goodput {
    /// The objectives.
    pub objectives: GoodputBounds,
    /// How many met all.
    pub requests_that_met_all: u64,
    /// Their share of the completed ones.
    pub share_of_completed: Option<f64>,
    /// Their rate.
    pub per_second: Option<f64>,
}

/// Events of streams.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Packages {
    /// In all.
    pub count: u64,
    /// The mean.
    pub per_request: Option<f64>,
    /// (Event n - 2 - event 0) / (n - 2), summed over requests before dividing.
    pub average_latency_seconds: Option<f64>,
    /// Gaps between one event with output and the next.
    pub output_gaps: u64,
    /// Gaps of zero: both events came in one read.
    pub coalesced_output_gaps: u64,
    /// Output chunks that brought tokens, of streams that tell their tokens so far with every chunk; without the first
    /// chunk of each stream.
    #[serde(default)]
    pub token_chunks: u64,
    /// Those of them that brought two tokens or more.
    #[serde(default)]
    pub chunks_of_several_tokens: u64,
}
