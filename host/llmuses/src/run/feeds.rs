//! Where the requests of each client thread come from.

use super::preparation::Preparation;
use super::slots::slots;
use llmuses_core::exchange::Prepared;
use llmuses_core::in_flight::InFlight;
use llmuses_core::plan::{Arrivals, Load, Plan};
use llmuses_load::{Pacing, due_times};
use llmuses_transport::worker::{Feed, Opening, Ramp};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Where each worker's requests come from, and the pacer's part where there is one.
pub(super) fn feeds(
    plan: &Plan,
    prepared: &Preparation,
    bodies: flume::Receiver<Prepared>,
    gauge: &Arc<InFlight>,
) -> (Vec<Feed>, Option<Pacing>) {
    let load = &plan.load;
    let threads = plan.transport.threads(load);
    if !load.arrivals.is_open() {
        return (closed_feeds(load, threads, &bodies), None);
    }
    let (workers, feeds) = (0..threads)
        .map(|_| {
            let (target, due) = mpsc::unbounded_channel();
            (target, Feed::Open { due })
        })
        .unzip();
    let pacing = Pacing {
        due_times: due_times(load),
        split: load.split(),
        until: load.duration,
        // Of sessions, first turns.
        requests: match plan.work.sessions.turns {
            Some(_) => plan.load.sessions,
            None => plan.expected_requests(),
        },
        bodies,
        workers,
        in_flight: Arc::clone(gauge),
        budget: Arc::clone(&prepared.budget),
        most: prepared.max_in_flight.unwrap_or(u64::MAX),
    };
    (feeds, Some(pacing))
}

fn closed_feeds(load: &Load, threads: usize, bodies: &flume::Receiver<Prepared>) -> Vec<Feed> {
    let parallel = match load.arrivals {
        Arrivals::Closed { parallel } => parallel,
        Arrivals::Open { .. } | Arrivals::AllAtOnce | Arrivals::Trace(_) => 0,
    };
    let slots = slots(load, parallel);
    let threads = threads.min(slots);
    let (part, parts) = (load.shard.part() as usize, load.shard.parts() as usize);
    let ramp_up = load.ramp_up.map(|time| Opening::Within(time, parallel));
    let opening = load.stages.clone().map(Opening::Stages).or(ramp_up);
    (0..threads)
        .map(|index| Feed::Closed {
            queue: bodies.clone(),
            slots: slots / threads + usize::from(index < slots % threads),
            ramp: opening.clone().map(|opening| Ramp {
                opening,
                // Users of the whole load come in turn from all parts.
                first: index * parts + part,
                step: threads * parts,
            }),
        })
        .collect()
}
