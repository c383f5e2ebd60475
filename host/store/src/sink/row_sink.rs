//! The database as one of the sinks of a run.

use super::database::Database;
use llmuses_core::backlog::PipelineStage;
use llmuses_core::messages::Messages;
use llmuses_stats::{RunSoFar, Sample, Sink};

/// Keeps a row for each sample.
#[derive(Debug)]
pub struct RowSink<'a> {
    database: &'a Database,
    messages: Messages,
    /// Whether it was said that rows are being lost: it is said once.
    told_trouble: bool,
}

impl<'a> RowSink<'a> {
    /// Rows go to `database`, and an error of it to `messages`.
    pub fn new(database: &'a Database, messages: Messages) -> Self {
        Self {
            database,
            messages,
            told_trouble: false,
        }
    }
}

impl Sink for RowSink<'_> {
    fn stage(&self) -> PipelineStage {
        PipelineStage::Database
    }

    fn offer(&mut self, sample: &Sample, run: &RunSoFar<'_>) {
        // The writer is another thread. The last sink gets the sample itself, and copies nothing.
        self.take(sample.clone(), run);
    }

    fn take(&mut self, sample: Sample, _: &RunSoFar<'_>) {
        self.database.send(sample);
        if !self.told_trouble
            && let Some(trouble) = self.database.trouble()
        {
            self.told_trouble = true;
            let text = format!("error: results are not kept any more: {trouble}");
            self.messages.say(text);
        }
    }
}
