//! What this program adds to the specified block, line by line: connections, rates, the data set, tokens,
//! where times come from, failures; and last the verdict.

use super::spreads;
use super::text::{UNKNOWN, WIDTH, counted, fixed, percent, push_wrapped, sentence};
use llmuses_core::cost::CallCost;
use llmuses_core::plan::Arrivals;
use llmuses_core::words::one_line;
use llmuses_stats::{Circumstances, ConnectionUse, Doubt, Origin, RunStatistics, TokenTotals};

/// The width of the labels before a line of text.
const LABEL: usize = 16;

/// Appends the block.
pub(super) fn details(
    out: &mut String,
    statistics: &RunStatistics,
    circumstances: &Circumstances,
    arrivals: &Arrivals,
) {
    spreads::spreads(out, statistics);
    line(out, "Counted from", &origin(statistics));
    line(
        out,
        "Connections",
        &connections(statistics, &circumstances.connections),
    );
    line(out, "Chunks", &chunks(statistics));
    if let Some(text) = rates(statistics, circumstances, arrivals) {
        line(out, "Rate", &text);
    }
    line(
        out,
        "In flight",
        &format!(
            "{} at the peak",
            counted(circumstances.peak_in_flight, "request")
        ),
    );
    let counts = statistics.counts();
    if counts.warmup > 0 {
        line(
            out,
            "Warm-up",
            &format!(
                "{} before the others, {} of them failed; no other figure has them",
                counted(counts.warmup, "request"),
                counts.warmup_failed
            ),
        );
    }
    if let Some(text) = goodput(statistics) {
        line(out, "Goodput", &text);
    }
    if let Some(text) = dataset(circumstances) {
        line(out, "Data set", &text);
    }
    line(
        out,
        "Input tokens",
        &tokens(&counts.prompt, counts.succeeded),
    );
    line(
        out,
        "Output tokens",
        &tokens(&counts.completion, counts.succeeded),
    );
    line(out, "Arrival times", &stamps(statistics, circumstances));
    if let Some(text) = parser_cost(statistics, circumstances) {
        line(out, "Parser", &text);
    }
    if counts.empty_answers > 0 {
        let text = format!(
            "{} of {} succeeded requests: the model said nothing and the server counted 0 tokens",
            counts.empty_answers, counts.succeeded
        );
        line(out, "Empty answers", &text);
    }
    failures(out, statistics);
    spreads::metrics(out, statistics);
}

/// Appends the verdict.
pub(super) fn verdict(out: &mut String, doubts: &[Doubt]) {
    if doubts.is_empty() {
        out.push_str("Verdict: nothing speaks against these numbers.\n");
        return;
    }
    let reasons = counted(doubts.len() as u64, "reason");
    out.push_str(&format!(
        "Verdict: {reasons} to read these numbers with care.\n"
    ));
    for (index, doubt) in doubts.iter().enumerate() {
        let figure = sentence(&one_line(&doubt.figure(), 5 * WIDTH));
        push_wrapped(out, &format!("{:>3}. ", index + 1), &figure);
        push_wrapped(
            out,
            "     Likely cause: ",
            &format!("{}.", doubt.likely_cause()),
        );
        push_wrapped(out, "     What to do:   ", &format!("{}.", doubt.remedy()));
    }
}

fn line(out: &mut String, label: &str, text: &str) {
    push_wrapped(out, &format!(" {label:<LABEL$}"), text);
}

fn origin(statistics: &RunStatistics) -> String {
    let counts = statistics.counts();
    let mut text = match statistics.origin() {
        Origin::Sent => "the instant at which a request was sent (closed loop)",
        Origin::Intended => "the instant at which the schedule wanted a request sent (open loop)",
    }
    .to_owned();
    if counts.plain > 0 {
        let plain = counted(counts.plain, "response");
        text.push_str(&format!(
            "; {plain} came in one piece, without a time to first token"
        ));
    }
    text
}

fn connections(statistics: &RunStatistics, used: &ConnectionUse) -> String {
    let mut text = opened(statistics);
    if !used.http_versions.is_empty() {
        text = format!("{}; {text}", used.http_versions.join(" and "));
    }
    if used.resent > 0 {
        text.push_str(&format!(
            "; {} sent once more on a new one, since the server had closed the kept one without a byte of an answer",
            counted(used.resent, "request")
        ));
    }
    if used.one_request_each {
        text.push_str(
            "; the server closes each behind its first answer, so each request had its own",
        );
    }
    if used.ended_at_done > 0 {
        text.push_str(&format!(
            "; {} said [DONE] and then left the response open or broke it off: they end with [DONE], and their connections were closed",
            counted(used.ended_at_done, "stream")
        ));
    }
    text
}

fn opened(statistics: &RunStatistics) -> String {
    let counts = statistics.counts();
    let (own, all) = (counts.own_connections, counts.succeeded);
    let warm = match counts.warm_connections {
        0 => String::new(),
        1 => "1 was opened before the first request; ".to_owned(),
        warm => format!("{warm} were opened before the first request; "),
    };
    if all == 0 {
        return format!("{warm}no request succeeded");
    }
    if own == 0 {
        return format!("{warm}every succeeded request used one that was open already");
    }
    let included = match statistics.origin() {
        Origin::Sent => "that time is taken out of their time to first token",
        Origin::Intended => "that time is part of their time to first token",
    };
    format!("{warm}{own} of {all} succeeded requests opened one; {included}")
}

