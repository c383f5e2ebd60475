//! The document: the results of runs as types. It is written as JSON, kept in a database, and read back from either as
//! the same types; every report is drawn from it.
//!
//! Units are in the names; what a run does not know is null. A member may be added at any time: what a document of an
//! earlier version lacks is absent here. The JSON Schema comes from the same types (see [`schema`]).

mod counts;
mod figures;
mod groups;
mod machine;
mod named;
mod objective;
mod over_time;
mod percentile;
mod plan;
mod repeats;
mod replay;
mod scatter;
mod schema;
mod search;
mod sessions;
mod spread;
mod sums;
mod task;
mod tokens;
mod totals;
mod workers;

pub use counts::{Goodput, Packages, RequestCounts, UnsentRequests, UnsentWait};
pub use figures::{FigureError, RunFigures};
pub use groups::GroupFigures;
pub use machine::Machine;
pub use named::Named;
pub use objective::{ObjectiveFigures, ObjectiveOutcome};
pub use over_time::{SlotPercentiles, TimesOverTime};
pub use percentile::{ByPercentile, Percentile};
pub use plan::{
    BoundsRecord, DatasetRecord, Difference, GoodputBounds, LimitsRecord, LoadRecord,
    OutputsRecord, PlanRecord, TargetRecord, TransportRecord, WandbRecord, WorkRecord,
};
pub use repeats::{RepeatFigures, RepeatedFigure};
pub use replay::ReplayFigures;
pub use scatter::{StraightLine, TimeByInputLength};
pub use schema::schema;
pub use search::{
    ProbeFigures, SearchFigures, SearchOutcome, SearchRecord, ShareFigures, is_narrow,
};
pub use sessions::{SessionFigures, TurnFigures, name_of_turn};
pub use spread::{Curve, Distribution, Histogram, TimeFigures, Times};
pub use task::Task;
pub use tokens::{
    AskedLength, AskedLengths, CachedTokens, LearnedLengths, LengthBar, TokenFigures, Tokens,
    TokensBySource,
};
pub use totals::{
    BacklogWaits, ClientUse, ConnectionFigures, DatasetFigures, FailureFigures, LateReadFigures,
    MOST_SERVERS, ParserCalls, ParserCosts, ParserFigures, ParserMetrics, Rates, SlowestRequest,
    StatusFigures, TimeSeries, Totals, why_stopped,
};
pub use workers::WorkerFigures;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the document says that it is.
pub const FORMAT: &str = "llmuses.results";

/// The version of the document. It changes when a name goes or changes its meaning, not when one comes.
pub const FORMAT_VERSION: u32 = 1;

/// What `llmuses perf --json` and `llmuses report --json` write. Units are in the names; what a run does not know is
/// null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Results of llmuses")]
pub struct Document {
    /// What the document says that it is.
    #[schemars(extend("const" = FORMAT))]
    pub format: String,
    /// It changes when a name goes or changes its meaning, not when one comes.
    #[schemars(extend("const" = FORMAT_VERSION))]
    pub format_version: u32,
    /// The program that wrote it, with its version.
    pub written_by: String,
    /// One run, or several that belong together.
    #[schemars(length(min = 1))]
    pub runs: Vec<Run>,
    /// The result of a search of the highest load; null where the runs are none.
    #[serde(default)]
    pub search: Option<SearchFigures>,
    /// The runs of each load that was repeated, taken together; empty where none was.
    #[serde(default)]
    pub repeats: Vec<RepeatFigures>,
}

impl Document {
    /// The document of one run, or of several that belong together.
    pub fn of(mut runs: Vec<Run>) -> Self {
        // Those that were read may be of an earlier version, which had fewer figures.
        for totals in runs.iter_mut().filter_map(|run| run.totals.as_mut()) {
            totals.figures = RunFigures::of(&totals.sums());
            for group in &mut totals.groups {
                group.figures = RunFigures::of(&group.totals().sums());
            }
        }
        Self {
            format: FORMAT.to_owned(),
            format_version: FORMAT_VERSION,
            written_by: concat!("llmuses ", env!("CARGO_PKG_VERSION")).to_owned(),
            search: SearchFigures::of(&runs),
            repeats: RepeatFigures::of(&runs),
            runs,
        }
    }

    /// The document as a file of its own.
    pub fn to_json(&self) -> String {
        // Its types have no value that JSON cannot have.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        format!("{}\n", crate::clean::escaped_json(&text))
    }
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Its place in the document, from 1.
    #[schemars(range(min = 1))]
    pub id: u32,
    /// How it ended, if it did.
    pub state: RunState,
    /// The start.
    pub started_unix_seconds: f64,
    /// The end; null where the program was ended before it could say.
    #[serde(default)]
    pub finished_unix_seconds: Option<f64>,
    /// Decimal; a string, since it has 64 bits.
    pub schedule_seed: String,
    /// The programs that made the run.
    pub versions: Versions,
    /// The parser that made requests and read responses.
    pub parser: ParserIdentity,
    /// What was asked for, without credentials.
    pub plan: PlanRecord,
    /// Whether anything speaks against the figures, and what.
    #[serde(default)]
    pub verdict: Option<Verdict>,
    /// The figures; null where the program was ended before it could say.
    #[serde(default)]
    pub totals: Option<Totals>,
    /// What became of the rows; null without a database.
    #[serde(default)]
    pub rows: Option<Rows>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// It has not, or its program was ended before it could say how.
    Running,
    /// By itself.
    Finished,
    /// Someone ended it.
    Interrupted,
    /// By a fault that left it without a result.
    Failed,
}

impl RunState {
    /// The state as it stands in a document and in a database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
        }
    }

    /// The state of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        [
            Self::Running,
            Self::Finished,
            Self::Interrupted,
            Self::Failed,
        ]
        .into_iter()
        .find(|state| state.as_str() == name)
    }
}

/// The versions of what made a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Versions {
    /// Of this program.
    pub llmuses: String,
    /// Of the contract between this program and its parsers.
    pub contract: String,
    /// Of the WebAssembly engine.
    pub wasmtime: String,
}

/// Which parser made requests and read responses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ParserIdentity {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its component, in hexadecimal digits.
    pub sha256: String,
    /// `built in`, or the path of its file.
    pub source: String,
}

/// Whether anything speaks against the figures, and what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Whether nothing does.
    pub trusted: bool,
    /// What does, the weightiest first.
    pub doubts: Vec<Reason>,
}

/// A reason to read figures with care.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// Which one it is, for a program.
    pub reason: String,
    /// The figure that says so.
    pub figure: String,
    /// What most likely caused it.
    pub likely_cause: String,
    /// What can be done about it.
    pub what_to_do: String,
}

impl Reason {
    /// The reason of a run in which not a single request succeeded.
    pub const NOTHING_SUCCEEDED: &str = "nothing-succeeded";
}

/// What became of the rows of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rows {
    /// Requests with a row.
    pub kept: u64,
    /// Requests that should have one and do not.
    pub not_kept: u64,
    /// Why: the first error, in the words of SQLite.
    #[serde(default)]
    pub write_error: Option<String>,
}
