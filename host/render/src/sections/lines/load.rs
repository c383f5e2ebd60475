//! What was to be sent, and how it was.

use crate::digits::{UNKNOWN, counted, fixed, percent};
use llmuses_core::document::{Percentile, Run, Totals};
use llmuses_core::metric::{DISPATCH_LAG, HELD_UP};
use llmuses_core::plan::{Arrivals, Load};
use llmuses_core::wording::one_line;
use std::time::Duration;

pub(super) fn in_flight(totals: &Totals) -> String {
    let counts = &totals.requests;
    let mut text = format!("{} at the peak", counted(counts.peak_in_flight, "request"));
    let held_up = &totals.times[HELD_UP];
    if held_up.samples > 0 {
        text.push_str(&format!(
            " of {} that may be; {} held up by that, {} s at the longest",
            counts
                .max_in_flight
                .map_or_else(|| UNKNOWN.to_owned(), |most| most.to_string()),
            counted(held_up.samples, "request"),
            fixed(held_up.max_seconds, 3),
        ));
    }
    if counts.due_and_not_sent > 0 {
        text.push_str(&format!(
            "; {} due and not sent when the run ended",
            counted(counts.due_and_not_sent, "request")
        ));
    }
    text
}

pub(super) fn rates(run: &Run, totals: &Totals) -> Option<String> {
    let rates = &totals.rates;
    match Arrivals::of_record(&run.plan.load)? {
        Arrivals::Closed { .. } => None,
        Arrivals::Trace(_) => Some(format!(
            "{} requests per second due by the trace, {} sent",
            fixed(rates.scheduled_per_second, 3),
            fixed(rates.sent_per_second, 3),
        )),
        Arrivals::AllAtOnce => {
            let sent = match rates.sent_per_second {
                Some(rate) => format!("sent at {rate:.3} per second"),
                None => format!("{} of them sent", totals.requests.sent),
            };
            let issued = totals.requests.issued;
            Some(format!("all {issued} requests at time zero; {sent}"))
        }
        // The schedule draws first turns; when later ones are due depends on the server.
        Arrivals::Open { rate, .. } if totals.sessions.is_some() => Some(format!(
            "{}, {} requests per second sent",
            asked_for("sessions", rate, run),
            fixed(rates.sent_per_second, 3),
        )),
        Arrivals::Open { rate, .. } => Some(format!(
            "{}, {} drawn by the schedule, {} sent",
            asked_for("requests", rate, run),
            fixed(rates.scheduled_per_second, 3),
            fixed(rates.sent_per_second, 3),
        )),
    }
}

/// The rate that was asked for. With stages it changes, and `rate` is the highest.
fn asked_for(what: &str, rate: f64, run: &Run) -> String {
    match Load::stages_of_record(&run.plan.load) {
        Some(stages) => format!(
            "{} {what} per second asked for on average over all stages, {} at most",
            fixed(Some(stages.mean()), 3),
            fixed(Some(rate), 3)
        ),
        None => format!("{} {what} per second asked for", fixed(Some(rate), 3)),
    }
}

/// How the schedule of a trace was kept.
pub(super) fn trace(totals: &Totals) -> Option<String> {
    let replay = totals.replay?;
    let lag = &totals.times[DISPATCH_LAG];
    let millis = |seconds: Option<f64>| fixed(seconds.map(|seconds| seconds * 1e3), 3);
    let percentile = |percentile| millis(*lag.percentiles.get(percentile).unwrap_or(&None));
    let mut text = format!(
        "{} due within {:.3} s; sent after they were due by {} ms on average, p50 {} ms, p99 {} ms, at most {} ms",
        counted(replay.requests, "request"),
        replay.last_due_seconds,
        millis(lag.mean_seconds),
        percentile(Percentile::P50),
        percentile(Percentile::P99),
        millis(lag.max_seconds),
    );
    if replay.held_back_requests > 0 {
        text.push_str(&format!(
            "; {} due later than the trace says, since the one before in the conversation was not over, {} s at the \
             longest",
            counted(replay.held_back_requests, "request"),
            fixed(Some(replay.longest_held_back_seconds), 3),
        ));
    }
    Some(text)
}

/// How sessions of several turns went.
pub(super) fn sessions(totals: &Totals) -> Option<String> {
    let sessions = totals.sessions.as_ref()?;
    let mut parts = vec![format!("{} complete", sessions.complete)];
    for (count, what) in [
        (sessions.ended_by_failure, "ended with a turn that failed"),
        (
            sessions.disconnected,
            "ended with a turn that the client cancelled (--cancel)",
        ),
        (sessions.cut_short, "cut short by the end of the run"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let begun = counted(sessions.begun, "session");
    let mut text = format!("{begun}: {}", parts.join(", "));
    text.push_str(&match sessions.turns_not_sent {
        0 => format!(
            "; all of their {} sent",
            counted(sessions.turns_asked, "turn")
        ),
        missing => format!(
            "; {missing} of their {} not sent",
            counted(sessions.turns_asked, "turn")
        ),
    });
    Some(text)
}

pub(super) fn warmup(totals: &Totals) -> Option<String> {
    let counts = &totals.requests;
    (counts.warmup > 0).then(|| {
        format!(
            "{} before the others, {} of them failed; no other figure has them",
            counted(counts.warmup, "request"),
            counts.warmup_failed
        )
    })
}

pub(super) fn goodput(totals: &Totals) -> Option<String> {
    let goodput = totals.goodput.as_ref()?;
    let bounds: Vec<String> = goodput
        .objectives
        .0
        .iter()
        .filter_map(|(time, bound)| {
            let bound = Duration::try_from_secs_f64((*bound)?).ok()?;
            Some(format!("{} up to {bound:?}", time.in_short()))
        })
        .collect();
    Some(format!(
        "{} requests per second met {}: {} of {} completed ({})",
        fixed(goodput.per_second, 3),
        bounds.join(" and "),
        goodput.requests_that_met_all,
        totals.requests.completed,
        goodput
            .share_of_completed
            .map_or_else(|| UNKNOWN.to_owned(), percent),
    ))
}

pub(super) fn dataset(totals: &Totals) -> Option<String> {
    let dataset = totals.data_set.as_ref()?;
    let read = match dataset.entries_read {
        1 => "1 entry read".to_owned(),
        entries => format!("{entries} entries read"),
    };
    let mut text = if dataset.passes > 1.0 {
        format!("{read}, used {:.1} times", dataset.passes)
    } else {
        format!("{read} (entries are read ahead), no prompt used twice")
    };
    for (reason, entries) in dataset.entries_skipped.iter() {
        text.push_str(&format!("; {entries} skipped: {}", one_line(reason, 60)));
    }
    if dataset.bad_entries > 0 {
        text.push_str(&format!(
            "; {} passed over, no request could be made of them",
            dataset.bad_entries
        ));
    }
    Some(text)
}
