//! The checks of what a plugin says that it found in a response, whatever the version of its contract.

use super::text::{shown, shown_name};
use llmuses_core::exchange::{Reading, TokenCount, TokenSource};
use llmuses_core::metric::COUNTS_OF_PLUGINS;
use llmuses_core::redact::Secrets;

/// Token counts above are no counts: no response has as many tokens (a response of 256 MiB has fewer), and a figure that
/// large would spoil every sum and mean.
const MOST_TOKENS: u64 = 1 << 32;

/// Figures that are kept of one response. A run keeps as many names.
const MOST_METRICS: usize = llmuses_core::exchange::MAX_METRIC_NAMES;

/// Reasons for passing over an entry that are listed.
const MOST_REASONS: usize = 16;

/// What a plugin says that it found, unchecked.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) prompt: Option<TokenCount>,
    pub(super) completion: Option<TokenCount>,
    pub(super) outputs: Option<Vec<u32>>,
    pub(super) answers: Option<Vec<u32>>,
    pub(super) tokens_so_far: Option<Vec<u32>>,
    pub(super) finish_reason: Option<String>,
    pub(super) reply: Option<String>,
    pub(super) metrics: Vec<(String, f64)>,
}

/// What cannot be of what a plugin says that it found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// The plugin has broken the contract.
    Plugin(String),
    /// The server said so, and the plugin only told.
    Server(String),
}

impl From<String> for Wrong {
    fn from(reason: String) -> Self {
        Self::Plugin(reason)
    }
}

/// What was found in a response of so many events. Credentials are blanked before anything is cut.
///
/// # Errors
/// What of it cannot be.
pub(super) fn reading(
    told: Summary,
    responses: usize,
    secrets: &Secrets,
) -> Result<Reading, Wrong> {
    let name = |text: &str| shown_name(&secrets.blank_text(text));
    let outputs = match told.outputs {
        Some(outputs) => {
            check_indices("output", &outputs, responses)?;
            outputs
        }
        // A log holds fewer events than 2^32 (`ResponseLog::LIMIT_EVENTS`).
        None => (0..responses as u32).collect(),
    };
    if let Some(answers) = &told.answers {
        check_indices("answer", answers, responses)?;
        if let Some(other) = answers
            .iter()
            .find(|index| outputs.binary_search(index).is_err())
        {
            return Err(format!("named response {other} as answer, which is no output").into());
        }
    }
    if let Some(tokens) = &told.tokens_so_far {
        if tokens.len() != outputs.len() {
            return Err(format!(
                "told the tokens so far of {} outputs where there are {}",
                tokens.len(),
                outputs.len()
            )
            .into());
        }
        if !tokens.is_sorted() {
            return Err("told tokens so far that become fewer".to_owned().into());
        }
    }
    if let Some(reply) = &told.reply
        && !is_json_object(reply.as_bytes())
    {
        return Err(format!(
            "gave a reply that is no JSON object: {}",
            shown(&secrets.blank_text(reply))
        )
        .into());
    }
    let finish_reason = told.finish_reason.map(|reason| name(&reason));
    Ok(Reading {
        prompt: tokens(told.prompt)?,
        completion: tokens(told.completion)?,
        outputs,
        answers: told.answers,
        tokens_so_far: told.tokens_so_far,
        finish_reason: finish_reason.filter(|reason| !reason.trim().is_empty()),
        reply: told
            .reply
            .map(|reply| secrets.blank_text(&reply).into_owned()),
        metrics_cut: told.metrics.len().saturating_sub(MOST_METRICS) as u64,
        metrics: told
            .metrics
            .into_iter()
            .take(MOST_METRICS)
            .map(|(metric, value)| (name(&metric), value))
            .map(|(metric, value)| {
                let value = possible(&metric, value);
                (metric, value)
            })
            .collect(),
    })
}

