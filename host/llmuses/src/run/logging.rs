//! What of a run goes to Weights & Biases: a row each second, configuration and summary.

use super::outputs::Outputs;
use super::progress::progress;
use llmuses_core::backlog::PipelineStage;
use llmuses_core::document::Totals;
use llmuses_core::metric::Figure;
use llmuses_core::plan::{Arrivals, Plan};
use llmuses_core::wording::counted;
use llmuses_observe::terminal;
use llmuses_observe::wandb::{Wandb, WandbReport};
use llmuses_render::report::{Progress, ProgressNumber};
use llmuses_stats::{RunSoFar, Sink};
use llmuses_store::sink::RunRecord;
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// From one row to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// A run that is being logged.
pub(super) struct Logging<'a> {
    wandb: Wandb,
    arrivals: Arrivals,
    /// Whether logging has failed: to be known to the next run of a sweep.
    failed: &'a Cell<bool>,
    next: Instant,
    /// Whether it was said where the run can be seen.
    told_url: bool,
    /// Whether it was said that logging does not work: it is said once.
    told_trouble: bool,
}

impl<'a> Logging<'a> {
    /// Begins, where that is wanted and it has not failed before: one warning and one wait at the end
    /// are enough for a sweep. `record`: what is known of the run.
    pub(super) fn begin(
        plan: &Plan,
        outputs: &Outputs,
        record: &RunRecord,
        failed: &'a Cell<bool>,
    ) -> Option<Self> {
        let mut settings = outputs.wandb.clone().filter(|_| !failed.get())?;
        if plan.place.runs > 1 {
            // Each load of a sweep is a run of its own there.
            settings.run_name = format!("{} {}", outputs.name, plan.load.arrivals.name());
        }
        Some(Self {
            wandb: Wandb::start(settings, config(record)),
            arrivals: plan.load.arrivals,
            failed,
            next: Instant::now() + INTERVAL,
            told_url: false,
            told_trouble: false,
        })
    }

    /// Ends it, with the totals as the summary.
    pub(super) fn finish(self, totals: Option<&Totals>, is_good: bool) {
        let mut summary = Map::new();
        let totals = serde_json::to_value(totals).unwrap_or_default();
        flatten("", &totals, &mut summary);
        let report = self.wandb.finish(summary, i32::from(!is_good));
        if !self.told_trouble
            && let Some(trouble) = &report.trouble
        {
            terminal::say(format!("warning: {trouble}"));
        }
        self.failed.set(report.trouble.is_some());
        terminal::say(closing(&report));
    }
}

impl Sink for &mut Logging<'_> {
    /// The service and the disk are for another thread.
    fn stage(&self) -> PipelineStage {
        PipelineStage::Totals
    }

    /// Logs a row if it is time for one, and says what there is to say.
    fn tick(&mut self, run: &RunSoFar<'_>) {
        if Instant::now() < self.next {
            return;
        }
        // Not `next + INTERVAL`: after a stop, of the whole machine for instance, one row is enough.
        self.next = Instant::now() + INTERVAL;
        self.wandb.log(row(&progress(self.arrivals, run)));
        if !self.told_url
            && let Some(url) = self.wandb.url()
        {
            self.told_url = true;
            terminal::say(format!("Weights & Biases: {url}"));
        }
        if !self.told_trouble
            && let Some(trouble) = self.wandb.trouble()
        {
            self.told_trouble = true;
            terminal::say(format!("warning: {trouble}"));
        }
    }

    /// Logs the last row.
    fn end(&mut self, run: &RunSoFar<'_>) {
        self.wandb.log(row(&progress(self.arrivals, run)));
    }
}

fn closing(report: &WandbReport) -> String {
    let mut line = format!("Weights & Biases: {}", counted(report.logged, "row"));
    if report.dropped > 0 {
        line += &format!(", {} lost", report.dropped);
    }
    if report.repeated > 0 {
        line += &format!(", {} repeated", counted(report.repeated, "request"));
    }
    if let Some(url) = &report.url {
        line += &format!(" at {url}");
    }
    if let Some(folder) = &report.folder {
        line += &format!("; to send them: wandb sync {}", folder.display());
    }
    line
}

