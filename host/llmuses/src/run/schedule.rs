//! The schedule of a trace, read before the first request: that it has none is not to be found out after an hour.

use super::RunError;
use super::bodies::DataFormat;
use llmuses_core::messages::Messages;
use llmuses_core::plan::{LengthFilter, Replay, Split, Work};
use llmuses_core::wording::counted;
use llmuses_plugin_host::{CallError, InstanceContext};
use llmuses_workload::{
    BegunConversations, Conversation, Dataset, EntrySource, Filling, FormatEntries, Misfit,
    SourceError, TENTHS, by_tenths,
};
use std::sync::Arc;
use std::time::Duration;

/// Entries that are read at once.
const BATCH: u32 = 256;

/// Due times that are kept to be shown.
const SHOWN: usize = 10;

/// What a trace wants sent, and when.
#[derive(Debug, Clone, Default)]
pub(super) struct TraceSchedule {
    /// Of the requests that this process sends: when each is due, but for those that come some time after another one.
    due: Vec<Duration>,
    requests: u64,
    after_others: u64,
    bad: u64,
    /// Entries whose prompts are too short or too long.
    misfits: u64,
}

/// Reads the times of a trace. `filling`: what makes the prompts of which only lengths are known, where their lengths in
/// characters matter.
///
/// # Errors
/// The first entry without a time, or out of the order of time, unless such entries are to be passed over.
pub(super) fn read(
    work: &Work,
    replay: Replay,
    split: Split,
    format: &DataFormat,
    dataset: &Dataset,
    filling: Filling,
) -> Result<TraceSchedule, RunError> {
    let context = InstanceContext {
        dataset: Some(Arc::new(dataset.for_another_run(&Arc::default()))),
        ..InstanceContext::default()
    };
    let instance = format.component.instantiate(context)?;
    let mut entries = FormatEntries::new(
        instance,
        format.options.clone(),
        Arc::new(filling),
        Messages::new(|_| {}),
    )
    .replayed(Some(replay));
    let mut schedule = TraceSchedule::default();
    let mut begun = BegunConversations::default();
    // Of all processes that send parts of the trace.
    let mut number = 0;
    let bad_entry = |message| -> RunError {
        let path = dataset.path().to_owned();
        SourceError::BadEntry { path, message }.into()
    };
    entries.begin()?;
    loop {
        let conversations = match entries.next(BATCH) {
            Ok(conversations) if conversations.is_empty() => break,
            Ok(conversations) => conversations,
            Err(CallError::Refused(_)) if work.skip_bad_lines => {
                schedule.bad += 1;
                continue;
            }
            Err(CallError::Refused(message)) => return Err(bad_entry(message)),
            Err(broken) => return Err(broken.into()),
        };
        for mut conversation in conversations {
            let Some(place) = conversation.place() else {
                continue;
            };
            let turns = u64::from(conversation.turns_left());
            if misfit(&mut conversation, work.lengths).is_some() {
                schedule.misfits += 1;
                continue;
            }
            match begun.take(&place, number) {
                Ok(()) => number += turns,
                Err(_) if work.skip_bad_lines => {
                    schedule.bad += 1;
                    continue;
                }
                Err(message) => return Err(bad_entry(message)),
            }
            if !split.takes(place.conversation) {
                continue;
            }
            schedule.requests += turns;
            match place.due {
                Some(due) => schedule.due.push(due),
                None => schedule.after_others += 1,
            }
        }
    }
    entries.end()?;
    Ok(schedule)
}

/// Why the first request of an entry is not wanted. One that cannot be made says so when it is to be sent.
fn misfit(conversation: &mut Conversation, lengths: LengthFilter) -> Option<Misfit> {
    let item = conversation.next()?.ok()?;
    Misfit::of(&item, lengths)
}

impl TraceSchedule {
    /// How many requests it has, and over what time, as one line.
    pub(super) fn describe(&self) -> String {
        let last = self.due.last().copied().unwrap_or_default().as_secs_f64();
        let mut text = format!(
            "{} of the trace in {last:.3} s",
            counted(self.requests, "request")
        );
        if let Some(busiest) = self.busiest_rate() {
            text.push_str(&format!(
                ", {:.3} a second on average and {busiest:.3} in the busiest tenth of the time",
                (self.due.len() - 1) as f64 / last,
            ));
        }
        if self.after_others > 0 {
            text.push_str(&format!(
                "; {} with no time but one after the request before it in its conversation",
                counted(self.after_others, "request")
            ));
        }
        if self.misfits > 0 {
            text.push_str(&format!(
                "; {} passed over, too short or too long",
                counted(self.misfits, "prompt")
            ));
        }
        if self.bad > 0 {
            text.push_str(&format!("; bad entries passed over: {}", self.bad));
        }
        text
    }

    /// Requests per second in the busiest tenth of its time. `None`: all are due at once, or there is one.
    pub(super) fn busiest_rate(&self) -> Option<f64> {
        let last = self.due.last()?.as_secs_f64();
        if self.due.len() < 2 || last <= 0.0 {
            return None;
        }
        let counts = by_tenths(self.due.iter().map(Duration::as_secs_f64), last);
        let busiest = counts.into_iter().max().unwrap_or_default() as f64;
        Some(busiest * TENTHS as f64 / last)
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
