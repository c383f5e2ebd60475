//! A time by the length of the prompt.

use llmuses_core::document::{StraightLine, TimeByInputLength};
use std::time::Duration;

/// The most points that are kept.
const MOST_POINTS: usize = 500;

/// A request.
#[derive(Debug, Clone, Copy)]
struct Point {
    hash: u64,
    number: u64,
    tokens: u64,
    time: Duration,
}

/// Points for a chart, and the sums that a straight line through all requests comes from. The sums are whole numbers, so
/// that the order of requests does not matter.
#[derive(Debug, Clone, Default)]
pub(super) struct ByInputLength {
    /// Those with the smallest hashes, in ascending order.
    points: Vec<Point>,
    requests: u64,
    tokens: u128,
    nanos: u128,
    squares_of_tokens: u128,
    squares_of_nanos: u128,
    tokens_by_nanos: u128,
}

impl ByInputLength {
    /// Adds the request of that number.
    pub(super) fn record(&mut self, number: u64, tokens: u64, time: Duration) {
        let (x, y) = (u128::from(tokens), time.as_nanos());
        self.requests += 1;
        self.tokens = self.tokens.saturating_add(x);
        self.nanos = self.nanos.saturating_add(y);
        self.squares_of_tokens = self.squares_of_tokens.saturating_add(x.saturating_mul(x));
        self.squares_of_nanos = self.squares_of_nanos.saturating_add(y.saturating_mul(y));
        self.tokens_by_nanos = self.tokens_by_nanos.saturating_add(x.saturating_mul(y));
        let hash = hash(number);
        let place = self.points.partition_point(|point| point.hash < hash);
        if place < MOST_POINTS {
            self.points.truncate(MOST_POINTS - 1);
            let point = Point {
                hash,
                number,
                tokens,
                time,
            };
            self.points.insert(place, point);
        }
    }

    /// As it stands in a document: points in the order of issue.
    pub(super) fn to_document(&self) -> TimeByInputLength {
        let mut points = self.points.clone();
        points.sort_unstable_by_key(|point| point.number);
        TimeByInputLength {
            requests: self.requests,
            input_tokens: points.iter().map(|point| point.tokens).collect(),
            seconds: points
                .iter()
                .map(|point| point.time.as_secs_f64())
                .collect(),
            line: self.line(),
        }
    }

    /// The line of least squares: slope = (n Σxy − Σx Σy) / (n Σx² − (Σx)²).
    fn line(&self) -> Option<StraightLine> {
        let n = self.requests as f64;
        let (x, y) = (self.tokens as f64 / n, self.nanos as f64 / 1e9 / n);
        let variance_x = self.squares_of_tokens as f64 / n - x * x;
        // Below that there is nothing but rounding.
        if self.requests < 3 || variance_x <= 1e-9 * (x * x + 1.0) {
            return None;
        }
        let covariance = self.tokens_by_nanos as f64 / 1e9 / n - x * y;
        let slope = covariance / variance_x;
        let variance_y = self.squares_of_nanos as f64 / 1e18 / n - y * y;
        Some(StraightLine {
            intercept_seconds: y - slope * x,
            seconds_per_token: slope,
            r_squared: (variance_y > 1e-9 * y * y)
                .then(|| (covariance * covariance / variance_x / variance_y).min(1.0)),
        })
    }
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): it spreads successive numbers evenly.
fn hash(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(requests: impl Iterator<Item = (u64, u64, u64)>) -> ByInputLength {
        let mut all = ByInputLength::default();
        for (number, tokens, micros) in requests {
            all.record(number, tokens, Duration::from_micros(micros));
        }
        all
    }

    #[test]
    fn the_line_is_found_and_the_order_does_not_matter() {
        // 20 ms and 50 µs for each token.
        let request = |number: u64| (number, number % 997, 20_000 + 50 * (number % 997));
        let found = of((0..3_000).map(request)).to_document();
        assert_eq!((found.requests, found.input_tokens.len()), (3_000, 500));
        let line = found.line.clone().unwrap();
        assert!((line.intercept_seconds - 0.02).abs() < 1e-9);
        assert!((line.seconds_per_token - 50e-6).abs() < 1e-12);
        assert!((line.r_squared.unwrap() - 1.0).abs() < 1e-6);
        for (tokens, seconds) in found.input_tokens.iter().zip(&found.seconds) {
            assert!((seconds - (0.02 + 50e-6 * *tokens as f64)).abs() < 1e-9);
        }
        assert_eq!(of((0..3_000).rev().map(request)).to_document(), found);
    }

    #[test]
    fn the_points_are_picked_from_all_parts_of_a_run() {
        let found = of((0..100_000).map(|number| (number, number, 1)));
        let halves = found.points.iter().filter(|point| point.number < 50_000);
        assert!((200..300).contains(&halves.count()));
    }

    #[test]
    fn one_length_has_no_line_and_any_number_has_a_place() {
        let same = of((0..100).map(|number| (number, 7, number)));
        assert_eq!(same.to_document().line, None);
        assert_eq!(ByInputLength::default().to_document().line, None);
        let odd = of([(0, u64::MAX, u64::MAX / 1000), (1, 0, 0), (2, u64::MAX, 1)].into_iter());
        odd.to_document();
    }
}
