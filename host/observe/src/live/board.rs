//! Where the snapshots hang.

use super::Snapshot;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Holds the latest snapshot of each run of a sweep. Copies are the same board.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Vec<Arc<Snapshot>>>>);

impl Board {
    /// Replaces the snapshot of the same run, or begins with one of the next.
    pub fn publish(&self, snapshot: Snapshot) {
        let mut snapshots = self.snapshots();
        if snapshots
            .last()
            .is_some_and(|last| last.run == snapshot.run)
        {
            snapshots.pop();
        }
        snapshots.push(Arc::new(snapshot));
    }

    /// The latest snapshot. `None` before the first request.
    pub fn latest(&self) -> Option<Arc<Snapshot>> {
        self.snapshots().last().cloned()
    }

    /// The latest snapshot of each run so far, in the order of the runs.
    pub fn all(&self) -> Vec<Arc<Snapshot>> {
        self.snapshots().clone()
    }

    /// A viewer that panicked left the list whole: it only ever clones it.
    fn snapshots(&self) -> MutexGuard<'_, Vec<Arc<Snapshot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
