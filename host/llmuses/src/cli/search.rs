//! `llmuses search`: the highest load that keeps objectives.

use super::CommandOutcome;
use super::perf::{NOT_OF_A_SEARCH, PerfArguments, UsageError, make_folder, warn_of_chunks};
use super::settings::Settings;
use super::values::{percent, seconds};
use crate::run::{RunError, SearchPlan, search};
use clap::{Args, Command, ValueEnum};
use llmuses_core::document::{Document, SearchOutcome, SearchRecord};
use llmuses_core::plan::{ShareBound, ShareOf};
use llmuses_observe::terminal;
use llmuses_store::sink::SinkError;
use std::time::Duration;

/// The chance that any of the probes is decided wrongly, over all of them together.
const ERROR: f64 = 0.05;

/// The time between two probes.
const COOL_DOWN: Duration = Duration::from_secs(5);

/// Arguments of `llmuses search`.
#[derive(Debug, Args)]
pub(super) struct SearchArguments {
    /// What is varied: requests per second of an open loop, or requests in flight of a closed loop.
    #[arg(long, value_enum, help_heading = "Search")]
    vary: Vary,

    /// Lowest load.
    #[arg(
        long,
        value_name = "LOAD",
        default_value_t = 1.0,
        help_heading = "Search"
    )]
    from: f64,

    /// Highest load [default: 10000 requests per second, or 4096 in flight]
    #[arg(long, value_name = "LOAD", help_heading = "Search")]
    to: Option<f64>,

    /// How near the highest load that keeps the objectives and the lowest that does not should be.
    #[arg(long, value_name = "PERCENT", default_value = "2%", value_parser = percent, help_heading = "Search")]
    resolution: f64,

    /// Time for the whole search; what is not decided by then is reported as that.
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = seconds, help_heading = "Search")]
    time_limit: Duration,

    /// Time for one load, in which 1000 requests are needed at least; one that is not decided by then lies near an
    /// objective, and the search goes on beside it.
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = seconds, help_heading = "Search")]
    probe_limit: Duration,

    #[command(flatten)]
    perf: PerfArguments,
}

/// What is varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Vary {
    /// Requests per second of an open loop.
    Rate,
    /// Requests in flight of a closed loop.
    Parallel,
}

/// `search` without the flags of `perf` that it has no use for.
pub(super) fn with_help(search: Command) -> Command {
    search
        .mut_args(|flag| {
            let is_none = flag
                .get_long()
                .is_some_and(|name| NOT_OF_A_SEARCH.contains(&name));
            flag.hide(is_none)
        })
        .mut_arg("cool_down", |flag| {
            flag.help("Time between two loads in which nothing is sent [default: 5s]")
                .help_heading("Search")
        })
        .after_help(
            "Probes the load at --from, doubles it until an objective is missed, then halves the interval. Each probe \
             lasts until its objectives are decided for certain: the chance that any of them is decided wrongly is 5 % at \
             most, over all probes together.\n\
             Exit codes: 0 found; 1 not decided, not within --from and --to, or failed; 2 the arguments are wrong.",
        )
}

impl SearchArguments {
    /// Notes the arguments, to be kept with the results.
    pub(super) fn note_settings(&mut self, settings: Option<Settings>) {
        self.perf.note_settings(settings);
    }

    /// What is searched.
    fn plan(&self, bounds: Vec<ShareBound>) -> Result<SearchPlan, UsageError> {
        let wrong = |reason: &'static str| UsageError::Search { reason };
        let (vary, most) = match self.vary {
            Vary::Rate => ("rate", 10_000.0),
            Vary::Parallel => ("parallel", 4096.0),
        };
        let (from, to) = (self.from, self.to.unwrap_or(most));
        if !(from > 0.0 && from < to && to.is_finite()) {
            return Err(wrong("--from should be above 0 and below --to"));
        }
        if self.vary == Vary::Parallel && (from.fract() != 0.0 || to.fract() != 0.0) {
            return Err(wrong(
                "--from and --to are whole numbers of requests in flight",
            ));
        }
        if !(0.001..1.0).contains(&self.resolution) {
            return Err(wrong("--resolution should be between 0.1% and 100%"));
        }
        Ok(SearchPlan {
            asked: SearchRecord {
                vary: vary.to_owned(),
                from,
                to,
                resolution: self.resolution,
                objectives: bounds.iter().map(|bound| bound.text.clone()).collect(),
                error: ERROR,
                probe_limit_seconds: self.probe_limit.as_secs_f64(),
                time_limit_seconds: self.time_limit.as_secs_f64(),
            },
            bounds,
            cool_down: self.perf.cool_down().unwrap_or(COOL_DOWN),
        })
    }
}

