//! What is to be known about a run beside its tables: connections, rates, the data set, tokens, where times come from.

use super::workers::clocks;
use crate::digits::{UNKNOWN, counted, fixed, percent};
use llmuses_core::document::{AskedLength, ParserCalls, Percentile, Run, TokenFigures, Totals};
use llmuses_core::exchange::TokenSource;
use llmuses_core::metric::{DISPATCH_LAG, Figure, HELD_UP};
use llmuses_core::plan::Arrivals;
use llmuses_core::wording::one_line;
use std::time::Duration;

/// The lines, each with its label.
pub(crate) fn lines(run: &Run, totals: &Totals) -> Vec<(&'static str, String)> {
    [
        ("Counted from", Some(origin(totals))),
        ("Connections", Some(connections(totals))),
        ("Chunks", Some(chunks(totals))),
        ("Rate", rates(run, totals)),
        ("Trace", trace(totals)),
        ("In flight", Some(in_flight(totals))),
        ("Clocks", clocks(totals)),
        ("Sessions", sessions(totals)),
        ("Warm-up", warmup(totals)),
        ("Goodput", goodput(totals)),
        ("Data set", dataset(totals)),
        ("Input tokens", tokens(totals, &totals.tokens.input)),
        ("Output tokens", tokens(totals, &totals.tokens.output)),
        ("Lengths asked", lengths_asked(totals)),
        ("Finish reasons", finish_reasons(totals)),
        ("Further figures", further(totals)),
        ("Arrival times", Some(stamps(totals))),
        ("Parser", parser_cost(totals)),
        ("Empty answers", empty_answers(totals)),
        ("Disconnected", disconnected(totals)),
    ]
    .into_iter()
    .filter_map(|(label, text)| Some((label, text?)))
    .collect()
}

