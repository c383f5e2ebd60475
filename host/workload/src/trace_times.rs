//! When the entries of a trace are due, and which of them belong to one conversation.

use llmuses_core::item::Entry;
use llmuses_core::plan::Replay;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// The place of an entry in a trace that is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TracePlace {
    /// When it is due after the start of the run. `None`: some time after the entry before it in its conversation, as its
    /// first turn says.
    pub due: Option<Duration>,
    /// The number of its conversation, in the order in which they begin; an entry without one is one by itself.
    pub conversation: u64,
    /// Whether other entries may belong to that conversation.
    pub is_named: bool,
}

/// Finds the places of entries, one after another.
#[derive(Debug, Default)]
pub struct TraceTimes {
    replay: Replay,
    entries: u64,
    conversations: u64,
    by_name: HashMap<String, u64>,
    /// The time of the last entry that had one, as recorded.
    last: f64,
}

impl TraceTimes {
    /// Times for such a replay.
    pub fn new(replay: Replay) -> Self {
        Self {
            replay,
            ..Self::default()
        }
    }

    /// The place of the next entry, whose times become those of the replay. `None`: it is beyond what is to be sent, and
    /// so are all behind it.
    ///
    /// # Errors
    /// Why it has no place.
    pub fn place(&mut self, entry: &mut Entry) -> Result<Option<TracePlace>, String> {
        if self.replay.entries.is_some_and(|most| self.entries >= most) {
            return Ok(None);
        }
        let number = entry
            .session
            .as_ref()
            .and_then(|name| self.by_name.get(name));
        let number = number.copied();
        let due = match entry.at {
            Some(at) => {
                if !at.is_finite() || at < 0.0 {
                    return Err(format!(
                        "its time is {at} s, and the times of a trace begin at 0"
                    ));
                }
                if at < self.last {
                    return Err(format!(
                        "its time is {at} s, before the {} s of an entry before it: a trace has to be in the order of \
                         time",
                        self.last
                    ));
                }
                if self
                    .replay
                    .time
                    .is_some_and(|time| at >= time.as_secs_f64())
                {
                    return Ok(None);
                }
                self.last = at;
                let due = Duration::try_from_secs_f64(at / self.replay.speed);
                Some(due.unwrap_or(Duration::MAX))
            }
            None if number.is_some()
                && entry.turns.first().is_some_and(|turn| turn.delay.is_some()) =>
            {
                None
            }
            None => {
                return Err("it has no time, so that --trace cannot tell when it is due".to_owned());
            }
        };
        for turn in &mut entry.turns {
            turn.delay = turn.delay.map(|delay| delay / self.replay.speed);
        }
        self.entries += 1;
        let conversation = number.unwrap_or(self.conversations);
        if number.is_none() {
            self.conversations += 1;
            if let Some(name) = &entry.session {
                self.by_name.insert(name.clone(), conversation);
            }
        }
        Ok(Some(TracePlace {
            due,
            conversation,
            is_named: entry.session.is_some(),
        }))
    }
}

/// The conversations of a trace of which a request is sent: what comes some time after another request needs one.
#[derive(Debug, Default)]
pub struct BegunConversations(HashSet<u64>);

impl BegunConversations {
    /// Takes in the next request of a trace. `number`: its number, from 0.
    ///
    /// # Errors
    /// Why it cannot be sent: it has no time but one after a request that was passed over.
    pub fn take(&mut self, place: &TracePlace, number: u64) -> Result<(), String> {
        if !place.is_named {
            return Ok(());
        }
        if place.due.is_none() && !self.0.contains(&place.conversation) {
            return Err(format!(
                "request {} of the trace has no time but one after the request before it in its conversation, which was \
                 passed over",
                number + 1
            ));
        }
        self.0.insert(place.conversation);
        Ok(())
    }
}

/// Parts of the time of a trace of which the rate is told.
pub const TENTHS: usize = 10;