/// The numbers of a progress line under the names that they have there, and the further figures of the run under theirs:
/// those that are known.
fn row(progress: &Progress) -> Map<String, Value> {
    let further = Figure::all()
        .filter(|figure| figure.further)
        .map(|figure| (figure.name, json!(figure.of(&progress.sums))));
    progress
        .numbers()
        .into_iter()
        .map(|(name, number)| match number {
            ProgressNumber::Count(count) => (name, json!(count)),
            ProgressNumber::Figure(figure, _) => (name, json!(figure)),
        })
        .chain(further)
        // A figure that is not known, or not finite, is null in JSON, and no figure.
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The plan, and what it was carried out with.
fn config(record: &RunRecord) -> Value {
    let mut config = serde_json::to_value(&record.plan).unwrap_or_default();
    let known = [
        ("schedule_seed", json!(record.schedule_seed)),
        ("llmuses_version", json!(record.llmuses_version)),
        ("contract_version", json!(record.contract_version)),
        ("wasmtime_version", json!(record.wasmtime_version)),
        ("parser_name", json!(record.plugin_name)),
        ("parser_version", json!(record.plugin_version)),
        ("parser_sha256", json!(record.plugin_sha256)),
        ("parser_source", json!(record.plugin_source)),
        ("stamps", json!(record.stamps.as_str())),
    ];
    for (name, value) in known {
        config[name] = value;
    }
    config
}

/// The numbers of nested JSON, each under its path. The parts of a path are joined as the web page
/// groups names, which also keeps `latency/p50_seconds` apart from the figure `latency`.
fn flatten(path: &str, value: &Value, numbers: &mut Map<String, Value>) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}/{name}"),
    };
    match value {
        Value::Number(_) => {
            numbers.insert(path.to_owned(), value.clone());
        }
        Value::Object(members) => {
            for (name, member) in members {
                flatten(&below(name), member, numbers);
            }
        }
        // Lists are curves and the timeline, hundreds of numbers each; the service draws its own of the rows.
        Value::Array(_) | Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::metric::Sums;
    use llmuses_render::report::progress_line;

    #[test]
    fn rows_have_the_names_of_the_progress_line() {
        let mut progress = Progress::default();
        let known: Vec<String> = row(&progress).keys().cloned().collect();
        assert_eq!(known, ["concurrency", "completed", "succeed", "failed"]);
        progress = Progress {
            sums: Sums {
                wall_seconds: Some(2.0),
                succeeded: 1,
                packages: 1,
                input_tokens: Some(3.0),
                output_tokens: Some(1.0),
                input_known: 1,
                output_known: 1,
                ..Sums::default()
            },
            latency: Some(1.0),
            ttft: Some(1.0),
            time_per_package: Some(1.0),
            ..progress
        };
        let line = progress_line(&progress, &jiff::Zoned::now());
        let (_, line) = line.split_once("INFO - ").unwrap();
        let names: Vec<&str> = line
            .split(", ")
            .filter_map(|figure| Some(figure.split_once(": ")?.0))
            .chain(["input_throughput", "total_throughput"])
            .collect();
        let found = row(&progress);
        assert_eq!(found.keys().collect::<Vec<_>>(), names);
        assert_eq!(found["total_throughput"], 2.0);
        progress.latency = Some(f64::NAN);
        assert!(!row(&progress).contains_key("latency"));
    }

    #[test]
    fn only_numbers_are_left_of_totals() {
        let totals = json!({"a": {"p50": 1, "none": null, "text": "x"}, "b": [2.5], "c": true});
        let mut numbers = Map::new();
        flatten("", &totals, &mut numbers);
        assert_eq!(Value::Object(numbers), json!({"a/p50": 1}));
    }
}