/// Runs `llmuses search`.
pub(super) fn execute(arguments: &SearchArguments) -> anyhow::Result<CommandOutcome> {
    arguments.perf.wait_until_ready()?;
    let results = loop {
        let (sweep, mut outputs, mut bounds) = arguments.perf.clone().for_search()?;
        if !bounds.iter().any(|bound| bound.of == ShareOf::Failed) {
            // A load at which nothing succeeds would keep every objective of the requests that do.
            bounds.push(failed_bound());
        }
        let plan = arguments.plan(bounds)?;
        outputs.search = Some(plan.asked.clone());
        make_folder(&outputs)?;
        terminal::say(opening(&plan.asked));
        match search(&sweep, &outputs, &plan) {
            // Another run took this name first, before anything was sent. The next name is free.
            Err(RunError::Sink(SinkError::Exists { .. })) if !arguments.perf.has_name() => {}
            results => break results?,
        }
    };
    warn_of_chunks(&results);
    let runs = results.iter().map(|result| result.record.clone()).collect();
    let found = Document::of(runs)
        .search
        .is_some_and(|search| search.outcome == SearchOutcome::Found);
    let is_kept = results.iter().all(|result| {
        let stored = result.stored.as_ref();
        stored.is_none_or(|stored| stored.not_kept == 0) && !result.circumstances.interrupted
    });
    Ok(if found && is_kept {
        CommandOutcome::Done
    } else {
        CommandOutcome::Failed
    })
}

/// The objective of failed requests where none is given.
fn failed_bound() -> ShareBound {
    ShareBound {
        text: "failed<1%".to_owned(),
        of: ShareOf::Failed,
        share: 0.01,
        below: true,
    }
}

fn opening(asked: &SearchRecord) -> String {
    format!(
        "Search of the highest {} from {} to {} that keeps {}",
        match asked.vary.as_str() {
            "parallel" => "number of requests in flight",
            _ => "rate of requests per second",
        },
        asked.from,
        asked.to,
        asked.objectives.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command as Asked};
    use clap::Parser;
    use llmuses_core::metric::TTFT;
    use llmuses_core::plan::{Objectives, Warmup};

    fn arguments(more: &[&str]) -> SearchArguments {
        let all = ["llmuses", "search", "--model", "m", "--prompt", "x"];
        let cli = Cli::try_parse_from(all.iter().chain(more)).unwrap();
        match cli.command {
            Asked::Search(arguments) => *arguments,
            _ => unreachable!("search was asked for"),
        }
    }

    #[test]
    fn a_probe_has_the_objectives_of_the_search_for_its_goodput() {
        let rate = ["--vary", "rate", "--objective", "ttft_p99<200ms"];
        let found = arguments(&rate).perf.for_search().unwrap();
        let (sweep, outputs, bounds) = found;
        let time = Duration::from_millis(200);
        assert_eq!(bounds[0].of, ShareOf::Longer(TTFT, time));
        let load = &sweep.loads[0];
        assert_eq!(load.objectives, Some(Objectives::of([(TTFT, time)])));
        assert_eq!(load.warmup, Warmup::Time(Duration::from_secs(5)));
        assert!(outputs.quiet && outputs.objectives.is_empty());
    }

    #[test]
    fn the_help_of_a_search_has_no_flag_that_it_refuses() {
        let search = with_help(SearchArguments::augment_args(Command::new("search")));
        for flag in ["sessions", "stages", "number", "trace"] {
            let known = search
                .get_arguments()
                .find(|known| known.get_long() == Some(flag));
            assert!(known.is_some_and(clap::Arg::is_hide_set), "{flag}");
        }
    }

    #[test]
    fn what_cannot_be_searched_is_said() {
        let error = |more: &[&str]| {
            let arguments = arguments(&[&["--vary", "rate"], more].concat());
            let bounds = arguments.perf.clone().for_search();
            let plan = bounds.and_then(|(_, _, bounds)| arguments.plan(bounds));
            plan.unwrap_err().to_string()
        };
        let objective = ["--objective", "ttft_p99<1s"];
        let with = |more: &[&str]| error(&[&objective[..], more].concat());
        assert!(error(&[]).contains("--objective"));
        assert!(error(&["--objective", "qps>5"]).contains("request by request"));
        assert!(with(&["--from", "9", "--to", "3"]).contains("--from"));
        assert!(with(&["--resolution", "0%"]).contains("--resolution"));
        assert!(with(&["--rate", "5"]).contains("--rate"));
        for (flag, value) in [
            ("--number", "5"),
            ("--sessions", "5"),
            ("--stages", "rate:5@1s"),
            ("--arrival", "constant"),
            ("--max-in-flight", "5"),
        ] {
            let said = with(&[flag, value]);
            assert!(
                said.starts_with(&format!("{flag} is no flag of a search")),
                "{said}"
            );
        }
        assert!(with(&["--objective", "goodput_share>90%"]).contains("--goodput"));
        let whole = arguments(&[
            "--vary",
            "parallel",
            "--from",
            "1.5",
            "--objective",
            "failed<1%",
        ]);
        let plan = whole.plan(Vec::new()).unwrap_err().to_string();
        assert!(plan.contains("whole"), "{plan}");
    }
}
