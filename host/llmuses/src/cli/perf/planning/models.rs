//! The models of `--model`, with their weights.

use super::super::usage::UsageError;
use llmuses_core::plan::WeightedModel;

/// The models that were given, as `NAME` or `NAME=WEIGHT`. What follows the last `=` and is no number belongs to the name.
pub(super) fn weighted(typed: &[String]) -> Result<Vec<WeightedModel>, UsageError> {
    let mut models: Vec<WeightedModel> = Vec::with_capacity(typed.len());
    for text in typed {
        let pair = text.rsplit_once('=');
        let pair = pair.and_then(|(name, weight)| Some((name, weight.parse::<f64>().ok()?)));
        let (name, weight) = pair.unwrap_or((text, 1.0));
        let wrong = |reason| UsageError::ModelWeight {
            text: text.clone(),
            reason,
        };
        if name.is_empty() {
            return Err(wrong("there is no name before the weight"));
        }
        if !(weight > 0.0 && weight.is_finite()) {
            return Err(wrong("a weight is a number above 0"));
        }
        if models.iter().any(|model| *model.name == *name) {
            return Err(UsageError::Twice {
                flag: "--model",
                key: name.to_owned(),
            });
        }
        models.push(WeightedModel {
            name: name.into(),
            weight,
        });
    }
    Ok(models)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::values::as_given;

    fn of(typed: &[&str]) -> Result<Vec<String>, UsageError> {
        let typed: Vec<String> = typed.iter().map(|text| (*text).to_owned()).collect();
        let models = weighted(&typed)?;
        Ok(models.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_weight_follows_the_last_equals_sign() {
        assert_eq!(
            of(&["Org/base=3", "lora", "a=b", "c=1=0.5"]).unwrap(),
            ["Org/base=3", "lora=1", "a=b=1", "c=1=0.5"]
        );
        assert!(of(&[]).unwrap().is_empty());
    }

    #[test]
    fn a_name_is_typed_so_that_it_is_read_as_the_name() {
        for name in ["lora", "lora=2", "a=b", "="] {
            let models = weighted(&[as_given(name)]).unwrap();
            assert_eq!((&*models[0].name, models[0].weight), (name, 1.0));
        }
    }

    #[test]
    fn what_is_no_weight_is_said() {
        for (typed, said) in [
            (&["a=0"][..], "--model a=0: a weight is a number above 0"),
            (&["a=-1"], "above 0"),
            (&["a=inf"], "above 0"),
            (&["=2"], "no name"),
            (&["a=2", "a=3"], "`a` twice"),
        ] {
            let error = of(typed).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
