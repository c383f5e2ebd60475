//! Doubts about workers that sent a run together.

use crate::circumstances::Circumstances;
use crate::running::RunStatistics;
use crate::verdict::Doubt;
use llmuses_core::document::WorkerFigures;
use std::time::Duration;

/// Clocks of workers may be apart by this.
const MOST_APART: Duration = Duration::from_millis(10);
/// And by this share of the run.
const APART_SHARE: f64 = 0.01;

pub(super) fn lost_worker(circumstances: &Circumstances) -> Option<Doubt> {
    circumstances.workers.iter().find_map(|worker| {
        Some(Doubt::LostWorker {
            name: worker.name.clone(),
            after_seconds: worker.lost_after_seconds?,
            reason: worker.lost.clone()?,
            without_result: worker.requests_without_result,
            due_without_result: worker.due_without_result,
        })
    })
}

/// Times of day of several machines are as far apart as their clocks.
pub(super) fn workers_apart(
    statistics: &RunStatistics,
    circumstances: &Circumstances,
) -> Option<Doubt> {
    let wall = statistics.wall()?;
    let limit = MOST_APART.min(wall.mul_f64(APART_SHARE));
    let apart = |worker: &WorkerFigures| {
        Some(worker.clock_bound_seconds? + worker.clock_drift_seconds.unwrap_or_default())
    };
    let workers = circumstances.workers.iter();
    let known = workers.filter_map(|worker| Some((worker, apart(worker)?)));
    let (worst, seconds) = known.max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    (seconds > limit.as_secs_f64()).then(|| Doubt::WorkersApart {
        name: worst.name.clone(),
        seconds,
        limit,
    })
}

pub(super) fn unlike_workers(circumstances: &Circumstances) -> Option<Doubt> {
    let workers = circumstances.unlike_workers.iter();
    let most = workers.max_by(|a, b| {
        a.difference_seconds
            .abs()
            .total_cmp(&b.difference_seconds.abs())
    })?;
    Some(Doubt::UnlikeWorkers(most.clone()))
}

pub(super) fn workers_on_one_machine(circumstances: &Circumstances) -> Option<Doubt> {
    let workers = &circumstances.workers;
    if circumstances.workers_share_a_machine {
        return None;
    }
    workers.iter().enumerate().find_map(|(place, worker)| {
        worker.boot.as_ref()?;
        let mut others = workers[place + 1..].iter();
        let other = others.find(|other| other.boot == worker.boot)?;
        Some(Doubt::WorkersOnOneMachine {
            names: [worker.name.clone(), other.name.clone()],
        })
    })
}
