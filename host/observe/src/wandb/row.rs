//! One row of the history, and the summary that rows add up to.

use serde_json::{Map, Value, json};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall clock and the monotonic one at the start of the run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Started {
    at: Instant,
    unix: Duration,
}

impl Started {
    pub(super) fn now() -> Self {
        Self {
            at: Instant::now(),
            // A wall clock before 1970 was never set; zero is as good a date for it as any.
            unix: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default(),
        }
    }

    /// Unix time of the start.
    pub(super) fn unix(&self) -> Duration {
        self.unix
    }

    /// Time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.at.elapsed()
    }
}

/// Figures at a moment of the run.
#[derive(Debug, Clone)]
pub(super) struct Row {
    figures: Map<String, Value>,
}

impl Row {
    /// These figures, now. `_step` is given to a row when it is taken from the queue: one that was
    /// dropped before leaves no gap.
    pub(super) fn new(mut figures: Map<String, Value>, started: Started) -> Self {
        let runtime = started.elapsed();
        figures.insert("_runtime".to_owned(), json!(runtime.as_secs_f64()));
        figures.insert(
            "_timestamp".to_owned(),
            json!((started.unix() + runtime).as_secs_f64()),
        );
        Self { figures }
    }

    /// The row as the `step`th of the history.
    pub(super) fn at_step(mut self, step: u64) -> Map<String, Value> {
        self.figures.insert("_step".to_owned(), json!(step));
        self.figures
    }
}

/// The summary of a run: the last value of every figure, and what is set at the end.
#[derive(Debug, Clone, Default)]
pub(super) struct Summary {
    values: Map<String, Value>,
}

impl Summary {
    /// Takes over the figures of a row, or of the end.
    pub(super) fn update(&mut self, figures: &Map<String, Value>) {
        for (name, value) in figures {
            self.values.insert(name.clone(), value.clone());
        }
    }

    /// Sets for how long the run has been going, where the web page looks for it.
    pub(super) fn set_runtime(&mut self, runtime: Duration) {
        let seconds = runtime.as_secs();
        self.values
            .insert("_wandb".to_owned(), json!({ "runtime": seconds }));
    }

    /// The summary as JSON text.
    pub(super) fn to_text(&self) -> String {
        Value::Object(self.values.clone()).to_string()
    }
}
