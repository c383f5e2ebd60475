//! What each request should achieve.

use crate::document::{GoodputBounds, LoadRecord};
use crate::metric::{ByTime, Time};
use std::time::Duration;

/// Bounds that each request should keep, of times of the table of metrics. One at least is there.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Objectives(ByTime<Option<Duration>>);

impl Objectives {
    /// These bounds.
    pub fn of(bounds: impl IntoIterator<Item = (Time, Duration)>) -> Self {
        let mut objectives = Self::default();
        for (time, bound) in bounds {
            objectives.0[time] = Some(bound);
        }
        objectives
    }

    /// The bounds of a load as they stand in a document. `None` where it has none.
    pub fn of_record(load: &LoadRecord) -> Option<Self> {
        let bounds = load.objectives.as_ref()?;
        let duration = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
        Some(Self(ByTime::of(|time| bounds.0[time].and_then(duration))))
    }

    /// The times that have a bound, and the bound.
    pub fn bounds(&self) -> impl Iterator<Item = (Time, Duration)> {
        self.0
            .iter()
            .filter_map(|(time, bound)| Some((time, (*bound)?)))
    }

    /// The bounds as they stand in a document.
    pub fn to_record(&self) -> GoodputBounds {
        GoodputBounds(ByTime::of(|time| {
            self.0[time].map(|bound| bound.as_secs_f64())
        }))
    }
}
