//! One load over several processes: which part each of them sends.

use super::Arrivals;
use std::fmt;

/// One of the parts into which a load is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    part: u32,
    parts: u32,
}

impl Default for Shard {
    /// The only one: the whole load.
    fn default() -> Self {
        Self { part: 0, parts: 1 }
    }
}

impl Shard {
    /// The part with this number, from 0, of so many. `None`: there is no such part.
    pub fn new(part: u32, parts: u32) -> Option<Self> {
        (part < parts).then_some(Self { part, parts })
    }

    /// The part of a [`fmt::Display`].
    pub fn of_text(text: &str) -> Option<Self> {
        let (part, parts) = text.split_once('/')?;
        Self::new(part.parse().ok()?, parts.parse().ok()?)
    }

    /// Its number, from 0.
    pub fn part(self) -> u32 {
        self.part
    }

    /// How many parts there are.
    pub fn parts(self) -> u32 {
        self.parts
    }

    /// Whether it is the whole load.
    pub fn is_whole(self) -> bool {
        self.parts == 1
    }

    /// How many of `all` equal things are this part's; the first parts have one more where they cannot be equal.
    pub fn share_of(self, all: u64) -> u64 {
        let (part, parts) = (u64::from(self.part), u64::from(self.parts));
        all / parts + u64::from(part < all % parts)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.parts)
    }
}

/// Which requests of a load a process sends. All processes walk the whole load, so that number, due time and body of
/// each request are those of a run that is not split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Split {
    shard: Shard,
    /// The seed by which requests are drawn. `None`: they are dealt in turn.
    drawn_by: Option<u64>,
}

impl Split {
    /// The split of a load. Requests of a schedule are drawn at random: each part of a Poisson process is then a Poisson
    /// process that does not depend on the others, so that their sum is one however the clocks of the processes differ.
    /// (Dealt in turn, each part would be more regular than a Poisson process, and the sum would depend on the clocks.)
    /// Requests that wait for a free slot, or all go at once, have no times of their own, and are dealt in turn.
    pub(super) fn of(shard: Shard, arrivals: &Arrivals, seed: u64) -> Self {
        let has_schedule = !matches!(arrivals, Arrivals::Closed { .. } | Arrivals::AllAtOnce);
        Self {
            shard,
            drawn_by: has_schedule.then_some(seed),
        }
    }

    /// Whether this process sends the session with this number; of requests that stand alone, each is a session.
    pub fn takes(self, number: u64) -> bool {
        let drawn = match self.drawn_by {
            Some(seed) => splitmix64(seed ^ number),
            None => number,
        };
        self.shard.is_whole() || drawn % u64::from(self.shard.parts) == u64::from(self.shard.part)
    }

    /// How many of the first `all` requests this process sends.
    pub fn count(self, all: u64) -> u64 {
        if self.shard.is_whole() {
            return all;
        }
        match self.drawn_by {
            Some(_) => (0..all).filter(|number| self.takes(*number)).count() as u64,
            None => self.shard.share_of(all),
        }
    }
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014): every
/// bit of the result depends on every bit of the number.
fn splitmix64(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Gaps;

    const SCHEDULE: Arrivals = Arrivals::Open {
        rate: 10.0,
        gaps: Gaps::Poisson,
    };

    fn splits(parts: u32, arrivals: Arrivals) -> Vec<Split> {
        (0..parts)
            .map(|part| Split::of(Shard::new(part, parts).unwrap(), &arrivals, 42))
            .collect()
    }

    #[test]
    fn the_generator_is_the_published_one() {
        // The first number of SplitMix64 with the seed 1234567, of the reference implementation in C.
        assert_eq!(splitmix64(1_234_567), 6_457_827_717_110_365_317);
    }

    #[test]
    fn each_request_belongs_to_exactly_one_part() {
        for parts in 1..=17 {
            for arrivals in [
                SCHEDULE,
                Arrivals::Closed { parallel: 20 },
                Arrivals::AllAtOnce,
            ] {
                let splits = splits(parts, arrivals);
                for number in 0..2_000 {
                    let owners = splits.iter().filter(|split| split.takes(number)).count();
                    assert_eq!(owners, 1, "request {number} of {parts} parts, {arrivals:?}");
                }
                let counts: u64 = splits.iter().map(|split| split.count(2_000)).sum();
                assert_eq!(counts, 2_000);
            }
        }
    }

    #[test]
    fn a_part_of_a_schedule_is_drawn_and_not_dealt() {
        let part = splits(2, SCHEDULE)[0];
        // Of neighbours, one in two pairs would both be taken or both not; dealt in turn, none.
        let alike = (0..10_000)
            .filter(|number| part.takes(*number) == part.takes(number + 1))
            .count();
        assert!((4_700..5_300).contains(&alike), "{alike}");
    }

    #[test]
    fn slots_are_split_whole() {
        for parts in 1..=17 {
            let shares: Vec<u64> = (0..parts)
                .map(|part| Shard::new(part, parts).unwrap().share_of(20))
                .collect();
            assert_eq!(shares.iter().sum::<u64>(), 20);
            assert!(shares.is_sorted_by(|first, second| first >= second));
            assert!(shares[0] - shares[shares.len() - 1] <= 1);
        }
    }

    #[test]
    fn a_part_is_read_as_it_is_written() {
        let shard = Shard::new(3, 8).unwrap();
        assert_eq!(Shard::of_text(&shard.to_string()), Some(shard));
        for wrong in ["8/8", "1", "a/2", "0/0", "-1/2"] {
            assert_eq!(Shard::of_text(wrong), None, "{wrong}");
        }
    }
}