fn chunks(statistics: &RunStatistics) -> String {
    let counts = statistics.counts();
    let bytes = counted(counts.bytes_received, "byte");
    let Some(share) = statistics.coalesced_share() else {
        return format!("no response had two chunks of output; {bytes} of data received");
    };
    let gaps = counts.output_gaps;
    if counts.coalesced_gaps == 0 {
        return format!(
            "none of {gaps} gaps between output chunks is zero; {bytes} of data received"
        );
    }
    format!(
        "{} of the gaps between output chunks are zero ({} of {gaps}): those came in one read; {bytes} of data received",
        percent(share),
        counts.coalesced_gaps,
    )
}

fn rates(
    statistics: &RunStatistics,
    circumstances: &Circumstances,
    arrivals: &Arrivals,
) -> Option<String> {
    match arrivals {
        Arrivals::Closed { .. } => None,
        Arrivals::AllAtOnce => {
            let sent = match statistics.sent_rate() {
                Some(rate) => format!("sent at {rate:.3} per second"),
                None => format!("{} of them sent", statistics.counts().sent),
            };
            let issued = circumstances.issued;
            Some(format!("all {issued} requests at time zero; {sent}"))
        }
        Arrivals::Poisson { rate } => Some(format!(
            "{} requests per second asked for, {} drawn by the schedule, {} sent",
            fixed(Some(*rate), 3),
            fixed(statistics.scheduled_rate(), 3),
            fixed(statistics.sent_rate(), 3),
        )),
    }
}

fn goodput(statistics: &RunStatistics) -> Option<String> {
    let objectives = statistics.objectives()?;
    let bounds: Vec<String> = [
        ("TTFT", objectives.ttft),
        ("TPOT", objectives.tpot),
        ("latency", objectives.latency),
    ]
    .into_iter()
    .filter_map(|(name, bound)| Some(format!("{name} up to {:?}", bound?)))
    .collect();
    Some(format!(
        "{} requests per second met {}: {} of {} completed ({})",
        fixed(statistics.goodput(), 3),
        bounds.join(" and "),
        statistics.counts().met_objectives,
        statistics.counts().completed,
        statistics
            .good_share()
            .map_or_else(|| UNKNOWN.to_owned(), percent),
    ))
}

fn dataset(circumstances: &Circumstances) -> Option<String> {
    let dataset = circumstances.dataset.as_ref()?;
    let read = match dataset.entries_read {
        1 => "1 entry read".to_owned(),
        entries => format!("{entries} entries read"),
    };
    let mut text = if dataset.passes > 1.0 {
        format!("{read}, used {:.1} times", dataset.passes)
    } else {
        format!("{read} (entries are read ahead), no prompt used twice")
    };
    for (reason, entries) in &dataset.skipped {
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

fn tokens(totals: &TokenTotals, succeeded: u64) -> String {
    if succeeded == 0 {
        return format!("{UNKNOWN}: no request succeeded");
    }
    if totals.requests() == 0 {
        return format!(
            "{UNKNOWN}: neither the server nor a tokenizer counted them (see --tokenizer-path)"
        );
    }
    let mut parts: Vec<String> = totals
        .sources()
        .into_iter()
        .map(|(source, requests)| {
            format!("{} for {}", source.as_str(), counted(requests, "request"))
        })
        .collect();
    let unknown = succeeded.saturating_sub(totals.requests());
    if unknown > 0 {
        parts.push(format!(
            "unknown for {}, which no average includes",
            counted(unknown, "request")
        ));
    }
    format!("{} in all; counted by {}", totals.tokens, parts.join(", "))
}

fn stamps(statistics: &RunStatistics, circumstances: &Circumstances) -> String {
    let counts = statistics.counts();
    let mut sources = Vec::new();
    if counts.kernel_stamped > 0 {
        sources.push(format!(
            "the kernel for {}",
            counted(counts.kernel_stamped, "response")
        ));
    }
    if counts.read_stamped > 0 {
        sources.push(format!(
            "the return of the read for {} (late when this machine is busy)",
            counted(counts.read_stamped, "response")
        ));
    }
    let from = if sources.is_empty() {
        "no response".to_owned()
    } else {
        format!("from {}", sources.join(" and "))
    };
    let transport = one_line(&circumstances.transport, 60);
    match circumstances.transport_reason {
        Some(reason) => format!("{from}; transport: {transport} (auto: {reason})"),
        None => format!("{from}; transport: {transport}"),
    }
}

fn parser_cost(statistics: &RunStatistics, circumstances: &Circumstances) -> Option<String> {
    let cost = &circumstances.parser_cost;
    let wall = statistics.wall().unwrap_or_default().as_secs_f64();
    let part = |what: &str, calls: &CallCost| {
        let mean = calls.mean()?.as_secs_f64() * 1e6;
        let mut text = format!("{what}: {} of {mean:.1} µs", counted(calls.calls, "call"));
        if wall > 0.0 {
            let share = percent(calls.time.as_secs_f64() / wall);
            text.push_str(&format!(", {share} of the run"));
        }
        Some(text)
    };
    let parts: Vec<String> = [
        part("requests", &cost.requests),
        part("responses", &cost.responses),
        part("new instances after it broke", &cost.replacements),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn failures(out: &mut String, statistics: &RunStatistics) {
    let failures = statistics.failures_by_status();
    if failures.is_empty() {
        line(out, "Failures", "none");
        return;
    }
    let counts = statistics.counts();
    let share = statistics.failed_share().unwrap_or_default();
    line(
        out,
        "Failures",
        &format!(
            "{} of {} requests ({}); the first message of each kind and status:",
            counts.failed,
            counts.completed,
            percent(share)
        ),
    );
    let width = failures
        .iter()
        .map(|failure| failure.count.to_string().len())
        .max()
        .unwrap_or(0);
    for failure in &failures {
        let first = format!(
            "   {:>width$}  {:<LABEL$}",
            failure.count,
            failure.kind.as_str()
        );
        push_wrapped(out, &first, &one_line(&failure.example, 2 * WIDTH));
    }
}
