//! `llmuses compare`: runs compared with one another.

use super::CommandOutcome;
use super::values::percent;
use clap::Args;
use llmuses_observe::terminal;
use llmuses_render::compare::{Bound, NotCompared, Results, compare, table, to_json};
use llmuses_render::html::comparison_page;
use llmuses_render::report::Look;
use llmuses_render::{NewFile, OutputFiles};
use std::path::PathBuf;

/// Arguments of `llmuses compare`.
#[derive(Debug, Args)]
#[command(
    after_help = "A figure is better or worse where its change is beyond the margin for certain, the same \
                  where the 95 % confidence interval of its change lies within the margin, and else unclear. \
                  Certain means: among all figures of a comparison, the chance that any of them is called \
                  better or worse and is not is 5 % at most (Holm's correction).\n\
                  Exit codes: 0 compared; 1 a --fail-if holds, or cannot be judged; 2 the arguments \
                  are wrong."
)]
pub(super) struct CompareArguments {
    /// Databases of runs, or what --json wrote; all others are compared with the first.
    #[arg(value_name = "FILE", num_args = 2.., required = true)]
    files: Vec<PathBuf>,

    /// End with code 1 where this holds: a change such as ttft_p99>+5% or qps<-3%, or a figure of the
    /// later run such as ttft_p99>200ms. May be given several times.
    #[arg(long, value_name = "BOUND", value_parser = clap::value_parser!(Bound))]
    fail_if: Vec<Bound>,

    /// Changes up to this are no difference.
    #[arg(long, value_name = "PERCENT", default_value = "1%", value_parser = percent)]
    margin: f64,

    /// Write the comparison as JSON to a new file; - for standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<String>,

    /// Write the comparison as a page that needs no network to a new file; - for standard output.
    #[arg(long, value_name = "FILE")]
    html: Option<String>,
}

/// Runs `llmuses compare`.
pub(super) fn execute(arguments: &CompareArguments) -> anyhow::Result<CommandOutcome> {
    let results = arguments
        .files
        .iter()
        .map(|file| Results::load(file))
        .collect::<Result<Vec<_>, _>>()?;
    let documents = [
        ("--json", arguments.json.clone()),
        ("--html", arguments.html.clone()),
    ];
    let targets = OutputFiles::of(documents)?;
    let files = NewFile::make_all(&targets)?;
    // At least two were typed.
    let (base, others) = results.split_at(1);
    let (comparisons, alone) = compare(&base[0], others, arguments.margin);
    if !targets.take_stdout() {
        let look = Look::of(terminal::stdout_columns(), false);
        terminal::print(table(&comparisons, &alone, look));
    }
    for file in files {
        let content = match file.flag() {
            "--json" => format!("{:#}\n", to_json(&comparisons, &alone)),
            _ => comparison_page(&results, &comparisons, &alone),
        };
        file.write(&content)?;
    }
    let mut broken: Vec<String> = arguments
        .fail_if
        .iter()
        .flat_map(|bound| {
            comparisons.iter().filter_map(|found| {
                let reason = bound.broken_by(found)?;
                Some(match comparisons.len() {
                    1 => reason,
                    _ => format!("{}: {reason}", found.load),
                })
            })
        })
        .collect();
    if comparisons.is_empty() && !arguments.fail_if.is_empty() {
        broken.push("there is nothing to judge: no load is on both sides".to_owned());
    } else if !arguments.fail_if.is_empty() {
        // Of repetitions that are left out, there are others.
        let is_load = |alone: &&NotCompared| matches!(alone, NotCompared::Load { .. });
        let loads = alone.iter().filter(is_load);
        broken.extend(loads.map(|load| format!("cannot be judged: {load}")));
    }
    for reason in &broken {
        terminal::say(format!("fails: {reason}"));
    }
    Ok(if broken.is_empty() {
        CommandOutcome::Done
    } else {
        CommandOutcome::Failed
    })
}
