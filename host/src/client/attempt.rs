//! One request from its issue to its end: drives a transport, keeps the time-outs, and records what
//! happened, whatever happened.

use super::reader::{BodyReader, excerpt};
use super::transport::{Marks, RequestBody, ResponseBody, Transport};
use crate::clock::{Clock, Moment};
use crate::exchange::{Exchange, Failure, FailureKind, ResponseHead, StampQuality};
use crate::plan::Timeouts;
use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::coop::unconstrained;
use tokio::time::{Instant, sleep_until, timeout_at};

/// A request that is due.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its place in the order of issue, from 0.
    pub number: u64,
    /// Its body.
    pub body: Arc<str>,
    /// When it should be sent.
    pub intended: Moment,
}

/// What is known of a response while it arrives.
#[derive(Debug)]
struct Recording {
    head: Option<ResponseHead>,
    reader: Option<BodyReader>,
    /// The end of the body, where it ended well.
    ended: Option<Moment>,
    /// Who stamped what has arrived: the worst of them, since one stamp that is late makes the response late.
    stamped_by: Option<StampQuality>,
}

/// Sends the request of `job` and records all of it. Ends early, as cancelled, when `cancelled` turns
/// true.
pub async fn attempt<T: Transport>(
    transport: &T,
    clock: &Clock,
    timeouts: &Timeouts,
    cancelled: &mut watch::Receiver<bool>,
    job: Job,
) -> Exchange {
    let marks = Arc::new(Marks::new(*clock));
    let mut recording = Recording {
        head: None,
        reader: None,
        ended: None,
        stamped_by: None,
    };
    let begun = Instant::now();
    let result = {
        // Not held to the share of a task: a response of which there is always more to read has used that up.
        let given_up = unconstrained(cancelled.wait_for(|cancelled| *cancelled));
        // Pinned here and passed on by reference: a future that is moved into another takes its room twice,
        // and there is one of these for every stream.
        let mut driven = pin!(drive(
            transport,
            timeouts,
            &job,
            &marks,
            &mut recording,
            begun
        ));
        let bounded = async {
            match timeouts.total {
                Some(total) => match timeout_at(begun + total, driven.as_mut()).await {
                    Ok(result) => result,
                    Err(_) => Err(timed_out(
                        FailureKind::TimeoutTotal,
                        "the request was not over after",
                        total,
                        "--total-timeout",
                    )),
                },
                None => driven.as_mut().await,
            }
        };
        tokio::select! {
            // The end of the run is looked for only where the response has to be waited for.
            biased;
            result = bounded => result,
            _ = given_up => Err(Failure::new(
                FailureKind::Cancelled,
                "still in flight when the run was ended",
            )),
        }
    };
    finish(clock, job, &marks, recording, result)
}

async fn drive<T: Transport>(
    transport: &T,
    timeouts: &Timeouts,
    job: &Job,
    marks: &Arc<Marks>,
    recording: &mut Recording,
    begun: Instant,
) -> Result<(), Failure> {
    let body = RequestBody(Arc::clone(&job.body));
    let response = {
        let sending = pin!(transport.send(body, Arc::clone(marks)));
        head_within(sending, timeouts, marks, begun).await?
    };
    recording.head = Some(ResponseHead {
        status: response.status(),
        at: marks.clock().now(),
    });
    let status = response.status();
    let refusal =
        (!(200..300).contains(&status)).then(|| refused(status, response.header("retry-after")));
    match (
        refusal,
        read_body(response, timeouts, marks.clock(), recording).await,
    ) {
        (None, result) => result,
        (Some(refusal), Ok(())) => Err(refusal),
        // Whatever became of the body: the server has said what it had to say.
        (Some(mut refusal), Err(failure)) => {
            refusal.message.push_str(&format!(" ({})", failure.message));
            Err(refusal)
        }
    }
}

