//! The statistics of a run: what one request measures, running totals over all of them, and the
//! judgement of whether the totals can be trusted. What else is done with each measured request is a [`Sink`].
//!
//! Nothing here reads a clock, prints or writes: outcomes go in, figures come out. Memory does not
//! grow with the number of requests. Nothing can fail either, so that the room has no error type: what
//! has no place in a total (a time beyond the scale, a figure that is not a number) is counted.

mod asked_lengths;
mod cached_tokens;
mod circumstances;
mod compared;
mod counts;
mod estimate;
mod failure_counts;
mod figures;
mod finish_reasons;
mod first_requests;
mod goodput;
mod groups;
mod histogram;
mod input_length;
mod json;
mod judge;
mod measure;
mod objective;
mod over_time;
mod parts;
mod pauses;
mod ratio_errors;
mod run_span;
mod running;
mod sample;
mod saturation;
mod saturation_watch;
mod search;
mod sessions;
mod share_test;
mod share_watch;
mod short_outputs;
mod sink;
mod sketch;
mod slowest;
mod spread;
mod steady;
mod texts;
mod timeline;
mod tokens;
mod verdict;
mod workers;

pub use asked_lengths::LengthsAsked;
pub use circumstances::{Circumstances, ConnectionUse, DatasetUse, StoppedBy, asked_output_tokens};
pub use compared::{METRICS, Metric, MetricSource};
pub use counts::{Counts, FailureCount, TokenSpreads, TokenTotals};
pub use estimate::Estimate;
pub use figures::{Figures, Metrics};
pub use first_requests::FirstRequests;
pub use groups::{GroupBy, Groups};
pub use json::{time_of_rates, totals, verdict};
pub use judge::judge;
pub use llmuses_core::document::Percentile;
pub use llmuses_core::student::student;
pub use measure::{Measurement, Origin, output_gaps};
pub use objective::{NoShareError, RunObjective, RunObjectiveError};
pub use parts::circumstances_of_parts;
pub use pauses::{OtherRuns, Pauses, ProcessorWaits};
pub use running::RunStatistics;
pub use sample::Sample;
pub use saturation::{Saturation, Slope};
pub use saturation_watch::SaturationWatch;
pub use search::{Probe, Search};
pub use sessions::SessionTotals;
pub use share_test::{FEWEST_REQUESTS, ShareFound};
pub use share_watch::ShareWatch;
pub use short_outputs::{EndedBy, ShortOutputs};
pub use sink::{RunSoFar, Sink};
pub use sketch::Sketch;
pub use slowest::{SlowRequest, Slowest};
pub use spread::{Interval, LONGEST, Spread};
pub use timeline::{Slot, Timeline};
pub use tokens::{Bar, TokenSpread};
pub use verdict::{Doubt, TokenSide};
pub use workers::{ByWorker, UnlikeWorker};
