//! Whether a server kept up with an open loop: how fast requests in flight, and the times that requests take,
//! grew over the run.

use super::timeline::{Slot, Timeline};
use llmuses_core::student::student;
use std::time::Duration;

/// The run is cut into this many parts at most; the slopes and how certain they are come from these.
const PARTS: usize = 20;
/// Fewer parts say nothing about their spread.
const FEWEST_PARTS: usize = 5;
/// What grew by less than this share of the requests is no sign of anything.
const LEAST_GROWTH: f64 = 0.01;
/// A time that rose by less than this share of its mean is no sign of anything.
const LEAST_RISE: f64 = 0.1;

/// How fast something grew each second, with the 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// The slope.
    pub value: f64,
    /// The lower bound.
    pub low: f64,
    /// The upper bound.
    pub high: f64,
}

/// A server that did not keep up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Saturation {
    /// Requests sent per second, while requests were issued.
    pub sent: f64,
    /// Requests that were over, well or badly, per second in that time.
    pub done: f64,
    /// Requests in flight, per second.
    pub in_flight: Slope,
    /// Requests in flight at the end of the issuing.
    pub at_the_end: u64,
    /// Seconds of the time to first token, per second. `None`: it did not rise for certain.
    pub ttft: Option<Slope>,
    /// Seconds of latency, per second. `None`: it did not rise for certain.
    pub latency: Option<Slope>,
}

/// Looks for growth over the time in which requests were issued, without the time in which a system that was
/// empty fills. `None`: the server kept up, or the run is too short to tell.
///
/// Requests in flight must grow for certain, and with them either the time to first token or the latency of requests by
/// the time at which they were sent, or they grow by more than what the server held before anything waited, and go on
/// growing in the second half: by Little's law it held the rate times the latency of the requests sent first. Growth alone
/// is no proof: long answers fill a server for a while. Nor are rising times: the lengths of answers may change over a data
/// set; and they need not rise evenly, for a server may take waiting requests in any order, or stand still for a moment.
pub fn saturation(timeline: &Timeline) -> Option<Saturation> {
    let slots = timeline.slots();
    let seconds = timeline.slot_length().as_secs_f64();
    // The slot of the last one is not full. A server that accepts no more connections has some sent long after they were due.
    let end = slots.iter().rposition(|slot| slot.due > 0)?;
    let begin = filled(&slots[..end], seconds)?;
    let window = slots.get(begin..end)?;
    let per_part = window.len().div_ceil(PARTS);
    let skip = window.len().checked_rem(per_part)?;
    let parts: Vec<&[Slot]> = window[skip..].chunks_exact(per_part).collect();
    if parts.len() < FEWEST_PARTS {
        return None;
    }
    let part_seconds = per_part as f64 * seconds;
    let all_seconds = part_seconds * parts.len() as f64;
    let sum = |of: fn(&Slot) -> u64| window[skip..].iter().map(of).sum::<u64>() as f64;
    let (sent, done) = (sum(|slot| slot.sent), sum(|slot| slot.left));
    let growth: Vec<f64> = parts
        .iter()
        .map(|part| {
            let more: f64 = part
                .iter()
                .map(|slot| slot.sent as f64 - slot.left as f64)
                .sum();
            more / part_seconds
        })
        .collect();
    let in_flight = mean(&growth)?;
    let grew = in_flight.low > 0.0 && sent - done >= (LEAST_GROWTH * sent).max(3.0);
    let rise = |time: fn(&Slot) -> (Duration, u64)| {
        rise(&parts, part_seconds, time).filter(|(slope, mean)| {
            slope.low > 0.0 && slope.value * all_seconds >= LEAST_RISE * mean
        })
    };
    let ttft = rise(|slot| (slot.ttft_sum, slot.ttft_samples)).map(|(slope, _)| slope);
    let latency = rise(|slot| (slot.latency_sum, slot.latency_samples)).map(|(slope, _)| slope);
    let all = |of: fn(&Slot) -> u64| slots[..end].iter().map(of).sum::<u64>();
    let piled_up = mean_latency(beginning(&slots[..end])).is_some_and(|latency| {
        let held_at_first = sent / all_seconds * latency;
        in_flight.low * all_seconds > held_at_first
    }) && goes_on(&growth);
    (grew && (piled_up || ttft.is_some() || latency.is_some())).then_some(Saturation {
        sent: sent / all_seconds,
        done: done / all_seconds,
        in_flight,
        at_the_end: all(|slot| slot.sent).saturating_sub(all(|slot| slot.left)),
        ttft,
        latency,
    })
}

