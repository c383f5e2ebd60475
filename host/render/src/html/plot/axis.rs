//! Axes: their range, and where they have ticks.

/// An axis of a plot.
#[derive(Debug, Clone)]
pub(in crate::html) struct Axis {
    /// What it shows, with the unit.
    pub(in crate::html) title: String,
    /// The value at its beginning.
    pub(in crate::html) low: f64,
    /// The value at its end.
    pub(in crate::html) high: f64,
    /// Values with a tick, and what stands at each.
    pub(in crate::html) ticks: Vec<(f64, String)>,
    /// How the script makes the ticks of a part of it.
    pub(in crate::html) scale: Scale,
}

/// What the values of an axis are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::html) enum Scale {
    /// Numbers.
    Numbers,
    /// Percentiles: −log₁₀ of the share that is above.
    Percentiles,
    /// Names, at 0, 1, 2, …
    Names,
}

impl Scale {
    /// The name of it in the page.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Numbers => "numbers",
            Self::Percentiles => "percentiles",
            Self::Names => "names",
        }
    }
}

/// The longest name of a tick, in characters.
const LONGEST_NAME: usize = 12;

impl Axis {
    /// An axis from `low` to `high`, with some `count` ticks at round numbers.
    pub(in crate::html) fn numbers(
        title: impl Into<String>,
        low: f64,
        high: f64,
        count: usize,
    ) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self {
            title: title.into(),
            low,
            high,
            ticks: round_ticks(low, high, count),
            scale: Scale::Numbers,
        }
    }

    /// A vertical axis from 0 to a little above `most`.
    pub(in crate::html) fn from_zero(title: impl Into<String>, most: f64) -> Self {
        let high = if most > 0.0 { most * 1.08 } else { 1.0 };
        Self::numbers(title, 0.0, high, 5)
    }

    /// A vertical axis of counts from 0: no ticks between whole numbers.
    pub(in crate::html) fn counts(title: impl Into<String>, most: f64) -> Self {
        let mut axis = Self::from_zero(title, most);
        axis.ticks.retain(|(value, _)| value.fract() == 0.0);
        axis
    }

    /// The percentiles of so many samples. To the right, nine tenths of what is left at each step.
    pub(in crate::html) fn percentiles(title: impl Into<String>, samples: u64) -> Self {
        let high = place_of(100.0, samples);
        let mut ticks: Vec<(f64, String)> = Vec::new();
        for percent in [0.0, 90.0, 99.0, 99.9, 99.99, 99.999, 50.0, 95.0, 75.0] {
            let at = place_of(percent, u64::MAX);
            // Neither over one another nor over the edge.
            let room = |other: f64| (other - at).abs() / high > 0.095;
            if at <= high * 0.985 && ticks.iter().all(|(other, _)| room(*other)) {
                ticks.push((at, format!("p{percent}")));
            }
        }
        ticks.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self {
            title: title.into(),
            low: 0.0,
            high,
            ticks,
            scale: Scale::Percentiles,
        }
    }

    /// Names side by side, the first at 0. Where there are many, some of the ticks have none.
    pub(in crate::html) fn names(title: impl Into<String>, names: &[String]) -> Self {
        let step = names.len().div_ceil(8).max(1);
        Self {
            title: title.into(),
            low: -0.5,
            high: names.len() as f64 - 0.5,
            ticks: (0..)
                .zip(names)
                .step_by(step)
                .map(|(place, name)| {
                    let name = llmuses_core::wording::cut(name, LONGEST_NAME);
                    (f64::from(place), name)
                })
                .collect(),
            scale: Scale::Names,
        }
    }

    /// The place of a value between the beginning (0) and the end (1).
    pub(super) fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }
}

/// Where a percentile lies on its axis. A run of n requests tells nothing beyond 1 − 1/n, where its longest time lies.
pub(in crate::html) fn place_of(percent: f64, samples: u64) -> f64 {
    let end = (samples.max(2) as f64).log10();
    let place = -(1.0 - percent / 100.0).log10();
    // -0 is no place.
    place.clamp(0.0, end) + 0.0
}

/// Round numbers between two values, some `count` of them: steps of 1, 2 or 5 times a power of ten.
fn round_ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let rough = (high - low) / count.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough * 0.75)
        .unwrap_or(rough);
    let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    let first = (low / step - 1e-9).ceil();
    let mut ticks = Vec::new();
    for index in 0..=2 * count {
        let value = (first + index as f64) * step;
        if value > high + step * 1e-9 {
            break;
        }
        ticks.push((value, tick(value, decimals)));
    }
    ticks
}

/// A number of a tick: its thousands apart, large ones in short.
fn tick(value: f64, decimals: usize) -> String {
    let (value, decimals, unit) = match value.abs() {
        large if large >= 1e6 => (value / 1e6, 1, "M"),
        large if large >= 1e5 => (value / 1e3, 0, "k"),
        _ => (value + 0.0, decimals, ""),
    };
    let text = crate::digits::grouped(&format!("{value:.decimals$}"));
    format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            texts(&Axis::from_zero("", 10.0)),
            ["0", "2", "4", "6", "8", "10"]
        );
        assert_eq!(
            texts(&Axis::numbers("", 0.0, 1.0, 5)),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
        assert_eq!(
            texts(&Axis::numbers("", 51.3, 52.1, 4)),
            ["51.4", "51.6", "51.8", "52"]
        );
        assert_eq!(texts(&Axis::counts("", 1.0)), ["0", "1"]);
        assert_eq!(
            texts(&Axis::from_zero("", 4_000.0)),
            ["0", "1,000", "2,000", "3,000", "4,000"]
        );
        assert_eq!(texts(&Axis::from_zero("", 0.0)).first(), Some(&"0"));
        assert_eq!(
            texts(&Axis::from_zero("", 2.4e6)),
            ["0", "500k", "1M", "1.5M", "2M", "2.5M"]
        );
    }

    #[test]
    fn percentiles_keep_apart_and_end_with_what_is_known() {
        assert_eq!(
            texts(&Axis::percentiles("", 100_000)),
            ["p0", "p90", "p99", "p99.9", "p99.99"]
        );
        assert_eq!(texts(&Axis::percentiles("", 10)), ["p0", "p50", "p75"]);
        assert!(Axis::percentiles("", 1).high > 0.0);
    }

    #[test]
    fn of_many_names_some_are_left_out() {
        let names: Vec<String> = (0..20).map(|name| name.to_string()).collect();
        let axis = Axis::names("", &names);
        assert!(axis.ticks.len() <= 8);
        assert_eq!((axis.low, axis.high), (-0.5, 19.5));
    }
}
