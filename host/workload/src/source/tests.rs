use super::*;
use llmuses_core::cost::CallCost;
use llmuses_core::plan::{Arrivals, Load, Shard};
use llmuses_plugin_host::CallError;
use std::time::Duration;

/// Passes of as many bodies as there are, in batches of any size.
struct Listed {
    bodies: u64,
    next: u64,
    random: u64,
    /// How long a batch takes.
    takes: Duration,
}

impl Bodies for Listed {
    fn begin(&mut self) -> Result<(), CallError> {
        self.next = 0;
        Ok(())
    }

    fn next(&mut self, max: u32) -> Result<Vec<Made>, CallError> {
        std::thread::sleep(self.takes);
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005) + 1;
        let batch = (self.random >> 60).clamp(1, u64::from(max));
        let end = (self.next + batch).min(self.bodies);
        let made = (self.next..end).map(|body| Made {
            model: None,
            body: format!("body {body}").into(),
            own_head: None,
            asked: None,
            place: None,
            delay: None,
            rest: None,
        });
        self.next = end;
        Ok(made.collect())
    }

    fn skipped(&mut self) -> Result<Vec<(String, u64)>, CallError> {
        Ok(Vec::new())
    }

    fn end(&mut self) -> Result<(), CallError> {
        Ok(())
    }

    fn cost(&self) -> CallCost {
        CallCost::default()
    }
}

fn settings(load: &Load, requests: Option<u64>, messages: Messages) -> SourceSettings {
    SourceSettings {
        lengths: Default::default(),
        requests,
        split: load.split(),
        sessions: None,
        skip_bad_lines: false,
        messages,
        budget: Arc::new(Budget::new(usize::MAX)),
        cancel: Default::default(),
        passes_are_alike: false,
    }
}

#[test]
fn a_parser_that_takes_long_for_the_first_requests_is_told_of() {
    let said = |takes: Duration| {
        let lines = Arc::new(std::sync::Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let messages = Messages::new(move |line| kept.lock().unwrap().push(line.to_owned()));
        let bodies = Listed {
            bodies: 100,
            next: 0,
            random: 0,
            takes,
        };
        let settings = settings(&Load::default(), Some(3), messages);
        let mut source = RequestSource::new("p".to_owned(), Box::new(bodies), None, settings);
        source.prepare(3).unwrap();
        std::mem::take(&mut *lines.lock().unwrap())
    };
    assert_eq!(said(Duration::ZERO), [""; 0]);
    // Before the first one is made, and after that.
    let lines = said(Duration::from_millis(2_600));
    let begin = "parser `p` makes the first requests, up to 3, before one is sent:";
    assert_eq!(lines[0], format!("{begin} 0 in 2 s"), "{lines:?}");
    assert!(lines[1].starts_with(&format!("{begin} 1 in ")), "{lines:?}");
}

/// What a part of the load hands over: numbers and bodies.
fn of_part(arrivals: Arrivals, shard: Shard, requests: Option<u64>) -> Vec<(u64, String)> {
    let load = Load {
        arrivals,
        shard,
        ..Load::default()
    };
    let bodies = Listed {
        bodies: 100,
        next: 0,
        random: u64::from(shard.part()),
        takes: Duration::ZERO,
    };
    let settings = settings(&load, requests, Messages::new(|_| {}));
    let mut source = RequestSource::new("p".to_owned(), Box::new(bodies), None, settings);
    source.prepare(10).unwrap();
    let (queue, handed_over) = flume::unbounded();
    let (report, end) = source.run(&queue, &AtomicBool::new(false), None);
    assert!(matches!(end, SourceEnd::Complete));
    assert_eq!(report.issued, requests.unwrap_or(100));
    drop(queue);
    handed_over
        .iter()
        .map(|prepared| {
            let body = String::from_utf8(prepared.body.to_vec()).unwrap();
            (prepared.number, body)
        })
        .collect()
}

#[test]
fn parts_of_a_load_have_the_numbers_and_bodies_of_the_whole() {
    for arrivals in [
        Arrivals::poisson(5.0),
        Arrivals::Closed { parallel: 17 },
        Arrivals::AllAtOnce,
    ] {
        for requests in [None, Some(333)] {
            let whole = of_part(arrivals, Shard::default(), requests);
            assert_eq!(whole[whole.len() - 1].0, requests.unwrap_or(100) - 1);
            for parts in 1..=17 {
                let mut sum: Vec<(u64, String)> = (0..parts)
                    .flat_map(|part| of_part(arrivals, Shard::new(part, parts).unwrap(), requests))
                    .collect();
                sum.sort();
                assert_eq!(sum, whole, "{parts} parts, {arrivals:?}");
            }
        }
    }
}
