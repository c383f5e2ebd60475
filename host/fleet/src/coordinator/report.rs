//! What each worker did, for whoever tells of the run.

use super::Fleet;
use crate::bounds::ClockOffset;
use crate::lines::Hello;
use llmuses_core::clock::Moment;
use serde_json::value::RawValue;
use std::time::Duration;

/// What a worker did in a load.
#[derive(Debug)]
pub struct WorkerReport {
    /// How it is called.
    pub name: String,
    /// What it said it is.
    pub hello: Option<Hello>,
    /// The offset of its clock at the beginning of the load.
    pub offset: ClockOffset,
    /// By how much its wall clock was ahead of that of this machine, in nanoseconds.
    pub wall_offset_nanos: i64,
    /// The most by which the clocks moved against each other during the load, in nanoseconds.
    pub drift_nanos: u64,
    /// Results that came.
    pub rows: u64,
    /// Requests that it had begun and of which no result came, as far as it had said.
    pub missing: u64,
    /// When after the beginning it was lost, and why.
    pub lost: Option<(Duration, String)>,
    /// Its totals, as JSON. `None`: it was lost.
    pub totals: Option<Box<RawValue>>,
}

impl Fleet {
    /// What each worker did in the load that is over.
    pub fn reports(&mut self) -> Vec<WorkerReport> {
        let clock = self.clock;
        let reports = self.members.iter_mut().map(|member| {
            let later = member.link.bounds().of_last().unwrap_or(member.offset);
            let origins = member.hello.as_ref().map_or(0, |hello| {
                i128::from(hello.unix_nanos) - i128::from(clock.unix_nanos(Moment::default()))
            });
            WorkerReport {
                name: member.link.name.clone(),
                hello: member.hello.clone(),
                offset: member.offset,
                wall_offset_nanos: i64::try_from(origins + i128::from(member.offset.nanos))
                    .unwrap_or_default(),
                drift_nanos: member.offset.drift_nanos(&later),
                rows: member.rows,
                missing: if member.lost.is_some() {
                    member.missing()
                } else {
                    0
                },
                lost: member.lost.clone().map(|loss| (loss.after, loss.reason)),
                totals: member.totals.take(),
            }
        });
        reports.collect()
    }
}