fn in_flight(totals: &Totals) -> String {
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

/// How sessions of several turns went.
fn sessions(totals: &Totals) -> Option<String> {
    let sessions = totals.sessions.as_ref()?;
    let mut parts = vec![format!("{} complete", sessions.complete)];
    for (count, what) in [
        (sessions.ended_by_failure, "ended with a turn that failed"),
        (
            sessions.disconnected,
            "ended with a turn that the client broke off (--cancel)",
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

/// The lengths that were asked for, and how many requests had them.
fn lengths_asked(totals: &Totals) -> Option<String> {
    let lengths = totals.asked_lengths.as_ref()?;
    let part = |what: &str, exact: &str, length: &AskedLength| {
        if length.requests == 0 {
            return format!("{what}: the server counted none");
        }
        let mean = fixed(length.mean_asked_tokens, 1);
        let kept = length.requests - length.different;
        let mut text = format!(
            "{what} of {mean} tokens on average, {exact} for {kept} of {}",
            length.requests
        );
        if length.worst_difference_tokens != 0 {
            text.push_str(&format!(
                " (counted {} on average, at worst {:+})",
                fixed(length.mean_counted_tokens, 1),
                length.worst_difference_tokens
            ));
        }
        let ends: Vec<String> = length
            .shorter_by_finish_reason
            .iter()
            .map(|(reason, count)| format!("{count} ended with {}", one_line(reason, 40)))
            .collect();
        if !ends.is_empty() {
            text.push_str(&format!(
                "; of {} {}",
                counted(length.shorter, "shorter one"),
                ends.join(", ")
            ));
        }
        text
    };
    let kept = match lengths.learned {
        None => "exact by the server's count",
        Some(_) => "within 1 % by the server's count",
    };
    let mut text = part("prompts", kept, &lengths.input);
    if let Some(learned) = lengths.learned {
        text.push_str(&format!(
            ", made without a tokenizer ({} tokens and {} for each word, learned from {} requests before the run)",
            fixed(Some(learned.tokens_around), 1),
            fixed(Some(learned.tokens_per_word), 3),
            learned.probes
        ));
    }
    if lengths.later_input.requests > 0 {
        text.push_str("; ");
        text.push_str(&part(
            "prompts of later turns",
            "within 16 tokens and 5 % of what they add",
            &lengths.later_input,
        ));
    }
    if lengths.output.requests > 0 {
        text.push_str("; ");
        text.push_str(&part(
            "outputs",
            "within 5 % and 50 tokens",
            &lengths.output,
        ));
    }
    if let Some(cached) = lengths.cached {
        text.push_str(&format!(
            "; of each prompt {} tokens from the server's prefix cache ({} expected)",
            fixed(Some(cached.mean_reported_tokens), 1),
            cached.expected(),
        ));
        if cached.requests < lengths.input.requests {
            text.push_str(&format!(", over {} of them", cached.requests));
        }
    }
    Some(text)
}

/// Why answers ended, with the number of each reason.
fn finish_reasons(totals: &Totals) -> Option<String> {
    let told: u64 = totals.finish_reasons.iter().map(|(_, count)| *count).sum();
    let mut parts: Vec<String> = totals
        .finish_reasons
        .iter()
        .map(|(reason, count)| format!("{} {count}", one_line(reason, 40)))
        .collect();
    if parts.is_empty() {
        return None;
    }
    let unknown = totals.requests.succeeded.saturating_sub(told);
    if unknown > 0 {
        parts.push(format!("not told for {}", counted(unknown, "request")));
    }
    Some(parts.join(", "))
}

fn warmup(totals: &Totals) -> Option<String> {
    let counts = &totals.requests;
    (counts.warmup > 0).then(|| {
        format!(
            "{} before the others, {} of them failed; no other figure has them",
            counted(counts.warmup, "request"),
            counts.warmup_failed
        )
    })
}

fn empty_answers(totals: &Totals) -> Option<String> {
    let counts = &totals.requests;
    (counts.empty_answers > 0).then(|| {
        format!(
            "{} of {} succeeded requests: the model said nothing and the server counted 0 tokens",
            counts.empty_answers, counts.succeeded
        )
    })
}

fn disconnected(totals: &Totals) -> Option<String> {
    let counts = &totals.requests;
    let (disconnected, all) = (counts.disconnected, counts.completed + counts.disconnected);
    (disconnected > 0).then(|| {
        format!(
            "{disconnected} of {} ({}), broken off by the client as --cancel asks: neither succeeded nor failed, and in no latency figure and no rate of answers",
            counted(all, "request"),
            percent(disconnected as f64 / all as f64)
        )
    })
}

fn origin(totals: &Totals) -> String {
    let mut text = match totals.origin.as_str() {
        "sent" => "the instant at which a request was sent (closed loop)",
        _ => "the instant at which the schedule wanted a request sent (open loop)",
    }
    .to_owned();
    if totals.requests.not_streamed > 0 && totals.task.has_output_tokens() {
        let plain = counted(totals.requests.not_streamed, "response");
        text.push_str(&format!(
            "; {plain} came in one piece, without a time to first token"
        ));
    }
    text
}

fn connections(totals: &Totals) -> String {
    let used = &totals.connections;
    let mut text = opened(totals);
    if let Some(opened) = used.opened {
        text = format!("{} opened; {text}", counted(opened, "connection"));
    }
    if !used.http_versions.is_empty() {
        text = format!("{}; {text}", used.http_versions.join(" and "));
    }
    if used.requests_sent_again > 0 {
        text.push_str(&format!(
            "; {} sent once more on a new one, since the server had closed the kept one without a byte of an answer",
            counted(used.requests_sent_again, "request")
        ));
    }
    if used.one_request_each {
        text.push_str(
            "; the server closes each behind its first answer, so each request had its own",
        );
    }
    if used.streams_ended_at_done > 0 {
        text.push_str(&format!(
            "; {} said [DONE] and then left the response open or broke it off: they end with [DONE], and their connections were closed",
            counted(used.streams_ended_at_done, "stream")
        ));
    }
    text
}

fn opened(totals: &Totals) -> String {
    let counts = &totals.requests;
    let (own, all) = (counts.own_connection, counts.succeeded);
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
    let included = match totals.origin.as_str() {
        "sent" => "that time is taken out of their time to first token",
        _ => "that time is part of their time to first token",
    };
    format!("{warm}{own} of {all} succeeded requests opened one; {included}")
}

fn chunks(totals: &Totals) -> String {
    let bytes = counted(totals.bytes_received, "byte");
    let (gaps, coalesced) = (
        totals.packages.output_gaps,
        totals.packages.coalesced_output_gaps,
    );
    if gaps == 0 && !totals.task.has_output_tokens() {
        return format!("{bytes} of data received");
    }
    if gaps == 0 {
        return format!("no response had two chunks of output; {bytes} of data received");
    }
    if coalesced == 0 {
        return format!(
            "none of {gaps} gaps between output chunks is zero; {bytes} of data received"
        );
    }
    format!(
        "{} of the gaps between output chunks are zero ({coalesced} of {gaps}): those came in one read; {bytes} of data received",
        percent(coalesced as f64 / gaps as f64),
    )
}

fn rates(run: &Run, totals: &Totals) -> Option<String> {
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
            "{} sessions per second asked for, {} requests per second sent",
            fixed(Some(rate), 3),
            fixed(rates.sent_per_second, 3),
        )),
        Arrivals::Open { rate, .. } => Some(format!(
            "{} requests per second asked for, {} drawn by the schedule, {} sent",
            fixed(Some(rate), 3),
            fixed(rates.scheduled_per_second, 3),
            fixed(rates.sent_per_second, 3),
        )),
    }
}

/// How the schedule of a trace was kept.
fn trace(totals: &Totals) -> Option<String> {
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

fn goodput(totals: &Totals) -> Option<String> {
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

fn dataset(totals: &Totals) -> Option<String> {
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

/// `None`: of a task without output tokens nothing is missing.
fn tokens(totals: &Totals, side: &TokenFigures) -> Option<String> {
    let succeeded = totals.requests.succeeded;
    if side.requests_known == 0 && !totals.task.has_output_tokens() {
        return None;
    }
    if succeeded == 0 {
        return Some(format!("{UNKNOWN}: no request succeeded"));
    }
    if side.requests_known == 0 {
        return Some(format!(
            "{UNKNOWN}: neither the server nor a tokenizer counted them (see --tokenizer-path)"
        ));
    }
    let by = &side.requests_by_source;
    let mut parts: Vec<String> = [
        (TokenSource::Server, by.server),
        (TokenSource::Tokenizer, by.tokenizer),
        (TokenSource::Parser, by.parser),
    ]
    .into_iter()
    .filter(|(_, requests)| *requests > 0)
    .map(|(source, requests)| format!("{} for {}", source.as_str(), counted(requests, "request")))
    .collect();
    let unknown = succeeded.saturating_sub(side.requests_known);
    if unknown > 0 {
        parts.push(format!(
            "unknown for {}, which no average includes",
            counted(unknown, "request")
        ));
    }
    Some(format!(
        "{} in all; counted by {}",
        side.tokens.unwrap_or_default(),
        parts.join(", ")
    ))
}

/// The figures of the table of metrics that stand nowhere else.
fn further(totals: &Totals) -> Option<String> {
    let sums = totals.sums();
    let known: Vec<String> = Figure::all()
        .filter(|figure| figure.further)
        .filter_map(|figure| {
            let value = figure.unit.format(figure.of(&sums)?);
            Some(format!("{} {value}", figure.title.to_lowercase()))
        })
        .collect();
    (!known.is_empty()).then(|| known.join("; "))
}

fn stamps(totals: &Totals) -> String {
    let client = &totals.client;
    let mut sources = Vec::new();
    if client.kernel_stamped_responses > 0 {
        sources.push(format!(
            "the kernel for {}",
            counted(client.kernel_stamped_responses, "response")
        ));
    }
    if client.read_stamped_responses > 0 {
        sources.push(format!(
            "the return of the read for {} (late when this machine is busy)",
            counted(client.read_stamped_responses, "response")
        ));
    }
    let from = if sources.is_empty() {
        "no response".to_owned()
    } else {
        format!("from {}", sources.join(" and "))
    };
    let transport = one_line(&client.transport, 60);
    match &client.transport_reason {
        Some(reason) => format!("{from}; transport: {transport} (auto: {reason})"),
        None => format!("{from}; transport: {transport}"),
    }
}

fn parser_cost(totals: &Totals) -> Option<String> {
    let cost = &totals.parser_cost;
    let part = |what: &str, calls: &ParserCalls| {
        let mean = calls.seconds_per_call? * 1e6;
        let mut text = format!("{what}: {} of {mean:.1} µs", counted(calls.calls, "call"));
        if let Some(share) = calls.share_of_run {
            text.push_str(&format!(", {} of the run", percent(share)));
        }
        Some(text)
    };
    let parts: Vec<String> = [
        part("requests", &cost.requests),
        part("responses", &cost.responses),
        part("new instances after it broke", &cost.replaced_instances),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}
