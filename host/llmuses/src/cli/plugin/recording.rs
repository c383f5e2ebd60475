//! A recorded response, for `llmuses plugin check`.

use super::super::perf::UsageError;
use llmuses_core::clock::Moment;
use llmuses_core::exchange::{Framing, ResponseLog};
use llmuses_kernel_io::regular_file::read_regular_text;
use llmuses_transport::reader::BodyReader;
use std::path::Path;

/// A response to be read.
pub(super) struct Recorded {
    pub(super) log: ResponseLog,
    /// Why a run would count it as failed.
    pub(super) failure: Option<String>,
}

/// Reads the response in a file, of an API that splits its responses like this.
///
/// # Errors
/// Where the file cannot be read.
pub(super) fn recorded(path: &Path, framing: Framing) -> Result<Recorded, UsageError> {
    let text = read_regular_text(path, ResponseLog::LIMIT_BYTES as u64).map_err(|source| {
        UsageError::Responses {
            path: path.to_owned(),
            source,
        }
    })?;
    Ok(read_recording(&text, framing))
}

/// A recorded response in one of these forms: head and body, as `curl -i` and `--record` write it; the body of a stream
/// of events; an event on each line, where every line is a JSON value of its own; else one body.
fn read_recording(text: &str, framing: Framing) -> Recorded {
    let (head, body) = split_head(text);
    let lines = || body.lines().filter(|line| !line.trim().is_empty());
    let is_json = |line: &str| serde_json::from_str::<serde::de::IgnoredAny>(line).is_ok();
    let has_lines = lines().count() > 1
        && lines()
            .map(data)
            .all(|line| line == "[DONE]" || is_json(line));
    if head.is_none() && has_lines {
        return Recorded {
            log: events(body),
            failure: None,
        };
    }
    // As a run reads it.
    let now = Moment::default();
    let mut reader = BodyReader::new(framing, head.and_then(content_type));
    let read = reader.push(body.as_bytes(), now);
    reader.finish(now);
    let (log, reported) = reader.into_parts();
    let status = head
        .and_then(status)
        .filter(|status| !status.starts_with('2'));
    let failure = read.err().or(reported).map(|mut failure| {
        failure.cut_and_quote(&log);
        failure.message
    });
    Recorded {
        log,
        failure: failure.or(status.map(|status| format!("status {status}"))),
    }
}

/// The last head in front of a body, where there is one: before the response itself there may be those of redirects and
/// of a proxy.
fn split_head(text: &str) -> (Option<&str>, &str) {
    let (mut last, mut rest) = (None, text);
    while rest.starts_with("HTTP/") {
        let end = ["\r\n\r\n", "\n\n"]
            .into_iter()
            .filter_map(|blank| Some((rest.find(blank)?, blank.len())))
            .min();
        let (head, body) = match end {
            Some((at, blank)) => (&rest[..at], &rest[at + blank..]),
            None => (rest, ""),
        };
        last = Some(head);
        rest = body;
    }
    (last, rest)
}

/// The status of a head, such as `200`.
fn status(head: &str) -> Option<&str> {
    head.split_whitespace().nth(1)
}

fn content_type(head: &str) -> Option<&str> {
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-type")
            .then_some(value.trim())
    })
}

/// One event a line.
pub(super) fn events(text: &str) -> ResponseLog {
    let mut log = ResponseLog::default();
    log.set_streamed();
    let lines = text
        .lines()
        .map(data)
        .filter(|line| !line.is_empty() && *line != "[DONE]");
    for line in lines {
        // As above.
        let _ = log.push(line.as_bytes(), Moment::default());
    }
    log
}

/// The data of a line that may have been copied off the wire.
fn data(line: &str) -> &str {
    line.strip_prefix("data:").unwrap_or(line).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_response_is_a_stream_or_one_body() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("response");
        for (text, events, streamed) in [
            (
                "data: {\"a\":1}\n\ndata: {\"b\":2}\n\ndata: [DONE]\n",
                2,
                true,
            ),
            ("{\"a\":1}\n{\"b\":2}\n", 2, true),
            ("{\n  \"a\": 1\n}\n", 1, false),
            ("{\"a\":1}", 1, false),
            ("not json\n", 1, false),
        ] {
            std::fs::write(&path, text).unwrap();
            let log = recorded(&path, Framing::default()).unwrap().log;
            assert_eq!((log.len(), log.is_streamed()), (events, streamed), "{text}");
        }
    }

    #[test]
    fn a_recording_of_curl_is_read_as_a_run_reads_the_response() {
        let stream =
            "event: message\ndata: {\"a\":\ndata: 1}\n\n: comment\n\ndata: {}\n\ndata: [DONE]\n\n";
        let head = "HTTP/1.1 200 OK\r\nDate: x\r\nContent-Type: text/event-stream\r\n\r\n";
        let proxy = "HTTP/1.1 200 Connection established\r\n\r\n";
        for text in [
            stream.to_owned(),
            format!("{head}{stream}"),
            format!("{proxy}{head}{stream}"),
            format!("{}{stream}", head.replace("\r\n", "\n")),
        ] {
            let Recorded { log, failure } = read_recording(&text, Framing::default());
            assert!(log.is_streamed(), "{text}");
            let data: Vec<&[u8]> = log.iter().collect();
            assert_eq!(data, [&b"{\"a\":\n1}"[..], b"{}"], "{text}");
            assert_eq!(failure, None);
        }
        let plain = read_recording(
            "HTTP/2 429 \r\ncontent-type: application/json\r\n\r\n{\n\"a\": 1}\n",
            Framing::default(),
        );
        assert_eq!((plain.log.len(), plain.log.is_streamed()), (1, false));
        assert_eq!(plain.failure.as_deref(), Some("status 429"));
    }
}
