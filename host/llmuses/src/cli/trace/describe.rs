//! `llmuses trace describe`: what is in a trace.

use super::entries::each_entry;
use crate::cli::CommandOutcome;
use crate::cli::bounds::BoundsArguments;
use crate::cli::perf::UsageError;
use clap::Args;
use llmuses_core::item::Entry;
use llmuses_core::wording::counted;
use llmuses_observe::terminal::print;
use llmuses_workload::{AskedTurn, Dataset, TENTHS, by_tenths};
use std::collections::HashSet;
use std::fmt::Write;
use std::path::PathBuf;

/// Requests in each tenth of the time, on average, from which on rates by tenths are told.
const LEAST_IN_A_TENTH: usize = 5;

/// Arguments of `llmuses trace describe`.
#[derive(Debug, Args)]
pub(super) struct DescribeArguments {
    /// Trace, in any of the formats that `llmuses perf --dataset` reads.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Member or column of each entry that has the prompt, where it has a name that is not known.
    #[arg(long, value_name = "NAME")]
    field: Option<String>,

    #[command(flatten)]
    bounds: BoundsArguments,
}

/// Runs `llmuses trace describe`.
pub(super) fn execute(arguments: DescribeArguments) -> anyhow::Result<CommandOutcome> {
    let dataset = Dataset::open(&arguments.file).map_err(UsageError::Dataset)?;
    let mut described = Description::default();
    let field = arguments.field.as_deref();
    let whole = each_entry(dataset, field, &arguments.bounds, |entry| {
        described.add(&entry);
    })?;
    let mut text = format!("{} read as {}\n", arguments.file.display(), whole.format);
    described.tell(&mut text);
    for (reason, count) in whole.skipped {
        line(&mut text, "Passed over", &format!("{count} {reason}"));
    }
    print(text);
    Ok(CommandOutcome::Done)
}

/// What a trace has.
#[derive(Debug, Default)]
struct Description {
    entries: u64,
    /// When entries are due, in seconds.
    times: Vec<f64>,
    sessions: HashSet<String>,
    inputs: Vec<u64>,
    outputs: Vec<u64>,
    requests: u64,
    /// Pieces of prompts that were sent, each known together with those before it.
    known: HashSet<u64>,
    /// Tokens of all prompts that have blocks, and those of them that were sent before.
    tokens: u64,
    repeated: u64,
    with_blocks: u64,
}

impl Description {
    fn add(&mut self, entry: &Entry) {
        self.times.extend(entry.at);
        if let Some(session) = &entry.session {
            self.sessions.insert(session.clone());
        }
        for turn in &entry.turns {
            self.requests += 1;
            self.inputs.extend(turn.input_tokens);
            self.outputs.extend(turn.output_tokens);
            if turn.hash_ids.is_empty() {
                continue;
            }
            let Some(asked) = AskedTurn::of(turn, self.entries) else {
                continue;
            };
            self.with_blocks += 1;
            for (piece, tokens) in asked.pieces {
                self.tokens += u64::from(tokens);
                if !self.known.insert(piece) {
                    self.repeated += u64::from(tokens);
                }
            }
        }
        self.entries += 1;
    }

    fn tell(mut self, text: &mut String) {
        let mut requests = counted(self.requests, "request");
        if !self.sessions.is_empty() {
            let sessions = counted(self.sessions.len() as u64, "conversation");
            requests.push_str(&format!(", with {sessions} named"));
        }
        line(text, "Requests", &requests);
        self.times.sort_by(f64::total_cmp);
        let span = match self.times[..] {
            [first, .., last] => last - first,
            _ => 0.0,
        };
        if span > 0.0 {
            // Between n times are n - 1 gaps.
            let mean = (self.times.len() - 1) as f64 / span;
            line(text, "Duration", &format!("{span:.3} s"));
            let mut rate = format!("{} requests/s on average", three_digits(mean));
            // Fewer say nothing about the rate in a tenth.
            if self.times.len() >= LEAST_IN_A_TENTH * TENTHS {
                let counts = by_tenths(self.times.iter().map(|at| at - self.times[0]), span);
                let rates = counts.map(|count| three_digits(count as f64 * TENTHS as f64 / span));
                let rates = rates.join(", ");
                rate.push_str(&format!("; by tenths of the duration {rates}"));
            }
            line(text, "Rate", &rate);
        } else {
            line(text, "Rate", "unknown: it has no two different times");
        }
        for (what, lengths) in [
            ("Input tokens", &mut self.inputs),
            ("Output tokens", &mut self.outputs),
        ] {
            line(text, what, &distribution(lengths));
        }
        let reuse = match self.tokens {
            0 => "unknown: it has no blocks of prompts".to_owned(),
            tokens => format!(
                "{:.1} % of the input tokens of {} were in leading blocks sent before",
                self.repeated as f64 / tokens as f64 * 100.0,
                counted(self.with_blocks, "request")
            ),
        };
        line(text, "Reuse", &reuse);
    }
}

