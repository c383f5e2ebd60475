//! Which of several models a session asks.

use super::draw::random_of;
use llmuses_core::plan::WeightedModel;
use rand::RngExt;
use std::sync::Arc;

/// Makes the draws of models differ from those of prompts.
const MODELS: u64 = 0x6d_6f_64_65_6c_73;

/// Draws the model of each session by the weights: a function of seed and session alone.
#[derive(Debug, Clone, Default)]
pub struct ModelDraws {
    models: Arc<[WeightedModel]>,
    seed: u64,
}

impl ModelDraws {
    /// Draws among these models; nothing is drawn where there are none.
    pub fn new(models: &[WeightedModel], seed: u64) -> Self {
        Self {
            models: models.into(),
            seed: seed ^ MODELS,
        }
    }

    /// The model of a session. `None`: there is one model, that of the run.
    pub fn of(&self, session: u64) -> Option<Arc<str>> {
        let last = self.models.last()?;
        let sum: f64 = self.models.iter().map(|model| model.weight).sum();
        let mut left = random_of(self.seed, session).random::<f64>() * sum;
        let drawn = self.models.iter().find(|model| {
            left -= model.weight;
            left < 0.0
        });
        Some(Arc::clone(&drawn.unwrap_or(last).name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(weights: &[(&str, f64)], seed: u64) -> ModelDraws {
        let model = |(name, weight): &(&str, f64)| WeightedModel {
            name: (*name).into(),
            weight: *weight,
        };
        ModelDraws::new(&weights.iter().map(model).collect::<Vec<_>>(), seed)
    }

    #[test]
    fn models_come_by_their_weights_and_the_same_each_time() {
        let of = |seed| -> Vec<Arc<str>> {
            let draws = draws(&[("a", 3.0), ("b", 1.0)], seed);
            (0..20_000)
                .filter_map(|session| draws.of(session))
                .collect()
        };
        let models = of(42);
        let of_a = models.iter().filter(|model| &***model == "a").count();
        assert!((14_700..15_300).contains(&of_a), "{of_a}");
        assert_eq!(models, of(42));
        assert_ne!(models, of(43));
    }

    #[test]
    fn one_model_is_not_drawn() {
        assert_eq!(ModelDraws::default().of(7), None);
    }
}
