//! The forms of single values on the command line: `K=V` pairs, seconds, rates.

use llmuses_core::metric::Time;
use llmuses_core::plan::{Arrivals, Gaps, Objectives, StopRule, Warmup};
use llmuses_stats::RunObjective;
use serde_json::Value;
use std::path::PathBuf;
use std::time::Duration;

/// A `K=V` pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// What stands before the first `=`.
    pub(super) key: String,
    /// Everything behind it; may hold further `=`.
    pub(super) value: String,
}

/// A value that was given and must not be shown.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    /// What must not be shown.
    pub(super) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The value that was given.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(llmuses_core::wording::BLANK)
    }
}

/// Takes a secret as it is. What is wrong with it is found out later: an error here would be shown
/// together with the text.
pub(super) fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// Reads a header as `NAME=VALUE` or, as curl takes it, `NAME: VALUE`. Errors hold nothing of the text: it
/// may be a key.
pub(super) fn header(text: &Secret) -> Result<Pair, &'static str> {
    let text = text.reveal();
    let wrong = "a header should be NAME=VALUE or 'NAME: VALUE', in quotes where it has spaces; what was \
                 given is not shown, since it may be a key";
    let at = text.find(['=', ':']).ok_or(wrong)?;
    let (name, value) = (text[..at].trim(), &text[at + 1..]);
    if name.is_empty() {
        return Err(wrong);
    }
    let value = if text[at..].starts_with(':') {
        let value = value.trim();
        if value.is_empty() {
            return Err(wrong);
        }
        value
    } else {
        value
    };
    Ok(Pair {
        key: name.to_owned(),
        value: value.to_owned(),
    })
}

/// What may not have been meant in a parameter's value, for a warning.
pub(super) fn parameter_warning(pair: &Pair) -> Option<String> {
    let Pair { key, value } = pair;
    let json = match value.as_str() {
        "True" => "true",
        "False" => "false",
        "None" => "null",
        _ if value.starts_with(['[', '{']) && parameter(value).is_string() => {
            return Some(format!(
                "--parameters {key}: the value looks like JSON but is none, and is sent as text"
            ));
        }
        _ => return None,
    };
    Some(format!(
        "--parameters {key}={value} is read as {json}: in JSON it is written {json} (or bool_true, \
         bool_false); for the text, write {key}='\"{value}\"'"
    ))
}

/// Reads a `K=V` pair. Errors hold nothing of the text: it may be a key.
pub(super) fn pair(text: &Secret) -> Result<Pair, &'static str> {
    // What begins so is JSON with an `=` somewhere in it.
    let is_name = |key: &str| !key.is_empty() && !key.starts_with(['{', '[', '"', '\'']);
    match text.reveal().split_once('=') {
        Some((key, value)) if is_name(key.trim()) => Ok(Pair {
            key: key.trim().to_owned(),
            value: value.to_owned(),
        }),
        _ => Err("it should be KEY=VALUE; what was given is not shown, since it may be a key"),
    }
}

/// What a parameter's value is: `bool_true` and `bool_false`, an integer, a float, any other JSON
/// value, else a string.
pub(super) fn parameter(text: &str) -> Value {
    match text {
        "bool_true" | "True" => return Value::Bool(true),
        "bool_false" | "False" => return Value::Bool(false),
        "None" => return Value::Null,
        _ => {}
    }
    if let Ok(integer) = text.parse::<i64>() {
        return integer.into();
    }
    if let Ok(integer) = text.parse::<u64>() {
        return integer.into();
    }
    // `inf` and `nan` are floats for Rust and words for everybody else.
    if text.bytes().any(|byte| byte.is_ascii_digit())
        && let Ok(float) = text.parse::<f64>()
        && let Some(number) = serde_json::Number::from_f64(float)
    {
        return Value::Number(number);
    }
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// Reads where to listen, `HOST:PORT`. Whether the host has an address is not asked here.
pub(super) fn listen_address(text: &str) -> Result<String, String> {
    let text = text.trim();
    text.rsplit_once(':')
        .filter(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        .map(|_| text.to_owned())
        .ok_or_else(|| {
            "it should be ADDRESS:PORT, such as 127.0.0.1:9464, or 0.0.0.0:9464 for all networks of this machine"
                .to_owned()
        })
}

/// Reads a time with its unit, such as `500ms`, `1.5s`, `2m` or `1h30m`. `None`: it is none, is negative, or
/// has no unit.
pub(super) fn with_unit(text: &str) -> Option<Duration> {
    let time: jiff::SignedDuration = text.trim().parse().ok()?;
    Duration::try_from(time).ok()
}

/// Reads a time above 0: with a unit, or a number of seconds.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || {
        "it should be a time above 0, such as 500ms, 10s or 2m (without a unit: seconds)".to_owned()
    };
    let seconds = match text.trim().parse::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => with_unit(text).ok_or_else(wrong)?.as_secs_f64(),
    };
    if seconds.is_nan() || seconds <= 0.0 {
        return Err(wrong());
    }
    // Deadlines are computed by addition; a century is for ever, and cannot overflow.
    const CENTURY: f64 = 100.0 * 366.0 * 24.0 * 3600.0;
    match Duration::from_secs_f64(seconds.min(CENTURY)) {
        Duration::ZERO => Err(wrong()),
        time => Ok(time),
    }
}

