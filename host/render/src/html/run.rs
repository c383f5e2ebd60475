//! One run on a page: the verdict first, then the headline figures, then everything else.

use super::chart::Chart;
use super::curves;
use super::drawn::Drawn;
use super::facts;
use super::headline::{Card, cards};
use super::over_time;
use super::scatter;
use super::spreads::{self, Texts};
use super::table::{Pieces, TableView};
use super::tokens;
use crate::digits::{counted, sentence};
use crate::report;
use crate::sections::{self, Part, Piece, at, load_of, verdict_in_short};
use askama::Template;
use jiff::Timestamp;
use llmuses_core::document::{Percentile, Run, RunState, Totals, Verdict};
use llmuses_core::metric::{QPS, THROUGHPUT, TTFT};
use llmuses_core::wording::one_line;

/// Characters of a command line that are shown; the document in the page has all of it.
const LONGEST_COMMAND: usize = 4_000;

/// Characters of the figure of a doubt, which may hold a message of the server.
const LONGEST: usize = 500;

/// A run as it stands on the page.
#[derive(Debug, Template)]
#[template(path = "run.html")]
pub(super) struct RunView {
    /// Its anchor in the page.
    pub(super) anchor: String,
    /// Its head, where it is one of several.
    pub(super) title: Option<String>,
    /// What it came to in a few words, where it is one of several.
    pub(super) outcome: String,
    /// The command line that repeats it, where it is known and the page has not said it yet.
    pub(super) command: Option<String>,
    /// Where it was made, where the page has not said it yet.
    pub(super) place: Vec<(&'static str, String)>,
    /// The level of the heads of its parts.
    pub(super) level: u8,
    /// What was asked, where and when: a line each.
    pub(super) subject: Vec<String>,
    /// What speaks against it.
    pub(super) verdict: VerdictView,
    /// Its figures. `None`: they were never written.
    pub(super) measured: Option<Measured>,
    /// Why there are no figures.
    pub(super) state: &'static str,
    /// What was asked for.
    pub(super) plan: TableView,
    /// Who made it.
    pub(super) identity: TableView,
    /// The text report.
    pub(super) summary: Option<String>,
}

impl askama::filters::HtmlSafe for RunView {}

/// What speaks against a run.
#[derive(Debug, Clone, Default)]
pub(super) struct VerdictView {
    /// The verdict in one sentence.
    pub(super) sentence: String,
    /// Whether nothing speaks against the run.
    pub(super) trusted: bool,
    /// Figure, likely cause, what to do.
    pub(super) doubts: Vec<[String; 3]>,
}

/// The figures of a run.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) objectives: Option<TableView>,
    pub(super) groups: Vec<(String, TableView)>,
    pub(super) cards: Vec<Card>,
    pub(super) failures: Option<TableView>,
    pub(super) completed: u64,
    pub(super) times: TableView,
    pub(super) turns: Option<TableView>,
    /// The workers of a run that several sent.
    pub(super) workers: Option<TableView>,
    pub(super) histograms: Vec<Chart>,
    pub(super) percentiles: Option<TableView>,
    pub(super) curves: Vec<Chart>,
    pub(super) over_time: Vec<Chart>,
    pub(super) slot_seconds: String,
    pub(super) slots: Option<TableView>,
    pub(super) lengths: Vec<Chart>,
    pub(super) tokens: Option<TableView>,
    pub(super) bars: Option<TableView>,
    pub(super) slowest: Option<TableView>,
    pub(super) texts: Vec<Texts>,
    pub(super) metrics: Option<TableView>,
    pub(super) circumstances: TableView,
}

impl RunView {
    /// The run at `place` of a document of several or of one.
    pub(super) fn of(run: &Part<'_, Run>, place: usize, several: bool) -> Self {
        let of = run.value();
        let load = load_of(of);
        let number = place + 1;
        let totals = at!(run, totals).known();
        let anchor = format!("run-{number}");
        Self {
            title: several.then(|| format!("Run {number}: {load}")),
            outcome: if several { outcome(of) } else { String::new() },
            command: command(of).filter(|_| !several),
            place: if several {
                Vec::new()
            } else {
                facts::place(of)
            },
            level: if several { 3 } else { 2 },
            subject: subject(of, &load, several),
            verdict: VerdictView::of(of.verdict.as_ref()),
            measured: totals.map(|totals| Measured::of(of, totals, &load, &anchor)),
            state: of.state.as_str(),
            anchor,
            plan: facts::plan(of).into(),
            identity: facts::identity(run).into(),
            summary: of.totals.is_some().then(|| report::whole_summary(of)),
        }
    }

    fn pieces<'a>(&self, pieces: &'a [Piece]) -> Pieces<'a> {
        Pieces { pieces }
    }
}

/// The command line that repeats a run, where it is known.
pub(super) fn command(run: &Run) -> Option<String> {
    let command = run.plan.outputs.command.as_ref()?;
    Some(one_line(command, LONGEST_COMMAND))
}

