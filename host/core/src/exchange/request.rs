//! A request before it is sent.

use crate::budget::Charge;
use crate::clock::Moment;
use crate::turn::TurnPlace;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// A request body, ready to go.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// As in [`Exchange::number`](super::Exchange::number).
    pub number: u64,
    /// Which turn of which session it is.
    pub place: TurnPlace,
    /// As in [`Exchange::model`](super::Exchange::model).
    pub model: Option<Arc<str>>,
    /// How long after it was sent the client breaks it off. `None`: it does not.
    pub cancel_after: Option<Duration>,
    /// The body.
    pub body: Bytes,
    /// The memory of the body.
    pub held: Charge,
    /// When it is due after the start of the run, where the data set says so and it is replayed by that.
    pub at: Option<Duration>,
    /// What its head has that differs from the heads of the others. `None`: nothing.
    pub own_head: Option<Arc<OwnHead>>,
    /// Where the later turns of its session come from when they are due, of the first turn in a closed loop: whoever sends
    /// it sends them too, until no more can come.
    pub later: Option<flume::Receiver<Job>>,
}

impl Prepared {
    /// The request when it is due.
    pub fn due(self, intended: Moment, body_wait: Duration, held_up: Duration) -> Job {
        Job {
            number: self.number,
            place: self.place,
            model: self.model,
            cancel_after: self.cancel_after,
            body: self.body,
            own_head: self.own_head,
            intended,
            body_wait,
            held: self.held,
            held_up,
            sending: Sending::default(),
        }
    }
}

/// What the head of one request has in place of what the heads of all others have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnHead {
    /// The path of its URL, with the query where there is one.
    pub path: Option<String>,
    /// The value of its `content-type`.
    pub content_type: Option<http::HeaderValue>,
}

/// A request that is due.
#[derive(Debug, Clone)]
pub struct Job {
    /// As in [`Exchange::number`](super::Exchange::number).
    pub number: u64,
    /// Which turn of which session it is.
    pub place: TurnPlace,
    /// As in [`Exchange::model`](super::Exchange::model).
    pub model: Option<Arc<str>>,
    /// How long after it was sent the client breaks it off. `None`: it does not.
    pub cancel_after: Option<Duration>,
    /// Its body.
    pub body: Bytes,
    /// As in [`Prepared::own_head`].
    pub own_head: Option<Arc<OwnHead>>,
    /// When it should be sent.
    pub intended: Moment,
    /// How long after that its body was there.
    pub body_wait: Duration,
    /// The memory of the body.
    pub held: Charge,
    /// How long it waited since as many requests as may be were in flight.
    pub held_up: Duration,
    /// What is only known of it once its client thread has it.
    pub sending: Sending,
}

/// What a client thread adds to a request as it sends it.
#[derive(Debug, Clone, Default)]
pub struct Sending {
    /// Headers of this request alone.
    pub headers: Vec<(http::HeaderName, http::HeaderValue)>,
    /// As in [`Exchange::request_id`](super::Exchange::request_id).
    pub request_id: Option<Box<str>>,
}
