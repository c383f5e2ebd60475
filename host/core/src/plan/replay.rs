//! The replay of a trace: requests go at the times that its entries have.

use crate::document::LoadRecord;
use std::time::Duration;

/// How a trace is replayed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replay {
    /// By what the times of the trace are divided, above 0: 2 is twice as fast as it was recorded.
    pub speed: f64,
    /// How many of its first entries are sent. `None`: all.
    pub entries: Option<u64>,
    /// The time of the trace, as recorded, before which entries are sent. `None`: all.
    pub time: Option<Duration>,
}

impl Default for Replay {
    /// All of it, as fast as it was recorded.
    fn default() -> Self {
        Self {
            speed: 1.0,
            entries: None,
            time: None,
        }
    }
}

impl Replay {
    /// In a few words: `trace`, `trace x50`.
    pub fn name(self) -> String {
        match self.speed {
            1.0 => "trace".to_owned(),
            speed => format!("trace x{speed}"),
        }
    }

    /// As a person reads it: `trace at 50 times its speed, its first 1000 entries`.
    pub fn describe(self) -> String {
        let mut text = match self.speed {
            1.0 => "trace at its own speed".to_owned(),
            speed => format!("trace at {speed} times its speed"),
        };
        if let Some(entries) = self.entries {
            text.push_str(&format!(", its first {entries} entries"));
        }
        if let Some(time) = self.time {
            text.push_str(&format!(", what it has before {time:?}"));
        }
        text
    }

    pub(super) fn of_record(load: &LoadRecord) -> Option<Self> {
        Some(Self {
            speed: load.trace_speed?,
            entries: load.trace_entries,
            time: match load.trace_seconds {
                Some(seconds) => Some(Duration::try_from_secs_f64(seconds).ok()?),
                None => None,
            },
        })
    }

    pub(super) fn to_record(self, load: &mut LoadRecord) {
        load.trace_speed = Some(self.speed);
        load.trace_entries = self.entries;
        load.trace_seconds = self.time.map(|time| time.as_secs_f64());
    }
}