/// How many of these times, in seconds from 0 to `span`, lie in each tenth of it.
pub fn by_tenths(times: impl IntoIterator<Item = f64>, span: f64) -> [u64; TENTHS] {
    let mut counts = [0; TENTHS];
    for at in times {
        let tenth = (at / span * TENTHS as f64) as usize;
        counts[tenth.min(TENTHS - 1)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn entry(entry: Value) -> Entry {
        serde_json::from_value(entry).unwrap()
    }

    fn timed(at: f64, session: Option<&str>) -> Entry {
        entry(json!({"turns": [{"prompt": "x"}], "at": at, "session": session}))
    }

    #[test]
    fn conversations_keep_their_number_and_times_are_divided_by_the_speed() {
        let mut times = TraceTimes::new(Replay {
            speed: 4.0,
            ..Replay::default()
        });
        let mut place = |mut entry: Entry| {
            let place = times.place(&mut entry).unwrap().unwrap();
            let millis = place.due.map(|due| due.as_millis());
            (millis, place.conversation, entry.turns[0].delay)
        };
        assert_eq!(place(timed(0.0, Some("a"))), (Some(0), 0, None));
        assert_eq!(place(timed(1.0, None)), (Some(250), 1, None));
        assert_eq!(place(timed(2.0, Some("b"))), (Some(500), 2, None));
        assert_eq!(place(timed(2.0, Some("a"))), (Some(500), 0, None));
        let later = json!({"turns": [{"prompt": "x", "delay": 2.0}], "session": "b"});
        assert_eq!(place(entry(later)), (None, 2, Some(0.5)));
    }

    #[test]
    fn an_entry_without_a_place_says_why() {
        let mut times = TraceTimes::default();
        let mut why = |mut entry: Entry| times.place(&mut entry).unwrap_err();
        assert!(why(timed(-1.0, None)).contains("-1 s"));
        assert!(why(entry(json!({"turns": [{"prompt": "x"}]}))).contains("no time"));
        // The first of a conversation has nothing to come after.
        let first = json!({"turns": [{"prompt": "x", "delay": 2.0}], "session": "b"});
        assert!(why(entry(first)).contains("no time"));
        times.place(&mut timed(2.0, None)).unwrap();
        let error = times.place(&mut timed(1.5, None)).unwrap_err();
        assert!(error.contains("1.5 s, before the 2 s"), "{error}");
    }

    #[test]
    fn a_request_after_one_that_was_passed_over_is_not_sent() {
        let place = |conversation, due: Option<u64>| TracePlace {
            due: due.map(Duration::from_secs),
            conversation,
            is_named: true,
        };
        let mut begun = BegunConversations::default();
        let error = begun.take(&place(7, None), 3).unwrap_err();
        assert!(
            error.starts_with("request 4 of the trace has no time"),
            "{error}"
        );
        assert_eq!(begun.take(&place(7, Some(1)), 3), Ok(()));
        assert_eq!(begun.take(&place(7, None), 4), Ok(()));
        assert!(begun.take(&place(8, None), 5).is_err());
    }

    #[test]
    fn times_are_counted_by_tenths() {
        let counts = by_tenths([0.0, 0.5, 1.0, 9.9, 10.0], 10.0);
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn a_replay_ends_at_its_limits() {
        let count = |entries, seconds: Option<u64>| {
            let mut times = TraceTimes::new(Replay {
                speed: 10.0,
                entries,
                time: seconds.map(Duration::from_secs),
            });
            (0..10)
                .take_while(|at| {
                    times
                        .place(&mut timed(f64::from(*at), None))
                        .unwrap()
                        .is_some()
                })
                .count()
        };
        assert_eq!(count(None, None), 10);
        assert_eq!(count(Some(4), None), 4);
        assert_eq!(count(None, Some(3)), 3);
        assert_eq!(count(Some(4), Some(3)), 3);
    }
}
