//! Whether a server keeps up with an open loop, looked at while the run goes on.

use super::saturation::{Saturation, saturation};
use super::timeline::Timeline;
use std::time::Duration;

/// The first look comes after this much of the run.
const FIRST_LOOK: Duration = Duration::from_secs(4);

/// Looks for growth at 4 s, 6 s, 9 s, ... of a run, and believes it where two looks in succession see it: a queue that fills
/// for a moment is no longer seen to grow over a time that is half as long again.
#[derive(Debug, Clone)]
pub struct SaturationWatch {
    next_look: Duration,
    grew: bool,
}

impl Default for SaturationWatch {
    fn default() -> Self {
        Self {
            next_look: FIRST_LOOK,
            grew: false,
        }
    }
}

impl SaturationWatch {
    /// Looks, if it is time. What grew, where it did so at the look before as well.
    pub fn look(&mut self, timeline: &Timeline) -> Option<Saturation> {
        let slots = u32::try_from(timeline.slots().len()).unwrap_or(u32::MAX);
        if timeline.slot_length() * slots < self.next_look {
            return None;
        }
        self.next_look = self.next_look.mul_f64(1.5);
        let found = saturation(timeline);
        let grew_before = std::mem::replace(&mut self.grew, found.is_some());
        found.filter(|_| grew_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::clock::Moment;
    use llmuses_core::metric::{ByTime, TTFT};
    use llmuses_samples::OutcomeBuilder;

    /// When the growth of a server with one place that takes so many ms for each of 40 requests a second is believed.
    fn believed_after(service: u64) -> Option<u64> {
        let mut timeline = Timeline::new(Moment::default());
        let mut watch = SaturationWatch::default();
        let mut free = 0;
        for number in 0..1200 {
            let at = number * 25;
            let begin = free.max(at);
            free = begin + service;
            let outcome = OutcomeBuilder::at(at)
                .sent(at)
                .events(&[begin + 1, free])
                .end(free)
                .outputs(&[0, 1]);
            let ttft = Duration::from_millis(begin + 1 - at);
            let times = ByTime::of(|time| (time == TTFT).then_some(ttft));
            timeline.record(&outcome.build(), &times, false);
            if watch.look(&timeline).is_some() {
                return Some(free);
            }
        }
        None
    }

    #[test]
    fn growth_is_believed_at_the_second_look() {
        let after = believed_after(50).unwrap();
        assert!((5_500..8_000).contains(&after), "{after}");
        assert_eq!(believed_after(20), None);
    }
}