/// What a run came to: its median and 99th percentile of the time to first token, its throughput and its verdict.
fn outcome(run: &Run) -> String {
    let mut parts = Vec::new();
    if let Some(totals) = &run.totals {
        let part = Part::new("", totals);
        let ttft = part.time(TTFT);
        if ttft.value().samples > 0 {
            let [p50, p99] = [Percentile::P50, Percentile::P99]
                .map(|percentile| ttft.percentile(percentile).millis(1).text);
            parts.push(format!("TTFT p50 {p50} ms, p99 {p99} ms"));
        }
        let tokens = part.figure(THROUGHPUT, 1);
        parts.push(if tokens.is_unknown() {
            format!("{} requests/s", part.figure(QPS, 2).text)
        } else {
            format!("{} tokens/s", tokens.text)
        });
    }
    parts.push(verdict_in_short(run));
    parts.join(" · ")
}

/// What was asked, where and when; for one of several runs, what the page has not said yet.
fn subject(run: &Run, load: &str, several: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = state(run.state).to_owned();
    if !several {
        lines.push(one_line(&run.plan.target.url_text(), 400));
        line = format!("{load}; {line}");
    }
    if let Some(started) = date(run.started_unix_seconds) {
        line.push_str(&format!("; began {started}"));
    }
    if let Some(finished) = run.finished_unix_seconds.and_then(date) {
        line.push_str(&format!(", ended {finished}"));
    }
    lines.push(line);
    lines
}

/// Model and endpoint.
pub(super) fn endpoint(run: &Run) -> String {
    format!(
        "{} at {}",
        one_line(&run.plan.target.model_text(), 200),
        one_line(&run.plan.target.url_text(), 400)
    )
}

fn state(state: RunState) -> &'static str {
    match state {
        RunState::Finished => "carried out",
        RunState::Interrupted => "ended early by a person",
        RunState::Failed => "failed",
        RunState::Running => "its program was ended before the run was over",
    }
}

/// Unix seconds as date and time, in UTC so that a page says the same to everyone.
pub(super) fn date(seconds: f64) -> Option<String> {
    let micros = seconds * 1e6;
    // Of a time within the years of a calendar; others are refused.
    let timestamp = Timestamp::from_microsecond(micros as i64).ok()?;
    Some(timestamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

impl VerdictView {
    /// The verdict of a run.
    fn of(verdict: Option<&Verdict>) -> Self {
        let Some(verdict) = verdict else {
            return Self {
                sentence: "There is no verdict: the run did not come to its end.".to_owned(),
                ..Self::default()
            };
        };
        let doubts: Vec<[String; 3]> = verdict
            .doubts
            .iter()
            .map(|doubt| {
                [&doubt.figure, &doubt.likely_cause, &doubt.what_to_do]
                    .map(|text| sentence(&one_line(text, LONGEST)))
            })
            .collect();
        Self {
            sentence: if verdict.trusted {
                "Nothing speaks against these numbers.".to_owned()
            } else {
                format!(
                    "{} to read these numbers with care.",
                    counted(doubts.len() as u64, "reason")
                )
            },
            trusted: verdict.trusted,
            doubts,
        }
    }
}

impl Measured {
    fn has_curves(&self) -> bool {
        self.curves.iter().any(|chart| chart.absent.is_none())
    }

    fn of(of: &Run, totals: Part<'_, Totals>, name: &str, anchor: &str) -> Self {
        let run = Drawn {
            totals,
            name: name.to_owned(),
        };
        let totals = &run.totals;
        let mut histograms = curves::histograms(&run);
        histograms.extend(scatter::by_input_length(&run));
        Self {
            cards: cards(totals),
            objectives: sections::objectives(totals).map(TableView::from),
            groups: sections::groups(totals)
                .into_iter()
                .map(|table| (table.label.clone(), table.into()))
                .collect(),
            failures: facts::failures(totals).map(TableView::from),
            completed: totals.value().requests.completed,
            times: sections::times(totals).with_first(&["p50", "p99"]).into(),
            turns: sections::turns(totals).map(TableView::from),
            workers: sections::workers(totals).map(TableView::from),
            histograms,
            percentiles: spreads::percentiles(totals).map(TableView::from),
            curves: curves::curves(std::slice::from_ref(&run)),
            over_time: over_time::over_time(&run),
            slot_seconds: at!(totals, timeline.slot_seconds).whole().text,
            slots: over_time::slots(totals).map(TableView::from),
            lengths: tokens::lengths(&run),
            tokens: tokens::tokens(totals).map(TableView::from),
            bars: tokens::bars(totals).map(TableView::from),
            slowest: spreads::slowest(totals, anchor).map(TableView::from),
            texts: spreads::texts(totals, anchor),
            metrics: sections::parser_figures(totals).map(TableView::from),
            circumstances: facts::circumstances(of, totals).into(),
        }
    }
}
