//! Later turns of sessions: a thread that hands each over when it is due, beside the pacer of first turns.

use super::pacer::{LONGEST_SLEEP, SPIN, await_place};
use super::unsent::Unsent;
use llmuses_core::clock::{Clock, Moment};
use llmuses_core::document::UnsentWait;
use llmuses_core::exchange::{Job, Prepared};
use llmuses_core::in_flight::InFlight;
use std::cmp::Ordering as Order;
use std::collections::BinaryHeap;
use std::iter::once;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// A later turn of a session, ready to go.
#[derive(Debug)]
pub struct LaterTurn {
    /// The end of the turn before and the time to think.
    pub due: Moment,
    /// When its body was there.
    pub ready: Moment,
    /// The request.
    pub prepared: Prepared,
    /// Who sends the turns of this session. `None`: any client thread.
    pub user: Option<flume::Sender<Job>>,
}

/// What the thread of later turns needs.
#[derive(Debug)]
pub struct TurnPacing {
    /// The turns as their bodies are there, in any order. It ends when no more can come.
    pub turns: flume::Receiver<LaterTurn>,
    /// Ends before the first turn that is due that long after the start or later.
    pub until: Option<Duration>,
    /// The client threads, of which each gets its share of the turns that no user sends.
    pub workers: Vec<UnboundedSender<Job>>,
    /// Tells of the requests in flight.
    pub in_flight: Arc<InFlight>,
    /// The most requests that may be in flight.
    pub most: u64,
}

impl TurnPacing {
    /// Hands the turns over, each when it is due, the earliest first. One whose body comes late, or that finds as many in
    /// flight as may be, is handed over late, with the time at which it was due. Gives back how many were due and not
    /// handed over when `stop` was set, and what they waited for. Ends when no more can come, or when `stop` is set.
    pub fn run(self, clock: &Clock, start: Moment, stop: &AtomicBool) -> Unsent {
        let Self {
            turns,
            until,
            workers,
            in_flight,
            most,
        } = self;
        let until = until.map(|until| start.after(until));
        let mut targets = workers.iter().cycle();
        let mut waiting = BinaryHeap::new();
        // When the last turn that had to wait for a place got one.
        let mut held_until = start;
        loop {
            waiting.extend(turns.try_iter().map(ByDue));
            if stop.load(Ordering::Relaxed) {
                let now = clock.now();
                let is_due = |turn: &&ByDue| {
                    turn.0.due <= now && until.is_none_or(|until| turn.0.due < until)
                };
                let mut unsent = Unsent::default();
                for turn in waiting.iter().filter(is_due) {
                    unsent +=
                        Unsent::of(wait_of(&turn.0, held_until), once(turn.0.due.since(start)));
                }
                return unsent;
            }
            let now = clock.now();
            let Some(left) = waiting.peek().map(|turn| turn.0.due.since(now)) else {
                match turns.recv_timeout(LONGEST_SLEEP) {
                    Ok(turn) => waiting.push(ByDue(turn)),
                    Err(flume::RecvTimeoutError::Timeout) => {}
                    Err(flume::RecvTimeoutError::Disconnected) => {
                        return Unsent::default();
                    }
                }
                continue;
            };
            if left > SPIN {
                let nap = (left - SPIN).min(LONGEST_SLEEP);
                match turns.recv_timeout(nap) {
                    Ok(turn) => waiting.push(ByDue(turn)),
                    Err(flume::RecvTimeoutError::Timeout) => {}
                    Err(flume::RecvTimeoutError::Disconnected) => std::thread::sleep(nap),
                }
                continue;
            }
            if !left.is_zero() {
                std::hint::spin_loop();
                continue;
            }
            let Some(ByDue(turn)) = waiting.pop() else {
                continue;
            };
            // The run ends by itself at that time; until then nothing further goes.
            if until.is_some_and(|until| turn.due >= until) {
                continue;
            }
            let body_wait = turn.ready.since(turn.due);
            let Some(user) = turn.user else {
                if !in_flight.take_place(most) {
                    if !await_place(&in_flight, most, stop) {
                        let behind = waiting.iter().map(|turn| turn.0.due);
                        let due = once(turn.due).chain(behind.filter(|due| *due <= now));
                        let due = due.map(|due| due.since(start));
                        return Unsent::of(UnsentWait::PlaceInFlight, due);
                    }
                    held_until = clock.now();
                }
                let held_up = held_until.since(turn.due.max(turn.ready));
                let job = turn.prepared.due(turn.due, body_wait, held_up);
                // A worker goes away only after its sender; there is at least one.
                if let Some(target) = targets.next() {
                    let _ = target.send(job);
                }
                continue;
            };
            // Its user waits for it.
            let _ = user.send(turn.prepared.due(turn.due, body_wait, Duration::ZERO));
        }
    }
}

