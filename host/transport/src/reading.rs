//! The response to one request, from its head to its end or to a limit.

use super::failure::truncated;
use super::polled_on_wake::PolledOnWake;
use super::reader::BodyReader;
use super::transport::{Arrival, ResponseBody};
use llmuses_core::budget::Budget;
use llmuses_core::clean::printable;
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::exchange::{Failure, FailureKind, Framing, ResponseHead, StampQuality};
use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// How the bodies of responses are read.
#[derive(Debug, Clone, Default)]
pub struct BodySettings {
    /// How they are split into events.
    pub framing: Framing,
    /// What they draw their memory from.
    pub budget: Arc<Budget>,
    /// The header of a response that says who answered.
    pub label_header: Option<http::HeaderName>,
}

/// What there is of a response.
#[derive(Debug, Default)]
pub(super) struct Recording {
    pub(super) head: Option<ResponseHead>,
    pub(super) reader: Option<BodyReader>,
    /// The end of the body, where it ended well.
    pub(super) ended: Option<Moment>,
    /// Who stamped what has arrived: the worst of them, since one stamp that is late makes the response late.
    pub(super) stamped_by: Option<StampQuality>,
    /// Whether it ended with `[DONE]`, since its body did not end in order behind that.
    pub(super) ended_at_done: bool,
}

/// The reading of a body. A future that ends with the arrival of the body's end, with a fault of the body, or with the
/// failure that a limit is.
///
/// It is polled for each chunk of each stream, so all that this needs is at one place: what lies apart in memory is
/// waited for apart.
pub(super) struct Reading<'a, B, F> {
    response: B,
    reader: BodyReader,
    /// When bytes of the body came last; at first, when its head had come.
    last_arrival: &'a Cell<Moment>,
    /// See [`Recording::stamped_by`].
    stamped_by: Option<StampQuality>,
    limits: PolledOnWake<'a, F>,
    label: Option<Box<str>>,
    /// Behind `[DONE]`: how long the body may take to end.
    grace: Option<Pin<Box<Sleep>>>,
    /// While it waits for memory.
    room: Option<Box<WaitForRoom>>,
}

/// A wait for the memory that a younger response was asked to give back.
#[derive(Debug)]
struct WaitForRoom {
    until: Instant,
    look_up: Pin<Box<Sleep>>,
}

impl WaitForRoom {
    /// How long it waits at most: the younger one may have nothing more to read.
    const LONGEST: Duration = Duration::from_millis(200);

    /// How often it looks.
    const LOOK_UP: Duration = Duration::from_millis(1);

    fn begin() -> Self {
        Self {
            until: Instant::now() + Self::LONGEST,
            look_up: Box::pin(sleep(Self::LOOK_UP)),
        }
    }

    /// Ends when `reader` need not wait any more, or has waited for long enough.
    fn poll(&mut self, reader: &BodyReader, context: &mut Context<'_>) -> Poll<()> {
        while reader.should_wait() && Instant::now() < self.until {
            ready!(self.look_up.as_mut().poll(context));
            self.look_up.as_mut().reset(Instant::now() + Self::LOOK_UP);
        }
        Poll::Ready(())
    }
}

/// How long a connection is waited for, to be used again, whose stream has said `[DONE]` and not ended.
const GRACE: Duration = Duration::from_millis(100);

impl<'a, B: ResponseBody, F: Future<Output = Failure>> Reading<'a, B, F> {
    /// Begins to read the body of a response whose head has just come. `limits` ends with the failure that ends the
    /// reading.
    pub(super) fn begin(
        response: B,
        body: &BodySettings,
        last_arrival: &'a Cell<Moment>,
        limits: Pin<&'a mut F>,
    ) -> Self {
        Self {
            reader: BodyReader::new(body.framing, response.header("content-type"))
                .drawing_from(&body.budget),
            label: body
                .label_header
                .as_ref()
                .and_then(|name| response.header(name.as_str()))
                .filter(|label| !label.is_empty())
                .map(|label| printable(label).into()),
            response,
            last_arrival,
            stamped_by: None,
            limits: PolledOnWake::new(limits),
            grace: None,
            room: None,
        }
    }

