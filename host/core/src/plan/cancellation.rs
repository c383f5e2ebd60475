//! Requests that the client cancels.

use crate::lengths::NumberDistribution;
use crate::think_time::ThinkTime;
use std::fmt;
use std::str::FromStr;

/// Which share of the requests the client cancels, as a user does who closes the page, and how long after it sent them.
#[derive(Debug, Clone, PartialEq)]
pub struct Cancellation {
    text: String,
    share: f64,
    after: ThinkTime,
}

/// A text that is no such share and time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no share of the requests with a time: {reason}. It is such as 10%:500ms, or 10%:uniform:100ms..2s with a \
     distribution of times"
)]
pub struct CancellationError {
    text: String,
    reason: String,
}

impl Cancellation {
    /// The share of the requests, from 0 to 1.
    pub fn share(&self) -> f64 {
        self.share
    }

    /// How long after a request was sent, in milliseconds.
    pub fn milliseconds(&self) -> &NumberDistribution {
        self.after.milliseconds()
    }
}

impl fmt::Display for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Cancellation {
    type Err = CancellationError;

    fn from_str(text: &str) -> Result<Self, CancellationError> {
        let wrong = |reason: &str| CancellationError {
            text: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (share, after) = text
            .split_once(':')
            .ok_or_else(|| wrong("there is no time"))?;
        let share = share
            .trim()
            .strip_suffix('%')
            .and_then(|percent| percent.trim().parse::<f64>().ok())
            .ok_or_else(|| wrong("the share is no number of per cent"))?
            / 100.0;
        if !(share > 0.0 && share < 1.0) {
            return Err(wrong(
                "the share should be above 0% and below 100%, since the figures are those of the other requests",
            ));
        }
        let after: ThinkTime = after
            .parse()
            .map_err(|error: crate::think_time::ThinkTimeError| wrong(error.reason()))?;
        if *after.milliseconds() == NumberDistribution::Fixed(0) {
            return Err(wrong("the time should be 1ms at least"));
        }
        Ok(Self {
            text: text.trim().to_owned(),
            share,
            after,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_a_time_or_a_distribution_of_times() {
        let fixed: Cancellation = "10%:500ms".parse().unwrap();
        assert_eq!(fixed.share(), 0.1);
        assert_eq!(*fixed.milliseconds(), NumberDistribution::Fixed(500));
        assert_eq!(fixed.to_string(), "10%:500ms");
        let drawn: Cancellation = "2.5%:uniform:100ms..2s".parse().unwrap();
        let uniform = NumberDistribution::Uniform {
            min: 100,
            max: 2000,
        };
        assert_eq!((drawn.share(), drawn.milliseconds()), (0.025, &uniform));
    }

    #[test]
    fn what_is_none_is_refused() {
        for (text, said) in [
            ("10%", "no time"),
            ("10:500ms", "per cent"),
            ("x%:500ms", "per cent"),
            ("0%:500ms", "above 0%"),
            ("100%:500ms", "below 100%"),
            ("NaN%:500ms", "above 0%"),
            ("10%:0", "1ms at least"),
            ("10%:soon", "`soon` is no time"),
        ] {
            let error = text.parse::<Cancellation>().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
