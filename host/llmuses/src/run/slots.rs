//! How many requests of a load this process has in flight at once, and whether the machine holds so many.

use llmuses_core::plan::{Arrivals, Load, PromptSource, Work};
use llmuses_transport::capacity;
use llmuses_transport::capacity::CapacityError;

/// Makes sure that this machine holds the connections of a load.
pub(super) fn ensure_capacity(work: &Work, load: &Load) -> Result<(), CapacityError> {
    let requests = match (&work.prompts, load.requests, load.duration) {
        (PromptSource::Prompt(_) | PromptSource::Generated(_), None, None) => Some(1),
        // As many as the data set has; nobody knows before it was read.
        (_, requests, _) => requests,
    };
    let requests = requests.map(|requests| load.split().count(requests));
    let at_once = match (load.arrivals, own_in_flight(load)) {
        (Arrivals::Closed { parallel }, _) => slots(load, parallel) as u64,
        (_, Some(most)) => most.min(requests.unwrap_or(most)),
        (Arrivals::AllAtOnce, None) => requests.unwrap_or_default(),
        // Depends on the server.
        (Arrivals::Open { .. } | Arrivals::Trace(_), None) => 0,
    };
    capacity::ensure(at_once)
}

/// The slots of a closed loop that this process has and that can ever be busy.
pub(super) fn slots(load: &Load, parallel: usize) -> usize {
    let own = load.shard.share_of(parallel as u64);
    let busy = match load.requests {
        Some(requests) => own.min(load.split().count(requests)),
        None => own,
    };
    usize::try_from(busy).unwrap_or(usize::MAX)
}

/// The most requests of an open loop that may be in flight here, where that was asked for.
pub(super) fn own_in_flight(load: &Load) -> Option<u64> {
    load.max_in_flight.map(|most| load.shard.share_of(most))
}