    /// The failure that a body is which was compressed.
    pub(super) fn unreadable(&self) -> Option<Failure> {
        let coding = self.response.header("content-encoding")?;
        // Servers of event streams write `none` to keep proxies from compressing them.
        let is_plain = ["", "identity", "none"]
            .iter()
            .any(|plain| coding.trim().eq_ignore_ascii_case(plain));
        (!is_plain).then(|| {
            Failure::new(
                FailureKind::Protocol,
                format!(
                    "the response is compressed ({coding}), which was not asked for and is not read"
                ),
            )
        })
    }

    /// What is recorded of a response whose head came at `head_at` and whose body ended like this; whether that is a
    /// success; and the response.
    pub(super) fn into_recording(
        self,
        head_at: Moment,
        end: Result<Arrival, Failure>,
    ) -> (Recording, Result<(), Failure>, B) {
        let Self {
            response,
            mut reader,
            last_arrival,
            mut stamped_by,
            label,
            ..
        } = self;
        let done = reader.done();
        let ended_at_done = done.is_some() && end.is_err();
        // A stream that has said that it is over is over, also where its connection then fails.
        let end = match (end, done) {
            (Ok(end), Some(at)) => Ok(Arrival { at, ..end }),
            (Err(_), Some(at)) => Ok(Arrival {
                at,
                stamped_by: stamped_by.unwrap_or(StampQuality::Read),
            }),
            (end, None) => end,
        };
        if let Ok(end) = &end {
            stamped_by = Some(end.stamped_by).max(stamped_by);
            // A plain body, and an event without its blank line, were whole with the last bytes. What stands behind [DONE]
            // in a body that did not end was cut off anywhere, and is no event.
            if !ended_at_done {
                reader.finish(last_arrival.get());
            }
        }
        let recording = Recording {
            head: Some(ResponseHead {
                status: response.status(),
                at: head_at,
                content_type: response
                    .header("content-type")
                    .filter(|kind| !kind.starts_with("text/event-stream"))
                    .map(Into::into),
                label,
            }),
            reader: Some(reader),
            ended: end.as_ref().ok().map(|end| end.at),
            stamped_by,
            ended_at_done,
        };
        let result = with_refusal(refused(&response), end.map(drop));
        (recording, result, response)
    }
}

impl<B: ResponseBody, F: Future<Output = Failure>> Future for Reading<'_, B, F> {
    type Output = Result<Arrival, Failure>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Self {
            response,
            reader,
            last_arrival,
            stamped_by,
            limits,
            grace,
            room,
            label: _,
        } = self.get_mut();
        if reader.should_wait() {
            let room = room.get_or_insert_with(|| Box::new(WaitForRoom::begin()));
            // The limits are not looked at meanwhile: it is not the server that is silent.
            ready!(room.poll(reader, context));
        } else {
            *room = None;
        }
        let mut take = |bytes: &[u8], arrival: Arrival| {
            last_arrival.set(arrival.at);
            *stamped_by = Some(arrival.stamped_by).max(*stamped_by);
            reader.push(bytes, arrival.at)
        };
        match response.poll_read(context, &mut take) {
            Poll::Ready(end) => Poll::Ready(end),
            // Only where there is nothing more to read at the moment.
            Poll::Pending => {
                if reader.is_done() {
                    let grace = grace.get_or_insert_with(|| Box::pin(sleep(GRACE)));
                    if grace.as_mut().poll(context).is_ready() {
                        return Poll::Ready(Err(truncated()));
                    }
                }
                limits.poll(context).map(Err)
            }
        }
    }
}

