//! How long a user thinks before the next turn of a session.

use crate::lengths::{LengthError, NumberDistribution};
use std::fmt;
use std::str::FromStr;

/// A time, or a distribution of times, as a person asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct ThinkTime {
    text: String,
    /// In milliseconds.
    distribution: NumberDistribution,
}

/// A text that is no time and no distribution of times.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no time to think: {reason}. It is a time (200ms, 1.5s, 2m; without a unit: seconds) or a distribution \
     of times (uniform:1s..5s, normal:2s,500ms, lognormal:2s,1s, exponential:2s)"
)]
pub struct ThinkTimeError {
    text: String,
    reason: String,
}

impl ThinkTimeError {
    /// What is wrong with the text.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl ThinkTime {
    /// The distribution, in milliseconds.
    pub fn milliseconds(&self) -> &NumberDistribution {
        &self.distribution
    }
}

impl fmt::Display for ThinkTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for ThinkTime {
    type Err = ThinkTimeError;

    fn from_str(text: &str) -> Result<Self, ThinkTimeError> {
        let distribution = distribution(text.trim()).map_err(|reason| ThinkTimeError {
            text: text.to_owned(),
            reason,
        })?;
        Ok(Self {
            text: text.trim().to_owned(),
            distribution,
        })
    }
}

fn distribution(text: &str) -> Result<NumberDistribution, String> {
    let Some((name, values)) = text.split_once(':') else {
        return match text.split_once("..") {
            Some((min, max)) => of_milliseconds("uniform", &[min, max]),
            None => match milliseconds(text)? {
                0 => Ok(NumberDistribution::Fixed(0)),
                _ => of_milliseconds("fixed", &[text]),
            },
        };
    };
    let values: Vec<&str> = match name {
        "uniform" => values.split("..").collect(),
        "normal" | "lognormal" | "exponential" => values.split(',').collect(),
        _ => return Err(format!("there is no distribution `{name}` of times")),
    };
    of_milliseconds(name, &values)
}

/// The distribution of whole milliseconds with this name.
fn of_milliseconds(name: &str, times: &[&str]) -> Result<NumberDistribution, String> {
    let times = times
        .iter()
        .map(|time| Ok(milliseconds(time)?.to_string()))
        .collect::<Result<Vec<_>, String>>()?;
    let between = if name == "uniform" { ".." } else { "," };
    format!("{name}:{}", times.join(between))
        .parse()
        .map_err(|error: LengthError| error.reason().replace("tokens", "milliseconds"))
}

fn milliseconds(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let in_unit = match unit.trim() {
        "ms" => 1.0,
        "" | "s" => 1e3,
        "m" | "min" => 60e3,
        "h" => 3600e3,
        _ => return Err(format!("`{text}` is no time")),
    };
    match number.parse::<f64>() {
        Ok(number) => Ok((number * in_unit).round() as u64),
        Err(_) => Err(format!("`{text}` is no time")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_any_unit() {
        for (text, milliseconds) in [
            ("200ms", NumberDistribution::Fixed(200)),
            ("1.5s", NumberDistribution::Fixed(1500)),
            ("2", NumberDistribution::Fixed(2000)),
            ("0", NumberDistribution::Fixed(0)),
            (
                "uniform:1s..2m",
                NumberDistribution::Uniform {
                    min: 1000,
                    max: 120_000,
                },
            ),
            (
                "normal:2s,500ms",
                NumberDistribution::Normal {
                    mean: 2000.0,
                    deviation: 500.0,
                },
            ),
            (
                "exponential:1s",
                NumberDistribution::Exponential { mean: 1000.0 },
            ),
        ] {
            let time: ThinkTime = text.parse().unwrap();
            assert_eq!(*time.milliseconds(), milliseconds, "{text}");
            assert_eq!(time.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for (text, said) in [
            ("soon", "`soon` is no time"),
            ("5 days", "`5 days` is no time"),
            ("zipf:1,2", "no distribution `zipf`"),
            ("uniform:5s..1s", "is empty"),
            ("normal:2s", "two numbers"),
        ] {
            let error = text.parse::<ThinkTime>().unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
