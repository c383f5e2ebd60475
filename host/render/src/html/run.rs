//! One run on a page: the verdict first, then the headline figures, then everything else.

use super::chart::Chart;
use super::drawn::{self, Drawn};
use super::facts;
use super::figure::Part;
use super::headline::{Card, cards};
use super::spreads;
use super::table::{Piece, Table};
use crate::report::{self, counted, load_of, sentence};
use askama::Template;
use jiff::Timestamp;
use llmuses_core::document::Run;
use llmuses_core::wording::one_line;
use serde_json::Value;

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
    pub(super) state: String,
    /// What was asked for.
    pub(super) plan: Table,
    /// Who made it.
    pub(super) identity: Table,
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
    pub(super) cards: Vec<Card>,
    pub(super) failures: Option<Table>,
    pub(super) completed: u64,
    pub(super) times: Table,
    pub(super) percentiles: Option<Table>,
    pub(super) curves: Vec<Chart>,
    pub(super) over_time: Vec<Chart>,
    pub(super) slot_seconds: String,
    pub(super) slots: Option<Table>,
    pub(super) lengths: Vec<Chart>,
    pub(super) tokens: Table,
    pub(super) bars: Option<Table>,
    pub(super) slowest: Option<Table>,
    pub(super) metrics: Option<Table>,
    pub(super) circumstances: Table,
}

impl RunView {
    /// The run at `place` of a document of several or of one.
    pub(super) fn of(run: &Part<'_>, place: usize, of: &Run, several: bool) -> Self {
        let load = load_of(of);
        let number = place + 1;
        Self {
            anchor: format!("run-{number}"),
            title: several.then(|| format!("Run {number}: {load}")),
            level: if several { 3 } else { 2 },
            subject: subject(run, &load, several),
            verdict: VerdictView::of(&run.at("verdict")),
            measured: Measured::of(&run.at("totals"), place, &load),
            state: run.at("state").text().to_owned(),
            plan: facts::plan(run),
            identity: facts::identity(run),
            summary: of.totals.is_some().then(|| report::summary(of)),
        }
    }
}

/// What was asked, where and when; for one of several runs, what the page has not said yet.
fn subject(run: &Part<'_>, load: &str, several: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = state(run.at("state").text()).to_owned();
    if !several {
        lines.push(one_line(run.at("plan/url").text(), 400));
        line = format!("{load}; {line}");
    }
    if let Some(started) = date(&run.at("started_unix_seconds")) {
        line.push_str(&format!("; began {started}"));
    }
    if let Some(finished) = date(&run.at("finished_unix_seconds")) {
        line.push_str(&format!(", ended {finished}"));
    }
    lines.push(line);
    lines
}

/// Model and endpoint.
pub(super) fn endpoint(run: &Part<'_>) -> String {
    format!(
        "{} at {}",
        one_line(run.at("plan/model").text(), 200),
        one_line(run.at("plan/url").text(), 400)
    )
}

fn state(state: &str) -> &str {
    match state {
        "finished" => "carried out",
        "interrupted" => "ended early by a person",
        "failed" => "failed",
        "running" => "its program was ended before the run was over",
        other => other,
    }
}

/// Unix seconds as date and time, in UTC so that a page says the same to everyone.
pub(super) fn date(seconds: &Part<'_>) -> Option<String> {
    let micros = seconds.number()? * 1e6;
    // Of a time within the years of a calendar; others are refused.
    let timestamp = Timestamp::from_microsecond(micros as i64).ok()?;
    Some(timestamp.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

impl VerdictView {
    /// The verdict of a run.
    pub(super) fn of(verdict: &Part<'_>) -> Self {
        if verdict.value().is_null() {
            return Self {
                sentence: "There is no verdict: the run did not come to its end.".to_owned(),
                ..Self::default()
            };
        }
        let doubts: Vec<[String; 3]> = verdict
            .at("doubts")
            .items()
            .iter()
            .map(|doubt| {
                ["figure", "likely_cause", "what_to_do"]
                    .map(|key| sentence(&one_line(doubt.at(key).text(), LONGEST)))
            })
            .collect();
        let trusted = verdict.at("trusted").value() == &Value::Bool(true);
        Self {
            sentence: if trusted {
                "Nothing speaks against these numbers.".to_owned()
            } else {
                format!(
                    "{} to read these numbers with care.",
                    counted(doubts.len() as u64, "reason")
                )
            },
            trusted,
            doubts,
        }
    }
}

impl Measured {
    fn has_curves(&self) -> bool {
        self.curves.iter().any(|chart| chart.absent.is_none())
    }

    fn of(totals: &Part<'_>, place: usize, name: &str) -> Option<Self> {
        if totals.value().is_null() {
            return None;
        }
        let run = Drawn {
            totals: totals.clone(),
            place,
            name: name.to_owned(),
        };
        Some(Self {
            cards: cards(totals),
            failures: facts::failures(totals),
            completed: totals.at("requests/completed").count(),
            times: spreads::times(totals),
            percentiles: spreads::percentiles(totals),
            curves: drawn::curves(std::slice::from_ref(&run)),
            over_time: drawn::over_time(&run),
            slot_seconds: totals.at("timeline/slot_seconds").whole().text().to_owned(),
            slots: drawn::slots(totals),
            lengths: drawn::lengths(&run),
            tokens: drawn::tokens(totals),
            bars: drawn::bars(totals),
            slowest: spreads::slowest(totals),
            metrics: facts::metrics(totals),
            circumstances: facts::circumstances(totals),
        })
    }
}
