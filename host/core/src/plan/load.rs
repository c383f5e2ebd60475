//! When requests are sent, how many and for how long.

use super::{Arrivals, Cancellation, Objectives, Shard, Split, Stages, StopRule};
use crate::document::LoadRecord;
use crate::wording::one_line;
use std::path::PathBuf;
use std::time::Duration;

/// When requests are sent: the pacer, the end of a run and the live view need this. A sweep has several, of the same
/// work to the same target.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// When requests go.
    pub arrivals: Arrivals,
    /// How the rate, or the number of slots, changes while the run goes on; `arrivals` has its highest value.
    pub stages: Option<Stages>,
    /// The table from which the stages were read, where they were not given one by one.
    pub rate_from: Option<PathBuf>,
    /// In what time the slots of a closed loop open, evenly one after another. `None`: all at the start.
    pub ramp_up: Option<Duration>,
    /// The most requests of an open loop that may be in flight. `None`: as many as this machine holds.
    pub max_in_flight: Option<u64>,
    /// Which of several runs of this load it is, from 1. `None`: there is one.
    pub repeat: Option<u64>,
    /// The seed of the schedule.
    pub seed: u64,
    /// How many requests to make. `None`: one pass over the data set, or one request for a prompt.
    pub requests: Option<u64>,
    /// How many sessions to begin. `None`: as many as there are requests for.
    pub sessions: Option<u64>,
    /// How long requests are issued. `None`: until there are no more.
    pub duration: Option<Duration>,
    /// How long requests in flight have once issuing is over; what is not over then is cancelled, and counted.
    pub drain: Duration,
    /// Whether requests are sent on and on though every one of the first failed.
    pub keep_going: bool,
    /// Which requests come before the ones that count.
    pub warmup: Warmup,
    /// What requests should achieve.
    pub objectives: Option<Objectives>,
    /// Which part of the load this process sends.
    pub shard: Shard,
    /// Whether it is to be a part, be it the only one: its results can be merged.
    pub is_part: bool,
    /// When the run begins, since 1970. `None`: as soon as it can.
    pub start_at: Option<Duration>,
    /// What ends the run early.
    pub stop_if: Vec<StopRule>,
    /// Which requests the client cancels.
    pub cancel: Option<Cancellation>,
}

impl Default for Load {
    /// One request at a time.
    fn default() -> Self {
        Self {
            arrivals: Arrivals::Closed { parallel: 1 },
            stages: None,
            rate_from: None,
            ramp_up: None,
            repeat: None,
            max_in_flight: None,
            seed: 42,
            requests: None,
            sessions: None,
            duration: None,
            drain: Duration::from_secs(120),
            keep_going: false,
            warmup: Warmup::Nothing,
            objectives: None,
            shard: Shard::default(),
            is_part: false,
            start_at: None,
            stop_if: Vec::new(),
            cancel: None,
        }
    }
}

impl Load {
    /// Which requests this process sends.
    pub fn split(&self) -> Split {
        Split::of(self.shard, &self.arrivals, self.seed)
    }

    /// The load in a few words.
    pub fn name(&self) -> String {
        let table = self
            .rate_from
            .as_deref()
            .map(|path| path.display().to_string());
        name(self.arrivals, self.stages.as_ref(), table.as_deref())
    }

    /// The load of a document in a few words. `None` where it does not say.
    pub fn name_of_record(record: &LoadRecord) -> Option<String> {
        let arrivals = Arrivals::of_record(record)?;
        let stages = Self::stages_of_record(record);
        Some(name(arrivals, stages.as_ref(), record.rate_from.as_deref()))
    }

    /// The stages of a load as it stands in a document.
    pub fn stages_of_record(record: &LoadRecord) -> Option<Stages> {
        record.stages.as_deref()?.parse().ok()
    }

    /// As it stands in a document.
    pub(super) fn to_record(&self) -> LoadRecord {
        let seconds = |time: Duration| time.as_secs_f64();
        let (warmup_requests, warmup_seconds) = match self.warmup {
            Warmup::Nothing => (None, None),
            Warmup::Requests(requests) => (Some(requests), None),
            Warmup::Time(time) => (None, Some(seconds(time))),
        };
        let mut record = LoadRecord {
            number: self.requests,
            sessions: self.sessions,
            duration_seconds: self.duration.map(seconds),
            drain_seconds: self.duration.map(|_| seconds(self.drain)),
            warmup_requests,
            warmup_seconds,
            objectives: self.objectives.map(|objectives| objectives.to_record()),
            max_in_flight: self.max_in_flight,
            stages: self.stages.as_ref().map(ToString::to_string),
            rate_from: self
                .rate_from
                .as_deref()
                .map(|path| path.display().to_string()),
            ramp_up_seconds: self.ramp_up.map(seconds),
            repeat: self.repeat,
            seed: self.seed,
            keep_going: self.keep_going,
            shard: (self.is_part || !self.shard.is_whole()).then(|| self.shard.to_string()),
            start_at_unix_seconds: self.start_at.map(seconds),
            stop_if: self
                .stop_if
                .iter()
                .map(|rule| rule.text().to_owned())
                .collect(),
            cancel: self.cancel.as_ref().map(ToString::to_string),
            ..LoadRecord::default()
        };
        self.arrivals.to_record(&mut record);
        record
    }
}

/// `table`: the file from which the stages were read.
fn name(arrivals: Arrivals, stages: Option<&Stages>, table: Option<&str>) -> String {
    match (stages, arrivals) {
        (Some(_), Arrivals::Open { gaps, .. }) if table.is_some() => {
            let table = table.unwrap_or_default();
            let file = table.rsplit('/').next().unwrap_or(table);
            format!("rate from {}{}", one_line(file, 60), gaps.suffix())
        }
        (Some(stages), Arrivals::Open { gaps, .. }) => format!("{stages}{}", gaps.suffix()),
        (Some(stages), _) => stages.to_string(),
        (None, arrivals) => arrivals.name(),
    }
}

/// The first requests of a run, which no figure has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Warmup {
    /// None: every request counts.
    #[default]
    Nothing,
    /// This many requests, in the order of issue; of sessions, this many sessions.
    Requests(u64),
    /// The requests that were intended before this much of the run was over.
    Time(Duration),
}

impl Warmup {
    /// That of a load as it stands in a document.
    pub fn of_record(load: &LoadRecord) -> Self {
        let time = load.warmup_seconds;
        match (load.warmup_requests, time.map(Duration::try_from_secs_f64)) {
            (Some(requests), _) => Self::Requests(requests),
            (None, Some(Ok(time))) => Self::Time(time),
            (None, _) => Self::Nothing,
        }
    }

    /// Whether a request of this session, intended this long after the start, is part of it.
    pub fn covers(self, session: u64, intended: Duration) -> bool {
        match self {
            Self::Nothing => false,
            Self::Requests(sessions) => session < sessions,
            Self::Time(time) => intended < time,
        }
    }
}
