//! What is told. Counters and histograms are there for every run of a sweep, so that nothing is lost when the
//! next one begins; what is only true of a moment is there for the run under way.

use super::text::{Exposition, Family, Kind, Labels};
use crate::live::{Phase, Snapshot};
use llmuses_core::credential::public_url;
use llmuses_core::exchange::FailureKind;
use llmuses_core::metric::{Figure, Time};
use llmuses_core::plan::{Arrivals, ParserChoice, Target};
use std::sync::Arc;
use std::time::Duration;

/// What is said of a run as a whole. No header, and no part of the URL that may be a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    model: String,
    url: String,
    parser: String,
}

impl About {
    /// What is said of this target and this parser.
    pub fn of(target: &Target, parser: &ParserChoice) -> Self {
        Self {
            model: target.model_names(),
            url: target.urls().map(public_url).collect::<Vec<_>>().join(" "),
            parser: parser.label(),
        }
    }
}

/// The phases, with `preparing` for the time before the first request.
const PHASES: [&str; 5] = ["preparing", "warming-up", "issuing", "draining", "over"];

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::WarmingUp => "warming-up",
        Phase::Issuing => "issuing",
        Phase::Draining => "draining",
        Phase::Over => "over",
    }
}

/// The text that answers a scrape. `runs`: the latest snapshot of each run so far, in their order.
pub(super) fn exposition(about: &About, runs: &[Arc<Snapshot>]) -> String {
    let runs: Vec<Run<'_>> = runs.iter().map(|snapshot| Run::of(snapshot)).collect();
    let mut text = Exposition::default();
    text.family(
        "llmuses_info",
        Kind::Gauge,
        "Always 1; what is tested, and with what. No credential is in it.",
    )
    .sample(
        &[
            ("version", env!("CARGO_PKG_VERSION")),
            ("model", &about.model),
            ("url", &about.url),
            ("parser", &about.parser),
        ],
        1,
    );
    let now = runs
        .last()
        .map_or(PHASES[0], |run| phase_name(run.snapshot.phase));
    let mut family = text.family(
        "llmuses_phase",
        Kind::Gauge,
        "1 for what the program does now, 0 for the other phases.",
    );
    for phase in PHASES {
        family.sample(&[("phase", phase)], u8::from(phase == now));
    }
    if let Some(run) = runs.last() {
        load(&mut text, run);
        counters(&mut text, &runs);
        times(&mut text, &runs);
        recent(&mut text, run);
    }
    text.into_text()
}

/// A run, and its number as a label.
struct Run<'a> {
    number: String,
    snapshot: &'a Snapshot,
}

impl<'a> Run<'a> {
    fn of(snapshot: &'a Snapshot) -> Self {
        Self {
            number: snapshot.run.to_string(),
            snapshot,
        }
    }

    fn label(&self) -> [(&str, &str); 1] {
        [("run", &self.number)]
    }

    fn label_and<'b>(&'b self, name: &'b str, value: &'b str) -> [(&'b str, &'b str); 2] {
        [("run", &self.number), (name, value)]
    }
}

/// A gauge of the run under way, where it has a value.
fn gauge(text: &mut Exposition, name: &'static str, help: &str, run: &Run<'_>, value: Option<f64>) {
    if let Some(value) = value {
        text.family(name, Kind::Gauge, help)
            .sample(&run.label(), value);
    }
}

fn load(text: &mut Exposition, run: &Run<'_>) {
    let snapshot = run.snapshot;
    let (parallel, rate) = match snapshot.arrivals {
        Arrivals::Closed { parallel } => (Some(parallel as f64), None),
        Arrivals::Open { rate, .. } => (None, Some(rate)),
        Arrivals::AllAtOnce | Arrivals::Trace(_) => (None, None),
    };
    let seconds = |time: Duration| time.as_secs_f64();
    for (name, help, value) in [
        (
            "llmuses_runs",
            "Runs of the sweep; 1 where it is none.",
            Some(f64::from(snapshot.of)),
        ),
        (
            "llmuses_asked_parallel",
            "Requests that a closed loop keeps in flight.",
            parallel,
        ),
        (
            "llmuses_asked_requests_per_second",
            "Rate of an open loop that was asked for.",
            rate,
        ),
        (
            "llmuses_asked_requests",
            "Requests to be made, where that is known.",
            snapshot.asked.map(|asked| asked as f64),
        ),
        (
            "llmuses_asked_duration_seconds",
            "Time during which requests are issued, where that was asked for.",
            snapshot.duration.map(seconds),
        ),
        (
            "llmuses_elapsed_seconds",
            "Time since the first request of the run was due.",
            Some(seconds(snapshot.elapsed)),
        ),
        (
            "llmuses_requests_in_flight",
            "Requests that are under way.",
            Some(snapshot.in_flight as f64),
        ),
    ] {
        gauge(text, name, help, run, value);
    }
}

