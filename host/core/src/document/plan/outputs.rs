//! What is known of where results went.

use super::super::search::SearchRecord;
use serde::{Deserialize, Serialize};

/// What is known of where results went. It says nothing of the load, so that runs are not compared by it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OutputsRecord {
    /// The name of the run.
    pub name: Option<String>,
    /// The command line that made the run, without credentials.
    pub command: Option<String>,
    /// The flags of the run as a file that `--config` takes, without credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// A progress line after this many requests.
    pub log_every_n_query: Option<u64>,
    /// Whether a run whose figures are to be read with care counts as failed.
    pub require_valid: bool,
    /// Objectives of the run as a whole, as they were asked for.
    pub run_objectives: Vec<String>,
    /// The search of which the run is a probe.
    pub search: Option<SearchRecord>,
    /// Where the run is logged at Weights & Biases.
    pub wandb: Option<WandbRecord>,
}

/// Where a run is logged at Weights & Biases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WandbRecord {
    /// `online` or `offline`.
    pub mode: String,
    /// The project.
    pub project: String,
}
