//! The file of `--log`: a line of JSON about each request for an answer, when it has ended.
//!
//! | member | is |
//! |---|---|
//! | `number` | the request's number, from 0, in the order in which requests were read |
//! | `arrival_unix` | when it arrived, in seconds since 1970 |
//! | `path`, `body_bytes` | where it went, and how long its body was |
//! | `body_fnv1a` | FNV-1a of 64 bits of the body, 16 digits: equal bodies have equal ones |
//! | `prompt` | the first 80 characters of its prompt |
//! | `prompt_tokens`, `cached_tokens` | tokens of the prompt, and those of them that were in the prefix cache |
//! | `tokens` | tokens written, or of a plain answer |
//! | `queue_seconds` | from the arrival to the slot |
//! | `ttft_seconds` | from the arrival to the departure of the first token, streams only |
//! | `seconds` | from the arrival to the end |
//! | `status` | the status of the response; nothing where the client left before there was one |
//! | `end` | `stop`, `length`, `abort` (the client left) or `error` |
//!
//! What is not known is null. A line is written all at once. Lines that cannot be written are counted.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// What a line tells: see the top of this file.
#[derive(Debug, Default, Serialize)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) arrival_unix: f64,
    pub(super) path: String,
    pub(super) body_bytes: usize,
    pub(super) body_fnv1a: String,
    pub(super) prompt: Option<String>,
    pub(super) prompt_tokens: Option<u64>,
    pub(super) cached_tokens: Option<u64>,
    pub(super) tokens: u64,
    pub(super) queue_seconds: Option<f64>,
    pub(super) ttft_seconds: Option<f64>,
    pub(super) seconds: f64,
    pub(super) status: Option<u16>,
    pub(super) end: &'static str,
}

/// An open log.
#[derive(Debug)]
pub(super) struct Log {
    file: Mutex<File>,
    lost: AtomicU64,
}

impl Log {
    /// Opens a log, which goes on behind what is there.
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self {
            file: Mutex::new(file),
            lost: AtomicU64::new(0),
        })
    }

    pub(super) fn write(&self, entry: &Entry) {
        let written = serde_json::to_vec(entry).map_err(std::io::Error::from);
        let written = written.and_then(|mut line| {
            line.push(b'\n');
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(&line)
        });
        if written.is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many lines could not be written.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
