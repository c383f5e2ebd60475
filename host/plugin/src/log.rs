//! What parsers say to the person who runs the test: each line once, and a bounded number of lines of a run, shared by all
//! instances of a parser, for one that breaks on every response would otherwise begin anew each time.

use super::text::shown_name;
use bytes::Bytes;
use llmuses_core::bounds::Bounds;
use llmuses_core::clean::printable;
use llmuses_core::messages::Messages;
use llmuses_core::redact::Secrets;
use llmuses_core::wording::{counted, one_line};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// The longest line that is shown, in bytes. Of a message the rest is cut; standard output and error are
/// broken there, so that a flood without line ends is a flood like any other.
const LINE_BYTES: usize = 4 << 10;

/// What a stream takes at once, in bytes.
const PERMIT_BYTES: usize = 64 << 10;

/// Lines of which the end of the log says how often they came. Of the others it says so together.
const MOST_REPEATED: usize = 5;

/// So much of a repeated line is said once more, in characters.
const REPEATED_CHARACTERS: usize = 200;

/// The log of a parser.
#[derive(Debug)]
pub(super) struct PluginLog {
    messages: Messages,
    bytes: usize,
    lines: u32,
    said: Mutex<Said>,
}

#[derive(Debug)]
struct Said {
    /// Whose log this is.
    parser: String,
    bytes: usize,
    lines: u32,
    cut_lines: u64,
    cut_bytes: u64,
    /// How often each line came: no more of them than the bounds let through.
    shown: HashMap<Line, u64>,
    /// How often each line came in the log before this one and has not come again.
    before: HashMap<Line, u64>,
}

/// A line, by what of it is shown and the length of the whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Line {
    label: String,
    beginning: String,
    bytes: usize,
}

impl PluginLog {
    /// A log with nothing in it. `label`: whose, as long as the parser has told no name.
    pub(super) fn new(label: &str, bounds: &Bounds, messages: &Messages) -> Arc<Self> {
        Arc::new(Self {
            messages: messages.clone(),
            bytes: bounds.log_bytes,
            lines: bounds.log_lines,
            said: Mutex::new(Said {
                parser: shown_name(label),
                bytes: 0,
                lines: 0,
                cut_lines: 0,
                cut_bytes: 0,
                shown: HashMap::new(),
                before: HashMap::new(),
            }),
        })
    }

    /// A log with nothing in it that goes where this one goes. What this one has shown, as a look at the beginning of the data
    /// set did, the other does not show once more.
    pub(super) fn anew(&self, label: &str, bounds: &Bounds) -> Arc<Self> {
        let log = Self::new(label, bounds, &self.messages);
        let before = self.said().shown.clone();
        let mut said = log.said();
        said.shown = before.keys().map(|line| (line.clone(), 1)).collect();
        said.before = before;
        drop(said);
        log
    }

    /// Gives the parser the name that it told.
    pub(super) fn set_parser(&self, name: &str) {
        name.clone_into(&mut self.said().parser);
    }

    /// Shows a message without credentials, or counts it where it was shown before.
    pub(super) fn say(&self, label: &str, message: &str) {
        let line = &message[..message.floor_char_boundary(LINE_BYTES)];
        let cut = message.len() - line.len();
        let mut said = self.said();
        let key = Line {
            label: label.to_owned(),
            beginning: line.to_owned(),
            bytes: message.len(),
        };
        if let Some(times) = said.before.get_mut(&key).filter(|times| **times > 0) {
            *times -= 1;
            return;
        }
        if let Some(times) = said.shown.get_mut(&key) {
            *times += 1;
            return;
        }
        let size = said.bytes.saturating_add(line.len());
        if said.lines >= self.lines || size > self.bytes {
            said.cut_lines += 1;
            said.cut_bytes = said.cut_bytes.saturating_add(message.len() as u64);
            return;
        }
        said.lines += 1;
        said.bytes = size;
        said.shown.insert(key, 1);
        said.cut_bytes = said.cut_bytes.saturating_add(cut as u64);
        let more = if cut > 0 { "…" } else { "" };
        self.messages.say(format!(
            "parser {} ({label}): {}{more}",
            said.parser,
            printable(line)
        ));
    }

