//! Where the latest snapshot hangs.

use super::Snapshot;
use std::sync::{Arc, Mutex, PoisonError};

/// Holds the latest snapshot. Copies are the same board.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<Option<Arc<Snapshot>>>>);

impl Board {
    /// Replaces the snapshot.
    pub fn publish(&self, snapshot: Snapshot) {
        let snapshot = Some(Arc::new(snapshot));
        // A viewer that broke off left the value whole: it only ever clones it.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = snapshot;
    }

    /// The latest snapshot. `None` before the first request.
    pub fn latest(&self) -> Option<Arc<Snapshot>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