/// Whether bytes are one JSON object.
fn is_json_object(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

fn tokens(count: Option<TokenCount>) -> Result<Option<TokenCount>, Wrong> {
    match count {
        Some(count) if count.tokens > MOST_TOKENS => Err(match count.source {
            TokenSource::Server => Wrong::Server(format!(
                "the server counted {} tokens for one response, which cannot be",
                count.tokens
            )),
            _ => Wrong::Plugin(format!(
                "counted {} tokens in one response, which cannot be",
                count.tokens
            )),
        }),
        count => Ok(count),
    }
}

/// A figure under its name. Other figures are made of some counts, and one that cannot be, as servers report `-1` where they
/// know none, would spoil them: it is no number then, which is counted and left out of all figures.
fn possible(name: &str, value: f64) -> f64 {
    match COUNTS_OF_PLUGINS.contains(&name) && !(0.0..=MOST_TOKENS as f64).contains(&value) {
        true => f64::NAN,
        false => value,
    }
}

fn check_indices(what: &str, indices: &[u32], responses: usize) -> Result<(), String> {
    if let Some(index) = indices.iter().find(|index| **index as usize >= responses) {
        return Err(format!(
            "named response {index} as {what} where there are {responses}"
        ));
    }
    if !indices.is_sorted_by(|first, second| first < second) {
        return Err(format!("named {what}s that are not in ascending order"));
    }
    Ok(())
}

/// Reasons as they are shown: a few by name, the others summed up.
pub(super) fn reasons(skipped: Vec<(String, u64)>, secrets: &Secrets) -> Vec<(String, u64)> {
    let mut reasons: Vec<(String, u64)> = Vec::new();
    let mut others = 0_u64;
    for (reason, count) in skipped {
        let reason = shown_name(&secrets.blank_text(&reason));
        if let Some((_, sum)) = reasons.iter_mut().find(|(known, _)| *known == reason) {
            *sum = sum.saturating_add(count);
        } else if reasons.len() < MOST_REASONS {
            reasons.push((reason, count));
        } else {
            others = others.saturating_add(count);
        }
    }
    if others > 0 {
        reasons.push(("for other reasons".to_owned(), others));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_cannot_be_is_no_number() {
        let metrics = [
            ("cached_tokens", 1e300),
            ("reasoning_tokens", -1.0),
            ("hidden_reasoning_tokens", f64::INFINITY),
            ("choices", 2.0),
            ("temperature", -1.0),
        ];
        let told = Summary {
            metrics: metrics.map(|(name, value)| (name.to_owned(), value)).into(),
            ..Summary::default()
        };
        let reading = reading(told, 1, &Secrets::default()).unwrap();
        let are_numbers: Vec<bool> = reading
            .metrics
            .iter()
            .map(|(_, value)| value.is_finite())
            .collect();
        assert_eq!(are_numbers, [false, false, false, true, true]);
        assert_eq!(reading.hidden_tokens(), 0);
        assert!(reading.has_several_choices());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let of = |change: fn(&mut Summary)| {
            let mut told = Summary {
                outputs: Some(vec![1, 3]),
                ..Summary::default()
            };
            change(&mut told);
            match reading(told, 4, &Secrets::default()) {
                Err(Wrong::Plugin(reason)) => reason,
                Err(Wrong::Server(reason)) => panic!("the plugin is at fault: {reason}"),
                Ok(_) => String::new(),
            }
        };
        assert_eq!(of(|_| {}), "");
        assert_eq!(of(|told| told.answers = Some(vec![3])), "");
        assert!(of(|told| told.answers = Some(vec![2])).contains("which is no output"));
        assert!(of(|told| told.answers = Some(vec![3, 1])).contains("ascending"));
        assert!(of(|told| told.answers = Some(vec![9])).contains("where there are 4"));
        assert_eq!(of(|told| told.tokens_so_far = Some(vec![2, 2])), "");
        assert!(of(|told| told.tokens_so_far = Some(vec![2])).contains("of 1 outputs"));
        assert!(of(|told| told.tokens_so_far = Some(vec![2, 1])).contains("fewer"));
        assert_eq!(of(|told| told.reply = Some("{}".to_owned())), "");
        assert!(of(|told| told.reply = Some("[]".to_owned())).contains("no JSON object"));
        let told = Summary {
            finish_reason: Some("\u{1b}[1m ".to_owned()),
            ..Summary::default()
        };
        assert_eq!(
            reading(told, 0, &Secrets::default()).unwrap().finish_reason,
            None
        );
    }
}
