//! The forms of single values on the command line: `K=V` pairs, seconds, rates.

use crate::metric::Time;
use crate::plan::{Objectives, Warmup};
use serde_json::Value;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

/// A `K=V` pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// What stands before the first `=`.
    pub(super) key: String,
    /// Everything behind it; may hold further `=`.
    pub(super) value: String,
}

/// What was typed and must not be shown.
#[derive(Clone)]
pub(super) struct Secret(String);

impl Secret {
    /// What was typed.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(crate::redact::BLANK)
    }
}

/// Takes a secret as it is. What is wrong with it is found out later: an error here would be shown
/// together with the text.
pub(super) fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret(text.to_owned()))
}

/// Reads a `K=V` pair.
pub(super) fn pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok(Pair {
            key: key.trim().to_owned(),
            value: value.to_owned(),
        }),
        _ => Err("it should be KEY=VALUE".to_owned()),
    }
}

/// What a parameter's value is: `bool_true` and `bool_false`, an integer, a float, any other JSON
/// value, else a string.
pub(super) fn parameter(text: &str) -> Value {
    match text {
        "bool_true" => return Value::Bool(true),
        "bool_false" => return Value::Bool(false),
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

/// Reads an address to listen at, `HOST:PORT`.
pub(super) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let wrong = || {
        "it should be ADDRESS:PORT, such as 127.0.0.1:9464, or 0.0.0.0:9464 for all networks of this machine"
            .to_owned()
    };
    let mut addresses = text.trim().to_socket_addrs().map_err(|_| wrong())?;
    addresses.next().ok_or_else(wrong)
}

/// Reads a positive number of seconds, fractions allowed.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || "it should be a number of seconds above 0, such as 120 or 0.5".to_owned();
    let seconds: f64 = text.trim().parse().map_err(|_| wrong())?;
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

/// Reads a duration for timing: a number with `us`, `ms` or `s`, or of seconds without a unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong =
        || "it should be a time such as 50ms, 1.5s or 200us (without a unit: seconds)".to_owned();
    let text = text.trim();
    let (number, unit) = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0)]
        .into_iter()
        .find_map(|(suffix, unit)| Some((text.strip_suffix(suffix)?, unit)))
        .unwrap_or((text, 1.0));
    let number: f64 = number.trim().parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())
}

/// Reads how much of a run is warm-up: a number of requests, or a time with its unit.
pub(super) fn warmup(text: &str) -> Result<Warmup, String> {
    if let Ok(requests) = count(text) {
        return Ok(Warmup::Requests(requests));
    }
    let has_unit = text.trim().ends_with('s');
    match duration(text) {
        Ok(time) if has_unit && !time.is_zero() => Ok(Warmup::Time(time)),
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
        bounds.push((time, duration(bound)?));
    }
    Ok(Objectives::of(bounds))
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
pub(super) fn rate(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(rate) if rate.is_finite() && (rate > 0.0 || rate == -1.0) => Ok(rate),
        _ => Err(
            "it should be a number of requests per second above 0, or -1 for all at once"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{TPOT, TTFT};
    use serde_json::json;

    #[test]
    fn a_value_may_hold_equal_signs() {
        let pair = pair("stop=a=b").unwrap();
        assert_eq!((pair.key.as_str(), pair.value.as_str()), ("stop", "a=b"));
        assert!(super::pair("stop").is_err());
        assert!(super::pair("=x").is_err());
        assert_eq!(super::pair("x=").unwrap().value, "");
    }

    #[test]
    fn parameters_have_the_type_that_they_look_like() {
        for (text, value) in [
            ("bool_true", json!(true)),
            ("bool_false", json!(false)),
            ("true", json!(true)),
            ("1", json!(1)),
            ("-1", json!(-1)),
            ("18446744073709551615", json!(u64::MAX)),
            ("0.7", json!(0.7)),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
            ("null", json!(null)),
            ("[1, \"a\"]", json!([1, "a"])),
            ("{\"a\": 1}", json!({"a": 1})),
            ("\"7\"", json!("7")),
            ("inf", json!("inf")),
            ("nan", json!("nan")),
            ("bool", json!("bool")),
            ("[1", json!("[1")),
            ("", json!("")),
            ("1.2.3", json!("1.2.3")),
        ] {
            assert_eq!(parameter(text), value, "{text}");
        }
    }

    #[test]
    fn counts_are_checked() {
        assert_eq!(count("18446744073709551615").unwrap(), u64::MAX);
        assert_eq!(count_of_slots("1000").unwrap(), 1000);
        for text in ["0", "-1", "1.5", "x", "", "99999999999999999999"] {
            assert!(count(text).is_err(), "{text}");
        }
        assert!(count_of_slots("4294967296").is_err());
    }

    #[test]
    fn a_warmup_is_of_requests_or_of_time() {
        assert_eq!(warmup("100").unwrap(), Warmup::Requests(100));
        assert_eq!(
            warmup("1.5s").unwrap(),
            Warmup::Time(Duration::from_millis(1500))
        );
        assert_eq!(
            warmup("500ms").unwrap(),
            Warmup::Time(Duration::from_millis(500))
        );
        for text in ["0", "1.5", "-3", "0s", "x", ""] {
            assert!(warmup(text).is_err(), "{text}");
        }
    }

    #[test]
    fn objectives_have_names() {
        let read = objectives("ttft:500ms,tpot:50ms").unwrap();
        let millis = Duration::from_millis;
        assert_eq!(
            read,
            Objectives::of([(TTFT, millis(500)), (TPOT, millis(50))])
        );
        for text in ["", "ttft", "ttft:x", "ttft:1s,ttft:2s", "speed:1s"] {
            assert!(objectives(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_and_rates_are_checked() {
        assert_eq!(seconds("0.25").unwrap(), Duration::from_millis(250));
        for text in ["0", "-1", "x", "nan", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
        assert!(seconds("1e300").is_ok());
        assert_eq!(duration("50ms").unwrap(), Duration::from_millis(50));
        assert_eq!(duration("200us").unwrap(), Duration::from_micros(200));
        assert_eq!(duration("1.5").unwrap(), Duration::from_millis(1500));
        assert!(duration("-1s").is_err());
        assert_eq!(rate("-1").unwrap(), -1.0);
        assert_eq!(rate("0.5").unwrap(), 0.5);
        for text in ["0", "-2", "inf", "nan"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