fn counters(text: &mut Exposition, runs: &[Run<'_>]) {
    let count = |family: &mut Family<'_>, of: fn(&Snapshot) -> u64| {
        for run in runs {
            family.sample(&run.label(), of(run.snapshot));
        }
    };
    count(
        &mut text.family(
            "llmuses_requests_begun_total",
            Kind::Counter,
            "Requests that were begun, those of the warm-up among them.",
        ),
        |run| run.begun,
    );
    count(
        &mut text.family(
            "llmuses_requests_warmup_total",
            Kind::Counter,
            "Requests of the warm-up that are over; no other figure but those of the last seconds has them.",
        ),
        |run| run.warmup,
    );
    let mut family = text.family(
        "llmuses_requests_completed_total",
        Kind::Counter,
        "Requests that are over, by outcome.",
    );
    for run in runs {
        for (outcome, count) in [
            ("succeeded", run.snapshot.succeeded),
            ("failed", run.snapshot.failed),
            ("disconnected", run.snapshot.disconnected),
        ] {
            family.sample(&run.label_and("outcome", outcome), count);
        }
    }
    let mut family = text.family(
        "llmuses_requests_failed_total",
        Kind::Counter,
        "Requests that failed, by kind of failure.",
    );
    for run in runs {
        // Kinds that have not happened are there as well: a rate needs a zero to begin from.
        for kind in FailureKind::ALL
            .into_iter()
            .filter(|kind| kind.is_failure())
        {
            let failures = &run.snapshot.failures;
            let count = failures.iter().find(|failure| failure.kind == kind);
            family.sample(
                &run.label_and("kind", kind.as_str()),
                count.map_or(0, |failure| failure.count),
            );
        }
    }
    for figure in Figure::all() {
        let Some(live) = &figure.live else { continue };
        let mut family = text.family(live.name, Kind::Counter, live.help);
        for run in runs {
            let count = figure.part(&run.snapshot.sums);
            // What nobody has counted yet is zero: a rate needs one to begin from.
            family.sample(&run.label(), count.unwrap_or_default());
        }
    }
    count(
        &mut text.family(
            "llmuses_received_bytes_total",
            Kind::Counter,
            "Bytes of data of all events; framing and headers are not in it.",
        ),
        |run| run.sums.bytes_received,
    );
}

fn times(text: &mut Exposition, runs: &[Run<'_>]) {
    for time in Time::all() {
        let Some(live) = &time.live else { continue };
        let mut family = text.family(live.name, Kind::Histogram, live.help);
        for run in runs {
            family.histogram(&run.label(), &run.snapshot.times[time]);
        }
    }
}

/// The figures of the last ten seconds, as the live view has them: for whoever has no query at hand.
fn recent(text: &mut Exposition, run: &Run<'_>) {
    let recent = &run.snapshot.recent;
    for (name, help, value) in [
        (
            "llmuses_recent_begun_per_second",
            "Requests begun per second, over the last ten seconds.",
            recent.begun_per_second(),
        ),
        (
            "llmuses_recent_completed_per_second",
            "Requests that are over per second, over the last ten seconds.",
            recent.over_per_second(),
        ),
    ] {
        gauge(text, name, help, run, value);
    }
    for (figure, name) in Figure::recent() {
        let help = format!("{}, over the last ten seconds.", figure.title);
        gauge(text, name, &help, run, figure.of(&recent.sums));
    }
    for (time, name) in Time::recent() {
        let Some(times) = recent.times[time] else {
            continue;
        };
        let title = time.title.to_lowercase();
        let help = format!("Percentiles of the {title}, over the last ten seconds.");
        let mut family = text.family(name, Kind::Gauge, &help);
        for (percentile, time) in ["50", "99"].into_iter().zip(times) {
            let labels: Labels<'_> = &run.label_and("percentile", percentile);
            family.sample(labels, time.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests;
