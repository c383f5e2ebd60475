//! How certain the figures are that are a sum over requests by another sum over them, such as the share of tokens that came
//! from a cache.

use llmuses_core::document::{FigureError, Named};
use llmuses_core::metric::{Figure, Sums};

/// Sums over requests of what such figures are made of. The order in which requests are added does not matter.
#[derive(Debug, Clone, Default)]
pub(super) struct RatioErrors(Vec<(Figure, Moments)>);

/// Sums of the two parts of a ratio, of their squares and of their product.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    requests: u64,
    whole: f64,
    part_squared: f64,
    product: f64,
    whole_squared: f64,
}

impl RatioErrors {
    /// Adds a request of which these are the sums.
    pub(super) fn add(&mut self, request: &Sums) {
        if self.0.is_empty() {
            let ratios = Figure::all().filter(|figure| figure.is_ratio());
            self.0 = ratios.map(|figure| (figure, Moments::default())).collect();
        }
        for (figure, moments) in &mut self.0 {
            let of_request = figure.part(request).zip(figure.whole(request));
            // A request that has nothing of the whole has no share in the figure.
            if let Some((part, whole)) = of_request.filter(|(_, whole)| *whole > 0.0) {
                moments.add(part, whole);
            }
        }
    }

    /// Of the figures that a run with these sums has.
    pub(super) fn to_document(&self, sums: &Sums) -> Named<FigureError> {
        let errors = self.0.iter().filter_map(|(figure, moments)| {
            let standard_error = moments.standard_error(figure.of(sums)?)?;
            let error = FigureError {
                requests: moments.requests,
                standard_error,
            };
            Some((figure.name.to_owned(), error))
        });
        errors.collect()
    }
}

impl Moments {
    fn add(&mut self, part: f64, whole: f64) {
        self.requests += 1;
        self.whole += whole;
        self.part_squared += part * part;
        self.product += part * whole;
        self.whole_squared += whole * whole;
    }

    /// That of the ratio by the delta method, with requests as what is drawn (Cochran, *Sampling Techniques*, 6.4). `None`:
    /// a single request says nothing about it.
    fn standard_error(&self, ratio: f64) -> Option<f64> {
        if self.requests < 2 || self.whole <= 0.0 {
            return None;
        }
        let n = self.requests as f64;
        let squares =
            self.part_squared - 2.0 * ratio * self.product + ratio * ratio * self.whole_squared;
        // Rounding may take it below zero where all requests are alike.
        Some((squares.max(0.0) * n / (n - 1.0)).sqrt() / self.whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_core::metric::{CACHED_SHARE, INPUT_TOKENS, OUTPUT_TOKENS};

    fn request(input: f64, cached: f64) -> Sums {
        Sums {
            input_tokens: Some(input),
            input_known: 1,
            cached_tokens: Some(cached),
            succeeded: 1,
            ..Sums::default()
        }
    }

    #[test]
    fn the_error_of_a_ratio_is_that_of_its_linear_part() {
        let mut errors = RatioErrors::default();
        for (input, cached) in [(100.0, 50.0), (300.0, 250.0), (100.0, 0.0)] {
            errors.add(&request(input, cached));
        }
        let sums = Sums {
            input_tokens: Some(500.0),
            input_known: 3,
            cached_tokens: Some(300.0),
            succeeded: 3,
            ..Sums::default()
        };
        let found = errors.to_document(&sums);
        let error = |figure: Figure| found.get(figure.name).map(|error| error.standard_error);
        // Residuals of the share of 0.6: -10, 70 and -60.
        let share = (8600.0_f64 * 1.5).sqrt() / 500.0;
        assert!((error(CACHED_SHARE).unwrap() - share).abs() < 1e-12);
        // As of any mean: the deviation by the root of the number.
        let mean = (40_000.0_f64 / 3.0).sqrt() / 3.0_f64.sqrt();
        assert!((error(INPUT_TOKENS).unwrap() - mean).abs() < 1e-9);
        assert_eq!(error(OUTPUT_TOKENS), None);
    }

    #[test]
    fn a_single_request_has_no_error() {
        let mut errors = RatioErrors::default();
        errors.add(&request(10.0, 5.0));
        assert!(errors.to_document(&request(10.0, 5.0)).is_empty());
    }
}
