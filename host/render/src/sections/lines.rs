//! What is to be known about a run beside its tables: connections, rates, the data set, tokens, where times come from.

mod answers;
mod load;

use super::workers::clocks;
use crate::digits::{counted, percent};
use answers::{empty_answers, finish_reasons, further, lengths_asked, tokens};
use llmuses_core::document::{ParserCalls, Run, Totals};
use llmuses_core::wording::one_line;
use load::{dataset, goodput, in_flight, rates, sessions, trace, warmup};

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

fn disconnected(totals: &Totals) -> Option<String> {
    let counts = &totals.requests;
    let (disconnected, all) = (counts.disconnected, counts.over());
    (disconnected > 0).then(|| {
        format!(
            "{disconnected} of {} ({}), cancelled by the client as --cancel asks: neither succeeded nor failed, and in no \
             latency figure and no rate of answers",
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
