use super::*;
use crate::share_test::{FEWEST_REQUESTS, ShareTest};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn asked(vary: &str, from: f64, to: f64, resolution: f64) -> SearchRecord {
    SearchRecord {
        vary: vary.to_owned(),
        from,
        to,
        resolution,
        error: 0.05,
        ..SearchRecord::default()
    }
}

/// The loads of a search of a server whose probes have these outcomes.
fn loads(asked: SearchRecord, outcome: impl Fn(f64) -> ObjectiveOutcome) -> (Search, Vec<f64>) {
    let mut search = Search::new(asked);
    let mut loads = Vec::new();
    while let Some(probe) = search.next() {
        loads.push(probe.load);
        search.note(probe, outcome(probe.load));
        assert!(loads.len() < 60, "{loads:?}");
    }
    (search, loads)
}

fn keeps_up_to(capacity: f64) -> impl Fn(f64) -> ObjectiveOutcome {
    move |load| match load <= capacity {
        true => ObjectiveOutcome::Met,
        false => ObjectiveOutcome::Missed,
    }
}

#[test]
fn loads_are_doubled_then_halved_and_the_last_is_repeated() {
    let (_, found) = loads(asked("parallel", 1.0, 1024.0, 0.02), keeps_up_to(11.0));
    assert_eq!(found, [1.0, 2.0, 4.0, 8.0, 16.0, 12.0, 10.0, 11.0, 11.0]);
    let (search, _) = loads(asked("rate", 1.0, 1e4, 0.02), keeps_up_to(150.0));
    let (met, missed) = (search.met.unwrap(), search.missed.unwrap());
    assert!(met <= 150.0 && missed > 150.0 && missed - met <= 0.02 * missed);
    // Nothing to be found.
    assert_eq!(
        loads(asked("rate", 5.0, 20.0, 0.1), keeps_up_to(1.0)).1,
        [5.0]
    );
    let beyond = loads(asked("rate", 5.0, 30.0, 0.1), keeps_up_to(99.0)).1;
    assert_eq!(beyond, [5.0, 10.0, 20.0, 30.0, 30.0]);
}

#[test]
fn the_search_goes_on_at_both_sides_of_a_load_that_is_not_decided() {
    let (search, found) = loads(asked("rate", 1.0, 64.0, 0.05), |load| match load {
        load if load < 11.0 => ObjectiveOutcome::Met,
        load if load > 13.0 => ObjectiveOutcome::Missed,
        _ => ObjectiveOutcome::NotDecided,
    });
    assert!(found.contains(&12.0), "{found:?}");
    assert!(search.met.unwrap() > 10.0 && search.missed.unwrap() < 14.0);
    let not_decided = |_| ObjectiveOutcome::NotDecided;
    let (_, never) = loads(asked("rate", 1.0, 8.0, 0.05), not_decided);
    assert_eq!(never, [1.0, 2.0, 4.0, 8.0]);
    // Too few requests come at low loads; above one that is met, two are enough to see that more are not decided.
    let (_, slow) = loads(asked("rate", 1.0, 64.0, 0.05), |load| {
        if load == 4.0 {
            ObjectiveOutcome::Met
        } else {
            ObjectiveOutcome::NotDecided
        }
    });
    assert_eq!(slow, [1.0, 2.0, 4.0, 8.0, 16.0, 4.0]);
}

#[test]
fn the_errors_of_all_probes_sum_up_to_that_of_the_search() {
    let mut search = Search::new(asked("rate", 1.0, 1e9, 1e-9));
    let mut sum = 0.0;
    for _ in 0..40 {
        let probe = search.next().unwrap();
        sum += probe.error;
        search.note(probe, keeps_up_to(1e5)(probe.load));
    }
    assert!(sum < 0.05 && sum > 0.048, "{sum}");
}

/// A server with eight places that answers each request in 50 ms, to which requests come at random (M/D/8).
struct Queue {
    random: ChaCha8Rng,
    rate: f64,
    now: f64,
    free: [f64; 8],
}

impl Queue {
    const SERVICE: f64 = 0.05;

    fn new(rate: f64, seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            rate,
            now: 0.0,
            free: [0.0; 8],
        }
    }

    /// How long the next request waits for a place.
    fn wait(&mut self) -> f64 {
        self.now -= (1.0 - self.random.random::<f64>()).ln() / self.rate;
        let place = (0..8).min_by(|a, b| self.free[*a].total_cmp(&self.free[*b]));
        let free = &mut self.free[place.unwrap()];
        let begins = free.max(self.now);
        *free = begins + Self::SERVICE;
        begins - self.now
    }
}

/// The most that a request of the objective may wait.
const WAIT: f64 = 0.05;

/// The rate at which one of ten requests waits longer, by a long run of each rate.
fn true_capacity() -> f64 {
    let share = |rate: f64| {
        let mut queue = Queue::new(rate, 1);
        let all = 400_000;
        let long = (0..all).filter(|_| queue.wait() >= WAIT).count();
        long as f64 / f64::from(all)
    };
    let (mut low, mut high) = (100.0, 160.0);
    for _ in 0..8 {
        let middle = (low + high) / 2.0;
        if share(middle) < 0.1 {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low + high) / 2.0
}

/// Probes such a server as a run does, and gives back the interval of its capacity and the requests that it took.
fn searched(seed: u64) -> (Search, usize) {
    let mut search = Search::new(asked("rate", 10.0, 1000.0, 0.05));
    let mut requests = 0;
    while let Some(probe) = search.next() {
        let mut queue = Queue::new(probe.load, seed * 1000 + u64::from(search.probes));
        // Five seconds of warm-up.
        let warmup = (probe.load * 5.0) as usize;
        for _ in 0..warmup {
            queue.wait();
        }
        let mut test = ShareTest::new(WAIT, 0.1, true, FEWEST_REQUESTS);
        let mut next_look = FEWEST_REQUESTS as usize;
        let outcome = loop {
            test.add(queue.wait());
            if test.requests() < next_look {
                continue;
            }
            next_look += next_look / 8;
            match test.look(probe.error).outcome {
                ObjectiveOutcome::NotDecided if test.requests() < 60_000 => {}
                outcome => break outcome,
            }
        };
        requests += warmup + test.requests();
        search.note(probe, outcome);
    }
    (search, requests)
}

#[test]
fn the_interval_holds_the_true_capacity_of_a_queue() {
    let truth = true_capacity();
    let mut held = 0;
    let mut near = 0;
    for seed in 1..=10 {
        let (search, _) = searched(seed);
        let (met, missed) = (search.met.unwrap(), search.missed.unwrap());
        held += u32::from(met <= truth && truth <= missed);
        near += u32::from(((met + missed) / 2.0 / truth - 1.0).abs() < 0.05);
    }
    assert!(held >= 9, "{held} of 10 hold {truth}");
    assert!(near >= 9, "{near} of 10 are near {truth}");
}
