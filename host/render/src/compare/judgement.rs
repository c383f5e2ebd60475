//! What a change is: better or worse, the same, or not to be told.

use llmuses_core::metric::Better;
use llmuses_stats::{Estimate, Metric};

/// What a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// More than chance and the margin, and to the good.
    Better,
    /// More than chance and the margin, and to the bad.
    Worse,
    /// More than chance, of a figure that is neither good nor bad.
    Different,
    /// With confidence no more than the margin apart.
    Same,
    /// Chance could do it, or it could be within the margin: more samples would tell.
    Unclear,
    /// One of the runs does not have the figure, or the work was another one.
    NotComparable,
}

impl Judgement {
    /// The judgement as a person reads it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Different => "different",
            Self::Same => "same",
            Self::Unclear => "unclear",
            Self::NotComparable => "not comparable",
        }
    }
}

/// One figure of two runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The figure.
    pub metric: &'static Metric,
    /// Of the first run.
    pub before: Option<Estimate>,
    /// Of the other run.
    pub after: Option<Estimate>,
    /// By how much the other is above the first, as a share of the first.
    pub change: Option<Estimate>,
    /// What that is.
    pub judgement: Judgement,
}

/// Judges one figure of two runs by itself. `margin`: changes up to this share are no difference.
pub(super) fn judge(
    metric: &Metric,
    before: Option<Estimate>,
    after: Option<Estimate>,
    change: Option<Estimate>,
    comparable: bool,
    margin: f64,
) -> Judgement {
    let (true, Some(before), Some(after)) = (comparable, before, after) else {
        return Judgement::NotComparable;
    };
    let Some(change) = change else {
        // From zero: there is no share of it. Equal is equal; else the intervals must not touch.
        let apart = after
            .low
            .is_some_and(|low| low > before.high.unwrap_or(f64::INFINITY));
        return match (before.value == after.value, apart) {
            (true, _) => Judgement::Same,
            (false, true) => direction(metric, after.value - before.value),
            (false, false) => Judgement::Unclear,
        };
    };
    let within = change.low.is_some_and(|low| low >= -margin)
        && change.high.is_some_and(|high| high <= margin);
    let certain = metric.better == Better::Neither && change.low.is_none();
    if within || (certain && change.value.abs() <= margin) {
        Judgement::Same
    } else if certain
        || change.low.is_some_and(|low| low > margin)
        || change.high.is_some_and(|high| high < -margin)
    {
        // Numbers of tokens are counted, not estimated: any difference beyond the margin is one.
        direction(metric, change.value)
    } else {
        Judgement::Unclear
    }
}

fn direction(metric: &Metric, change: f64) -> Judgement {
    match (metric.better, change > 0.0) {
        (Better::Neither, _) => Judgement::Different,
        (Better::Higher, true) | (Better::Lower, false) => Judgement::Better,
        (Better::Higher, false) | (Better::Lower, true) => Judgement::Worse,
    }
}