/// A number with three digits, or with all of those before the point.
fn three_digits(value: f64) -> String {
    let before = match value {
        value if value > 0.0 => value.log10().floor() + 1.0,
        _ => 1.0,
    };
    let decimals = (3.0 - before).clamp(0.0, 6.0) as usize;
    format!("{value:.decimals$}")
}

fn line(text: &mut String, what: &str, value: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{what:<15}{value}");
}

/// Mean, extremes and percentiles (nearest rank) of lengths.
fn distribution(lengths: &mut [u64]) -> String {
    lengths.sort_unstable();
    let (Some(least), Some(most)) = (lengths.first(), lengths.last()) else {
        return "unknown".to_owned();
    };
    let mean = lengths.iter().map(|length| *length as f64).sum::<f64>() / lengths.len() as f64;
    let rank = |percent: usize| lengths[(lengths.len() * percent).div_ceil(100).max(1) - 1];
    format!(
        "mean {}, min {least}, p50 {}, p90 {}, p99 {}, max {most} (of {})",
        three_digits(mean),
        rank(50),
        rank(90),
        rank(99),
        counted(lengths.len() as u64, "request")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_trace_is_described() {
        let mut described = Description::default();
        for (at, session, input, hash_ids) in [
            (0.0, "a", 1000, vec![1, 2]),
            (1.0, "b", 1000, vec![1, 3]),
            (10.0, "a", 1536, vec![1, 2, 4]),
        ] {
            let turn = json!({"input_tokens": input, "output_tokens": 5, "hash_ids": hash_ids,
                              "block_tokens": 512});
            let entry = json!({"at": at, "session": session, "turns": [turn]});
            described.add(&serde_json::from_value(entry).unwrap());
        }
        let mut text = String::new();
        described.tell(&mut text);
        for part in [
            "3 requests, with 2 conversations named",
            "10.000 s",
            "0.200 requests/s on average\n",
            "mean 1179, min 1000, p50 1000, p90 1536, p99 1536, max 1536 (of 3 requests)",
            // 512 of the second, 1024 of the third.
            "43.4 % of the input tokens of 3 requests",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn rates_by_tenths_are_those_of_enough_requests() {
        let described = |requests: u32| {
            let mut described = Description::default();
            for number in 0..requests {
                let entry = json!({"at": f64::from(number) * 0.3, "turns": [{"input_tokens": 5}]});
                described.add(&serde_json::from_value(entry).unwrap());
            }
            let mut text = String::new();
            described.tell(&mut text);
            text
        };
        assert!(!described(49).contains("tenths"));
        let text = described(101);
        assert!(
            text.contains("3.33 requests/s on average; by tenths of the duration 3.33, 3.33"),
            "{text}"
        );
        assert!(text.contains("mean 5.00, min 5"), "{text}");
        for (value, shown) in [
            (0.0, "0.00"),
            (0.012_34, "0.0123"),
            (45.67, "45.7"),
            (1234.5, "1234"),
        ] {
            assert_eq!(three_digits(value), shown);
        }
    }

    #[test]
    fn what_is_unknown_is_said() {
        let mut text = String::new();
        Description::default().tell(&mut text);
        assert_eq!(text.matches("unknown").count(), 4, "{text}");
    }
}
