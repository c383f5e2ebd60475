//! The pacer: a thread that hands each request over when it is due. Timers of the async runtime have a
//! grain of one millisecond and always round up, so it sleeps to shortly before and spins the rest.

use super::arrivals::{DueTimes, own_due_times};
use super::unsent::Unsent;
use llmuses_core::budget::{BodyWait, Budget};
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::document::UnsentWait;
use llmuses_core::exchange::{Job, Prepared};
use llmuses_core::in_flight::InFlight;
use llmuses_core::plan::Split;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// How long before a due time the sleep ends and the spinning begins: about what the system is late
/// with waking a thread.
pub(super) const SPIN: Duration = Duration::from_micros(80);

/// The longest single sleep, so that a stop is noticed soon.
pub(super) const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// The most requests that are counted as due and not sent: a rate without bounds has no end of them.
const MOST_COUNTED: u64 = 10_000_000;

/// What the pacer of an open loop needs.
#[derive(Debug)]
pub struct Pacing {
    /// When requests are due. `None`: each body says so of itself.
    pub due_times: Option<DueTimes>,
    /// Which of them are of requests that this process sends.
    pub split: Split,
    /// Ends before the first request that is due that long after the start or later.
    pub until: Option<Duration>,
    /// How many requests there are, those of other processes among them, where that is known.
    pub requests: Option<u64>,
    /// The bodies, in order.
    pub bodies: flume::Receiver<Prepared>,
    /// The client threads, of which each gets its share.
    pub workers: Vec<UnboundedSender<Job>>,
    /// Tells of the requests in flight.
    pub in_flight: Arc<InFlight>,
    /// What bodies draw their memory from.
    pub budget: Arc<Budget>,
    /// The most requests that may be in flight.
    pub most: u64,
}

impl Pacing {
    /// Hands the bodies to the workers in turn, each when it is due. Skips none: one whose body comes late, or that finds
    /// as many in flight as may be, is handed over late, with the time at which it was due. Gives back how many requests
    /// were due and not handed over when `stop` was set, and what they waited for.
    pub fn run(self, clock: &Clock, start: Moment, stop: &AtomicBool) -> Unsent {
        let Self {
            due_times,
            split,
            until,
            requests,
            bodies,
            workers,
            in_flight,
            budget,
            most,
        } = self;
        let mut due_times =
            due_times.map(|times| own_due_times(times, split, requests).map(|(_, due)| due));
        let mut targets = workers.iter().cycle();
        // What bodies are late for, where they are.
        let mut bodies_late = None;
        // When the last request that had to wait for a place got one.
        let mut held_until = start;
        loop {
            let scheduled = match &mut due_times {
                Some(times) => match times.next() {
                    Some(due) if until.is_none_or(|until| due < until) => Some(due),
                    _ => return Unsent::default(),
                },
                None => None,
            };
            // `at_hand`: the time of a body that is here and was not handed over.
            let unsent = |wait: UnsentWait, due_times: Option<_>, at_hand: Option<Duration>| {
                let elapsed = clock.now().since(start);
                let is_due =
                    |due: &Duration| *due <= elapsed && until.is_none_or(|until| *due < until);
                let (Some(due), Some(due_times)) = (scheduled, due_times) else {
                    // What is behind the bodies that are there is not known.
                    let there = bodies.drain().filter_map(|body| body.at);
                    return Unsent::of(wait, at_hand.into_iter().chain(there).filter(is_due));
                };
                let left = match (requests, until) {
                    (None, None) => u64::from(at_hand.is_some()) + bodies.len() as u64,
                    // The due times end with the requests, or with the time.
                    _ => MOST_COUNTED,
                };
                let all = std::iter::once(due).chain(due_times).take_while(is_due);
                let most = usize::try_from(left.min(MOST_COUNTED)).unwrap_or(usize::MAX);
                Unsent::of(wait, all.take(most))
            };
            // Taken before the wait, so that a body is at hand when it is due.
            let prepared = match bodies.try_recv() {
                Ok(prepared) => prepared,
                Err(_) => {
                    let wait = BodyWait::begin(&budget);
                    let received = bodies.recv();
                    let late_for = match wait.is_for_memory(&budget) {
                        true => UnsentWait::Memory,
                        false => UnsentWait::Body,
                    };
                    let Ok(prepared) = received else {
                        // There are no more, or the source was stopped while requests waited for it.
                        let is_stopped = stop.load(Ordering::Relaxed);
                        return match is_stopped {
                            true => unsent(late_for, due_times, None),
                            false => Unsent::default(),
                        };
                    };
                    bodies_late = Some(late_for);
                    prepared
                }
            };
            let due = scheduled.or(prepared.at).unwrap_or_default();
            let intended = start.after(due);
            // Those behind a late body are late for the same reason, until one is in time again.
            let late = clock.now().since(intended.max(held_until));
            bodies_late = bodies_late.filter(|_| !late.is_zero());
            let body_wait = bodies_late.map_or(Duration::ZERO, |_| late);
            if bodies_late == Some(UnsentWait::Memory) {
                in_flight.count_wait_for_memory();
            }
            if !wait_until(clock.instant(intended), stop) {
                let wait = match held_until > intended {
                    true => UnsentWait::PlaceInFlight,
                    false => UnsentWait::Processor,
                };
                return unsent(bodies_late.unwrap_or(wait), due_times, Some(due));
            }
            // Those behind one that was held up were so too.
            let mut held_up = held_until.since(intended);
            if !in_flight.take_place(most) {
                if !await_place(&in_flight, most, stop) {
                    return unsent(UnsentWait::PlaceInFlight, due_times, Some(due));
                }
                held_until = clock.now();
                held_up = held_until.since(intended).saturating_sub(body_wait);
                bodies_late = None;
            }
            let job = prepared.due(intended, body_wait, held_up);
            // A worker goes away only after its sender; there is at least one.
            if let Some(target) = targets.next() {
                let _ = target.send(job);
            }
        }
    }
}

