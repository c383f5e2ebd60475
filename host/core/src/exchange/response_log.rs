//! The data of a response, event by event, as it arrived.

use crate::clock::Moment;

/// One response event: where its data lies, and when it was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ResponseEvent {
    /// The segment that holds its data.
    segment: u32,
    /// Where its data ends in the segment. It begins where that of the event before it ends, or with the
    /// segment.
    end: u32,
    arrival: Moment,
}

/// The data of a response, event by event.
///
/// For a stream: the data of each server-sent event without `[DONE]`. For a plain response: its one
/// body. The data lie one after the other in a few segments: a vector for every chunk of every stream would
/// cost more memory than the chunks, and one that grows would be copied over and over and leave holes behind
/// that thousands of streams at once do not fill.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResponseLog {
    /// The segment that is being filled. Not in the list below: an event that comes alone finds nothing of its
    /// response in the processor's cache, and would wait for one more piece of memory.
    open: Vec<u8>,
    /// The segments before that.
    full: Vec<Vec<u8>>,
    /// Bytes in all segments.
    bytes: usize,
    events: Vec<ResponseEvent>,
    /// Bytes of data that another process has.
    elsewhere: usize,
    streamed: bool,
    done: Option<Moment>,
}

/// The room of a segment, where no larger event needs more: the first ones have less, since many responses
/// are short. The largest is of some pages, since the allocator asks the system for each one anew.
const SEGMENT: std::ops::RangeInclusive<usize> = 256..=16 << 10;

impl ResponseLog {
    /// The most bytes that a response may have: offsets are 32 bits wide, and a server that sends more
    /// than this for one answer is broken. More is a failure of the request, with this figure in it.
    pub const LIMIT_BYTES: usize = 256 << 20;

    /// The most events that a response may have: empty ones take no bytes, but each is noted.
    pub const LIMIT_EVENTS: usize = 4 << 20;

    /// What an event takes beside its data, in bytes.
    pub const EVENT_BYTES: usize = size_of::<ResponseEvent>();

    /// A log of events whose data, of so many bytes in all, is with another process.
    pub fn without_data(arrivals: impl Iterator<Item = Moment>, bytes: usize) -> Self {
        let events = arrivals.map(|arrival| ResponseEvent {
            segment: 0,
            end: 0,
            arrival,
        });
        Self {
            events: events.take(Self::LIMIT_EVENTS).collect(),
            elsewhere: bytes,
            ..Self::default()
        }
    }

    /// The same events without their data, of which it still tells how much there was.
    pub fn to_times(&self) -> Self {
        Self {
            streamed: self.streamed,
            done: self.done,
            ..Self::without_data(self.arrivals(), self.bytes())
        }
    }

    /// The bytes of the data of all events.
    pub fn bytes(&self) -> usize {
        self.bytes.saturating_add(self.elsewhere)
    }

    /// Adds the data of a complete event.
    ///
    /// # Errors
    /// Gives back `false`, with nothing added, where the response would pass [`Self::LIMIT_BYTES`] or
    /// [`Self::LIMIT_EVENTS`].
    #[must_use]
    pub fn push(&mut self, data: &[u8], arrival: Moment) -> bool {
        if self.bytes + data.len() > Self::LIMIT_BYTES || self.events.len() >= Self::LIMIT_EVENTS {
            return false;
        }
        if self.open.capacity() - self.open.len() < data.len() {
            let room = self.bytes.clamp(*SEGMENT.start(), *SEGMENT.end());
            let full = std::mem::replace(&mut self.open, Vec::with_capacity(room.max(data.len())));
            // Before the first event with data there was none.
            if !full.is_empty() {
                self.full.push(full);
            }
        }
        self.bytes += data.len();
        self.open.extend_from_slice(data);
        // The limits above are far below 2^32, and there is an event with data for each segment.
        self.events.push(ResponseEvent {
            segment: self.full.len() as u32,
            end: self.open.len() as u32,
            arrival,
        });
        true
    }

    /// Keeps only the events that end within the first `bytes`, each counted with what is noted of it, and of one that
    /// does not its beginning. Gives back what it takes then.
    pub fn keep_beginning(&mut self, bytes: usize) -> usize {
        let mut kept = Self {
            streamed: self.streamed,
            done: self.done,
            ..Self::default()
        };
        let mut taken = 0;
        for (data, arrival) in self.iter().zip(self.arrivals()) {
            let Some(room) = bytes.checked_sub(taken + Self::EVENT_BYTES) else {
                break;
            };
            // It fits: it did before.
            let _ = kept.push(&data[..data.len().min(room)], arrival);
            taken += data.len().min(room) + Self::EVENT_BYTES;
        }
        *self = kept;
        taken
    }

