use super::*;
use crate::reqwest_transport::ReqwestResponse;
use crate::transport::{Marks, Outgoing};
use llmuses_core::budget::Charge;
use llmuses_core::exchange::Failure;
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
