//! Parts of the document of results, and their numbers: text with the digits of a report, and beside it the full value
//! and the place in the document where it came from.

use crate::digits::{UNKNOWN, certain_decimals, fixed, percent};
use llmuses_core::document::{Distribution, Named, Percentile, Totals};
use llmuses_core::metric::{Figure, Time};
use serde::Serialize;

/// The quantile of the normal distribution at 97.5 %.
const Z: f64 = 1.959_963_984_540_054;

/// A part of a document, and its place there as a JSON pointer.
#[derive(Debug)]
pub(crate) struct Part<'a, T> {
    value: &'a T,
    pointer: String,
}

/// The part of a document that a field of a part is, or a field of a field: `at!(totals, requests.failed)`.
macro_rules! at {
    ($part:expr, $($field:ident).+) => {
        $part.below(concat!($("/", stringify!($field)),+), &$part.value().$($field).+)
    };
}
pub(crate) use at;

impl<T> Clone for Part<'_, T> {
    fn clone(&self) -> Self {
        Self {
            value: self.value,
            pointer: self.pointer.clone(),
        }
    }
}

impl<'a, T> Part<'a, T> {
    /// The part at that place.
    pub(crate) fn new(pointer: impl Into<String>, value: &'a T) -> Self {
        Self {
            value,
            pointer: pointer.into(),
        }
    }

    /// What stands below this part at `place`, which begins with `/`.
    pub(crate) fn below<U>(&self, place: &str, value: &'a U) -> Part<'a, U> {
        Part::new(format!("{}{place}", self.pointer), value)
    }

    /// Its place in the document.
    pub(crate) fn pointer(&self) -> &str {
        &self.pointer
    }

    /// What stands there.
    pub(crate) fn value(&self) -> &'a T {
        self.value
    }
}

impl<'a, T> Part<'a, Option<T>> {
    /// The part, where there is something.
    pub(crate) fn known(&self) -> Option<Part<'a, T>> {
        let value = self.value.as_ref()?;
        Some(self.below("", value))
    }
}

impl<'a, T> Part<'a, Vec<T>> {
    /// The items of a list.
    pub(crate) fn items(&self) -> Vec<Part<'a, T>> {
        let items = self.value.iter().enumerate();
        items
            .map(|(place, item)| self.below(&format!("/{place}"), item))
            .collect()
    }
}

impl<'a, T> Part<'a, Named<T>> {
    /// The members of an object, whatever their names are.
    pub(crate) fn members(&self) -> Vec<(&'a str, Part<'a, T>)> {
        let members = self.value.iter();
        members
            .map(|(name, value)| {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                (name, self.below(&format!("/{escaped}"), value))
            })
            .collect()
    }
}

impl<'a> Part<'a, Totals> {
    /// A time.
    pub(crate) fn time(&self, time: Time) -> Part<'a, Distribution> {
        self.below(&format!("/{}", time.key), &self.value.times[time])
    }

    /// A figure of the run as a whole.
    pub(crate) fn figure(&self, figure: Figure, decimals: usize) -> Number {
        self.figure_as(figure, |value| fixed(value, decimals))
    }

    /// A figure of the run as a whole, with four significant digits.
    pub(crate) fn significant_figure(&self, figure: Figure) -> Number {
        self.figure_as(figure, significant)
    }

    /// A figure of the run that is a share, as percent.
    pub(crate) fn share(&self, figure: Figure) -> Number {
        self.figure_as(figure, |share| {
            share.map_or_else(|| UNKNOWN.to_owned(), percent)
        })
    }

    fn figure_as(&self, figure: Figure, text: impl Fn(Option<f64>) -> String) -> Number {
        let value = self.value.figures.get(figure);
        let pointer = format!("{}/figures/{}", self.pointer, figure.name);
        Number::new(pointer, &value, text(value))
    }
}