    /// Gives back the memory that was kept ready for more, once there will be no more: a finished
    /// response may wait a while for the parser and for the database.
    pub fn shrink(&mut self) {
        self.open.shrink_to_fit();
        self.events.shrink_to_fit();
    }

    /// Notes that the response is a stream of events.
    pub fn set_streamed(&mut self) {
        self.streamed = true;
    }

    /// Whether the response was a stream of events rather than one body.
    pub fn is_streamed(&self) -> bool {
        self.streamed
    }

    /// Notes that the stream said `[DONE]`.
    pub fn set_done(&mut self, at: Moment) {
        self.done.get_or_insert(at);
    }

    /// When the stream said `[DONE]`, if it did.
    pub fn done(&self) -> Option<Moment> {
        self.done
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing arrived.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// When event `index` was complete.
    pub fn arrival(&self, index: usize) -> Option<Moment> {
        self.events.get(index).map(|event| event.arrival)
    }

    /// The arrivals of all events, in order.
    pub fn arrivals(&self) -> impl ExactSizeIterator<Item = Moment> + '_ {
        self.events.iter().map(|event| event.arrival)
    }

    /// The data of event `index`.
    pub fn data(&self, index: usize) -> Option<&[u8]> {
        let event = self.events.get(index)?;
        let before = index
            .checked_sub(1)
            .and_then(|before| self.events.get(before));
        self.between(before, event)
    }

    /// The data of all events, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> + '_ {
        let mut before = None;
        self.events.iter().map(move |event| {
            let data = self.between(before, event).unwrap_or_default();
            before = Some(event);
            data
        })
    }

    /// The data of an event, by the one before it.
    fn between(&self, before: Option<&ResponseEvent>, event: &ResponseEvent) -> Option<&[u8]> {
        let start = before
            .filter(|before| before.segment == event.segment)
            .map_or(0, |before| before.end);
        // The one that is being filled comes behind the others.
        let segment = self.full.get(event.segment as usize).unwrap_or(&self.open);
        segment.get(start as usize..event.end as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gives_back_each_event_with_its_arrival() {
        let mut log = ResponseLog::default();
        assert!(log.push(b"one", Moment::from_nanos(1)));
        assert!(log.push(b"", Moment::from_nanos(2)));
        assert!(log.push(b"three", Moment::from_nanos(2)));
        let all: Vec<&[u8]> = log.iter().collect();
        assert_eq!(all, [b"one".as_slice(), b"", b"three"]);
        assert_eq!(log.data(2), Some(b"three".as_slice()));
        assert_eq!(log.data(3), None);
        assert_eq!(log.arrival(1), Some(Moment::from_nanos(2)));
        assert_eq!(log.len(), 3);
    }

    #[test]
    fn a_log_of_any_sizes_gives_back_what_went_in() {
        let sizes = [0, 0, 1, 255, 1, 4096, 0, 3, 10_000, 1, 4000, 97, 0];
        let mut log = ResponseLog::default();
        let events: Vec<Vec<u8>> = (0..200)
            .map(|index| vec![index as u8; sizes[index % sizes.len()]])
            .collect();
        for event in &events {
            assert!(log.push(event, Moment::default()));
        }
        log.shrink();
        assert!(log.iter().eq(events.iter().map(Vec::as_slice)));
        for (index, event) in events.iter().enumerate() {
            assert_eq!(log.data(index), Some(event.as_slice()));
        }
        assert!(log.push(b"more", Moment::default()));
        assert_eq!(log.data(200), Some(b"more".as_slice()));
    }

    #[test]
    fn a_log_without_data_knows_how_much_there_was() {
        let arrivals = [Moment::from_nanos(3), Moment::from_nanos(9)];
        let log = ResponseLog::without_data(arrivals.into_iter(), 40);
        assert!(log.arrivals().eq(arrivals));
        assert_eq!((log.len(), log.bytes()), (2, 40));
        assert_eq!(log.data(1), Some(&b""[..]));
        let mut whole = ResponseLog::default();
        assert!(whole.push(b"four", arrivals[0]));
        assert_eq!(whole.bytes(), 4);
        whole.set_streamed();
        whole.set_done(arrivals[1]);
        let times = whole.to_times();
        assert_eq!((times.len(), times.bytes()), (1, 4));
        assert_eq!(times.data(0), Some(&b""[..]));
        assert!(times.is_streamed());
        assert_eq!(times.done(), Some(arrivals[1]));
    }
}
