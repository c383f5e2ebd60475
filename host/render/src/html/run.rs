//! One run on a page: the verdict first, then the headline figures, then everything else.

use super::chart::Chart;
use super::drawn::{self, Drawn};
use super::facts;
use super::headline::{Card, cards};
use super::spreads;
use super::table::{Pieces, TableView};
use crate::digits::{counted, sentence};
use crate::report;
use crate::sections::{self, Part, Piece, at, load_of};
use askama::Template;
use jiff::Timestamp;
use llmuses_core::document::{Run, RunState, Totals, Verdict};
use llmuses_core::wording::one_line;

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
    pub(super) cards: Vec<Card>,
    pub(super) failures: Option<TableView>,
    pub(super) completed: u64,
    pub(super) times: TableView,
    pub(super) percentiles: Option<TableView>,
    pub(super) curves: Vec<Chart>,
    pub(super) over_time: Vec<Chart>,
    pub(super) slot_seconds: String,
    pub(super) slots: Option<TableView>,
    pub(super) lengths: Vec<Chart>,
    pub(super) tokens: TableView,
    pub(super) bars: Option<TableView>,
    pub(super) slowest: Option<TableView>,
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
        Self {
            anchor: format!("run-{number}"),
            title: several.then(|| format!("Run {number}: {load}")),
            level: if several { 3 } else { 2 },
            subject: subject(of, &load, several),
            verdict: VerdictView::of(of.verdict.as_ref()),
            measured: totals.map(|totals| Measured::of(of, totals, place, &load)),
            state: of.state.as_str(),
            plan: facts::plan(of).into(),
            identity: facts::identity(run).into(),
            summary: of.totals.is_some().then(|| report::summary(of)),
        }
    }

    fn pieces<'a>(&self, pieces: &'a [Piece]) -> Pieces<'a> {
        Pieces { pieces }
    }
}

/// What was asked, where and when; for one of several runs, what the page has not said yet.
fn subject(run: &Run, load: &str, several: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = state(run.state).to_owned();
    if !several {
        lines.push(one_line(&run.plan.target.url, 400));
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
        one_line(&run.plan.target.model, 200),
        one_line(&run.plan.target.url, 400)
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

    fn of(of: &Run, totals: Part<'_, Totals>, place: usize, name: &str) -> Self {
        let run = Drawn {
            totals,
            place,
            name: name.to_owned(),
        };
        let totals = &run.totals;
        Self {
            objectives: sections::objectives(totals).map(TableView::from),
            cards: cards(totals),
            failures: facts::failures(totals).map(TableView::from),
            completed: totals.value().requests.completed,
            times: sections::times(totals).into(),
            percentiles: spreads::percentiles(totals).map(TableView::from),
            curves: drawn::curves(std::slice::from_ref(&run)),
            over_time: drawn::over_time(&run),
            slot_seconds: at!(totals, timeline.slot_seconds).whole().text,
            slots: drawn::slots(totals).map(TableView::from),
            lengths: drawn::lengths(&run),
            tokens: drawn::tokens(totals).into(),
            bars: drawn::bars(totals).map(TableView::from),
            slowest: spreads::slowest(totals).map(TableView::from),
            metrics: sections::parser_figures(totals).map(TableView::from),
            circumstances: facts::circumstances(of, totals).into(),
        }
    }
}
