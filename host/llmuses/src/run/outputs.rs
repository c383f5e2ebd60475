//! Where the results of a run go.

use llmuses_core::document::{OutputsRecord, SearchRecord};
use llmuses_core::plan::Plan;
use llmuses_core::wandb::WandbSettings;
use llmuses_observe::terminal::{self, LiveView};
use llmuses_render::OutputFiles;
use llmuses_render::report::{self, Look, Painted};
use llmuses_stats::RunObjective;
use std::path::PathBuf;
use std::time::Duration;

/// Why a load is more than this machine is known to measure right. `None`: it is not, or nothing is known of such loads. The
/// number is the requests per second that a trace has at most.
pub type Beyond = fn(&Plan, Option<f64>) -> Option<String>;

/// Where the results of the runs of a sweep go, and what is shown meanwhile. Nothing of it changes what is sent or when.
#[derive(Debug, Clone)]
pub struct Outputs {
    /// The name of the runs.
    pub name: String,
    /// The command line that asked for the runs, without credentials. `None`: there was none.
    pub command: Option<String>,
    /// The flags as a file that `--config` takes, without credentials. `None`: there were none.
    pub settings: Option<String>,
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
    /// The search of which the runs are probes.
    pub search: Option<SearchRecord>,
    /// What warns of a trace, or of a probe of a search. `None`: nothing is said of them.
    pub beyond: Option<Beyond>,
    /// Whether progress and summary are left unprinted.
    pub quiet: bool,
    /// Whether everything is told that is known: more in a summary, and one for each load of a sweep.
    pub details: bool,
    /// When progress lines are printed.
    pub progress: ProgressEvery,
    /// The live view, in place of progress lines. `None` where nobody watches.
    pub live_view: Option<LiveView>,
    /// Whether requests and responses are shown on standard error.
    pub debug: bool,
    /// Where Prometheus gets live figures: `HOST:PORT`.
    pub metrics: Option<String>,
    /// Whether and where runs are logged at Weights & Biases. Holds a credential.
    pub wandb: Option<WandbSettings>,
}

/// When progress lines are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressEvery {
    /// After so many completed requests.
    pub requests: u64,
    /// But not before this much time is over since the last one.
    pub at_least: Duration,
}

impl Default for ProgressEvery {
    fn default() -> Self {
        Self {
            requests: 10,
            at_least: Duration::from_secs(1),
        }
    }
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
            settings: None,
            database: PathBuf::new(),
            save: Save::Nothing,
            files: OutputFiles::default(),
            record: None,
            require_valid: false,
            objectives: Vec::new(),
            search: None,
            beyond: None,
            quiet: false,
            details: false,
            progress: ProgressEvery::default(),
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

    /// Shows a summary, made for the place where it is shown.
    pub fn show(&self, summary: impl FnOnce(Look) -> Painted) {
        if self.summary_to_stderr() {
            let look = Look::of(terminal::stderr_columns(), self.details);
            terminal::say(summary(look).plain());
        } else {
            print_summary(self.details, summary);
        }
    }

    /// What a document may know of it.
    pub fn to_record(&self) -> OutputsRecord {
        OutputsRecord {
            name: Some(self.name.clone()),
            command: self.command.clone(),
            settings: self.settings.clone(),
            log_every_n_query: Some(self.progress.requests),
            require_valid: self.require_valid,
            run_objectives: self
                .objectives
                .iter()
                .map(|objective| objective.text().to_owned())
                .collect(),
            search: self.search.clone(),
            wandb: self.wandb.as_ref().map(WandbSettings::to_record),
        }
    }
}

/// Prints a summary on standard output.
pub fn print_summary(details: bool, summary: impl FnOnce(Look) -> Painted) {
    let summary = summary(Look::of(terminal::stdout_columns(), details));
    let pieces = summary.pieces().into_iter();
    terminal::print_in_colour(
        pieces.map(|(colour, text)| (colour.map(report::Colour::sequence), text)),
    );
}
