//! Tests whose result depends on how soon this machine gets to something. They run one after another, whatever else runs
//! beside them, and what a busy machine may hide is tried again a few times: a fault shows each time.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often a run is tried whose outcome the machine may spoil.
pub const TRIES: usize = 3;

/// Waits until no other of these tests runs. The test has its turn for as long as it keeps what this gives.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    // A test that failed had its turn all the same.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first outcome that there is, of as many tries as there may be.
pub fn tried<T>(run: impl FnMut() -> Option<T>) -> Option<T> {
    std::iter::repeat_with(run).take(TRIES).flatten().next()
}
