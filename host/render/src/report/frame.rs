//! What is said around a run on standard error: what begins, and where the results are.

use crate::digits::counted;
use http::HeaderMap;
use llmuses_core::credential::public_url;
use llmuses_core::document::{Reason, Rows, Verdict};
use llmuses_core::plan::{Arrivals, ParserChoice, Plan, Warmup};
use llmuses_core::wording::one_line;
use std::path::Path;

/// The longest figure of a doubt, in characters.
const LONGEST_FIGURE: usize = 500;

/// The longest value of a header that is shown, in characters.
const LONGEST_VALUE: usize = 80;

/// One line that says what begins. `parser`: its name and its version. `added`: the headers that it adds to every
/// request.
pub fn opening(plan: &Plan, parser: [&str; 2], added: &HeaderMap) -> String {
    let load = &plan.load;
    let turns = plan.work.sessions.turns.as_ref();
    let has_turns = turns.is_some();
    let mut requests = match (plan.expected_requests(), load.duration) {
        (Some(requests), _) => counted(requests, "request"),
        (None, Some(_)) => "requests".to_owned(),
        (None, None) if has_turns => counted(load.sessions.unwrap_or(1), "session"),
        (None, None) if matches!(load.arrivals, Arrivals::Trace(_)) => "the data set".to_owned(),
        (None, None) => "one pass over the data set".to_owned(),
    };
    if let Some(turns) = turns {
        requests.push_str(&format!(" in sessions of {turns} turns"));
        if let Some(time) = &plan.work.sessions.think_time {
            requests.push_str(&format!(" with {time} to think"));
        }
    }
    if let Some(duration) = load.duration {
        requests.push_str(&format!(" during {duration:?}"));
    }
    match load.warmup {
        Warmup::Nothing => {}
        Warmup::Requests(warmup) => {
            requests.push_str(&format!(", the first {warmup} as warm-up"));
        }
        Warmup::Time(warmup) => {
            requests.push_str(&format!(", those of the first {warmup:?} as warm-up"));
        }
    }
    let place = match plan.place.runs {
        1 => String::new(),
        runs => format!("Load {} of {runs}: ", plan.place.run),
    };
    let mut arrivals = match load.arrivals {
        Arrivals::Closed { parallel } if has_turns => {
            format!("closed loop, {}", counted(parallel as u64, "user"))
        }
        _ if load.stages.is_some() => {
            let kind = if load.arrivals.is_open() {
                format!("open loop, seed {}", load.seed)
            } else {
                "closed loop".to_owned()
            };
            format!("{}, {kind}", load.name())
        }
        Arrivals::Closed { parallel } => format!("closed loop, {parallel} at a time"),
        Arrivals::Open { rate, gaps } => {
            let gaps = gaps.suffix();
            let what = if has_turns { "sessions" } else { "requests" };
            format!("open loop, {rate} {what}/s{gaps}, seed {}", load.seed)
        }
        Arrivals::AllAtOnce => "all at once".to_owned(),
        Arrivals::Trace(replay) => format!("open loop, {}", replay.describe()),
    };
    if let Some(time) = load.ramp_up {
        arrivals.push_str(&format!(", users begin within {time:?}"));
    }
    if let Some(most) = load.max_in_flight {
        arrivals.push_str(&format!(", {most} in flight at most"));
    }
    if !load.shard.is_whole() {
        arrivals.push_str(&format!(", part {} of it", load.shard));
    }
    let source = match &plan.work.parser {
        ParserChoice::Builtin(_) => "built in".to_owned(),
        ParserChoice::File(path) => path.display().to_string(),
    };
    let added: Vec<String> = added
        .iter()
        .filter_map(|(name, value)| Some((name, one_line(value.to_str().ok()?, LONGEST_VALUE))))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let adds = match added.as_slice() {
        [] => String::new(),
        added => format!(", which adds to every request {}", added.join(", ")),
    };
    format!(
        "{place}{requests} to {}: {arrivals}; parser {} ({source}){adds}",
        plan.target
            .urls()
            .map(public_url)
            .collect::<Vec<_>>()
            .join(", "),
        parser.join(" ")
    )
}

/// One line that says that not a single request succeeded, and with what most of them failed. For whoever
/// keeps standard output for programs, and sees standard error alone.
pub fn nothing_succeeded(verdict: &Verdict) -> Option<String> {
    let doubt = verdict
        .doubts
        .iter()
        .find(|doubt| doubt.reason == Reason::NOTHING_SUCCEEDED)?;
    Some(format!(
        "error: {}",
        one_line(&doubt.figure, LONGEST_FIGURE)
    ))
}

/// Lines that say where the results are, and what went wrong with keeping them.
pub fn closing(rows: &Rows, database: &Path) -> String {
    let are = if rows.kept == 1 { "is" } else { "are" };
    let mut text = format!(
        "{} {are} in {}\n",
        counted(rows.kept, "request"),
        database.display()
    );
    if rows.not_kept > 0 {
        text.push_str(&format!(
            "error: {} could not be kept: {}\n",
            counted(rows.not_kept, "request"),
            rows.write_error.as_deref().unwrap_or("no reason was given")
        ));
    }
    text
}