impl<'a> Part<'a, Distribution> {
    /// A percentile.
    pub(crate) fn percentile(&self, percentile: Percentile) -> Part<'a, Option<f64>> {
        let known = self.value.percentiles.get(percentile);
        self.below(&format!("/{}", percentile.key()), known.unwrap_or(&None))
    }

    /// Half the width of the 95 % confidence interval of a percentile, in seconds; where one bound is not known, the way to
    /// the other, and the standard deviation where neither is.
    fn half_width(&self, percentile: Percentile) -> Option<f64> {
        self.value.intervals_of_95_percent.as_ref()?;
        let value = self.value.percentile(percentile)?;
        match self.value.interval(percentile) {
            [Some(low), Some(high)] => Some((high - low) / 2.0),
            [Some(low), None] => Some(value - low),
            [None, Some(high)] => Some(high - value),
            [None, None] => self.value.standard_deviation_seconds,
        }
    }

    /// A percentile in milliseconds, with as many digits as are certain.
    pub(crate) fn certain(&self, percentile: Percentile) -> Number {
        self.percentile(percentile)
            .certain_millis(self.half_width(percentile))
    }

    /// The bounds of a percentile in milliseconds, with the digits that it has itself.
    pub(crate) fn certain_bounds(&self, percentile: Percentile) -> [Number; 2] {
        let millis = self.value.percentile(percentile).unwrap_or_default() * 1e3;
        let half_width = self.half_width(percentile).map(|half| half * 1e3);
        let decimals = certain_decimals(millis, half_width);
        self.bounds(percentile).map(|bound| bound.millis(decimals))
    }

    /// The mean in milliseconds, with as many digits as are certain given that many independent samples.
    pub(crate) fn certain_mean(&self, independent: u64) -> Number {
        let deviation = self.value.standard_deviation_seconds;
        let half = deviation.map(|deviation| Z * deviation / (independent.max(1) as f64).sqrt());
        at!(self, mean_seconds).certain_millis(half)
    }

    /// The same of the standard deviation, whose own is that of normally distributed samples.
    pub(crate) fn certain_deviation(&self, independent: u64) -> Number {
        let deviation = self.value.standard_deviation_seconds;
        let freedom = independent.saturating_sub(1).max(1) as f64;
        let half = deviation.map(|deviation| Z * deviation / (2.0 * freedom).sqrt());
        at!(self, standard_deviation_seconds).certain_millis(half)
    }

    /// The shortest, these percentiles and the longest in milliseconds, with the digits that are certain, and with as many
    /// more as it takes for none to be read as less than the one before it. Percentiles for which there are too few
    /// `independent` samples are marked.
    pub(crate) fn certain_row(&self, percentiles: &[Percentile], independent: u64) -> Vec<Number> {
        let known = percentiles
            .iter()
            .map(|percentile| (self.percentile(*percentile), self.half_width(*percentile)));
        let min = (at!(self, min_seconds), self.half_width(Percentile::P50));
        let max = (at!(self, max_seconds), self.half_width(Percentile::P99));
        let all: Vec<_> = std::iter::once(min).chain(known).chain([max]).collect();
        let millis: Vec<Option<f64>> = all
            .iter()
            .map(|(part, _)| part.number().map(|seconds| seconds * 1e3))
            .collect();
        let decimals = all.iter().zip(&millis).map(|((_, half), millis)| {
            certain_decimals(millis.unwrap_or_default(), half.map(|half| half * 1e3))
        });
        let decimals = in_order(&millis, decimals.collect());
        let parts = all.iter().zip(decimals);
        let mut numbers: Vec<Number> = parts
            .map(|((part, _), decimals)| part.millis(decimals))
            .collect();
        // Behind the shortest.
        for (number, percentile) in numbers.iter_mut().skip(1).zip(percentiles) {
            number.marked = percentile.is_short(independent);
        }
        numbers
    }

    /// The shortest and the longest in milliseconds, with the digits of the percentile nearest to each.
    pub(crate) fn certain_extremes(&self) -> [Number; 2] {
        [
            at!(self, min_seconds).certain_millis(self.half_width(Percentile::P50)),
            at!(self, max_seconds).certain_millis(self.half_width(Percentile::P99)),
        ]
    }

    /// The lower and the upper bound of a percentile.
    fn bounds(&self, percentile: Percentile) -> [Part<'a, Option<f64>>; 2] {
        let intervals = self.value.intervals_of_95_percent.as_ref();
        let known = intervals.and_then(|intervals| intervals.get(percentile));
        let [low, high] = known.unwrap_or(&[None, None]);
        let place = format!("/intervals_of_95_percent/{}", percentile.key());
        [
            self.below(&format!("{place}/0"), low),
            self.below(&format!("{place}/1"), high),
        ]
    }
}

/// The decimals with which ascending figures are read as ascending: those given, and more of one that is read as less than
/// the one before it, or of that one. Three at most.
fn in_order(figures: &[Option<f64>], mut decimals: Vec<usize>) -> Vec<usize> {
    let read = |figure: f64, decimals: usize| {
        let size = 10_f64.powi(i32::try_from(decimals).unwrap_or_default());
        (figure * size).round() / size
    };
    loop {
        let wrong = (1..figures.len()).find(|&place| {
            let (Some(before), Some(figure)) = (figures[place - 1], figures[place]) else {
                return false;
            };
            read(figure, decimals[place]) < read(before, decimals[place - 1])
        });
        let Some(place) = wrong else { return decimals };
        let coarser = match decimals[place] <= decimals[place - 1] {
            true => place,
            false => place - 1,
        };
        if decimals[coarser] >= 3 {
            return decimals;
        }
        decimals[coarser] += 1;
    }
}

/// A figure with four significant digits, and all those before the point.
fn significant(figure: Option<f64>) -> String {
    fixed(figure, certain_decimals(figure.unwrap_or_default(), None))
}

/// A number of a document, which may be unknown.
pub(crate) trait Known: Serialize {
    /// The number.
    fn number(&self) -> Option<f64>;
}

impl Known for f64 {
    fn number(&self) -> Option<f64> {
        Some(*self)
    }
}

