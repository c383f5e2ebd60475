//! The flags of `perf` as those of a search.

use super::PerfArguments;
use super::usage::UsageError;
use crate::run::Outputs;
use llmuses_core::metric::Objective;
use llmuses_core::plan::{Gaps, Objectives, ShareBound, ShareOf, Sweep, Warmup};
use std::time::Duration;

/// The flags that a search has no use for: it sets the load and its length by itself, and has objectives in place of bounds.
pub(in crate::cli) const NOT_OF_A_SEARCH: [&str; 29] = [
    "number",
    "sessions",
    "parallel",
    "rate",
    "dry-run",
    "arrival",
    "repeat",
    "stages",
    "rate-from",
    "ramp-up",
    "trace",
    "trace-speed",
    "trace-limit",
    "max-in-flight",
    "duration",
    "drain-timeout",
    "keep-going",
    "require-valid",
    "fail-if",
    "stop-if",
    "record",
    "log-every-n-query",
    "no-progress",
    "shard",
    "start-at",
    "on",
    "hosts",
    "worker-program",
    "workers-timeout",
];

/// Requests of this time of a probe are in no figure: a queue that was empty fills.
const WARMUP: Duration = Duration::from_secs(5);

impl PerfArguments {
    /// The time between two probes, where it was given.
    pub(in crate::cli) fn cool_down(&self) -> Option<Duration> {
        self.repeats.cool_down
    }

    /// Whether the run has a name of its own.
    pub(in crate::cli) fn has_name(&self) -> bool {
        self.name.is_some()
    }

    /// The load of each probe but for what is varied, where results go, and the objectives.
    ///
    /// # Errors
    /// What of it cannot be done.
    pub(in crate::cli) fn for_search(
        mut self,
    ) -> Result<(Sweep, Outputs, Vec<ShareBound>), UsageError> {
        let given = [
            ("--number", self.number.is_some()),
            ("--sessions", self.sessions.number.is_some()),
            ("--parallel", !self.parallel.is_empty()),
            ("--rate", !self.rate.is_empty()),
            ("--trace", self.replay()?.is_some()),
            ("--stages", self.stages.is_some()),
            ("--rate-from", self.rate_from.is_some()),
            ("--arrival", self.arrival != Gaps::Poisson),
            ("--max-in-flight", self.max_in_flight.is_some()),
            ("--repeat", self.repeats.repeat.is_some()),
            ("--ramp-up", self.ramp_up.is_some()),
            ("--dry-run", self.dry_run),
            ("--duration", self.duration.is_some()),
            ("--keep-going", self.keep_going),
            ("--require-valid", self.require_valid),
            ("--fail-if", !self.fail_if.is_empty()),
            ("--stop-if", !self.stop_if.is_empty()),
            ("--record", self.record.is_some()),
            ("--shard", self.parts.shard.is_some()),
            ("--start-at", self.parts.start_at.is_some()),
            ("--on", self.workers.on.is_some()),
        ];
        if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
            return Err(UsageError::NotOfASearch { flag });
        }
        let bounds = std::mem::take(&mut self.objective)
            .iter()
            .map(|objective| objective.share_bound())
            .collect::<Result<Vec<_>, _>>()?;
        if bounds.is_empty() {
            return Err(UsageError::Search {
                reason: "give an objective, such as --objective 'ttft_p99<200ms'",
            });
        }
        let is_slow = |bound: &ShareBound| matches!(bound.of, ShareOf::Longer(..)) && !bound.below;
        if bounds.iter().any(is_slow) {
            return Err(UsageError::Search {
                reason: "a time is to be below its bound in a search: give --objective 'FIGURE<VALUE'",
            });
        }
        if bounds.iter().any(|bound| bound.of == ShareOf::MetAll) && self.goodput.is_none() {
            return Err(UsageError::NoGoodput);
        }
        self.goodput = self.goodput.or_else(|| of_each_request(&bounds));
        self.warmup = self.warmup.or(Some(Warmup::Time(WARMUP)));
        // Whether requests fail is for the objectives to say.
        self.keep_going = true;
        // The search has it.
        self.repeats.cool_down = None;
        let (sweep, mut outputs) = self.into_sweep()?;
        outputs.quiet = true;
        outputs.live_view = None;
        Ok((sweep, outputs, bounds))
    }
}

/// The times of the objectives as objectives of each request, for the goodput.
fn of_each_request(bounds: &[ShareBound]) -> Option<Objectives> {
    let mut times: Vec<_> = bounds
        .iter()
        .filter_map(|bound| match bound.of {
            ShareOf::Longer(time, most) if bound.below && time.objective != Objective::Never => {
                Some((time, most))
            }
            _ => None,
        })
        .collect();
    // Of several percentiles of one time, the longest bound.
    times.sort_by_key(|(_, most)| *most);
    (!times.is_empty()).then(|| Objectives::of(times))
}
