//! What ties the tokens of a stream to the writes that carry them.
//!
//! A body hands its frames to the HTTP library, which writes them some time later. So the body leaves a [`Label`] in
//! the [`Outbox`] of its connection for each frame, and the [`Stamper`] below the library, which sees every
//! write, gives all labels that a write carried the time just before that write. With a first token it also asks the
//! kernel when the bytes left.
//!
//! On HTTP/1 this is exact: frames leave in the order of their labels, and a write offers all that is there. A
//! write that was taken in part only is compared with the sizes of the frames. On HTTP/2 a label gets the time of
//! the connection's next write, which is too early where the client's window is shut.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use llmuses_kernel_io::{Write, WriteHook};

use super::exchange::{Exchange, Frame};

/// One frame that is on its way to the client.
#[derive(Debug)]
pub(super) struct Label {
    pub(super) frame: Frame,
    /// How many bytes the frame takes on an HTTP/1.1 connection.
    pub(super) bytes: usize,
    pub(super) exchange: Arc<Exchange>,
}

/// The frames of one connection that no write has carried yet, oldest first.
#[derive(Debug, Default)]
pub(super) struct Outbox(Mutex<VecDeque<Label>>);

impl Outbox {
    /// Notes a frame, just before it is handed to the HTTP library.
    pub(super) fn push(&self, label: Label) {
        self.labels().push_back(label);
    }

    fn labels(&self) -> std::sync::MutexGuard<'_, VecDeque<Label>> {
        // A queue is whole even where a thread ended while it held it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives labels their times. It is the hook of a connection's stream.
#[derive(Debug)]
pub(super) struct Stamper {
    outbox: Arc<Outbox>,
}

impl Stamper {
    pub(super) fn new(outbox: Arc<Outbox>) -> Self {
        Self { outbox }
    }
}

impl WriteHook for Stamper {
    fn wants_departure(&self) -> bool {
        let labels = self.outbox.labels();
        labels.iter().any(|label| label.frame.begins())
    }

    fn wrote(&mut self, write: Write) {
        let mut labels = self.outbox.labels();
        let carried = carried(labels.iter().map(|label| label.bytes), write);
        for label in labels.drain(..carried) {
            label.exchange.written(label.frame, write);
        }
    }
}

/// How many of the waiting frames, whose sizes these are, a write carried at least a part of.
///
/// They are the last of the bytes offered, since every earlier frame was carried before.
fn carried(sizes: impl ExactSizeIterator<Item = usize> + Clone, write: Write) -> usize {
    if write.accepted == write.offered {
        return sizes.len();
    }
    let waiting: usize = sizes.clone().sum();
    let mut begin = write.offered.saturating_sub(waiting);
    sizes
        .take_while(|size| {
            let reached = write.accepted > begin;
            begin += size;
            reached
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn count(sizes: &[usize], offered: usize, accepted: usize) -> usize {
        let at = Instant::now();
        carried(
            sizes.iter().copied(),
            Write {
                at,
                left: None,
                offered,
                accepted,
            },
        )
    }

    #[test]
    fn a_whole_write_carries_every_frame() {
        assert_eq!(count(&[10, 10, 10], 50, 50), 3);
        assert_eq!(count(&[], 50, 50), 0);
        // Sizes that do not add up (another protocol) must not leave a label behind.
        assert_eq!(count(&[100], 50, 50), 1);
    }

    #[test]
    fn a_write_taken_in_part_carries_the_frames_that_it_reached() {
        // 20 bytes of older frames or of the head, then the three frames.
        assert_eq!(count(&[10, 10, 10], 50, 20), 0);
        assert_eq!(count(&[10, 10, 10], 50, 21), 1);
        assert_eq!(count(&[10, 10, 10], 50, 30), 1);
        assert_eq!(count(&[10, 10, 10], 50, 31), 2);
        assert_eq!(count(&[10, 10, 10], 50, 49), 3);
        assert_eq!(count(&[100], 50, 0), 0);
    }
}
