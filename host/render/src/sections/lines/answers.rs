//! Tokens and lengths, why answers ended, and figures that only some answers have.

use crate::digits::{UNKNOWN, counted, fixed};
use llmuses_core::document::{AskedLength, TokenFigures, Totals};
use llmuses_core::exchange::TokenSource;
use llmuses_core::metric::{Figure, Unit};
use llmuses_core::wording::one_line;
use llmuses_stats::ShortOutputs;

/// The lengths that were asked for, and how many requests had them.
pub(super) fn lengths_asked(totals: &Totals) -> Option<String> {
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
        text.push_str(&ShortOutputs::of(length).to_string());
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
    if lengths.later_input_not_judged > 0 {
        text.push_str(&format!(
            "; prompts of {} are not judged: the server does not say how much of the reply before was reasoning, which they \
             leave out",
            counted(lengths.later_input_not_judged, "later turn")
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
        // Of later turns nothing is expected: they repeat what was said before.
        let prompt = match lengths.later_input.requests {
            0 => "prompt",
            _ => "prompt of a first turn",
        };
        text.push_str(&format!(
            "; of each {prompt} {} tokens from the server's prefix cache ({} expected)",
            fixed(Some(cached.mean_reported_tokens), 1),
            cached.expected(),
        ));
        if cached.requests < lengths.input.requests {
            text.push_str(&format!(", over {} of them", cached.requests));
        }
    }
    Some(text)
}

/// `None`: of a task without output tokens nothing is missing.
pub(super) fn tokens(totals: &Totals, side: &TokenFigures) -> Option<String> {
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

/// Why answers ended, with the number of each reason.
pub(super) fn finish_reasons(totals: &Totals) -> Option<String> {
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

/// The figures of the table of metrics that stand nowhere else.
pub(super) fn further(totals: &Totals) -> Option<String> {
    let sums = totals.sums();
    let known: Vec<String> = Figure::all()
        .filter(|figure| figure.further)
        .filter_map(|figure| {
            let value = figure.of(&sums)?;
            let value = match figure.unit {
                // The title says of what time.
                Unit::PerSecond => fixed(Some(value), 3),
                unit => unit.format(value),
            };
            Some(format!("{} {value}", figure.title.to_lowercase()))
        })
        .collect();
    (!known.is_empty()).then(|| known.join("; "))
}

pub(super) fn empty_answers(totals: &Totals) -> Option<String> {
    let counts = &totals.requests;
    (counts.empty_answers > 0).then(|| {
        format!(
            "{} of {} succeeded requests: the model said nothing, and the server counted no token or the one that ends an answer",
            counts.empty_answers, counts.succeeded
        )
    })
}
