//! Lengths in tokens that a person asks for: one length, a distribution, or a mix of several.

use std::fmt;
use std::str::FromStr;

/// The longest prompt or output that can be asked for, in tokens.
pub const MOST_TOKENS: u32 = 1 << 22;

/// How long prompts are, and, where a mix says so, how long the output of each is.
#[derive(Debug, Clone, PartialEq)]
pub struct Lengths {
    parts: Vec<Part>,
}

/// A kind of request in a mix.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its weight: a share of the requests, once divided by the sum of all weights.
    pub weight: f64,
    /// The length of its prompts.
    pub input: NumberDistribution,
    /// The length of its outputs, where the mix says one.
    pub output: Option<NumberDistribution>,
}

/// How a length is drawn. A draw below 1 or above [`MOST_TOKENS`] is drawn again, and one of a prompt that has no room for a
/// text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NumberDistribution {
    /// Always this many tokens.
    Fixed(u32),
    /// Any length from `min` to `max`, both included, with the same probability.
    Uniform {
        /// The shortest.
        min: u32,
        /// The longest.
        max: u32,
    },
    /// A normal distribution.
    Normal {
        /// Mean, in tokens.
        mean: f64,
        /// Standard deviation, in tokens.
        deviation: f64,
    },
    /// A log-normal distribution; mean and deviation are those of the lengths, not of their logarithms.
    LogNormal {
        /// Mean, in tokens.
        mean: f64,
        /// Standard deviation, in tokens.
        deviation: f64,
    },
    /// An exponential distribution.
    Exponential {
        /// Mean, in tokens.
        mean: f64,
    },
    /// A Poisson distribution.
    Poisson {
        /// Mean, in tokens.
        mean: f64,
    },
    /// Length k with a probability in proportion to `k^-exponent`.
    Zipf {
        /// The exponent.
        exponent: f64,
        /// The longest.
        max: u32,
    },
}

/// A text that is no length, distribution or mix.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no length: {reason}. A length is a number of tokens (1024), a distribution (uniform:100..2000, \
     normal:1000,200, lognormal:1000,500, exponential:500, poisson:300, zipf:1.2,4000), or a mix (70%:200,30%:8000)"
)]
pub struct LengthError {
    text: String,
    reason: String,
}

impl LengthError {
    /// What is wrong with the text.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl Lengths {
    /// The parts of the mix, at least one.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether the mix says how long outputs are.
    pub fn has_outputs(&self) -> bool {
        self.parts.iter().any(|part| part.output.is_some())
    }

    /// The shortest prompt that may be drawn.
    pub fn shortest(&self) -> u32 {
        let shortest = |part: &Part| part.input.bounds().0;
        self.parts.iter().map(shortest).min().unwrap_or(1)
    }

    /// The longest prompt that may be drawn.
    pub fn longest(&self) -> u32 {
        let longest = |part: &Part| part.input.bounds().1;
        self.parts.iter().map(longest).max().unwrap_or(MOST_TOKENS)
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [part] = &self.parts[..] {
            return write!(f, "{part}");
        }
        for (index, part) in self.parts.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{}%:{part}", part.weight)?;
        }
        Ok(())
    }
}

impl FromStr for Lengths {
    type Err = LengthError;

    fn from_str(text: &str) -> Result<Self, LengthError> {
        let parts = parts(text).map_err(|reason| LengthError {
            text: text.to_owned(),
            reason,
        })?;
        Ok(Self { parts })
    }
}

impl NumberDistribution {
    /// The shortest and the longest length that may be drawn.
    pub fn bounds(&self) -> (u32, u32) {
        match *self {
            Self::Fixed(length) => (length, length),
            Self::Uniform { min, max } => (min, max),
            Self::Zipf { max, .. } => (1, max),
            _ => (1, MOST_TOKENS),
        }
    }
}

impl fmt::Display for NumberDistribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(length) => write!(f, "{length}"),
            Self::Uniform { min, max } => write!(f, "uniform:{min}..{max}"),
            Self::Normal { mean, deviation } => write!(f, "normal:{mean},{deviation}"),
            Self::LogNormal { mean, deviation } => write!(f, "lognormal:{mean},{deviation}"),
            Self::Exponential { mean } => write!(f, "exponential:{mean}"),
            Self::Poisson { mean } => write!(f, "poisson:{mean}"),
            Self::Zipf { exponent, max } => write!(f, "zipf:{exponent},{max}"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.input)?;
        match &self.output {
            Some(output) => write!(f, "/{output}"),
            None => Ok(()),
        }
    }
}

impl FromStr for NumberDistribution {
    type Err = LengthError;

    fn from_str(text: &str) -> Result<Self, LengthError> {
        distribution(text).map_err(|reason| LengthError {
            text: text.to_owned(),
            reason,
        })
    }
}

fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    for (weight, lengths) in weighted(text)? {
        let (input, output) = match lengths.split_once('/') {
            Some((input, output)) => (input, Some(distribution(output)?)),
            None => (lengths, None),
        };
        parts.push(Part {
            weight,
            input: distribution(input)?,
            output,
        });
    }
    let with_output = parts.iter().filter(|part| part.output.is_some()).count();
    if with_output != 0 && with_output != parts.len() {
        return Err(
            "some parts of the mix have an output length (INPUT/OUTPUT), others have none"
                .to_owned(),
        );
    }
    Ok(parts)
}

/// The parts of a mix, each begun by `SHARE%:`. A text without shares is one part.
fn weighted(text: &str) -> Result<Vec<(f64, &str)>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((weight, lengths)) = share(rest) {
        if !(weight.is_finite() && weight > 0.0) {
            return Err("a share is not above 0 %".to_owned());
        }
        // Commas also stand within a distribution: the next part begins where a share follows one.
        let end = lengths
            .match_indices(',')
            .find(|(comma, _)| share(&lengths[comma + 1..]).is_some());
        match end {
            Some((comma, _)) => {
                parts.push((weight, &lengths[..comma]));
                rest = &lengths[comma + 1..];
            }
            None => {
                parts.push((weight, lengths));
                return whole(parts);
            }
        }
    }
    Ok(vec![(1.0, text)])
}

fn whole(parts: Vec<(f64, &str)>) -> Result<Vec<(f64, &str)>, String> {
    let sum: f64 = parts.iter().map(|(share, _)| share).sum();
    if (sum - 100.0).abs() > 0.5 {
        return Err(format!(
            "the shares of the mix add up to {sum} %, not to 100 %"
        ));
    }
    Ok(parts)
}

fn share(text: &str) -> Option<(f64, &str)> {
    let (share, lengths) = text.split_once("%:")?;
    Some((share.trim().parse().ok()?, lengths))
}

fn distribution(text: &str) -> Result<NumberDistribution, String> {
    let text = text.trim();
    let Some((name, values)) = text.split_once(':') else {
        return match text.split_once("..") {
            Some(range) => uniform(range),
            None => tokens(text).map(NumberDistribution::Fixed),
        };
    };
    match name {
        "fixed" => tokens(values).map(NumberDistribution::Fixed),
        "uniform" => match values.split_once("..") {
            Some(range) => uniform(range),
            None => Err("uniform takes a range, such as uniform:100..2000".to_owned()),
        },
        "normal" | "lognormal" => {
            let (mean, deviation) = pair(name, values, "MEAN,DEVIATION")?;
            let (mean, deviation) = (mean_length(mean)?, number(deviation)?);
            if deviation < 0.0 {
                return Err("the standard deviation is below 0".to_owned());
            }
            Ok(match name {
                "normal" => NumberDistribution::Normal { mean, deviation },
                _ => NumberDistribution::LogNormal { mean, deviation },
            })
        }
        "exponential" => Ok(NumberDistribution::Exponential {
            mean: mean_length(values)?,
        }),
        "poisson" => Ok(NumberDistribution::Poisson {
            mean: mean_length(values)?,
        }),
        "zipf" => {
            let (exponent, max) = pair(name, values, "EXPONENT,LONGEST")?;
            let exponent = number(exponent)?;
            if exponent < 0.0 {
                return Err("the exponent is below 0".to_owned());
            }
            Ok(NumberDistribution::Zipf {
                exponent,
                max: tokens(max)?,
            })
        }
        _ => Err(format!("there is no distribution `{name}`")),
    }
}

fn uniform((min, max): (&str, &str)) -> Result<NumberDistribution, String> {
    let (min, max) = (tokens(min)?, tokens(max)?);
    if min > max {
        return Err(format!("the range {min}..{max} is empty"));
    }
    Ok(NumberDistribution::Uniform { min, max })
}

fn pair<'a>(name: &str, values: &'a str, form: &str) -> Result<(&'a str, &'a str), String> {
    values
        .split_once(',')
        .ok_or_else(|| format!("{name} takes two numbers, {name}:{form}"))
}

fn number(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!("`{text}` is no number")),
    }
}

fn mean_length(text: &str) -> Result<f64, String> {
    match number(text)? {
        mean if mean >= 1.0 && mean <= f64::from(MOST_TOKENS) => Ok(mean),
        mean => Err(format!(
            "a mean of {mean} tokens is not between 1 and {MOST_TOKENS}"
        )),
    }
}

fn tokens(text: &str) -> Result<u32, String> {
    match text.trim().parse::<u32>() {
        Ok(tokens) if (1..=MOST_TOKENS).contains(&tokens) => Ok(tokens),
        Ok(tokens) => Err(format!(
            "{tokens} tokens are not between 1 and {MOST_TOKENS}"
        )),
        Err(_) => Err(format!("`{text}` is no whole number of tokens")),
    }
}

#[cfg(test)]
mod tests;
