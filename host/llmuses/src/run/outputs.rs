//! Where the results of a run go.

use llmuses_core::document::OutputsRecord;
use llmuses_core::wandb::WandbSettings;
use llmuses_observe::terminal::LiveView;
use llmuses_render::OutputFiles;
use llmuses_stats::RunObjective;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the results of the runs of a sweep go, and what is shown meanwhile. Nothing of it changes what is sent or when.
#[derive(Debug, Clone)]
pub struct Outputs {
    /// The name of the runs.
    pub name: String,
    /// The command line that asked for the runs, without credentials. `None`: there was none.
    pub command: Option<String>,
    /// The database; does not exist yet.
    pub database: PathBuf,
    /// What the database keeps.
    pub save: Save,
    /// Files beside the database, or standard output.
    pub files: OutputFiles,
    /// The file for the first response; does not exist yet.
    pub record: Option<PathBuf>,
    /// Whether a run whose numbers are to be read with care counts as failed.
    pub require_valid: bool,
    /// Objectives of each run as a whole.
    pub objectives: Vec<RunObjective>,
    /// Whether progress and summary are left unprinted.
    pub quiet: bool,
    /// A progress line is printed after this many completed requests.
    pub log_every: u64,
    /// The live view, in place of progress lines. `None` where nobody watches.
    pub live_view: Option<LiveView>,
    /// Whether requests and responses are shown on standard error.
    pub debug: bool,
    /// The address at which Prometheus gets live figures.
    pub metrics: Option<SocketAddr>,
    /// Whether and where runs are logged at Weights & Biases. Holds a credential.
    pub wandb: Option<WandbSettings>,
}

/// What the database keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Save {
    /// There is no database.
    Nothing,
    /// The run and its totals.
    Summary,
    /// The run, its totals, and a row for each request.
    Full,
}

impl Outputs {
    /// Progress and summary are printed, and nothing is kept.
    pub fn printed() -> Self {
        Self {
            name: "run".to_owned(),
            command: None,
            database: PathBuf::new(),
            save: Save::Nothing,
            files: OutputFiles::default(),
            record: None,
            require_valid: false,
            objectives: Vec::new(),
            quiet: false,
            log_every: 10,
            live_view: None,
            debug: false,
            metrics: None,
            wandb: None,
        }
    }

    /// Whether the summary goes to standard error, since a file was sent to standard output.
    pub fn summary_to_stderr(&self) -> bool {
        self.files.take_stdout()
    }

    /// What a document may know of it.
    pub fn to_record(&self) -> OutputsRecord {
        OutputsRecord {
            name: Some(self.name.clone()),
            command: self.command.clone(),
            log_every_n_query: Some(self.log_every),
            require_valid: self.require_valid,
            run_objectives: self
                .objectives
                .iter()
                .map(|objective| objective.text().to_owned())
                .collect(),
            wandb: self.wandb.as_ref().map(WandbSettings::to_record),
        }
    }
}