/// The slot in which a system that began empty has filled: one latency of the first requests later.
fn filled(slots: &[Slot], seconds: f64) -> Option<usize> {
    /// So many say what a request takes.
    const FIRST: u64 = 10;
    let (mut sum, mut samples) = (0.0, 0);
    for slot in slots {
        sum += slot.latency_sum.as_secs_f64();
        samples += slot.latency_samples;
        if samples >= FIRST {
            break;
        }
    }
    let latency = (samples > 0).then(|| sum / samples as f64)?;
    let first = slots.iter().position(|slot| slot.sent > 0)?;
    Some(first + (latency / seconds).ceil() as usize)
}

/// The first twentieth of the slots in which requests were sent.
fn beginning(slots: &[Slot]) -> &[Slot] {
    let first = slots.iter().position(|slot| slot.sent > 0).unwrap_or(0);
    let sending = &slots[first..];
    &sending[..sending.len().div_ceil(PARTS)]
}

/// Whether the second half still grew for certain. Of too few parts the whole has to do.
fn goes_on(growth: &[f64]) -> bool {
    let half = &growth[growth.len() / 2..];
    half.len() < FEWEST_PARTS || mean(half).is_some_and(|slope| slope.low > 0.0)
}

/// The mean latency of the requests sent in these slots, in seconds.
fn mean_latency(slots: &[Slot]) -> Option<f64> {
    let sum: f64 = slots
        .iter()
        .map(|slot| slot.latency_sum.as_secs_f64())
        .sum();
    let samples: u64 = slots.iter().map(|slot| slot.latency_samples).sum();
    (samples > 0).then(|| sum / samples as f64)
}

/// The mean of independent parts.
fn mean(values: &[f64]) -> Option<Slope> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let half = student(values.len().checked_sub(1)? as u64) * (squares / (n - 1.0) / n).sqrt();
    Some(Slope {
        value: mean,
        low: mean - half,
        high: mean + half,
    })
}

