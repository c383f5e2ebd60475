//! The words in which a check is told.

use llmuses_core::cost::CallCost;
use llmuses_core::exchange::{Reading, TokenCount};
use std::fmt::Write;
use std::time::Duration;

/// The longest part of a body that is shown, in characters.
const BODY_CHARS: usize = 400;

/// Tells what was passed over, by reason.
pub(super) fn tell_skipped(text: &mut String, skipped: &[(String, u64)]) {
    for (reason, count) in skipped {
        let _ = writeln!(text, "passed over so far: {count} {reason}");
    }
}

/// Tells what was read in a response of so many events.
pub(super) fn describe(text: &mut String, reading: &Reading, events: usize) {
    let count = |count: Option<TokenCount>| match count {
        Some(count) => format!("{}, counted by {}", count.tokens, count.source.as_str()),
        None => "unknown".to_owned(),
    };
    let _ = writeln!(text, "  prompt tokens: {}", count(reading.prompt));
    let _ = writeln!(text, "  completion tokens: {}", count(reading.completion));
    let outputs: Vec<String> = reading.outputs.iter().map(u32::to_string).collect();
    let _ = writeln!(
        text,
        "  events with output: {} of {events} ({})",
        outputs.len(),
        cut(&outputs.join(", "))
    );
    if let Some(answers) = &reading.answers {
        let answers: Vec<String> = answers.iter().map(u32::to_string).collect();
        let _ = writeln!(
            text,
            "  of these with a part of the answer: {} ({})",
            answers.len(),
            cut(&answers.join(", "))
        );
    }
    if let Some(tokens) = &reading.tokens_so_far {
        let tokens: Vec<String> = tokens.iter().map(u32::to_string).collect();
        let _ = writeln!(text, "  tokens so far: {}", cut(&tokens.join(", ")));
    }
    for (name, value) in [
        ("finish reason", &reading.finish_reason),
        ("reply", &reading.reply),
    ] {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name}: {}", cut(value));
        }
    }
    for (name, value) in &reading.metrics {
        let _ = writeln!(text, "  {name}: {value}");
    }
    if reading.metrics_cut > 0 {
        let _ = writeln!(
            text,
            "  and {} further figures, which a run leaves out",
            reading.metrics_cut
        );
    }
}

/// What calls have cost.
pub(super) fn cost(cost: CallCost) -> String {
    let mean = cost.mean().unwrap_or_default();
    format!("{} calls, {} each", cost.calls, shown(mean))
}

/// A time in the unit that suits it.
pub(super) fn shown(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 1e-3 {
        format!("{:.1} µs", seconds * 1e6)
    } else if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.1} s")
    }
}

/// Text of a parser on one line, and no more of it than is of use.
pub(super) fn cut(text: &str) -> String {
    let clean = |text: &str| text.replace(char::is_control, " ");
    match text.char_indices().nth(BODY_CHARS) {
        Some((end, _)) => format!("{}… ({} bytes)", clean(&text[..end]), text.len()),
        None => clean(text),
    }
}
