//! One request from its issue to its end: drives a transport, keeps the time-outs, and records what
//! happened, whatever happened.

use super::connection_notes::ConnectionNotes;
use super::reader::BodyReader;
use super::reading::{BodySettings, Reading, Recording, silence, time_to_look, timed_out};
use super::transport::{Marks, Outgoing, ResponseBody, Transport};
use llmuses_core::clock::Clock;
use llmuses_core::exchange::{Exchange, Failure, FailureKind, Job, StampQuality};
use llmuses_core::late_reads::LateReads;
use llmuses_core::plan::Timeouts;
use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, sleep_until, timeout_at};

/// What the requests of a client thread have in common.
#[derive(Debug, Clone, Copy)]
pub struct InCommon<'a> {
    /// The clock of the run.
    pub clock: &'a Clock,
    /// How long each step may take.
    pub timeouts: &'a Timeouts,
    /// How bodies of responses are read.
    pub body: &'a BodySettings,
    /// Where what is found out about connections is noted.
    pub notes: &'a ConnectionNotes,
    /// How late responses were read so far. Of this thread alone, so that no thread waits for another one with each response.
    pub late_reads: &'a Cell<LateReads>,
}

/// Sends the request of `job` and records all of it. Ends early, as cancelled, when `cancelled` turns
/// true.
pub async fn attempt<T: Transport>(
    transport: &T,
    in_common: InCommon<'_>,
    cancelled: &mut watch::Receiver<bool>,
    job: Job,
) -> Exchange {
    let InCommon {
        clock,
        timeouts,
        body,
        notes,
        late_reads,
    } = in_common;
    let marks = Arc::new(Marks::new(*clock));
    let begun = Instant::now();
    let (recording, result) = {
        // Boxed and seldom there, since every stream has room for this.
        let disconnect = job
            .cancel_after
            .map(|after| Box::pin(disconnect(Arc::clone(&marks), after)));
        // Not held to the share of a task: a response of which there is always more to read has used that up.
        let mut given_up = pin!(unconstrained(async {
            let disconnected = async {
                match disconnect {
                    Some(disconnect) => disconnect.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                failure = disconnected => failure,
                failure = given_up(cancelled, timeouts.total, begun) => failure,
            }
        }));
        // Pinned here and passed on by reference: a future that is moved into another takes its room twice,
        // and there is one of these for every stream.
        let answered = {
            let answered = pin!(answer(transport, timeouts, &job, &marks, begun));
            tokio::select! {
                // The end of the run is looked for only where the server has to be waited for.
                biased;
                answered = answered => answered,
                failure = given_up.as_mut() => Err(failure),
            }
        };
        match answered {
            Err(failure) => (Recording::default(), Err(failure)),
            Ok(response) => {
                let head_at = response.head_arrival().unwrap_or_else(|| clock.now());
                notes.note_version(response.version());
                if notes.wants_server(marks.connection().is_some())
                    && let Some(server) = response.header("server")
                {
                    notes.note_server(server);
                }
                let last_arrival = Cell::new(head_at);
                let limits = pin!(unconstrained(async {
                    tokio::select! {
                        biased;
                        failure = given_up => failure,
                        failure = silence(&last_arrival, clock, timeouts.read) => failure,
                    }
                }));
                let mut reading = Reading::begin(response, body, &last_arrival, limits);
                // Here, and not in a function of its own, since each future around another one is one more piece of
                // memory to wait for with every chunk.
                let end = match reading.unreadable() {
                    Some(failure) => Err(failure),
                    None => (&mut reading).await,
                };
                let is_whole = end.is_ok();
                if let Ok(end) = &end
                    && end.stamped_by == StampQuality::Kernel
                {
                    let mut sum = late_reads.get();
                    sum += LateReads::of_one(clock.now().since(end.at));
                    late_reads.set(sum);
                }
                let (recording, result, response) = reading.into_recording(head_at, end);
                if recording.ended_at_done {
                    notes.note_ended_at_done();
                }
                if is_whole {
                    response.release().await;
                }
                (recording, result)
            }
        }
    };
    finish(clock, job, &marks, recording, result)
}

/// Ends when the request is to be given up, whatever it waits for: with the run, or where it is not over after
/// `total`.
async fn given_up(
    cancelled: &mut watch::Receiver<bool>,
    total: Option<Duration>,
    begun: Instant,
) -> Failure {
    let too_long = async {
        match total {
            Some(total) => {
                sleep_until(begun + total).await;
                total
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        total = too_long => timed_out(
            FailureKind::TimeoutTotal,
            "the request was not over after",
            total,
            "--total-timeout",
        ),
        _ = cancelled.wait_for(|cancelled| *cancelled) => Failure::new(
            FailureKind::Cancelled,
            "still in flight when the run was ended",
        ),
    }
}

/// Ends when the client is to break the request off: so long after it was sent.
async fn disconnect(marks: Arc<Marks>, after: Duration) -> Failure {
    loop {
        let left = match marks.sent() {
            Some(sent) => {
                let due = Instant::from_std(marks.clock().instant(sent)) + after;
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    let message = format!(
                        "the client disconnected {after:?} after it had sent the request (--cancel)"
                    );
                    return Failure::new(FailureKind::Disconnected, message);
                }
                left
            }
            // Looked at again before the time is up, whenever it is sent.
            None => after.min(LOOK_AGAIN),
        };
        tokio::time::sleep(left).await;
    }
}

/// Sends the request and waits for the head of its response.
async fn answer<T: Transport>(
    transport: &T,
    timeouts: &Timeouts,
    job: &Job,
    marks: &Arc<Marks>,
    begun: Instant,
) -> Result<T::Response, Failure> {
    let request = Outgoing {
        body: job.body.clone(),
        own_head: job.own_head.clone(),
        headers: job.sending.headers.clone(),
    };
    let sending = pin!(transport.send(request, Arc::clone(marks)));
    head_within(sending, timeouts, marks, begun).await
}

/// Waits for the head of the response: as long as connecting may take, then, from the moment at which
/// the request was sent, as long as the server may be silent.
async fn head_within<R>(
    mut sending: Pin<&mut impl Future<Output = Result<R, Failure>>>,
    timeouts: &Timeouts,
    marks: &Marks,
    begun: Instant,
) -> Result<R, Failure> {
    // The transport itself watches over connecting; the time for reading on top of it is for a
    // request that waits for a place on a connection which is there.
    let mut deadline = begun + timeouts.connect + timeouts.read;
    let mut first_look = begun + timeouts.read;
    let mut was_sent = false;
    // Whether the time is over, and it is only waited for what is there and was not read yet.
    let mut is_last_look = false;
    loop {
        let until = first_look.min(deadline);
        if let Ok(result) = timeout_at(until, sending.as_mut()).await {
            return result;
        }
        match marks.sent() {
            Some(sent) => {
                was_sent = true;
                let due = Instant::from_std(marks.clock().instant(sent)) + timeouts.read;
                let now = Instant::now();
                if due > now {
                    is_last_look = false;
                    (first_look, deadline) = (due, due);
                } else if is_last_look {
                    return Err(timed_out(
                        FailureKind::TimeoutRead,
                        match marks.is_partly_taken() {
                            true => "the server took no more of the request for",
                            false => "no response came within",
                        },
                        timeouts.read,
                        "--read-timeout",
                    ));
                } else {
                    is_last_look = true;
                    let end = now + time_to_look(until, timeouts.read);
                    (first_look, deadline) = (end, end);
                }
            }
            // It goes out once more, on a connection that is being opened.
            None if was_sent => {
                was_sent = false;
                is_last_look = false;
                deadline = Instant::now() + timeouts.connect + timeouts.read;
                first_look = Instant::now() + timeouts.read.min(LOOK_AGAIN);
            }
            None if Instant::now() >= deadline => {
                let (kind, what) = match marks.is_partly_taken() {
                    true => (
                        FailureKind::TimeoutRead,
                        "the server did not take all of the request within",
                    ),
                    false => (
                        FailureKind::TimeoutConnect,
                        "the request could not be put on a connection within",
                    ),
                };
                return Err(timed_out(
                    kind,
                    what,
                    timeouts.connect + timeouts.read,
                    "--connect-timeout and --read-timeout",
                ));
            }
            // Not sent yet: look again when it could have been silent for long enough, at the latest
            // at the deadline.
            None => first_look = (Instant::now() + timeouts.read.min(LOOK_AGAIN)).min(deadline),
        }
    }
}

/// How often a request that has not been sent is looked at. Bounds how late its time-out is noticed.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

fn finish(
    clock: &Clock,
    job: Job,
    marks: &Marks,
    recording: Recording,
    result: Result<(), Failure>,
) -> Exchange {
    let end = match (&result, recording.ended) {
        (Ok(()), Some(ended)) => ended,
        _ => clock.now(),
    };
    let mut reader = recording.reader;
    if let (Err(_), Some(reader)) = (&result, &mut reader) {
        reader.abandon(end);
    }
    let mut held = reader
        .as_mut()
        .map(BodyReader::take_charge)
        .unwrap_or_default();
    held.shrink();
    let (mut response, reported) = reader.map(BodyReader::into_parts).unwrap_or_default();
    // It may wait a while for the parser and for the database.
    response.shrink();
    let failure = match result {
        Err(mut failure) => {
            if failure.kind == FailureKind::HttpStatus && !response.is_empty() {
                failure = failure.quoting(0);
            }
            // A server that reports an error and then ends the connection has ended it for that reason.
            match reported {
                Some(reported) if failure.kind == FailureKind::Truncated => Some(reported),
                _ => Some(failure),
            }
        }
        Ok(()) => reported,
    };
    Exchange {
        number: job.number,
        place: job.place,
        model: job.model,
        request_id: job.sending.request_id,
        url: None,
        request: job.body,
        intended: job.intended,
        body_wait: job.body_wait,
        held_up: job.held_up,
        sent: marks.sent(),
        connection: marks.connection(),
        head: recording.head,
        response,
        end,
        stamps: recording.stamped_by.unwrap_or(StampQuality::Read),
        failure,
        held: [job.held, held],
    }
}

#[cfg(test)]
mod tests {
    use super::super::failure::truncated;
    use super::super::transport::{Arrival, Take};
    use super::*;
    use llmuses_core::budget::{Budget, Charge};
    use llmuses_core::clock::Moment;
    use llmuses_core::exchange::ConnectionOpening;
    use llmuses_core::turn::TurnPlace;
    use std::task::{Context, Poll, ready};
    use tokio::time::sleep;

    /// Answers with these reads, one for each poll, each with its moment and who stamped it, and ends like this.
    #[derive(Clone)]
    struct Scripted(Vec<(&'static [u8], u64, StampQuality)>, End);

    #[derive(Clone, Copy, PartialEq)]
    enum End {
        /// In order, at this moment by the kernel.
        At(u64),
        /// The connection breaks off.
        CutOff,
        /// There is always more to read.
        Never,
    }

    /// One read for each stamp, with an event.
    fn scripted(stamps: &[(u64, StampQuality)], end: End) -> Scripted {
        let read = |(at, quality): &(u64, StampQuality)| (&b"data: x\n\n"[..], *at, *quality);
        Scripted(stamps.iter().map(read).collect(), end)
    }

    impl Transport for Scripted {
        type Response = Scripted;

        const READY_AT_ONCE: usize = 1;

        async fn warm(&self, _: usize) -> Vec<ConnectionOpening> {
            Vec::new()
        }

        async fn send(&self, _: Outgoing, _: Arc<Marks>) -> Result<Scripted, Failure> {
            Ok(self.clone())
        }
    }

    impl ResponseBody for Scripted {
        fn status(&self) -> u16 {
            200
        }

        fn version(&self) -> http::Version {
            http::Version::HTTP_11
        }

        fn header(&self, _: &str) -> Option<&str> {
            None
        }

        fn poll_read(
            &mut self,
            context: &mut Context<'_>,
            take: &mut impl Take,
        ) -> Poll<Result<Arrival, Failure>> {
            let arrival = |at, stamped_by| Arrival {
                at: Moment::from_nanos(at),
                stamped_by,
            };
            if !self.0.is_empty() {
                let (bytes, at, stamped_by) = self.0.remove(0);
                take(bytes, arrival(at, stamped_by))?;
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.1 {
                End::At(end) => Poll::Ready(Ok(arrival(end, StampQuality::Kernel))),
                End::CutOff => Poll::Ready(Err(truncated())),
                End::Never => loop {
                    ready!(tokio::task::coop::poll_proceed(context)).made_progress();
                },
            }
        }

        async fn release(self) {}
    }

    fn exchange(transport: &Scripted) -> Exchange {
        exchange_and_sum(transport, &Cell::default())
    }

    fn exchange_and_sum(transport: &Scripted, late_reads: &Cell<LateReads>) -> Exchange {
        let body = BodySettings::default();
        runtime().block_on(attempt_alone(transport, &body, late_reads))
    }

    fn runtime() -> tokio::runtime::Runtime {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    }

    async fn attempt_alone(
        transport: &Scripted,
        body: &BodySettings,
        late_reads: &Cell<LateReads>,
    ) -> Exchange {
        // A response without an end is for a run that is given up.
        let (_run, mut cancelled) = watch::channel(transport.1 == End::Never);
        let second = Duration::from_secs(1);
        let timeouts = Timeouts {
            connect: second,
            read: second,
            total: Some(5 * second),
        };
        let job = Job {
            number: 0,
            place: TurnPlace::alone(0),
            body: "{}".into(),
            own_head: None,
            model: None,
            cancel_after: None,
            intended: Moment::default(),
            body_wait: Duration::ZERO,
            held: Default::default(),
            held_up: Duration::ZERO,
            sending: Default::default(),
        };
        let in_common = InCommon {
            clock: &Clock::start(),
            timeouts: &timeouts,
            body,
            notes: &ConnectionNotes::default(),
            late_reads,
        };
        attempt(transport, in_common, &mut cancelled, job).await
    }

    #[test]
    fn one_read_without_a_stamp_of_the_kernel_makes_the_response_one_without() {
        use StampQuality::{Kernel, Read};
        let stamps = |script: &[StampQuality]| {
            let reads: Vec<_> = script.iter().map(|quality| (1, *quality)).collect();
            exchange(&scripted(&reads, End::At(2))).stamps
        };
        assert_eq!(stamps(&[Kernel, Kernel]), Kernel);
        assert_eq!(stamps(&[Kernel, Read, Kernel]), Read);
        assert_eq!(stamps(&[Read]), Read);
    }

    /// The clock is ahead of the end of the body by all that it took to get there.
    #[test]
    fn what_the_kernel_stamped_tells_how_late_it_was_read() {
        let late_reads = Cell::default();
        let ends = |end| scripted(&[(10, StampQuality::Kernel)], end);
        exchange_and_sum(&ends(End::At(70)), &late_reads);
        let late = late_reads.get();
        assert_eq!(late.responses, 1);
        assert!(late.total > Duration::ZERO);
        // What did not end well has no end to be stamped.
        exchange_and_sum(&ends(End::Never), &late_reads);
        assert_eq!(late_reads.get(), late);
    }

    #[test]
    fn half_an_event_behind_done_is_none() {
        let bytes = b"data: {\"a\":1}\n\ndata: [DONE]\n\ndata: {\"b\":";
        let exchange = exchange(&Scripted(
            vec![(bytes, 10, StampQuality::Kernel)],
            End::CutOff,
        ));
        assert_eq!(exchange.failure, None);
        let events: Vec<&[u8]> = exchange.response.iter().collect();
        assert_eq!(events, [b"{\"a\":1}"]);
    }

    #[test]
    fn a_response_ends_with_its_body_and_not_with_its_last_event() {
        let exchange = exchange(&scripted(&[(10, StampQuality::Kernel)], End::At(70)));
        assert_eq!(exchange.end, Moment::from_nanos(70));
        assert_eq!(exchange.response.arrival(0), Some(Moment::from_nanos(10)));
    }

    /// A response of 12 MiB beside a younger one of 8 MiB that gives up after so long, with 16 MiB for both.
    fn beside_a_young_one(gives_up_after: Duration) -> Exchange {
        static MIB: [u8; 1 << 20] = [b'x'; 1 << 20];
        let read = (&MIB[..], 1, StampQuality::Kernel);
        let large = Scripted(vec![read; 12], End::At(2));
        let budget = Arc::new(Budget::new(16 << 20));
        let body = BodySettings {
            budget: Arc::clone(&budget),
            ..BodySettings::default()
        };
        let late_reads = Cell::default();
        let young = async {
            let mut young = Charge::of_response(&budget);
            young.grow(8 << 20).unwrap();
            sleep(gives_up_after).await;
            assert!(young.grow(1).is_err(), "it was asked to give up");
            young.clear();
        };
        let both = async { tokio::join!(attempt_alone(&large, &body, &late_reads), young) };
        runtime().block_on(both).0
    }

    #[test]
    fn an_old_response_waits_for_the_memory_of_a_young_one() {
        let exchange = beside_a_young_one(Duration::from_millis(50));
        assert_eq!(exchange.failure, None);
        assert_eq!(exchange.response.bytes(), 12 << 20);
    }

    #[test]
    fn an_old_response_does_not_wait_for_ever() {
        let exchange = beside_a_young_one(Duration::from_secs(3));
        let kind = exchange.failure.map(|failure| failure.kind);
        assert_eq!(kind, Some(FailureKind::ClientResource));
    }

    #[test]
    fn a_response_that_never_waits_is_given_up_all_the_same() {
        let exchange = exchange(&scripted(&[], End::Never));
        let kind = exchange.failure.map(|failure| failure.kind);
        assert_eq!(kind, Some(FailureKind::Cancelled));
    }
}