    /// Nothing panics while it holds the lock, so what is in it is whole in any case.
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Said {
    /// What there is to say of lines that came again.
    fn repeated(&self) -> Vec<String> {
        let again = |(line, times): (&Line, &u64)| (*times > 1).then(|| (*times - 1, line.clone()));
        let mut repeated: Vec<(u64, Line)> = self.shown.iter().filter_map(again).collect();
        repeated.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        let others = repeated.split_off(MOST_REPEATED.min(repeated.len()));
        let mut words: Vec<String> = repeated
            .iter()
            .map(|(times, line)| {
                format!(
                    "parser {} ({}), {times} more {}: {}",
                    self.parser,
                    line.label,
                    if *times == 1 { "time" } else { "times" },
                    one_line(&line.beginning, REPEATED_CHARACTERS)
                )
            })
            .collect();
        if !others.is_empty() {
            words.push(format!(
                "parser {}: {} of its log came again, {} in all",
                self.parser,
                counted(others.len() as u64, "other line"),
                counted(others.iter().map(|(times, _)| times).sum(), "time")
            ));
        }
        words
    }
}

impl Drop for PluginLog {
    fn drop(&mut self) {
        let said = self.said();
        for words in said.repeated() {
            self.messages.say(words);
        }
        if said.cut_bytes > 0 || said.cut_lines > 0 {
            self.messages.say(format!(
                "parser {}: {} more lines and {} more bytes in all were not shown of its log ({} lines \
                 of {} KiB at most and {} KiB in all are; --plugin-log-lines, --plugin-log-kib)",
                said.parser,
                said.cut_lines,
                said.cut_bytes,
                self.lines,
                LINE_BYTES >> 10,
                self.bytes >> 10
            ));
        }
    }
}

/// Standard output or error of an instance: its lines go to the log.
pub(super) struct StandardStream(Arc<Lines>);

impl StandardStream {
    pub(super) fn new(log: Arc<PluginLog>, secrets: Arc<Secrets>, label: &'static str) -> Self {
        Self(Arc::new(Lines {
            log,
            secrets,
            label,
            pending: Mutex::default(),
        }))
    }
}

struct Lines {
    log: Arc<PluginLog>,
    secrets: Arc<Secrets>,
    label: &'static str,
    pending: Mutex<Vec<u8>>,
}

impl Lines {
    fn write(&self, bytes: &[u8]) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for piece in piece.chunks(LINE_BYTES) {
                pending.extend_from_slice(piece);
                self.break_line(&mut pending);
            }
            if pending.last() == Some(&b'\n') {
                pending.pop();
                self.end_line(&mut pending);
            }
        }
    }

    /// Says the beginning of a line that is too long. What may be the beginning of a credential waits for the rest.
    fn break_line(&self, pending: &mut Vec<u8>) {
        let longest = self.secrets.longest();
        while pending.len() > LINE_BYTES + longest {
            let blanked = self.secrets.blank_bytes(pending).into_owned();
            let end = LINE_BYTES.min(blanked.len().saturating_sub(longest));
            let (line, rest) = blanked.split_at(end);
            self.log.say(self.label, &String::from_utf8_lossy(line));
            let rest = rest.to_vec();
            *pending = rest;
        }
    }

    fn end_line(&self, pending: &mut Vec<u8>) {
        let blanked = self.secrets.blank_bytes(pending);
        self.log.say(self.label, &String::from_utf8_lossy(&blanked));
        pending.clear();
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let mut pending = std::mem::take(
            self.pending
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner),
        );
        if !pending.is_empty() {
            self.end_line(&mut pending);
        }
    }
}

impl IsTerminal for StandardStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for StandardStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI 0.3 would take it, which is not linked.
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Writer(Arc::clone(&self.0)))
    }
}

struct Writer(Arc<Lines>);

impl OutputStream for Writer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.0.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT_BYTES)
    }
}

impl Pollable for Writer {
    fn ready<'a, 'b>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_once_and_counted_after_that() {
        let shown = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&shown);
        let messages = Messages::new(move |text| into.lock().unwrap().push(text.to_owned()));
        let bounds = Bounds {
            log_lines: 9,
            ..Bounds::default()
        };
        let look = PluginLog::new("p", &bounds, &messages);
        look.say("info", "of the data set");
        let log = look.anew("p", &bounds);
        drop(look);
        for _ in 0..3 {
            log.say("info", "of the data set");
            for number in 0..8 {
                log.say("warning", &format!("line {number}"));
            }
        }
        log.say("error", "line 0");
        log.say("error", "one too many");
        drop(log);
        let shown = shown.lock().unwrap();
        let (at_once, at_the_end) = shown.split_at(10);
        let (not_shown, at_the_end) = at_the_end.split_last().unwrap();
        assert!(
            not_shown.contains("1 more lines and 12 more bytes"),
            "{not_shown}"
        );
        assert_eq!(at_once[0], "parser p (info): of the data set");
        assert_eq!(at_once[8], "parser p (warning): line 7");
        assert_eq!(at_once[9], "parser p (error): line 0");
        assert_eq!(
            at_the_end,
            [
                "parser p (info), 2 more times: of the data set",
                "parser p (warning), 2 more times: line 0",
                "parser p (warning), 2 more times: line 1",
                "parser p (warning), 2 more times: line 2",
                "parser p (warning), 2 more times: line 3",
                "parser p: 4 other lines of its log came again, 8 times in all",
            ]
        );
    }
}
