//! Percentiles over the run, in slots with enough requests for them.

use super::sketch::Sketch;
use super::timeline::{SKETCHED, Slot, Timeline};
use llmuses_core::document::{Percentile, SlotPercentiles, TimesOverTime};

/// The fewest succeeded requests of a slot.
const FEWEST: u64 = 20;

/// The most slots: more of them, with few requests in each, would only show chance.
const MOST_SLOTS: u64 = 60;

/// The percentiles of the times [`SKETCHED`] over a run.
pub(super) fn times_over_time(timeline: &Timeline) -> TimesOverTime {
    let slots = timeline.slots();
    let total: u64 = slots.iter().map(|slot| slot.latency_samples).sum();
    let enough = FEWEST.max(total.div_ceil(MOST_SLOTS));
    let seconds = timeline.slot_length().as_secs_f64();
    let mut found = TimesOverTime::default();
    let mut times: Vec<SlotPercentiles> = vec![SlotPercentiles::default(); SKETCHED.len()];
    let mut rest = total;
    let mut from = 0;
    for to in 1..=slots.len() {
        let part = &slots[from..to];
        let requests: u64 = part.iter().map(|slot| slot.latency_samples).sum();
        // What is left must be enough for one more, or belongs to this one.
        let is_last = to == slots.len();
        if requests == 0 && !is_last {
            // Nothing was sent yet, or nothing succeeded.
            from = to;
            continue;
        }
        if (requests < enough || rest - requests < enough) && !is_last {
            continue;
        }
        if requests == 0 {
            break;
        }
        rest -= requests;
        found.from_seconds.push(from as f64 * seconds);
        found.to_seconds.push(to as f64 * seconds);
        found.requests.push(requests);
        for (place, percentiles) in times.iter_mut().enumerate() {
            let sketch = together(part, place);
            let of = |percentile| sketch.percentile_seconds(percentile);
            percentiles.p50_seconds.push(of(Percentile::P50));
            percentiles.p99_seconds.push(of(Percentile::P99));
        }
        from = to;
    }
    let keys = SKETCHED.iter().map(|time| time.key.to_owned());
    found.times = keys.zip(times).collect();
    found
}

fn together(slots: &[Slot], place: usize) -> Sketch {
    let mut all = Sketch::default();
    slots.iter().for_each(|slot| all.add(&slot.sketches[place]));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Measurement, Origin};
    use llmuses_core::clock::Moment;
    use llmuses_samples::OutcomeBuilder;

    /// A request each 10 ms from 200 ms on, of latency 30 ms, and from the `slow`th on of 300 ms.
    fn run(requests: u64, slow: u64) -> TimesOverTime {
        let mut timeline = Timeline::new(Moment::default());
        for number in 0..requests {
            let sent = 200 + number * 10;
            let latency = if number < slow { 30 } else { 300 };
            let outcome = OutcomeBuilder::at(sent)
                .sent(sent)
                .end(sent + latency)
                .build();
            let measured = Measurement::of(&outcome, Origin::Sent);
            timeline.record(&outcome, &measured.times, true);
        }
        times_over_time(&timeline)
    }

    #[test]
    fn each_slot_has_enough_requests_and_none_is_lost() {
        for requests in [0, 1, 19, 39, 40, 100, 5_000] {
            let found = run(requests, requests);
            assert_eq!(found.requests.iter().sum::<u64>(), requests);
            assert!(found.requests.len() <= MOST_SLOTS as usize);
            if requests >= 40 {
                assert!(found.requests.len() > 1, "{requests}");
                assert!(found.requests.iter().all(|count| *count >= FEWEST));
            }
        }
    }

    #[test]
    fn the_slots_show_when_a_run_became_slow() {
        let found = run(200, 100);
        assert_eq!(found.from_seconds[0], 0.2);
        assert!(found.from_seconds[1..] == found.to_seconds[..found.to_seconds.len() - 1]);
        let latency = found.times.get("latency").unwrap();
        let first = latency.p50_seconds[0].unwrap();
        let last = latency.p50_seconds.last().unwrap().unwrap();
        assert!((first / 0.03 - 1.0).abs() < 0.011 && (last / 0.3 - 1.0).abs() < 0.011);
        let ttft = found.times.get("time_to_first_token").unwrap();
        assert!(ttft.p99_seconds.iter().all(Option::is_none));
    }
}
