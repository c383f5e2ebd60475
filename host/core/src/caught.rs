//! Panics of code of others that are caught and told as errors.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

thread_local! {
    static IS_CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Runs code that may panic on what a user gives it. `None`: it panicked. What it was given must not be used for
/// anything that a half-done change of it could spoil.
pub fn caught<T>(run: impl FnOnce() -> T) -> Option<T> {
    let before = IS_CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(run)).ok();
    IS_CATCHING.set(before);
    result
}

/// Whether a panic of this thread is one that [`caught`] makes an error of, so that it needs no message of its own.
pub fn is_catching() -> bool {
    IS_CATCHING.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_nothing_and_others_are_told() {
        assert_eq!(caught(is_catching), Some(true));
        assert_eq!(caught(|| -> u32 { panic!("of a test") }), None);
        assert!(!is_catching());
    }
}
