//! When requests go.

use super::Replay;
use crate::document::LoadRecord;

/// When requests go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Arrivals {
    /// Closed loop: this many slots, each of which sends its next request when the last one is over.
    Closed {
        /// The number of slots.
        parallel: usize,
    },
    /// Open loop: a rate, however many requests are in flight.
    Open {
        /// Requests per second.
        rate: f64,
        /// How the gaps between requests are spread.
        gaps: Gaps,
    },
    /// Open loop: all requests at time zero.
    AllAtOnce,
    /// Open loop: each request when its entry of the data set says.
    Trace(Replay),
}

impl Arrivals {
    /// A Poisson process of `rate` requests per second.
    pub fn poisson(rate: f64) -> Self {
        let gaps = Gaps::Poisson;
        Self::Open { rate, gaps }
    }

    /// The arrivals of a load as it stands in a document. `None` where it does not say.
    pub fn of_record(load: &LoadRecord) -> Option<Self> {
        Some(match load.arrivals.as_str() {
            "closed" => Self::Closed {
                parallel: usize::try_from(load.parallel?).ok()?,
            },
            "all-at-once" => Self::AllAtOnce,
            "trace" => Self::Trace(Replay::of_record(load)?),
            _ => Self::Open {
                rate: load.rate?,
                gaps: Gaps::of_record(load)?,
            },
        })
    }

    /// Writes them into the load of a document.
    pub(super) fn to_record(self, load: &mut LoadRecord) {
        match self {
            Self::Closed { parallel } => {
                "closed".clone_into(&mut load.arrivals);
                load.parallel = Some(parallel as u64);
            }
            Self::Open { rate, gaps } => {
                gaps.name().clone_into(&mut load.arrivals);
                load.rate = Some(rate);
                load.gaps_cv = gaps.asked_cv();
            }
            Self::AllAtOnce => "all-at-once".clone_into(&mut load.arrivals),
            Self::Trace(replay) => {
                "trace".clone_into(&mut load.arrivals);
                replay.to_record(load);
            }
        }
    }

    /// The load in a few words: `parallel 8`, `rate 5/s`, `rate 5/s constant`.
    pub fn name(&self) -> String {
        match self {
            Self::Closed { parallel } => format!("parallel {parallel}"),
            Self::Open { rate, gaps } => format!("rate {rate}/s{}", gaps.suffix()),
            Self::AllAtOnce => "all at once".to_owned(),
            Self::Trace(replay) => replay.name(),
        }
    }

    /// Whether requests go when the schedule says, no matter how many are in flight.
    pub fn is_open(&self) -> bool {
        !matches!(self, Self::Closed { .. })
    }
}

/// How the gaps between the requests of an open loop are spread around their mean.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Gaps {
    /// Exponentially: a Poisson process, as many independent users make it.
    #[default]
    Poisson,
    /// All are equal.
    Constant,
    /// By a gamma distribution of this coefficient of variation (standard deviation / mean): 1 is Poisson, above are
    /// bursts, below more even gaps.
    Gamma {
        /// The coefficient of variation, above 0.
        cv: f64,
    },
}

impl Gaps {
    /// Their name in a document and of the flag.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Poisson => "poisson",
            Self::Constant => "constant",
            Self::Gamma { .. } => "gamma",
        }
    }

    fn of_record(load: &LoadRecord) -> Option<Self> {
        Some(match load.arrivals.as_str() {
            "poisson" => Self::Poisson,
            "constant" => Self::Constant,
            "gamma" => Self::Gamma { cv: load.gaps_cv? },
            _ => return None,
        })
    }

    /// The coefficient of variation, where it was given.
    const fn asked_cv(self) -> Option<f64> {
        match self {
            Self::Poisson | Self::Constant => None,
            Self::Gamma { cv } => Some(cv),
        }
    }

    /// What stands behind a rate; nothing for the default.
    pub fn suffix(self) -> String {
        match self {
            Self::Poisson => String::new(),
            Self::Constant => " constant".to_owned(),
            Self::Gamma { cv } => format!(" gamma:{cv}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Load;

    #[test]
    fn a_document_gives_back_the_arrivals() {
        for arrivals in [
            Arrivals::Closed { parallel: 3 },
            Arrivals::poisson(2.5),
            Arrivals::Open {
                rate: 7.0,
                gaps: Gaps::Constant,
            },
            Arrivals::Open {
                rate: 7.0,
                gaps: Gaps::Gamma { cv: 2.0 },
            },
            Arrivals::AllAtOnce,
            Arrivals::Trace(Replay {
                speed: 50.0,
                entries: Some(3),
                time: Some(std::time::Duration::from_secs(9)),
            }),
        ] {
            let load = Load {
                arrivals,
                ..Load::default()
            };
            let record = load.to_record();
            assert_eq!(Arrivals::of_record(&record), Some(arrivals));
            let is_a_rate = matches!(arrivals, Arrivals::Open { .. });
            assert_eq!(record.rate.is_some(), is_a_rate);
        }
    }
}