/// Waits until it has taken a place for one more request; false where `stop` was set meanwhile.
pub(super) fn await_place(in_flight: &InFlight, most: u64, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        if in_flight.await_place(most, LONGEST_SLEEP) {
            return true;
        }
    }
}

/// Waits; false where `stop` was set meanwhile.
fn wait_until(due: Instant, stop: &AtomicBool) -> bool {
    loop {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        if left > SPIN {
            std::thread::sleep((left - SPIN).min(LONGEST_SLEEP));
        } else {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::due_times;
    use llmuses_core::document::UnsentRequests;
    use llmuses_core::plan::{Arrivals, Load};
    use llmuses_core::turn::TurnPlace;
    use std::thread::JoinHandle;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    struct Paced {
        jobs: UnboundedReceiver<Job>,
        in_flight: Arc<InFlight>,
        stop: Arc<AtomicBool>,
        pacer: JoinHandle<Unsent>,
    }

    fn schedule(rate: f64) -> DueTimes {
        let load = Load {
            arrivals: Arrivals::poisson(rate),
            seed: 1,
            ..Load::default()
        };
        due_times(&load).unwrap()
    }

    fn body(number: u64) -> Prepared {
        Prepared {
            number,
            body: "{}".into(),
            own_head: None,
            place: TurnPlace::alone(number),
            model: None,
            cancel_after: None,
            at: None,
            later: None,
            held: Default::default(),
        }
    }

    fn pace(rate: f64, until: Option<Duration>, requests: u64, most: u64) -> Paced {
        let (source, bodies) = flume::unbounded();
        for number in 0..requests {
            source.send(body(number)).unwrap();
        }
        let (target, jobs) = unbounded_channel();
        let (in_flight, stop) = (Arc::new(InFlight::default()), Arc::default());
        let pacing = Pacing {
            due_times: Some(schedule(rate)),
            split: Split::default(),
            until,
            requests: until.is_none().then_some(requests),
            bodies,
            workers: vec![target],
            in_flight: Arc::clone(&in_flight),
            budget: Arc::default(),
            most,
        };
        let flag = Arc::clone(&stop);
        let pacer = std::thread::spawn(move || {
            let clock = Clock::start();
            pacing.run(&clock, clock.now(), &flag)
        });
        Paced {
            jobs,
            in_flight,
            stop,
            pacer,
        }
    }

    #[test]
    fn no_more_are_handed_over_than_may_be_in_flight() {
        let mut paced = pace(10_000.0, None, 13, 3);
        let mut held_up = 0;
        for number in 0..13 {
            let job = paced.jobs.blocking_recv().unwrap();
            assert_eq!(job.number, number);
            assert_eq!(job.body_wait, Duration::ZERO);
            held_up += u64::from(!job.held_up.is_zero());
            if number >= 2 {
                // Three have a place now.
                std::thread::sleep(Duration::from_millis(20));
                assert!(paced.jobs.try_recv().is_err());
                paced.in_flight.leave();
            }
        }
        // All are due within the first few milliseconds.
        assert!((5..=10).contains(&held_up), "{held_up}");
        assert_eq!(paced.pacer.join().unwrap(), Unsent::default());
    }

    #[test]
    fn what_is_due_and_not_handed_over_is_counted() {
        let mut paced = pace(1_000.0, Some(Duration::from_millis(200)), 1_000, 5);
        for _ in 0..5 {
            paced.jobs.blocking_recv().unwrap();
        }
        std::thread::sleep(Duration::from_millis(300));
        paced.stop.store(true, Ordering::Relaxed);
        let unsent = paced.pacer.join().unwrap();
        let times = schedule(1_000.0);
        let due: Vec<Duration> = times
            .take_while(|due| *due < Duration::from_millis(200))
            .collect();
        let expected = UnsentRequests::of(UnsentWait::PlaceInFlight, due.len() as u64 - 5);
        assert_eq!(unsent.requests, expected);
        assert_eq!(unsent.last_due.as_ref(), due.last());
        assert!(paced.jobs.try_recv().is_err());
    }

    #[test]
    fn requests_without_a_body_are_told_from_those_without_a_place() {
        for wait in [UnsentWait::Body, UnsentWait::Memory] {
            unsent_without_a_body(wait);
        }
    }

    fn unsent_without_a_body(wait: UnsentWait) {
        let budget = Arc::new(Budget::default());
        let (source, bodies) = flume::unbounded();
        for number in 0..5 {
            source.send(body(number)).unwrap();
        }
        let until = Duration::from_millis(200);
        let (target, mut jobs) = unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let pacing = Pacing {
            due_times: Some(schedule(1_000.0)),
            split: Split::default(),
            until: Some(until),
            requests: None,
            bodies,
            workers: vec![target],
            in_flight: Arc::default(),
            budget: Arc::clone(&budget),
            most: 1_000,
        };
        let flag = Arc::clone(&stop);
        let pacer = std::thread::spawn(move || {
            let clock = Clock::start();
            pacing.run(&clock, clock.now(), &flag)
        });
        for _ in 0..5 {
            jobs.blocking_recv().unwrap();
        }
        for _ in 0..30 {
            match wait {
                UnsentWait::Memory => budget.await_memory_for_body(Duration::from_millis(10)),
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        stop.store(true, Ordering::Relaxed);
        // As the source does when it is told to stop.
        drop(source);
        let due = schedule(1_000.0).take_while(|due| *due < until).count();
        let expected = UnsentRequests::of(wait, due as u64 - 5);
        assert_eq!(pacer.join().unwrap().requests, expected);
    }

    #[test]
    fn bodies_with_times_of_their_own_go_by_them() {
        let (source, bodies) = flume::unbounded();
        for (number, at) in [(0, 5), (1, 20), (2, 20), (3, 3_600_000)] {
            let mut prepared = body(number);
            prepared.at = Some(Duration::from_millis(at));
            source.send(prepared).unwrap();
        }
        drop(source);
        let (target, mut jobs) = unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let pacing = Pacing {
            due_times: None,
            split: Split::default(),
            until: None,
            requests: None,
            bodies,
            workers: vec![target],
            in_flight: Arc::default(),
            budget: Arc::default(),
            most: 10,
        };
        let (flag, clock) = (Arc::clone(&stop), Clock::start());
        let start = clock.now();
        let pacer = std::thread::spawn(move || pacing.run(&clock, start, &flag));
        for due in [5, 20, 20] {
            let job = jobs.blocking_recv().unwrap();
            assert_eq!(job.intended, start.after(Duration::from_millis(due)));
            assert!(clock.now() >= job.intended);
        }
        stop.store(true, Ordering::Relaxed);
        // The last one is not due for an hour.
        assert_eq!(pacer.join().unwrap(), Unsent::default());
    }

    #[test]
    fn nobody_is_held_up_while_there_are_places() {
        let mut paced = pace(2_000.0, None, 100, 1_000);
        let mut held_up = Duration::ZERO;
        while let Some(job) = paced.jobs.blocking_recv() {
            held_up += job.held_up;
        }
        assert_eq!(held_up, Duration::ZERO);
        assert_eq!(paced.pacer.join().unwrap(), Unsent::default());
    }
}
