//! How late this program reads what has come. The kernel notes when bytes come, so that no time of a response has this in
//! it; but a slot of a closed loop sends its next request that much later than the server would have taken it.

use std::ops::AddAssign;
use std::time::Duration;

/// How long the last bytes of responses had been there when they were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LateReads {
    /// Responses whose last bytes the kernel stamped. Of the others nobody knows.
    pub responses: u64,
    /// Summed over these.
    pub total: Duration,
}

impl LateReads {
    /// None.
    pub const NONE: Self = Self {
        responses: 0,
        total: Duration::ZERO,
    };

    /// Of one response.
    pub fn of_one(late: Duration) -> Self {
        Self {
            responses: 1,
            total: late,
        }
    }

    /// For one response, on average. `None`: of no response is it known.
    pub fn mean(self) -> Option<Duration> {
        (self.responses > 0).then(|| {
            Duration::try_from_secs_f64(self.total.as_secs_f64() / self.responses as f64)
                .unwrap_or_default()
        })
    }
}

impl AddAssign for LateReads {
    fn add_assign(&mut self, other: Self) {
        self.responses = self.responses.saturating_add(other.responses);
        self.total = self.total.saturating_add(other.total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_known_where_a_response_was_stamped() {
        assert_eq!(LateReads::NONE.mean(), None);
        let mut reads = LateReads::NONE;
        reads += LateReads::of_one(Duration::from_millis(5));
        reads += LateReads {
            responses: 3,
            total: Duration::from_millis(3),
        };
        assert_eq!(reads.mean(), Some(Duration::from_millis(2)));
    }
}