/// Reads a number of bytes with its unit, 16 MiB at least.
pub(super) fn size(text: &str) -> Result<u64, String> {
    const LEAST: u64 = 16 << 20;
    let wrong = || "it should be a size of 16MiB or more, such as 512MiB or 4GiB".to_owned();
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .ok_or_else(wrong)?;
    let (number, unit) = text.split_at(end);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024.0 * 1024.0,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    // A float beyond the range becomes the largest integer.
    let bytes = (number * unit) as u64;
    if bytes < LEAST {
        Err(wrong())
    } else {
        Ok(bytes)
    }
}

/// Reads a duration for timing, 0 too: with a unit, or a number of seconds.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || "it should be a time such as 50ms, 1.5s or 200us (without a unit: seconds)".to_owned();
    match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).map_err(|_| wrong()),
        Err(_) => with_unit(text).ok_or_else(wrong),
    }
}

/// Reads how much of a run is warm-up: a number of requests, or a time with its unit.
pub(super) fn warmup(text: &str) -> Result<Warmup, String> {
    if let Ok(requests) = count(text) {
        return Ok(Warmup::Requests(requests));
    }
    match with_unit(text) {
        Some(time) if !time.is_zero() => Ok(Warmup::Time(time)),
        _ => Err("it should be a number of requests such as 100, or a time such as 10s".to_owned()),
    }
}

/// Reads objectives: `ttft:500ms,tpot:50ms,latency:10s`, each at most once.
pub(super) fn objectives(text: &str) -> Result<Objectives, String> {
    let mut bounds: Vec<(Time, Duration)> = Vec::new();
    for part in text.split(',') {
        let (name, bound) = part
            .split_once(':')
            .ok_or_else(|| format!("`{part}` should be NAME:TIME, such as ttft:500ms"))?;
        let name = name.trim();
        let time = Time::objectives()
            .find(|time| time.short == Some(name))
            .ok_or_else(|| {
                let names: Vec<&str> = Time::objectives().filter_map(|time| time.short).collect();
                format!(
                    "there is no objective `{name}`: they are {}",
                    names.join(", ")
                )
            })?;
        if bounds.iter().any(|(known, _)| *known == time) {
            return Err(format!("`{name}` is there twice"));
        }
        let bound = with_unit(bound).ok_or_else(|| {
            let bound = bound.trim();
            match bound.parse::<f64>() {
                Ok(_) => {
                    format!("`{part}` has no unit: write {name}:{bound}ms or {name}:{bound}s")
                }
                Err(_) => format!("`{bound}` should be a time such as 500ms or 1.5s"),
            }
        })?;
        bounds.push((time, bound));
    }
    Ok(Objectives::of(bounds))
}

/// A rule that ends a run: `saturated`, or a bound of a share or a percentile.
pub(super) fn stop_rule(text: &str) -> Result<StopRule, String> {
    if text == "saturated" {
        return Ok(StopRule::Saturated);
    }
    let bound: RunObjective = text
        .parse()
        .map_err(|error| format!("give saturated, or a bound: {error}"))?;
    let bound = bound.share_bound().map_err(|error| error.to_string())?;
    Ok(StopRule::Share(bound))
}

/// Takes the name of a file to be written.
pub(super) fn file_name(text: &str) -> Result<PathBuf, String> {
    match text {
        "" | "-" => Err("it should be the name of a file".to_owned()),
        name => Ok(PathBuf::from(name)),
    }
}

/// Reads a whole number above 0.
pub(super) fn count(text: &str) -> Result<u64, String> {
    match text.trim().parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("it should be a whole number above 0".to_owned()),
    }
}

/// Reads how many requests may be in flight at once.
pub(super) fn count_of_slots(text: &str) -> Result<u32, String> {
    u32::try_from(count(text)?).map_err(|_| format!("it should be {} at most", u32::MAX))
}

/// Reads a share between 0 and 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("it should be a share between 0 and 1".to_owned()),
    }
}

/// Reads a percentage from 0 to 100, with or without its sign, as a share.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let number = text.trim().trim_end_matches('%').trim_end();
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        _ => Err("it should be a percentage from 0 to 100, such as 1%".to_owned()),
    }
}

/// Reads a rate: requests per second above 0, or -1 for all at once.
pub(super) fn rate(text: &str) -> Result<Arrivals, String> {
    match text.trim().parse::<f64>() {
        // Infinity: as other load testers have it.
        Ok(-1.0 | f64::INFINITY) => Ok(Arrivals::AllAtOnce),
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(Arrivals::poisson(rate)),
        _ => Err(
            "it should be a number of requests per second above 0, or -1 (or inf) for all at once"
                .to_owned(),
        ),
    }
}

/// Reads how gaps between requests are spread.
pub(super) fn gaps(text: &str) -> Result<Gaps, String> {
    const MOST_CV: f64 = 100.0;
    match text.trim().split_once(':') {
        None if text.trim() == "poisson" => Ok(Gaps::Poisson),
        None if text.trim() == "constant" => Ok(Gaps::Constant),
        Some(("gamma", cv)) => match cv.parse::<f64>() {
            Ok(cv) if (0.01..=MOST_CV).contains(&cv) => Ok(Gaps::Gamma { cv }),
            _ => Err(format!(
                "the coefficient of variation behind gamma: should be a number from 0.01 to {MOST_CV}, such as \
                 gamma:2"
            )),
        },
        _ => Err("it should be poisson, constant or gamma:CV, such as gamma:2".to_owned()),
    }
}

/// The name of a model as `--model` takes it, so that nothing of it is read as a weight.
pub(super) fn as_given(name: &str) -> String {
    match name.contains('=') {
        true => format!("{name}=1"),
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests;
