//! When requests are sent: the loads of a sweep, and what of their arguments contradicts itself.

use super::super::PerfArguments;
use super::super::usage::UsageError;
use llmuses_core::plan::{Arrivals, Gaps, Load, Shard, ShareOf, Staged, Stages, StopRule, Warmup};
use llmuses_kernel_io::regular_file::read_regular_text;
use llmuses_render::compare::Bound;
use llmuses_stats::RunObjective;

impl PerfArguments {
    /// What of the load contradicts itself.
    pub(super) fn check_load(&self) -> Result<(), UsageError> {
        if let (Some(Warmup::Requests(warmup)), Some(requests)) = (self.warmup, self.number)
            && warmup >= requests
        {
            return Err(UsageError::AllWarmup { warmup, requests });
        }
        if let (Some(Warmup::Time(warmup)), Some(duration)) = (self.warmup, self.duration)
            && warmup >= duration
        {
            return Err(UsageError::LongWarmup { warmup, duration });
        }
        let several = self.rate.len().max(self.parallel.len()) > 1 || self.repeats.repeat.is_some();
        if self.repeats.cool_down.is_some() && !several {
            return Err(UsageError::NothingToCoolDown);
        }
        if self.duration.is_some()
            && self.number.is_none()
            && self.rate.contains(&Arrivals::AllAtOnce)
        {
            return Err(UsageError::EndlessAtOnce);
        }
        let stages = self.stages()?;
        if let Some(stages) = self.stages.as_ref().filter(|stages| !stages.have_figures()) {
            let stages = stages.count();
            return Err(UsageError::ManyStages { stages });
        }
        let has_gaps = !self.rate.is_empty()
            || (stages.as_ref()).is_some_and(|stages| stages.of() == Staged::Rate);
        let has_replay = self.replay()?.is_some();
        let is_open = has_gaps || has_replay;
        for (flag, given, of_load) in [
            ("--arrival", self.arrival != Gaps::default(), has_gaps),
            ("--max-in-flight", self.max_in_flight.is_some(), is_open),
        ] {
            if given && !of_load {
                return Err(UsageError::OnlyOpen { flag });
            }
        }
        if self.ramp_up.is_some() && (is_open || stages.is_some()) {
            return Err(UsageError::OnlyClosed { flag: "--ramp-up" });
        }
        if let (Some(Warmup::Time(warmup)), Some(stages)) = (self.warmup, &stages)
            && warmup >= stages.length()
        {
            let duration = stages.length();
            return Err(UsageError::LongWarmup { warmup, duration });
        }
        if self.arrival != Gaps::default() && self.rate.contains(&Arrivals::AllAtOnce) {
            return Err(UsageError::GapsAtOnce);
        }
        if self.stop_if.contains(&StopRule::Saturated) && !is_open {
            return Err(UsageError::SaturatedClosed);
        }
        let is_of_goodput =
            |rule: &StopRule| matches!(rule, StopRule::Share(bound) if bound.of == ShareOf::MetAll);
        let needs_goodput = self.stop_if.iter().any(is_of_goodput)
            || self.objective.iter().any(RunObjective::depends_on_goodput)
            || self.fail_if.iter().any(Bound::depends_on_goodput);
        if needs_goodput && self.goodput.is_none() {
            return Err(UsageError::NoGoodput);
        }
        Ok(())
    }

    /// The loads to be run, in the order in which they were given; one at least.
    ///
    /// # Errors
    /// What of them cannot be done.
    pub(in crate::cli::perf) fn loads(&self, shard: Shard) -> Result<Vec<Load>, UsageError> {
        let closed = |parallel: u32| Arrivals::Closed {
            parallel: parallel as usize,
        };
        let with_gaps = |arrivals: &Arrivals| match *arrivals {
            Arrivals::Open { rate, .. } => Arrivals::Open {
                rate,
                gaps: self.arrival,
            },
            other => other,
        };
        let mut arrivals: Vec<Arrivals> = self.rate.iter().map(with_gaps).collect();
        arrivals.extend(self.parallel.iter().copied().map(closed));
        let stages = self.stages()?;
        if let Some(stages) = &stages {
            let peak = stages.peak();
            arrivals.push(match stages.of() {
                Staged::Rate => Arrivals::Open {
                    rate: peak,
                    gaps: self.arrival,
                },
                Staged::Parallel => Arrivals::Closed {
                    parallel: peak as usize,
                },
            });
        }
        arrivals.extend(self.replay()?.map(Arrivals::Trace));
        if arrivals.is_empty() {
            arrivals.push(closed(1));
        }
        let repeats = self.repeats.repeat.unwrap_or(1);
        let loads = arrivals.into_iter().flat_map(|arrivals| {
            // Each run has bursts and pauses of its own.
            (0..repeats).map(move |repeat| (arrivals, repeat))
        });
        Ok(loads
            .map(|(arrivals, repeat)| Load {
                arrivals,
                repeat: self.repeats.repeat.map(|_| u64::from(repeat) + 1),
                stages: stages.clone(),
                rate_from: self.rate_from.clone(),
                ramp_up: self.ramp_up,
                max_in_flight: self.max_in_flight.map(u64::from),
                seed: self.seed.wrapping_add(u64::from(repeat)),
                requests: self.number,
                sessions: self.sessions.number,
                duration: self.duration.or_else(|| Some(stages.as_ref()?.length())),
                drain: self.drain_timeout,
                keep_going: self.keep_going,
                warmup: self.warmup.unwrap_or_default(),
                objectives: self.goodput,
                shard,
                is_part: self.parts.is_part(),
                start_at: self.parts.start_at,
                stop_if: self.stop_if.clone(),
                cancel: self.cancel.clone(),
            })
            .collect())
    }

    /// The stages of the load, be they given or read from a table.
    ///
    /// # Errors
    /// What of the table cannot be used.
    fn stages(&self) -> Result<Option<Stages>, UsageError> {
        /// A table of the most rows has a tenth of that.
        const MOST_BYTES: u64 = 4 << 20;
        let Some(path) = self.rate_from.clone() else {
            return Ok(self.stages.clone());
        };
        let text = match read_regular_text(&path, MOST_BYTES) {
            Ok(text) => text,
            Err(reason) => return Err(UsageError::RateFile { path, reason }),
        };
        match Stages::of_table(&text) {
            Ok(stages) => Ok(Some(stages)),
            Err(reason) => Err(UsageError::RateTable { path, reason }),
        }
    }
}
