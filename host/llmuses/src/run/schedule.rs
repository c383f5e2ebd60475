//! The schedule of a trace, read before the first request: that it has none is not to be found out after an hour.

use super::RunError;
use super::bodies::DataFormat;
use llmuses_core::messages::Messages;
use llmuses_core::plan::{Replay, Split, Work};
use llmuses_core::wording::counted;
use llmuses_plugin_host::{CallError, InstanceContext};
use llmuses_workload::{Dataset, EntrySource, Filling, FormatEntries, SourceError};
use std::sync::Arc;
use std::time::Duration;

/// Entries that are read at once.
const BATCH: u32 = 256;

/// Due times that are kept to be shown.
const SHOWN: usize = 10;

/// Parts of the schedule of which the rate is told.
const PARTS: usize = 10;

/// What a trace wants sent, and when.
#[derive(Debug, Clone, Default)]
pub(super) struct TraceSchedule {
    /// Of the requests that this process sends: when each is due, but for those that come some time after another one.
    due: Vec<Duration>,
    requests: u64,
    conversations: u64,
    after_others: u64,
    bad: u64,
}

/// Reads the times of a trace.
///
/// # Errors
/// The first entry without a time, or out of the order of time, unless such entries are to be passed over.
pub(super) fn read(
    work: &Work,
    replay: Replay,
    split: Split,
    format: &DataFormat,
    dataset: &Dataset,
) -> Result<TraceSchedule, RunError> {
    let context = InstanceContext {
        dataset: Some(Arc::new(dataset.for_another_run(&Arc::default()))),
        ..InstanceContext::default()
    };
    let instance = format.component.instantiate(context)?;
    let filling = Arc::<Filling>::default();
    let mut entries = FormatEntries::new(
        instance,
        format.options.clone(),
        filling,
        Messages::new(|_| {}),
    )
    .replayed(Some(replay));
    let mut schedule = TraceSchedule::default();
    entries.begin()?;
    loop {
        let conversations = match entries.next(BATCH) {
            Ok(conversations) if conversations.is_empty() => break,
            Ok(conversations) => conversations,
            Err(CallError::Refused(_)) if work.skip_bad_lines => {
                schedule.bad += 1;
                continue;
            }
            Err(CallError::Refused(message)) => {
                let path = dataset.path().to_owned();
                return Err(SourceError::BadEntry { path, message }.into());
            }
            Err(broken) => return Err(broken.into()),
        };
        for conversation in conversations {
            let Some(place) = conversation.place() else {
                continue;
            };
            schedule.conversations = schedule.conversations.max(place.conversation + 1);
            if !split.takes(place.conversation) {
                continue;
            }
            schedule.requests += u64::from(conversation.turns_left());
            match place.due {
                Some(due) => schedule.due.push(due),
                None => schedule.after_others += 1,
            }
        }
    }
    entries.end()?;
    Ok(schedule)
}

impl TraceSchedule {
    /// How many requests it has, and over what time, as one line.
    pub(super) fn describe(&self) -> String {
        let last = self.due.last().copied().unwrap_or_default().as_secs_f64();
        let mut text = format!(
            "{} of the trace in {last:.3} s",
            counted(self.requests, "request")
        );
        if self.due.len() > 1 && last > 0.0 {
            let mut parts = [0_u64; PARTS];
            for due in &self.due {
                let part = due.as_secs_f64() / last * PARTS as f64;
                parts[(part as usize).min(PARTS - 1)] += 1;
            }
            let busiest = parts.iter().max().copied().unwrap_or_default() as f64;
            text.push_str(&format!(
                ", {:.3} a second on average and {:.3} in the busiest tenth of the time",
                (self.due.len() - 1) as f64 / last,
                busiest * PARTS as f64 / last
            ));
        }
        if self.after_others > 0 {
            text.push_str(&format!(
                "; {} with no time but one after the request before it in its conversation",
                counted(self.after_others, "request")
            ));
        }
        if self.bad > 0 {
            text.push_str(&format!("; bad entries passed over: {}", self.bad));
        }
        text
    }

    /// How many requests it has, and when the last one is due.
    pub(super) fn extent(&self) -> (u64, Duration) {
        (self.requests, self.due.last().copied().unwrap_or_default())
    }

    /// When the first requests are due, in seconds.
    pub(super) fn first(&self) -> Vec<String> {
        let first = self.due.iter().take(SHOWN);
        first
            .map(|due| format!("{:.3}", due.as_secs_f64()))
            .collect()
    }
}