/// The slope of a time by least squares over the means of the parts, and the mean of these.
fn rise(
    parts: &[&[Slot]],
    part_seconds: f64,
    time: fn(&Slot) -> (Duration, u64),
) -> Option<(Slope, f64)> {
    let points: Vec<(f64, f64)> = (0..)
        .zip(parts)
        .filter_map(|(index, part)| {
            let (sum, samples) =
                part.iter()
                    .map(time)
                    .fold((0.0, 0), |(sum, samples): (f64, u64), (time, more)| {
                        (sum + time.as_secs_f64(), samples + more)
                    });
            let at = f64::from(index) * part_seconds;
            (samples > 0).then(|| (at, sum / samples as f64))
        })
        .collect();
    if points.len() < FEWEST_PARTS {
        return None;
    }
    let n = points.len() as f64;
    let x_mean = points.iter().map(|(x, _)| x).sum::<f64>() / n;
    let y_mean = points.iter().map(|(_, y)| y).sum::<f64>() / n;
    let xx: f64 = points.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    let xy: f64 = points
        .iter()
        .map(|(x, y)| (x - x_mean) * (y - y_mean))
        .sum();
    let slope = xy / xx;
    let errors: f64 = points
        .iter()
        .map(|(x, y)| (y - y_mean - slope * (x - x_mean)).powi(2))
        .sum();
    let half = student(points.len() as u64 - 2) * (errors / (n - 2.0) / xx).sqrt();
    let slope = Slope {
        value: slope,
        low: slope - half,
        high: slope + half,
    };
    Some((slope, y_mean))
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::clock::Moment;
    use llmuses_core::metric::{ByTime, TTFT};
    use llmuses_samples::OutcomeBuilder;

    /// One request every 25 ms for 15 s, to a server with one place that takes `service` ms for each, or with
    /// as many as are wanted that take `service` ms.
    fn run(service: impl Fn(u64) -> u64, places: Option<u64>) -> Timeline {
        let mut timeline = Timeline::new(Moment::default());
        let mut free = 0;
        for number in 0..600 {
            // A schedule is not that even.
            let at = number * 25 + (number * 7919) % 23;
            let time = service(number);
            let begin = match places {
                Some(_) => free.max(at),
                None => at,
            };
            free = begin + time;
            let outcome = OutcomeBuilder::at(at)
                .sent(at)
                .events(&[begin + 1, free])
                .end(free)
                .outputs(&[0, 1])
                .build();
            let ttft = Duration::from_millis(begin + 1 - at);
            let times = ByTime::of(|time| (time == TTFT).then_some(ttft));
            timeline.record(&outcome, &times, false);
        }
        timeline
    }

    /// A number that has nothing to do with those beside it (the finalizer of SplitMix64).
    fn scattered(number: u64) -> u64 {
        let mixed = (number ^ (number >> 30)).wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed >> 32
    }

    #[test]
    fn a_server_that_is_too_slow_is_noticed() {
        // 23 a second for 40.
        let found = saturation(&run(|number| 43 + number % 2, Some(1))).unwrap();
        assert!((found.sent - 40.0).abs() < 1.0, "{found:?}");
        assert!((found.done - 23.0).abs() < 1.0, "{found:?}");
        assert!(
            found.in_flight.low < 17.0 && found.in_flight.high > 16.0,
            "{found:?}"
        );
        // Each second 17 requests more, of 43.5 ms each.
        let ttft = found.ttft.unwrap();
        assert!((ttft.value - 0.74).abs() < 0.02, "{found:?}");
        assert!(found.at_the_end > 240, "{found:?}");
    }

    #[test]
    fn a_server_whose_times_fall_again_is_noticed() {
        // 40 a second are sent. For five seconds it does 10 a second, then 27, then again 10: what is sent in the middle
        // takes less time than what was sent before.
        let mut waiting = std::collections::VecDeque::new();
        let mut timeline = Timeline::new(Moment::default());
        let mut record = |at: u64, end: u64| {
            let outcome = OutcomeBuilder::at(at)
                .sent(at)
                .events(&[end - 1, end])
                .end(end)
                .outputs(&[0, 1])
                .build();
            let ttft = Duration::from_millis(end - 1 - at);
            let times = ByTime::of(|time| (time == TTFT).then_some(ttft));
            timeline.record(&outcome, &times, false);
        };
        let mut free = 0;
        for millisecond in 1..=15_000_u64 {
            if millisecond % 25 == 0 {
                waiting.push_back(millisecond);
            }
            let service = if (5_000..10_000).contains(&millisecond) {
                37
            } else {
                100
            };
            if millisecond >= free
                // The newest first while it is fast, else the oldest.
                && let Some(at) = match service {
                    37 => waiting.pop_back(),
                    _ => waiting.pop_front(),
                }
            {
                free = millisecond + service;
                record(at, free);
            }
        }
        for at in waiting {
            free += 20;
            record(at, free);
        }
        let found = saturation(&timeline).expect("it did not keep up");
        assert!(found.in_flight.low > 10.0, "{found:?}");
        assert!(found.at_the_end > 300, "{found:?}");
    }

    #[test]
    fn a_server_that_takes_waiting_requests_in_any_order_is_noticed() {
        // 40 a second are sent, and 16 are done, any of those that wait: times rise at once and then no more.
        let mut waiting = Vec::new();
        let mut timeline = Timeline::new(Moment::default());
        let mut record = |at: u64, end: u64| {
            let outcome = OutcomeBuilder::at(at)
                .sent(at)
                .events(&[end - 1, end])
                .end(end)
                .outputs(&[0, 1])
                .build();
            let ttft = Duration::from_millis(end - 1 - at);
            let times = ByTime::of(|time| (time == TTFT).then_some(ttft));
            timeline.record(&outcome, &times, false);
        };
        let mut free = 0;
        for millisecond in 1..=15_000_u64 {
            if millisecond % 25 == 0 {
                waiting.push(millisecond);
            }
            if millisecond >= free && !waiting.is_empty() {
                let any = scattered(millisecond) as usize % waiting.len();
                free = millisecond + 62;
                record(waiting.swap_remove(any), free);
            }
        }
        // Of what is left, the newest comes first.
        for at in waiting.into_iter().rev() {
            free += 62;
            record(at, free);
        }
        let found = saturation(&timeline).expect("it did not keep up");
        assert!(found.at_the_end > 300, "{found:?}");
    }

    #[test]
    fn a_share_of_long_answers_is_no_sign_of_a_server_that_is_too_slow() {
        // One of ten takes a minute: in 15 s none of those ends.
        let long = |number: u64| match scattered(number) % 10 {
            0 => 60_000,
            _ => 100,
        };
        assert_eq!(saturation(&run(long, None)), None);
    }

    #[test]
    fn a_server_that_keeps_up_is_not() {
        assert_eq!(saturation(&run(|number| 12 + number % 12, Some(1))), None);
        assert_eq!(saturation(&run(|_| 24, Some(1))), None);
        // Long answers fill the server for ten of fifteen seconds, and nothing grows but that.
        assert_eq!(
            saturation(&run(|number| 500 + scattered(number) % 9500, None)),
            None
        );
    }

    #[test]
    fn a_run_too_short_says_nothing() {
        assert_eq!(saturation(&Timeline::new(Moment::default())), None);
        assert_eq!(saturation(&run(|_| 20_000, None)), None);
    }
}
