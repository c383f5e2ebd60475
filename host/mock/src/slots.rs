//! How many requests are answered at once, and who waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places at which requests are answered.
#[derive(Debug)]
pub(super) struct Slots {
    /// Without it there is no limit.
    free: Option<Arc<Semaphore>>,
    queue_limit: u64,
    busy: Arc<AtomicU64>,
    waiting: AtomicU64,
}

/// A request's place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    /// Whether the request had to wait for it.
    pub(super) waited: bool,
    busy: Arc<AtomicU64>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request in the queue, which it leaves when this is dropped, whatever the reason.
struct Waiting<'a>(&'a AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Slots {
    pub(super) fn new(slots: Option<usize>, queue_limit: Option<usize>) -> Self {
        Self {
            free: slots.map(|slots| Arc::new(Semaphore::new(slots))),
            queue_limit: queue_limit.map_or(u64::MAX, |limit| limit as u64),
            busy: Arc::default(),
            waiting: AtomicU64::new(0),
        }
    }

    /// Waits for a slot, first come, first served; nothing if too many wait already.
    pub(super) async fn take(&self) -> Option<Slot> {
        let Some(free) = &self.free else {
            return Some(self.slot(None, false));
        };
        if let Ok(permit) = Arc::clone(free).try_acquire_owned() {
            return Some(self.slot(Some(permit), false));
        }
        if self.waiting.load(Ordering::Relaxed) >= self.queue_limit {
            return None;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        // It is never closed.
        let permit = Arc::clone(free).acquire_owned().await.ok()?;
        Some(self.slot(Some(permit), true))
    }

    fn slot(&self, permit: Option<OwnedSemaphorePermit>, waited: bool) -> Slot {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Slot {
            waited,
            busy: Arc::clone(&self.busy),
            _permit: permit,
        }
    }

    /// How many requests are being answered, for whoever has to look often.
    pub(super) fn busy(&self) -> &Arc<AtomicU64> {
        &self.busy
    }

    /// How many requests wait.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_comes_first_is_served_first() {
        let slots = Arc::new(Slots::new(Some(1), Some(2)));
        let first = slots.take().await;
        assert_eq!(first.as_ref().map(|slot| slot.waited), Some(false));
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        for number in 0..2 {
            let (own, tell) = (Arc::clone(&slots), tell.clone());
            tokio::spawn(async move {
                let slot = own.take().await;
                tell.send((number, slot.map(|slot| slot.waited))).ok();
            });
            tokio::task::yield_now().await;
        }
        assert_eq!(slots.waiting(), 2);
        assert!(slots.take().await.is_none());
        drop(first);
        assert_eq!(told.recv().await, Some((0, Some(true))));
        assert_eq!(told.recv().await, Some((1, Some(true))));
        assert_eq!(
            (slots.waiting(), slots.busy().load(Ordering::Relaxed)),
            (0, 0)
        );
    }

    #[tokio::test]
    async fn who_leaves_the_queue_is_not_counted_any_more() {
        let slots = Slots::new(Some(1), None);
        let _first = slots.take().await;
        let soon = std::time::Duration::from_millis(1);
        assert!(tokio::time::timeout(soon, slots.take()).await.is_err());
        assert_eq!(slots.waiting(), 0);
    }

    #[tokio::test]
    async fn without_a_limit_nobody_waits() {
        let slots = Slots::new(None, None);
        let taken = [slots.take().await, slots.take().await];
        assert_eq!(slots.busy().load(Ordering::Relaxed), 2);
        drop(taken);
        assert_eq!(slots.busy().load(Ordering::Relaxed), 0);
    }
}
