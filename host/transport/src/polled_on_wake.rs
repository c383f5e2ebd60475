//! A future beside another one in the same task, which is polled only when it asked for that.
//!
//! A task does not know for which of its futures it was woken, so each of them is polled every time. For a stream that
//! waits for its next token that is most of the work: with a chunk that comes alone, nothing of the stream is in
//! the processor's cache, and a timer or a channel that is looked at in vain is several pieces of memory to wait for.

use futures_util::task::AtomicWaker;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// How often any of these futures has asked to be polled. One count for all: it is in every processor's cache where a
/// flag for each stream would have to be fetched, and to be polled for another one's sake does no harm.
static CALLS: AtomicU64 = AtomicU64::new(0);

/// See the top of this file.
#[derive(Debug)]
pub(super) struct PolledOnWake<'a, F> {
    future: Pin<&'a mut F>,
    calls: &'static AtomicU64,
    /// The count at the last poll of the future; `None` before the first.
    seen: Option<u64>,
    task: Arc<Task>,
}

/// The task that is to poll a future.
#[derive(Debug)]
struct Task {
    waker: AtomicWaker,
    /// [`CALLS`], but in tests.
    calls: &'static AtomicU64,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.calls.fetch_add(1, Ordering::Release);
        self.waker.wake();
    }
}

impl<'a, F: Future> PolledOnWake<'a, F> {
    /// Polls `future` the first time that it is asked to, and from then on when `future` has woken it.
    pub(super) fn new(future: Pin<&'a mut F>) -> Self {
        Self::counted(future, &CALLS)
    }

    fn counted(future: Pin<&'a mut F>, calls: &'static AtomicU64) -> Self {
        Self {
            future,
            calls,
            seen: None,
            task: Arc::new(Task {
                waker: AtomicWaker::new(),
                calls,
            }),
        }
    }

    /// Polls the future if it asked for that. Like any future it is not to be polled once it has ended, and all polls
    /// are to come from one task: it is the task of the last poll of the future that is woken.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<F::Output> {
        let calls = Some(self.calls.load(Ordering::Acquire));
        if self.seen == calls {
            return Poll::Pending;
        }
        // The count is taken first: a call that comes from now on is for the next time. It may have taken the registered
        // task out, so that is put back, and before the poll, which may be what leads to the next call.
        self.seen = calls;
        self.task.waker.register(context.waker());
        let waker = Waker::from(Arc::clone(&self.task));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::sync::atomic::AtomicUsize;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A count that no other test shares.
    fn count() -> &'static AtomicU64 {
        Box::leak(Box::default())
    }

    fn task() -> (Arc<Woken>, Waker) {
        let woken = Arc::<Woken>::default();
        (Arc::clone(&woken), Waker::from(woken))
    }

    #[test]
    fn it_is_polled_at_first_and_then_when_it_was_woken() {
        let polls = Cell::new(0);
        let kept = Cell::new(None);
        let future = pin!(poll_fn(|context| {
            polls.set(polls.get() + 1);
            kept.set(Some(context.waker().clone()));
            match polls.get() {
                4 => Poll::Ready("over"),
                _ => Poll::Pending,
            }
        }));
        let mut beside = PolledOnWake::counted(future, count());
        let (woken, waker) = task();
        for times in 1..4 {
            // The second time in vain.
            for _ in 0..2 {
                assert!(beside.poll(&Context::from_waker(&waker)).is_pending());
                assert_eq!(polls.get(), times);
            }
            kept.take().unwrap().wake();
            assert_eq!(woken.0.load(Ordering::Relaxed), times);
        }
        assert_eq!(
            beside.poll(&Context::from_waker(&waker)),
            Poll::Ready("over")
        );
    }

    #[test]
    fn it_may_be_polled_for_the_sake_of_another_one() {
        let polls = [Cell::new(0), Cell::new(0)];
        let kept = Cell::new(None);
        let first = pin!(poll_fn(|context| {
            polls[0].set(polls[0].get() + 1);
            kept.set(Some(context.waker().clone()));
            Poll::<()>::Pending
        }));
        let second = pin!(poll_fn(|_| {
            polls[1].set(polls[1].get() + 1);
            Poll::<()>::Pending
        }));
        let count = count();
        let mut first = PolledOnWake::counted(first, count);
        let mut second = PolledOnWake::counted(second, count);
        let [one, other] = [task(), task()];
        let mut poll = || {
            assert!(first.poll(&Context::from_waker(&one.1)).is_pending());
            assert!(second.poll(&Context::from_waker(&other.1)).is_pending());
            polls.each_ref().map(Cell::get)
        };
        assert_eq!(poll(), [1, 1]);
        assert_eq!(poll(), [1, 1]);
        kept.take().unwrap().wake();
        assert_eq!(poll(), [2, 2]);
        assert_eq!(poll(), [2, 2]);
        let woken = [one, other].map(|(woken, _)| woken.0.load(Ordering::Relaxed));
        assert_eq!(woken, [1, 0]);
    }

    #[test]
    fn a_future_that_wakes_itself_while_it_is_polled_is_polled_again() {
        let polls = Cell::new(0);
        let future = pin!(poll_fn(|context| {
            polls.set(polls.get() + 1);
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        let mut beside = PolledOnWake::counted(future, count());
        let (woken, waker) = task();
        for times in 1..4 {
            assert!(beside.poll(&Context::from_waker(&waker)).is_pending());
            assert_eq!(polls.get(), times);
            assert_eq!(woken.0.load(Ordering::Relaxed), times);
        }
    }
}