/// What a turn waits for that is due and has its body. `held_until`: when the last one that waited for a place got it.
fn wait_of(turn: &LaterTurn, held_until: Moment) -> UnsentWait {
    match held_until > turn.due {
        true => UnsentWait::PlaceInFlight,
        false => UnsentWait::Processor,
    }
}

/// A turn that waits; the greatest is the one that is due first.
#[derive(Debug)]
struct ByDue(LaterTurn);

impl ByDue {
    fn key(&self) -> (Moment, u64) {
        (self.0.due, self.0.prepared.number)
    }
}

impl Ord for ByDue {
    fn cmp(&self, other: &Self) -> Order {
        other.key().cmp(&self.key())
    }
}

impl PartialOrd for ByDue {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByDue {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for ByDue {}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::document::UnsentRequests;
    use llmuses_core::turn::TurnPlace;
    use tokio::sync::mpsc::unbounded_channel;

    fn turn(number: u64, due: Moment, user: Option<flume::Sender<Job>>) -> LaterTurn {
        LaterTurn {
            due,
            ready: due,
            prepared: Prepared {
                number,
                place: TurnPlace::first(number, 2).next(due),
                body: "{}".into(),
                own_head: None,
                model: None,
                cancel_after: None,
                at: None,
                later: None,
                held: Default::default(),
            },
            user,
        }
    }

    #[test]
    fn turns_go_in_the_order_in_which_they_are_due() {
        let clock = Clock::start();
        let start = clock.now();
        let after = |millis| start.after(Duration::from_millis(millis));
        let (sender, turns) = flume::unbounded();
        let (target, mut jobs) = unbounded_channel();
        let (user, of_user) = flume::unbounded();
        let pacing = TurnPacing {
            turns,
            until: Some(Duration::from_millis(120)),
            workers: vec![target],
            in_flight: Arc::default(),
            most: 10,
        };
        for (number, due) in [(0, 60), (1, 20), (2, 40), (3, 200)] {
            sender.send(turn(number, after(due), None)).unwrap();
        }
        sender.send(turn(4, after(30), Some(user))).unwrap();
        drop(sender);
        assert_eq!(
            pacing.run(&clock, start, &AtomicBool::new(false)),
            Unsent::default()
        );
        let mut order = Vec::new();
        while let Ok(job) = jobs.try_recv() {
            order.push(job.number);
        }
        assert_eq!(order, [1, 2, 0]);
        assert_eq!(of_user.recv().unwrap().number, 4);
        assert!(clock.now() >= after(60));
    }

    #[test]
    fn a_turn_without_a_place_waits_and_says_so() {
        let clock = Clock::start();
        let start = clock.now();
        let (sender, turns) = flume::unbounded();
        let (target, mut jobs) = unbounded_channel();
        let in_flight = Arc::new(InFlight::default());
        assert!(in_flight.take_place(1));
        let pacing = TurnPacing {
            turns,
            until: None,
            workers: vec![target],
            in_flight: Arc::clone(&in_flight),
            most: 1,
        };
        sender.send(turn(0, start, None)).unwrap();
        drop(sender);
        let leaving = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            in_flight.leave();
        });
        assert_eq!(
            pacing.run(&clock, start, &AtomicBool::new(false)),
            Unsent::default()
        );
        assert!(jobs.try_recv().unwrap().held_up >= Duration::from_millis(20));
        leaving.join().unwrap();
    }

    #[test]
    fn what_is_due_and_not_sent_at_a_stop_is_counted() {
        let clock = Clock::start();
        let start = clock.now();
        let (sender, turns) = flume::unbounded();
        let pacing = TurnPacing {
            turns,
            until: None,
            workers: Vec::new(),
            in_flight: Arc::default(),
            most: 1,
        };
        let hour = start.after(Duration::from_secs(3600));
        for (number, due) in [(0, start), (1, hour)] {
            sender.send(turn(number, due, None)).unwrap();
        }
        let unsent = pacing.run(&clock, start, &AtomicBool::new(true));
        assert_eq!(
            unsent.requests,
            UnsentRequests::of(UnsentWait::Processor, 1)
        );
    }

    #[test]
    fn turns_that_wait_for_a_place_at_a_stop_are_counted_as_such() {
        let clock = Clock::start();
        let start = clock.now();
        let (sender, turns) = flume::unbounded();
        let in_flight = Arc::new(InFlight::default());
        assert!(in_flight.take_place(1));
        let pacing = TurnPacing {
            turns,
            until: None,
            workers: Vec::new(),
            in_flight,
            most: 1,
        };
        for number in 0..3 {
            sender.send(turn(number, start, None)).unwrap();
        }
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let pacer = std::thread::spawn(move || pacing.run(&clock, start, &flag));
        std::thread::sleep(Duration::from_millis(50));
        stop.store(true, Ordering::Relaxed);
        let expected = UnsentRequests::of(UnsentWait::PlaceInFlight, 3);
        assert_eq!(pacer.join().unwrap().requests, expected);
    }
}