/// Ends when nothing has arrived for `longest`, and nothing is there that was not read yet.
pub(super) async fn silence(
    last_arrival: &Cell<Moment>,
    clock: &Clock,
    longest: Duration,
) -> Failure {
    // One timer for the whole body. It is set anew when it runs out, not with every read.
    let mut timer = pin!(sleep_until(Instant::now() + longest));
    // While it is waited for what is there and was not read: what had arrived last before that.
    let mut before_look = None;
    loop {
        timer.as_mut().await;
        let now = Instant::now();
        let last = last_arrival.get();
        let due = Instant::from_std(clock.instant(last)) + longest;
        let next = match before_look.take() {
            _ if due > now => due,
            None => {
                before_look = Some(last);
                now + time_to_look(timer.deadline(), longest)
            }
            // It came long ago and was read only now: the server may have waited for that.
            Some(before) if before != last => now + longest,
            Some(_) => {
                return timed_out(
                    FailureKind::TimeoutRead,
                    "the response went silent for",
                    longest,
                    "--read-timeout",
                );
            }
        };
        timer.as_mut().reset(next);
    }
}

/// How long to go on reading when a time-out of `longest` has run out that was `due`. Where this program stood still,
/// the timer runs out before the answers are read that are there, and to read them takes the longer, the more came.
pub(super) fn time_to_look(due: Instant, longest: Duration) -> Duration {
    LOOK + due.elapsed().min(longest)
}

/// How long to go on reading at least.
const LOOK: Duration = Duration::from_millis(10);

/// The failure that it is when something took longer than the `time` of a flag.
pub(super) fn timed_out(kind: FailureKind, what: &str, time: Duration, flag: &str) -> Failure {
    Failure::new(kind, format!("{what} {} s ({flag})", time.as_secs_f64()))
}

/// How a response ended, if the server refused the request by its status, and by how its body ended.
fn with_refusal(refusal: Option<Failure>, body: Result<(), Failure>) -> Result<(), Failure> {
    match (refusal, body) {
        (None, body) => body,
        (Some(refusal), Ok(())) => Err(refusal),
        // It was given up, which says nothing about the server.
        (Some(_), Err(failure))
            if matches!(
                failure.kind,
                FailureKind::TimeoutTotal | FailureKind::Cancelled
            ) =>
        {
            Err(failure)
        }
        // Also where the body failed: the server has said what it had to say.
        (Some(mut refusal), Err(failure)) => {
            refusal.message.push_str(&format!(" ({})", failure.message));
            Err(refusal)
        }
    }
}

/// The failure that a response with any status but 2xx is.
fn refused(response: &impl ResponseBody) -> Option<Failure> {
    let status = response.status();
    if (200..300).contains(&status) {
        return None;
    }
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    let mut message = format!("HTTP {status} {reason}").trim_end().to_owned();
    if let Some(after) = response.header("retry-after") {
        message.push_str(&format!(" (retry-after: {after})"));
    }
    if let Some(location) = response.header("location") {
        message.push_str(&format!(" (location: {location})"));
    }
    if let Some(kind) = response.header("content-type")
        && !kind.contains("json")
    {
        message.push_str(&format!(" ({kind})"));
    }
    Some(Failure::new(FailureKind::HttpStatus, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_status_stays_the_failure_unless_the_request_was_cancelled() {
        let of_kind = |kind| Failure::new(kind, kind.as_str());
        let ended = |refused: bool, body: Option<FailureKind>| {
            let refusal = refused.then(|| of_kind(FailureKind::HttpStatus));
            with_refusal(refusal, body.map(of_kind).map_or(Ok(()), Err))
                .map_err(|failure| failure.message)
        };
        let told = |message: &str| Err(message.to_owned());
        assert_eq!(ended(false, None), Ok(()));
        assert_eq!(
            ended(false, Some(FailureKind::Truncated)),
            told("truncated")
        );
        assert_eq!(ended(true, None), told("http-status"));
        assert_eq!(
            ended(true, Some(FailureKind::TimeoutRead)),
            told("http-status (timeout-read)")
        );
        assert_eq!(ended(true, Some(FailureKind::Cancelled)), told("cancelled"));
        assert_eq!(
            ended(true, Some(FailureKind::TimeoutTotal)),
            told("timeout-total")
        );
    }
}
