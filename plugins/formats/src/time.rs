//! Times of traces.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use llmuses_plugin::Value;

/// A time in seconds: a number of units of so many seconds, or a date and time as in ISO 8601, in UTC where it names no
/// zone.
pub(crate) fn seconds(value: &Value, unit: f64) -> Option<f64> {
    match value {
        Value::String(text) => {
            let text = text.trim();
            match text.parse::<f64>() {
                Ok(number) => Some(number * unit),
                Err(_) => date(text),
            }
        }
        value => value.as_f64().map(|number| number * unit),
    }
    .filter(|seconds| seconds.is_finite())
}

fn date(text: &str) -> Option<f64> {
    let stamp = match text.parse::<Timestamp>() {
        Ok(stamp) => stamp,
        Err(_) => {
            let civil: DateTime = text.parse().ok()?;
            civil.to_zoned(TimeZone::UTC).ok()?.timestamp()
        }
    };
    Some(stamp.as_duration().as_secs_f64())
}

/// The time of each entry since that of the first.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    start: Option<f64>,
}

impl Clock {
    /// Seconds since the first entry.
    pub(crate) fn since_start(&mut self, seconds: f64) -> Result<f64, String> {
        let since = seconds - *self.start.get_or_insert(seconds);
        match since >= 0.0 {
            // Dates are far from zero, so that their fractions have noise in the last digits.
            true => Ok((since * 1e6).round() / 1e6),
            false => Err(
                "its time is before that of the first entry; a trace has to be in the order of time".to_owned(),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmuses_plugin::json;

    #[test]
    fn times_are_numbers_or_dates() {
        for (value, unit, expected) in [
            (json!(1500), 1e-3, Some(1.5)),
            (json!("1500"), 1e-3, Some(1.5)),
            (json!("1970-01-01T00:01:00Z"), 1.0, Some(60.0)),
            (json!("1970-01-01 00:01:00.2500000"), 1.0, Some(60.25)),
            (json!("1970-01-01 01:01:00+01:00"), 1.0, Some(60.0)),
            (json!("soon"), 1.0, None),
            (json!([]), 1.0, None),
        ] {
            assert_eq!(seconds(&value, unit), expected, "{value}");
        }
    }

    #[test]
    fn time_begins_with_the_first_entry() {
        let mut clock = Clock::default();
        assert_eq!(clock.since_start(1_700_000_000.1), Ok(0.0));
        assert_eq!(clock.since_start(1_700_000_001.35), Ok(1.25));
        assert!(clock.since_start(1_600_000_000.0).is_err());
    }
}
