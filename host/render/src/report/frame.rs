//! What is said around a run on standard error: what begins, and where the results are.

use super::text::{WIDTH, counted};
use http::HeaderMap;
use llmuses_core::credential::public_url;
use llmuses_core::plan::{Arrivals, ParserChoice, Plan, Warmup};
use llmuses_core::wording::one_line;
use llmuses_stats::Doubt;
use llmuses_store::sink::SinkSummary;

/// The longest value of a header that is shown, in characters.
const LONGEST_VALUE: usize = 80;

/// One line that says what begins. `parser`: its name and its version. `added`: the headers that it adds to every
/// request.
pub fn opening(plan: &Plan, parser: [&str; 2], added: &HeaderMap) -> String {
    let load = &plan.load;
    let mut requests = match (plan.expected_requests(), load.duration) {
        (Some(requests), _) => counted(requests, "request"),
        (None, Some(_)) => "requests".to_owned(),
        (None, None) => "one pass over the data set".to_owned(),
    };
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
    let arrivals = match load.arrivals {
        Arrivals::Closed { parallel } => format!("closed loop, {parallel} at a time"),
        Arrivals::Poisson { rate } => {
            format!("open loop, {rate} requests/s, seed {}", load.seed)
        }
        Arrivals::AllAtOnce => "all at once".to_owned(),
    };
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
        public_url(&plan.target.url),
        parser.join(" ")
    )
}

/// One line that says that not a single request succeeded, and with what most of them failed. For whoever
/// keeps standard output for programs, and sees standard error alone.
pub fn nothing_succeeded(doubts: &[Doubt]) -> Option<String> {
    doubts
        .iter()
        .find(|doubt| matches!(doubt, Doubt::NothingSucceeded { .. }))
        .map(|doubt| format!("error: {}", one_line(&doubt.figure(), 5 * WIDTH)))
}

/// Lines that say where the results are, and what went wrong with keeping them.
pub fn closing(stored: &SinkSummary) -> String {
    let are = if stored.rows == 1 { "is" } else { "are" };
    let mut text = format!(
        "{} {are} in {}\n",
        counted(stored.rows, "request"),
        stored.path.display()
    );
    if stored.not_kept > 0 {
        text.push_str(&format!(
            "error: {} could not be kept: {}\n",
            counted(stored.not_kept, "request"),
            stored
                .first_error
                .as_deref()
                .unwrap_or("no reason was given")
        ));
    }
    if let Some(reason) = &stored.log_left {
        text.push_str(&format!(
            "warning: {path}-wal belongs to {path} and has to stay beside it; it could not be made part \
             of it: {reason}\n",
            path = stored.path.display()
        ));
    }
    text
}
