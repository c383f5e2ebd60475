use super::*;
use crate::lines::PROTOCOL;
use std::io::{BufReader, PipeReader, PipeWriter};

/// A worker's session, and the ends of the coordinator.
struct Both {
    session: Session,
    to: PipeWriter,
    from: BufReader<PipeReader>,
}

fn both() -> Both {
    let (input, to) = std::io::pipe().unwrap();
    let (from, output) = std::io::pipe().unwrap();
    let hello = Hello {
        protocol: PROTOCOL,
        version: "1".to_owned(),
        program_sha256: None,
        build: "x".to_owned(),
        host: None,
        boot: None,
        processors: None,
        memory: None,
        open_files: None,
        unix_nanos: 0,
    };
    let session = Session::begin(Clock::start(), hello, BufReader::new(input), output).unwrap();
    let mut both = Both {
        session,
        to,
        from: BufReader::new(from),
    };
    assert!(matches!(both.read(), ToCoordinator::Hello(_)));
    both
}

impl Both {
    fn say(&mut self, order: &ToWorker) {
        self.to.write_all(&line(order)).unwrap();
    }

    fn read(&mut self) -> ToCoordinator {
        let mut bytes = Vec::new();
        assert!(next_line(&mut self.from, &mut bytes).unwrap());
        message(&bytes).unwrap()
    }
}

fn ready() -> Ready {
    Ready {
        load: 1,
        made_from: vec![("parser".to_owned(), "p".to_owned())],
        connections: Vec::new(),
    }
}

#[test]
fn a_load_goes_from_its_plan_to_its_end() {
    let mut both = both();
    both.say(&ToWorker::Plan(WorkPlan {
        arguments: vec!["-n=1".to_owned()],
        prompt: None,
        folder: None,
        unix_nanos: 7,
        run_id: "5-6".to_owned(),
    }));
    assert_eq!(both.session.plan().unwrap().arguments, ["-n=1"]);
    assert_eq!(both.session.run_id(), Some("5-6"));
    both.say(&ToWorker::Ping(4));
    let ToCoordinator::Pong(pong) = both.read() else {
        panic!("no answer to a ping")
    };
    assert_eq!((pong.ping, pong.begun), (4, 0));
    let start = both.session.clock().now().after(Duration::from_secs(60));
    both.say(&ToWorker::Go {
        load: 1,
        start: start.nanos(),
    });
    let (gauge, stop) = (Arc::new(InFlight::default()), Arc::<AtomicBool>::default());
    gauge.begin();
    let begins = both.session.ready(&ready(), gauge, Arc::clone(&stop));
    assert_eq!(begins.unwrap(), start);
    assert!(matches!(both.read(), ToCoordinator::Ready(_)));
    let rows = both.session.rows().unwrap();
    let outcome = llmuses_samples::OutcomeBuilder::at(5)
        .sent(5)
        .end(9)
        .build();
    rows.send(Row::of(&outcome, None));
    let mut bytes = Vec::new();
    assert!(next_line(&mut both.from, &mut bytes).unwrap());
    both.say(&ToWorker::Halt {
        load: 1,
        how: Halt::Drain,
    });
    both.say(&ToWorker::Ping(5));
    let ToCoordinator::Pong(pong) = both.read() else {
        panic!("no answer to a ping")
    };
    assert_eq!((pong.begun, pong.in_flight), (1, 1));
    assert!(both.session.drains(1) && !stop.load(Ordering::SeqCst));
    let totals = RawValue::from_string("{\"a\": 1}".to_owned()).unwrap();
    rows.done(1, totals).unwrap();
    let ToCoordinator::Done(done) = both.read() else {
        panic!("the end is not said")
    };
    assert_eq!((done.load, done.rows), (1, 1));
    assert_eq!(done.sha256, hexadecimal(&Sha256::digest(&bytes)));
    both.say(&ToWorker::End);
    assert!(matches!(both.session.order(), Ok(ToWorker::End)));
}

#[test]
fn a_halt_is_for_one_load_and_is_no_interrupt() {
    let mut both = both();
    for how in [Halt::Drain, Halt::Now] {
        both.say(&ToWorker::Halt { load: 1, how });
    }
    // Answered behind what came before.
    both.say(&ToWorker::Ping(1));
    assert!(matches!(both.read(), ToCoordinator::Pong(_)));
    assert!(both.session.drains(1) && both.session.ends_now(1));
    assert!(!both.session.is_interrupted(1));
    let how = Halt::Interrupt;
    both.say(&ToWorker::Halt { load: 1, how });
    both.say(&ToWorker::Ping(2));
    assert!(matches!(both.read(), ToCoordinator::Pong(_)));
    assert!(both.session.is_interrupted(1) && both.session.ends_now(1));
    both.say(&ToWorker::Go {
        load: 2,
        start: u64::MAX,
    });
    let (stop, second) = (Arc::<AtomicBool>::default(), Ready { load: 2, ..ready() });
    let begins = both.session.ready(&second, Arc::default(), stop.clone());
    assert!(begins.is_ok(), "{begins:?}");
    assert!(!both.session.drains(2) && !both.session.ends_now(2));
    assert!(!stop.load(Ordering::SeqCst));
}

#[test]
fn a_load_that_began_before_is_late() {
    let mut both = both();
    both.say(&ToWorker::Go { load: 1, start: 1 });
    let ended = both.session.ready(&ready(), Arc::default(), Arc::default());
    assert!(matches!(ended, Err(SessionError::Late { .. })), "{ended:?}");
}

#[test]
fn a_coordinator_that_is_gone_stops_the_load() {
    for silent in [false, true] {
        let mut both = both();
        both.say(&ToWorker::Go {
            load: 1,
            start: u64::MAX,
        });
        let stop = Arc::<AtomicBool>::default();
        let begins = both
            .session
            .ready(&ready(), Arc::default(), Arc::clone(&stop));
        assert!(begins.is_ok());
        let began = std::time::Instant::now();
        let kept = if silent {
            Some(both.to)
        } else {
            drop(both.to);
            None
        };
        while !stop.load(Ordering::SeqCst) {
            assert!(began.elapsed() < 3 * SILENCE);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(began.elapsed() > SILENCE / 2, silent);
        let reason = both.session.lost().unwrap();
        let expected = if silent { "nothing came" } else { "has ended" };
        assert!(reason.contains(expected), "{reason}");
        drop(kept);
    }
}

#[test]
fn an_odd_line_is_the_end() {
    let mut both = both();
    both.to.write_all(b"go away\n").unwrap();
    let ended = both.session.plan();
    assert!(matches!(&ended, Err(SessionError::Lost(reason)) if reason.contains("go away")));
}