/// Reads the body of a response into `recording`, to its end.
async fn read_body<B: ResponseBody>(
    response: B,
    timeouts: &Timeouts,
    clock: &Clock,
    recording: &mut Recording,
) -> Result<(), Failure> {
    if let Some(coding) = response.header("content-encoding")
        && !coding.eq_ignore_ascii_case("identity")
    {
        return Err(Failure::new(
            FailureKind::Protocol,
            format!(
                "the response is compressed ({coding}), which was not asked for and is not read"
            ),
        ));
    }
    let reader = recording
        .reader
        .insert(BodyReader::new(response.header("content-type")));
    let stamped_by = &mut recording.stamped_by;
    let last_arrival = Cell::new(clock.now());
    let end = {
        let mut reading = pin!(response.read(|bytes, arrival| {
            last_arrival.set(arrival.at);
            *stamped_by = Some(arrival.stamped_by).max(*stamped_by);
            reader.push(bytes, arrival.at)
        }));
        // One timer for the whole body. It is set anew when it runs out, not with every read.
        let mut silence = pin!(sleep_until(Instant::now() + timeouts.read));
        loop {
            tokio::select! {
                biased;
                end = reading.as_mut() => break end?,
                () = silence.as_mut() => {
                    let due = Instant::from_std(clock.instant(last_arrival.get())) + timeouts.read;
                    if due <= Instant::now() {
                        return Err(timed_out(
                            FailureKind::TimeoutRead,
                            "the response went silent for",
                            timeouts.read,
                            "--read-timeout",
                        ));
                    }
                    silence.as_mut().reset(due);
                }
            }
        }
    };
    *stamped_by = Some(end.stamped_by).max(*stamped_by);
    recording.ended = Some(end.at);
    // A plain body, and an event without its blank line, were whole with the last bytes.
    reader.finish(last_arrival.get());
    Ok(())
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
    loop {
        if let Ok(result) = timeout_at(first_look.min(deadline), sending.as_mut()).await {
            return result;
        }
        match marks.sent() {
            Some(sent) => {
                let due = Instant::from_std(marks.clock().instant(sent)) + timeouts.read;
                if due <= Instant::now() {
                    return Err(timed_out(
                        FailureKind::TimeoutRead,
                        "no response came within",
                        timeouts.read,
                        "--read-timeout",
                    ));
                }
                (first_look, deadline) = (due, due);
            }
            None if Instant::now() >= deadline => {
                return Err(timed_out(
                    FailureKind::TimeoutConnect,
                    "the request could not be put on a connection within",
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

fn timed_out(kind: FailureKind, what: &str, time: Duration, flag: &str) -> Failure {
    Failure::new(kind, format!("{what} {} s ({flag})", time.as_secs_f64()))
}

fn refused(status: u16, retry_after: Option<&str>) -> Failure {
    let reason = http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    let mut message = format!("HTTP {status} {reason}").trim_end().to_owned();
    if let Some(after) = retry_after {
        message.push_str(&format!(" (retry-after: {after})"));
    }
    Failure::new(FailureKind::HttpStatus, message)
}

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
    let (mut response, reported) = reader.map(BodyReader::into_parts).unwrap_or_default();
    // It may wait a while for the parser and for the database.
    response.shrink();
    let failure = match result {
        Err(mut failure) => {
            if failure.kind == FailureKind::HttpStatus
                && let Some(body) = response.data(0)
                && !body.is_empty()
            {
                failure.message.push_str(": ");
                failure.message.push_str(&excerpt(body));
            }
            // A server that reports an error and then breaks off has broken off for that reason.
            match reported {
                Some(reported) if failure.kind == FailureKind::Truncated => Some(reported),
                _ => Some(failure),
            }
        }
        Ok(()) => reported,
    };
    Exchange {
        number: job.number,
        request: job.body,
        intended: job.intended,
        sent: marks.sent(),
        connection: marks.connection(),
        head: recording.head,
        response,
        end,
        stamps: recording.stamped_by.unwrap_or(StampQuality::Read),
        failure,
    }
}

#[cfg(test)]
mod tests {
    use super::super::transport::{Arrival, Take};
    use super::*;
    use crate::exchange::ConnectionOpening;

    /// Answers with reads whose stamps are given, and an end of its own, if it has one.
    struct Scripted(Vec<(u64, StampQuality)>, Option<u64>);

    struct ScriptedBody {
        stamps: Vec<(u64, StampQuality)>,
        end: Option<u64>,
    }

    impl Transport for Scripted {
        type Response = ScriptedBody;

        const READY_AT_ONCE: usize = 1;

        async fn warm(&self, _: usize) -> Vec<ConnectionOpening> {
            Vec::new()
        }

        async fn send(&self, _: RequestBody, _: Arc<Marks>) -> Result<ScriptedBody, Failure> {
            Ok(ScriptedBody {
                stamps: self.0.clone(),
                end: self.1,
            })
        }
    }

    impl ResponseBody for ScriptedBody {
        fn status(&self) -> u16 {
            200
        }

        fn header(&self, _: &str) -> Option<&str> {
            None
        }

        async fn read(self, mut take: impl Take) -> Result<Arrival, Failure> {
            let arrival = |at, stamped_by| Arrival {
                at: Moment::from_nanos(at),
                stamped_by,
            };
            for (at, stamped_by) in self.stamps {
                take(b"data: x\n\n", arrival(at, stamped_by))?;
            }
            let Some(end) = self.end else {
                // There is always more to read.
                loop {
                    tokio::task::consume_budget().await;
                }
            };
            Ok(arrival(end, StampQuality::Kernel))
        }
    }

    fn exchange(transport: &Scripted) -> Exchange {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        // A response without an end is for a run that is given up.
        let (_run, mut cancelled) = watch::channel(transport.1.is_none());
        let second = Duration::from_secs(1);
        let timeouts = Timeouts {
            connect: second,
            read: second,
            total: Some(5 * second),
        };
        let job = Job {
            number: 0,
            body: "{}".into(),
            intended: Moment::default(),
        };
        runtime.block_on(attempt(
            transport,
            &Clock::start(),
            &timeouts,
            &mut cancelled,
            job,
        ))
    }

    #[test]
    fn one_read_without_a_stamp_of_the_kernel_makes_the_response_one_without() {
        use StampQuality::{Kernel, Read};
        let stamps = |script: &[StampQuality]| {
            let pieces = script.iter().map(|quality| (1, *quality)).collect();
            exchange(&Scripted(pieces, Some(2))).stamps
        };
        assert_eq!(stamps(&[Kernel, Kernel]), Kernel);
        assert_eq!(stamps(&[Kernel, Read, Kernel]), Read);
        assert_eq!(stamps(&[Read]), Read);
    }

    #[test]
    fn a_response_ends_with_its_body_and_not_with_its_last_event() {
        let exchange = exchange(&Scripted(vec![(10, StampQuality::Kernel)], Some(70)));
        assert_eq!(exchange.end, Moment::from_nanos(70));
        assert_eq!(exchange.response.arrival(0), Some(Moment::from_nanos(10)));
    }

    #[test]
    fn a_response_that_never_waits_is_given_up_all_the_same() {
        let exchange = exchange(&Scripted(Vec::new(), None));
        let kind = exchange.failure.map(|failure| failure.kind);
        assert_eq!(kind, Some(FailureKind::Cancelled));
    }
}
