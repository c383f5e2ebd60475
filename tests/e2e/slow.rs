//! Answers that are never silent, slow or not: the time-out for reading is for silence alone, so they are waited
//! for, unless they take longer than a request may take.

use crate::misbehaving::{
    LAST_CHUNK, Misbehaving, Run, Step, TRANSPORTS, chunk, delta, event, stream_head, text, usage,
};
use std::time::{Duration, Instant};

/// How long a server may be silent, in seconds.
const SILENCE: &str = "0.5";

/// A stream in these pieces, so long apart.
fn slowly(pieces: impl IntoIterator<Item = Vec<u8>>, apart: Duration) -> Vec<Step> {
    let mut steps = vec![Step::Request, text(stream_head())];
    for piece in pieces {
        steps.extend([Step::Write(piece), Step::Pause(apart)]);
    }
    steps.push(text(LAST_CHUNK));
    steps.push(Step::Close);
    steps
}

/// Runs one request over each transport; it has to succeed with these events, and to take so many seconds.
fn check(script: &[Step], messages: &[String], at_least: f64) {
    for transport in TRANSPORTS {
        let server = Misbehaving::start(script.to_vec());
        let arguments = ["--transport", transport, "--read-timeout", SILENCE];
        let run = Run::of(&server.chat(), &arguments);
        assert_eq!(run.ended.code, Some(0), "{transport}: {}", run.ended.stderr);
        let row = &run.rows()[0];
        assert_eq!(row.messages, messages, "{transport}");
        assert_eq!(row.completion_tokens, Some(1), "{transport}");
        assert!(row.latency >= at_least, "{transport}: {}", row.latency);
    }
}

#[test]
fn comments_keep_a_stream_alive_for_longer_than_silence_may_last() {
    let messages = [delta("x"), usage(1, 1)];
    let comments = std::iter::repeat_n(chunk(": still here\n\n"), 25);
    let events = messages.iter().map(|data| chunk(event(data)));
    let script = slowly(comments.chain(events), Duration::from_millis(40));
    check(&script, &messages, 1.0);
}

#[test]
fn bytes_one_by_one_keep_a_stream_alive() {
    let messages = [delta("x"), usage(1, 1)];
    let body: String = messages.iter().map(event).collect();
    let pieces = body.as_bytes().chunks(1).map(chunk).collect::<Vec<_>>();
    let apart = Duration::from_secs(1) / u32::try_from(pieces.len()).expect("a short body");
    check(&slowly(pieces, apart), &messages, 1.0);
}

#[test]
fn an_event_that_is_not_over_in_time_is_kept_as_far_as_it_came() {
    for transport in TRANSPORTS {
        let server = Misbehaving::start(vec![
            Step::Request,
            text(stream_head()),
            Step::Write(chunk(event(delta("x")) + "data: ")),
            Step::Dribble(chunk("y"), Duration::from_millis(20)),
        ]);
        let arguments = ["--transport", transport, "--total-timeout", "0.5"];
        let run = Run::of(&server.chat(), &arguments);
        assert_eq!(run.ended.code, Some(1), "{transport}: {}", run.ended.stderr);
        assert!(run.tells(1, "timeout-total"), "{}", run.ended.stdout);
        let row = &run.rows()[0];
        assert_eq!(row.kind, "timeout-total", "{transport}: {}", row.error);
        assert_eq!(row.messages.len(), 2, "{transport}");
        assert!(
            row.messages[1].starts_with("data: y"),
            "{transport}: {}",
            row.messages[1]
        );
    }
}

/// So many bytes without an event that there is always more to read.
#[test]
fn a_flood_of_comments_ends_with_the_time_that_it_has() {
    let flood = chunk(": still here\n\n".repeat(1 << 14));
    let script = vec![
        Step::Request,
        text(stream_head()),
        Step::Dribble(flood, Duration::ZERO),
    ];
    for transport in TRANSPORTS {
        for (flags, kind) in [
            (["--total-timeout", "0.5"].as_slice(), "timeout-total"),
            (
                &["--duration", "0.3", "--drain-timeout", "0.3"],
                "cancelled",
            ),
        ] {
            let server = Misbehaving::start(script.clone());
            let begun = Instant::now();
            let run = Run::of(
                &server.chat(),
                &[["--transport", transport].as_slice(), flags].concat(),
            );
            let took = begun.elapsed();
            let ended = &run.ended;
            assert!(run.tells(1, kind), "{transport} {kind}: {}", ended.stdout);
            assert!(
                took < Duration::from_secs(20),
                "{transport} {kind}: {took:?}"
            );
        }
    }
}
