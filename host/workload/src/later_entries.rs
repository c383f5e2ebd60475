//! Entries of a trace that belong to one conversation: each goes when it is due, but not before the one before it is over.

use super::conversation::Conversation;
use llmuses_core::budget::Charge;
use llmuses_core::clock::Moment;
use llmuses_core::exchange::Prepared;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// The first request of such an entry.
#[derive(Debug)]
pub(super) struct LaterEntry {
    /// How long after the entry before it it goes, in seconds, where it has no time of its own.
    pub(super) delay: Option<f64>,
    pub(super) prepared: Prepared,
    /// What is to be asked after it, and the memory of that.
    pub(super) rest: Option<(Conversation, Charge)>,
}

/// Requests of a trace that went later than it says, since the request before them in their conversation was not over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeldBack {
    /// How many.
    pub requests: u64,
    /// By how much at most.
    pub longest: Duration,
}

/// The conversations of a trace, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Chains {
    chains: HashMap<u64, Chain>,
    /// Entries that wait for the one before them.
    waiting: usize,
    held_back: HeldBack,
}

#[derive(Debug)]
struct Chain {
    /// When the last entry that went was over. `None`: it is under way.
    ended: Option<Moment>,
    waiting: VecDeque<LaterEntry>,
}

/// What becomes of an entry of a conversation.
#[derive(Debug)]
pub(super) enum Followed {
    /// It is the first one, and goes when it says.
    First(LaterEntry),
    /// The one before it is over: it goes when it is due.
    Due(LaterEntry, Moment),
    /// It waits for the one before it.
    Waits,
}

impl Chains {
    /// Takes in the next entry of a conversation.
    pub(super) fn follow(&mut self, entry: LaterEntry, start: Option<Moment>) -> Followed {
        let Some(chain) = self.chains.get_mut(&entry.prepared.place.session) else {
            let chain = Chain {
                ended: None,
                waiting: VecDeque::new(),
            };
            self.chains.insert(entry.prepared.place.session, chain);
            return Followed::First(entry);
        };
        // What is over began after the start.
        match (chain.ended.take(), start) {
            (Some(ended), Some(start)) => {
                let due = self.held_back.due(&entry, ended, start);
                Followed::Due(entry, due)
            }
            _ => {
                chain.waiting.push_back(entry);
                self.waiting += 1;
                Followed::Waits
            }
        }
    }

    /// Takes in that the entry of a conversation that was under way is over, and gives back the next one with when it is
    /// due.
    pub(super) fn over(
        &mut self,
        conversation: u64,
        ended: Moment,
        start: Moment,
    ) -> Option<(LaterEntry, Moment)> {
        let chain = self.chains.get_mut(&conversation)?;
        let Some(next) = chain.waiting.pop_front() else {
            chain.ended = Some(ended);
            return None;
        };
        self.waiting -= 1;
        let due = self.held_back.due(&next, ended, start);
        Some((next, due))
    }

    /// Whether no entry waits for another one.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting == 0
    }

    /// Forgets those that wait.
    pub(super) fn clear(&mut self) {
        self.chains.clear();
        self.waiting = 0;
    }

    pub(super) fn held_back(&self) -> HeldBack {
        self.held_back
    }
}

impl HeldBack {
    /// When an entry is due behind one that was over at `ended`.
    fn due(&mut self, entry: &LaterEntry, ended: Moment, start: Moment) -> Moment {
        let Some(at) = entry.prepared.at else {
            let delay = entry.delay.unwrap_or_default().max(0.0);
            return ended.after(Duration::try_from_secs_f64(delay).unwrap_or(Duration::MAX));
        };
        let at = start.after(at);
        let late = ended.since(at);
        if !late.is_zero() {
            self.requests += 1;
            self.longest = self.longest.max(late);
        }
        at.max(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::turn::TurnPlace;

    fn entry(number: u64, session: u64, at: Option<u64>, delay: Option<f64>) -> LaterEntry {
        LaterEntry {
            delay,
            prepared: Prepared {
                number,
                place: TurnPlace::alone(session),
                model: None,
                cancel_after: None,
                body: "{}".into(),
                held: Charge::default(),
                at: at.map(Duration::from_millis),
                own_head: None,
                later: None,
            },
            rest: None,
        }
    }

    #[test]
    fn an_entry_waits_for_the_one_before_it_in_its_conversation() {
        let start = Moment::from_nanos(1_000_000_000);
        let after = |millis| start.after(Duration::from_millis(millis));
        let mut chains = Chains::default();
        let first = chains.follow(entry(0, 7, Some(0), None), None);
        assert!(matches!(first, Followed::First(_)));
        for (number, at) in [(1, 10), (2, 500)] {
            let later = chains.follow(entry(number, 7, Some(at), None), None);
            assert!(matches!(later, Followed::Waits));
        }
        // Another conversation does not wait.
        let other = chains.follow(entry(3, 8, Some(20), None), None);
        assert!(matches!(other, Followed::First(_)));
        // The answer came after the next one was due.
        let (next, due) = chains.over(7, after(60), start).unwrap();
        assert_eq!((next.prepared.number, due), (1, after(60)));
        let (next, due) = chains.over(7, after(100), start).unwrap();
        assert_eq!((next.prepared.number, due), (2, after(500)));
        assert!(chains.is_idle());
        assert!(chains.over(7, after(600), start).is_none());
        // One that is read when the one before it is over goes at once.
        match chains.follow(entry(4, 7, None, Some(0.25)), Some(start)) {
            Followed::Due(_, due) => assert_eq!(due, after(850)),
            other => panic!("{other:?}"),
        }
        let held_back = chains.held_back();
        assert_eq!(held_back.requests, 1);
        assert_eq!(held_back.longest, Duration::from_millis(50));
    }
}
