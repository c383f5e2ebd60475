//! What parsers say to the person who runs the test: a bounded number of lines of a run, shared by all
//! instances of a parser, for one that breaks on every response would otherwise begin anew each time.

use super::text::shown_name;
use bytes::Bytes;
use llmuses_core::bounds::Bounds;
use llmuses_core::clean::printable;
use llmuses_core::messages::Messages;
use llmuses_core::redact::Secrets;
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
    /// How often each line was shown: no more of them than the bounds let through.
    shown: HashMap<String, u64>,
    /// How often each line was shown in the log before this one and has not come again.
    before: HashMap<String, u64>,
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
        log.said().before = before;
        log
    }

    /// Gives the parser the name that it told.
    pub(super) fn set_parser(&self, name: &str) {
        name.clone_into(&mut self.said().parser);
    }

    /// Shows a message without credentials, or counts it.
    pub(super) fn say(&self, label: &str, message: &str) {
        let line = &message[..message.floor_char_boundary(LINE_BYTES)];
        let cut = message.len() - line.len();
        let mut said = self.said();
        let key = format!("{label}: {line}");
        if let Some(times) = said.before.get_mut(&key).filter(|times| **times > 0) {
            *times -= 1;
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
        *said.shown.entry(key).or_default() += 1;
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

impl Drop for PluginLog {
    fn drop(&mut self) {
        let said = self.said();
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