impl Known for u64 {
    fn number(&self) -> Option<f64> {
        Some(*self as f64)
    }
}

impl<T: Known> Known for Option<T> {
    fn number(&self) -> Option<f64> {
        self.as_ref()?.number()
    }
}

impl<T: Known> Part<'_, T> {
    /// The number that stands there.
    pub(crate) fn number(&self) -> Option<f64> {
        self.value.number()
    }

    /// The value with a text of its own.
    pub(crate) fn shown(&self, text: String) -> Number {
        Number::new(self.pointer.clone(), self.value, text)
    }

    /// The number, all its digits.
    pub(crate) fn whole(&self) -> Number {
        let mut whole = self.shown(String::new());
        whole.text = match self.number() {
            Some(_) => whole.value.clone(),
            None => UNKNOWN.to_owned(),
        };
        whole
    }

    /// The number with that many decimals.
    pub(crate) fn fixed(&self, decimals: usize) -> Number {
        self.shown(fixed(self.number(), decimals))
    }

    /// The number with four significant digits.
    pub(crate) fn significant(&self) -> Number {
        self.shown(significant(self.number()))
    }

    /// Seconds as milliseconds with as many digits as are certain. `half_width`: of the 95 % confidence interval, in
    /// seconds.
    fn certain_millis(&self, half_width: Option<f64>) -> Number {
        let millis = self.number().unwrap_or_default() * 1e3;
        self.millis(certain_decimals(millis, half_width.map(|half| half * 1e3)))
    }

    /// Seconds as milliseconds with that many decimals.
    pub(crate) fn millis(&self, decimals: usize) -> Number {
        self.shown(fixed(self.number().map(|seconds| seconds * 1e3), decimals))
    }
}

/// A number of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Number {
    /// Its full value, as JSON.
    pub(crate) value: String,
    /// Its place in the document.
    pub(crate) pointer: String,
    /// What is read.
    pub(crate) text: String,
    /// Whether there were too few samples for it.
    pub(crate) marked: bool,
}

impl Number {
    /// The number `value`, which stands at `pointer` and is read as `text`.
    pub(crate) fn new(pointer: String, value: &impl Serialize, text: String) -> Self {
        Self {
            // A number always has a JSON form.
            value: serde_json::to_string(value).unwrap_or_default(),
            pointer,
            text,
            marked: false,
        }
    }

    /// The same, with a mark where there were too few samples for it.
    pub(crate) fn marked(self, marked: bool) -> Self {
        Self { marked, ..self }
    }

    /// Whether the document has no value there.
    pub(crate) fn is_unknown(&self) -> bool {
        self.text == UNKNOWN
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::document::FailureFigures;
    use llmuses_core::metric::TTFT;

    #[test]
    fn no_figure_is_read_as_less_than_the_one_before_it() {
        let decimals = |figures: &[f64], given: &[usize]| {
            let figures: Vec<Option<f64>> = figures.iter().copied().map(Some).collect();
            in_order(&figures, given.to_vec())
        };
        // 52.63 and 52.6; 6 and 5.823.
        assert_eq!(decimals(&[52.631, 52.631], &[2, 1]), [2, 2]);
        assert_eq!(decimals(&[5.81, 5.823, 5.823], &[0, 3, 0]), [1, 3, 0]);
        assert_eq!(decimals(&[1.0, 2.0, 3.0], &[0, 2, 1]), [0, 2, 1]);
        assert_eq!(decimals(&[1.000_4, 1.000_3], &[3, 3]), [3, 3]);
        assert_eq!(in_order(&[None, Some(1.0), None], vec![0; 3]), [0; 3]);
    }

    #[test]
    fn a_number_knows_its_value_and_its_place() {
        let mut totals = Totals {
            wall_seconds: Some(0.012_345_678),
            ..Totals::default()
        };
        totals
            .failures
            .0
            .push(("x/y~".to_owned(), FailureFigures::default()));
        let part = Part::new("/runs/0/totals", &totals);
        let wall = at!(part, wall_seconds).millis(3);
        assert_eq!(
            (
                wall.pointer.as_str(),
                wall.value.as_str(),
                wall.text.as_str()
            ),
            ("/runs/0/totals/wall_seconds", "0.012345678", "12.346")
        );
        let tokens = at!(part, tokens.output.tokens).whole();
        assert_eq!(tokens.pointer, "/runs/0/totals/tokens/output/tokens");
        assert_eq!(
            (tokens.value.as_str(), tokens.text.as_str()),
            ("null", "n/a")
        );
        assert_eq!(at!(part, requests.failed).whole().text, "0");
        let p99 = part.time(TTFT).percentile(Percentile::P99).fixed(3);
        assert_eq!(
            p99.pointer,
            "/runs/0/totals/time_to_first_token/p99_seconds"
        );
        let (_, odd) = &at!(part, failures).members()[0];
        assert_eq!(
            at!(odd, requests).whole().pointer,
            "/runs/0/totals/failures/x~1y~0/requests"
        );
    }
}
