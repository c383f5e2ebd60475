use super::*;
use crate::reqwest_transport::ReqwestResponse;
use crate::transport::{Marks, Outgoing};
use llmuses_core::budget::Charge;
use llmuses_core::exchange::{Failure, FailureKind};
use llmuses_core::turn::TurnPlace;

struct Panicking;

impl Transport for Panicking {
    type Response = ReqwestResponse;
    const READY_AT_ONCE: usize = 1;

    async fn warm(&self, _: usize) -> Vec<ConnectionOpening> {
        Vec::new()
    }

    async fn send(&self, _: Outgoing, _: Arc<Marks>) -> Result<ReqwestResponse, Failure> {
        panic!("a fault of this program");
    }
}

fn shared() -> (Shared, watch::Sender<Option<Moment>>) {
    let (begin, start) = watch::channel(None);
    let second = Duration::from_secs(1);
    let shared = Shared {
        clock: Clock::start(),
        timeouts: Timeouts {
            connect: second,
            read: second,
            total: None,
        },
        body: BodySettings::default(),
        start,
        until: None,
        stop: Arc::default(),
        last_word: None,
        cancelled: watch::channel(false).1,
        finished: flume::unbounded().0,
        notes: Arc::default(),
        gauge: Arc::default(),
        endpoints: Arc::default(),
        sending: Arc::default(),
    };
    (shared, begin)
}

#[test]
fn users_begin_evenly_within_the_time_of_a_ramp() {
    // The second of two threads has the slots 1, 3, 5 and 7 of 8.
    let ramp = Ramp {
        opening: Opening::Within(Duration::from_secs(4), 8),
        first: 1,
        step: 2,
    };
    let opens = |slot, since| ramp.opens(slot, Duration::from_millis(since));
    let millis: Vec<u128> = (0..4)
        .map(|slot| opens(slot, 0).unwrap().as_millis())
        .collect();
    assert_eq!(millis, [500, 1500, 2500, 3500]);
    assert_eq!(opens(2, 9000), Some(Duration::from_secs(9)));
}

#[test]
fn a_panic_in_a_request_is_counted_and_nothing_further_is_issued() {
    let (shared, begin) = shared();
    let (bodies, queue) = flume::unbounded();
    for number in 0..10 {
        let prepared = Prepared {
            number,
            body: "{}".into(),
            own_head: None,
            model: None,
            cancel_after: None,
            place: TurnPlace::alone(number),
            at: None,
            later: None,
            held: Charge::default(),
        };
        bodies.send(prepared).unwrap();
    }
    drop(bodies);
    let (ready, is_ready) = flume::unbounded();
    let feed = Feed::Closed {
        queue,
        slots: 2,
        ramp: None,
    };
    let worker = spawn(0, || Ok(vec![Panicking]), 0, feed, shared.clone(), ready).unwrap();
    assert!(is_ready.recv().unwrap().is_ok());
    begin.send_replace(Some(shared.clock.now()));
    worker.join().unwrap();
    assert!(shared.stop.load(Ordering::Relaxed));
    assert!((1..=2).contains(&shared.gauge.panics()));
    assert_eq!(shared.gauge.now(), 0);
}

struct Counting(Arc<std::sync::atomic::AtomicU64>);

impl Transport for Counting {
    type Response = ReqwestResponse;
    const READY_AT_ONCE: usize = 1;

    async fn warm(&self, _: usize) -> Vec<ConnectionOpening> {
        Vec::new()
    }

    async fn send(&self, _: Outgoing, _: Arc<Marks>) -> Result<ReqwestResponse, Failure> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(Failure::new(FailureKind::Cancelled, ""))
    }
}

#[test]
fn nothing_is_sent_without_a_recent_word_of_the_coordinator() {
    for is_open in [true, false] {
        let (mut shared, begin) = shared();
        let word = LastWord::new(shared.clock, Duration::from_millis(20));
        assert!(word.heard(shared.clock.now()));
        std::thread::sleep(Duration::from_millis(40));
        shared.last_word = Some(Arc::new(word));
        let (bodies, queue) = flume::unbounded();
        let (jobs, due) = mpsc::unbounded_channel();
        for number in 0..3 {
            let prepared = Prepared {
                number,
                body: "{}".into(),
                own_head: None,
                model: None,
                cancel_after: None,
                place: TurnPlace::alone(number),
                at: None,
                later: None,
                held: Charge::default(),
            };
            match is_open {
                true => {
                    assert!(shared.gauge.take_place(3));
                    let job = prepared.due(shared.clock.now(), Duration::ZERO, Duration::ZERO);
                    jobs.send(job).unwrap();
                }
                false => bodies.send(prepared).unwrap(),
            }
        }
        drop((bodies, jobs));
        let feed = match is_open {
            true => Feed::Open { due },
            false => Feed::Closed {
                queue,
                slots: 1,
                ramp: None,
            },
        };
        let (ready, is_ready) = flume::unbounded();
        let sent = Arc::default();
        let transport = Counting(Arc::clone(&sent));
        let worker = spawn(0, || Ok(vec![transport]), 0, feed, shared.clone(), ready).unwrap();
        assert!(is_ready.recv().unwrap().is_ok());
        begin.send_replace(Some(shared.clock.now()));
        worker.join().unwrap();
        assert_eq!(sent.load(Ordering::Relaxed), 0);
        assert_eq!(shared.gauge.begun(), 0);
        // A slot of a closed loop takes no further one.
        let not_sent = if is_open { 3 } else { 1 };
        assert_eq!(shared.gauge.not_sent(), not_sent);
        assert!(shared.stop.load(Ordering::Relaxed));
        // The places are free again.
        assert!(!is_open || (0..3).all(|_| shared.gauge.take_place(3)));
    }
}

#[test]
fn a_thread_that_cannot_be_set_up_says_so_before_the_first_request() {
    let (shared, _begin) = shared();
    let (_bodies, queue) = flume::unbounded();
    let (ready, is_ready) = flume::unbounded();
    let make = || -> Result<Vec<Panicking>, ClientBuildError> {
        crate::provide_cryptography();
        match reqwest::Client::builder().user_agent("\n").build() {
            Ok(_) => Ok(vec![Panicking]),
            Err(error) => Err(error.into()),
        }
    };
    let feed = Feed::Closed {
        queue,
        slots: 1,
        ramp: None,
    };
    spawn(0, make, 0, feed, shared, ready)
        .unwrap()
        .join()
        .unwrap();
    assert!(matches!(
        is_ready.recv(),
        Ok(Err(WorkerError::Transport(_)))
    ));
}
