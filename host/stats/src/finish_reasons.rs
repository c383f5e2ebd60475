//! Why answers ended.

use std::cmp::Reverse;

/// So many different reasons are counted by name: APIs have a handful, and their number is not ours to bound otherwise.
const MOST_NAMES: usize = 16;

/// Under which further ones are counted.
const OTHERS: &str = "others";

/// Counts the reasons for which answers ended, in the words of the API.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct FinishReasons(Vec<(String, u64)>);

impl FinishReasons {
    /// Counts one more.
    pub(super) fn record(&mut self, reason: &str) {
        self.add(reason, 1);
    }

    /// Counts so many more.
    pub(super) fn add(&mut self, reason: &str, more: u64) {
        let is_new = !self.0.iter().any(|(known, _)| known == reason);
        let name = match is_new && self.0.len() >= MOST_NAMES {
            true => OTHERS,
            false => reason,
        };
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, count)) => *count += more,
            None => self.0.push((name.to_owned(), more)),
        }
    }

    /// The most frequent first.
    pub(super) fn sorted(&self) -> Vec<(String, u64)> {
        let mut sorted = self.0.clone();
        sorted.sort_by_key(|(_, count)| Reverse(*count));
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_comes_first_and_names_are_few() {
        let mut reasons = FinishReasons::default();
        for reason in ["length", "stop", "stop"] {
            reasons.record(reason);
        }
        assert_eq!(
            reasons.sorted(),
            [("stop".to_owned(), 2), ("length".to_owned(), 1)]
        );
        for number in 0..100 {
            reasons.record(&format!("made up {number}"));
        }
        let sorted = reasons.sorted();
        assert_eq!(sorted.len(), MOST_NAMES + 1);
        assert_eq!(sorted[0], (OTHERS.to_owned(), 100 - 14));
    }
}
