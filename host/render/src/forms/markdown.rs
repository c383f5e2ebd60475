//! Tables for a comment on a pull request.

use super::Renderer;
use crate::report::{
    UNKNOWN, counted, fixed, independent_samples, is_told, load_of, time_decimals,
};
use llmuses_core::document::{Document, Percentile, Run, Totals};
use llmuses_core::metric::{LATENCY, TPOT, TTFT, Time};
use llmuses_core::wording::one_line;

/// Characters of a text from outside.
const LONGEST: usize = 300;

pub(super) struct Markdown;

impl Renderer for Markdown {
    fn flag(&self) -> &'static str {
        "--markdown"
    }

    fn help(&self) -> &'static str {
        "Write the results as Markdown, for a comment on a pull request, to a new file; - for standard output"
    }

    fn render(&self, document: &Document) -> String {
        let mut out = String::new();
        if let Some(run) = document.runs.first() {
            let (model, url) = (&run.plan.target.model, &run.plan.target.url);
            out.push_str(&format!(
                "### Load test of {} at {}\n\n",
                plain(model),
                plain(url)
            ));
        }
        let columns = [
            "Load",
            "verdict",
            "requests/s",
            "tokens/s",
            "TTFT p50",
            "p99",
            "TPOT p50",
            "p99",
            "latency p50",
            "p99",
            "failed",
        ];
        header(&mut out, &columns);
        for run in &document.runs {
            row(&mut out, load(run));
        }
        out.push_str("\nTimes in milliseconds.\n");
        for run in &document.runs {
            doubts(&mut out, run);
            if let Some(totals) = &run.totals {
                times(&mut out, &load_of(run), totals);
            }
        }
        out
    }
}

/// Text that Markdown leaves as it is, in a line of its own.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for character in one_line(text, LONGEST).chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '!' | '~' | '@' => {
                out.push('\\');
                out.push(character);
            }
            other => out.push(other),
        }
    }
    out
}

fn row(out: &mut String, cells: Vec<String>) {
    out.push_str(&format!("| {} |\n", cells.join(" | ")));
}

fn header(out: &mut String, columns: &[&str]) {
    row(out, columns.iter().map(ToString::to_string).collect());
    let rest = "|--:".repeat(columns.len() - 1);
    out.push_str(&format!("|:--{rest}|\n"));
}

fn load(run: &Run) -> Vec<String> {
    let mut cells = vec![
        load_of(run),
        match &run.verdict {
            None => UNKNOWN.to_owned(),
            Some(verdict) if verdict.doubts.is_empty() => "good".to_owned(),
            Some(verdict) => counted(verdict.doubts.len() as u64, "doubt"),
        },
    ];
    let Some(totals) = &run.totals else {
        cells.extend((0..9).map(|_| UNKNOWN.to_owned()));
        return cells;
    };
    cells.push(fixed(totals.rates.succeeded_per_second, 2));
    cells.push(fixed(totals.rates.output_tokens_per_second, 1));
    for time in [TTFT, TPOT, LATENCY] {
        for percentile in [Percentile::P50, Percentile::P99] {
            cells.push(figure(totals, time, percentile, 2));
        }
    }
    cells.push(totals.requests.failed.to_string());
    cells
}

/// A percentile in milliseconds, with a mark where there are too few samples for it.
fn figure(totals: &Totals, time: Time, percentile: Percentile, decimals: usize) -> String {
    let spread = &totals.times[time];
    let millis = spread.percentile(percentile).map(|seconds| seconds * 1e3);
    let short = spread.samples > 0 && percentile.is_short(independent_samples(totals, time));
    format!(
        "{}{}",
        fixed(millis, decimals),
        if short { "\\*" } else { "" }
    )
}

fn doubts(out: &mut String, run: &Run) {
    let Some(verdict) = run.verdict.as_ref().filter(|verdict| !verdict.trusted) else {
        return;
    };
    out.push_str(&format!(
        "\n**{}** is to be read with care:\n\n",
        load_of(run)
    ));
    for doubt in &verdict.doubts {
        out.push_str(&format!(
            "- {}. Likely cause: {}. What to do: {}.\n",
            plain(&doubt.figure),
            plain(&doubt.likely_cause),
            plain(&doubt.what_to_do)
        ));
    }
}

fn times(out: &mut String, load: &str, totals: &Totals) {
    const COLUMNS: [Percentile; 4] = [
        Percentile::P50,
        Percentile::P90,
        Percentile::P99,
        Percentile::P999,
    ];
    out.push_str(&format!(
        "\n<details><summary>Times of {load}</summary>\n\n"
    ));
    header(
        out,
        &[
            "Milliseconds",
            "mean",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
            "samples",
        ],
    );
    for time in Time::all() {
        let spread = &totals.times[time];
        if spread.samples == 0 || !is_told(totals, time) {
            continue;
        }
        let longest = spread.max_seconds.unwrap_or_default() * 1e3;
        let decimals = time_decimals(longest);
        let millis = |seconds: Option<f64>| fixed(seconds.map(|seconds| seconds * 1e3), decimals);
        let mut cells = vec![time.title.to_owned(), millis(spread.mean_seconds)];
        cells.extend(COLUMNS.map(|percentile| figure(totals, time, percentile, decimals)));
        cells.push(millis(spread.max_seconds));
        cells.push(spread.samples.to_string());
        row(out, cells);
    }
    out.push_str("\n\\* fewer samples than this percentile needs\n\n</details>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_is_no_markup() {
        assert_eq!(plain("a|b <img>\n@all"), "a\\|b &lt;img> \\@all");
    }
}
