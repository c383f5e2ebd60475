//! A rate over time as a table: between two rows it changes evenly.

use super::stages::{LoadStage, Staged, Stages};

/// The most rows.
const MOST_ROWS: usize = 10_000;

/// The highest rate, as of a stage.
const MOST_RATE: f64 = 1e6;

/// A table of rates cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateTableError {
    /// A row is none.
    #[error(
        "line {line}: `{text}` should be a time in seconds and a rate from 0 to 1000000 requests per second, such as 60,5"
    )]
    Row {
        /// Its line, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A row is before the one above it.
    #[error(
        "line {line}: its time is before that of the row above it; rows have to be in the order of time"
    )]
    Order {
        /// Its line, from 1.
        line: usize,
    },
    /// There is no time between the first and the last row.
    #[error(
        "it needs two rows of different times: the rate changes evenly from one to the next, and the last one is the end"
    )]
    Short,
    /// There are no requests.
    #[error("all its rates are 0")]
    Zero,
    /// There are too many rows.
    #[error("it has more than {MOST_ROWS} rows")]
    Many,
}

impl Stages {
    /// The rate of a table in CSV, with a time in seconds and a rate in each row; a first row of names, empty lines and
    /// those that begin with # are passed over. From one row to the next the rate changes evenly; two rows of one time
    /// are a jump. Times count from the first row, and the run ends with the last one.
    ///
    /// # Errors
    /// What of it is no such table.
    pub fn of_table(text: &str) -> Result<Self, RateTableError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rows: Vec<(f64, f64)> = Vec::new();
        let mut may_be_names = true;
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let row = row(text);
            if row.is_none() && std::mem::take(&mut may_be_names) && is_names(text) {
                continue;
            }
            may_be_names = false;
            let Some((time, rate)) = row else {
                let text = text.chars().take(60).collect();
                return Err(RateTableError::Row { line, text });
            };
            if rows.last().is_some_and(|(before, _)| time < *before) {
                return Err(RateTableError::Order { line });
            }
            rows.push((time, rate));
            if rows.len() > MOST_ROWS {
                return Err(RateTableError::Many);
            }
        }
        let parts = rows.windows(2).filter(|pair| pair[1].0 - pair[0].0 >= 1e-9);
        let stages: Vec<LoadStage> = parts
            // Without what is left of a difference of decimal fractions.
            .map(|pair| {
                let seconds = ((pair[1].0 - pair[0].0) * 1e9).round() / 1e9;
                LoadStage::linear(pair[0].1, pair[1].1, seconds)
            })
            .collect();
        if stages.is_empty() {
            return Err(RateTableError::Short);
        }
        let stages = Self::of_stages(Staged::Rate, stages);
        match stages.peak() > 0.0 {
            true => Ok(stages),
            false => Err(RateTableError::Zero),
        }
    }
}

fn fields(text: &str) -> impl Iterator<Item = &str> {
    let fields = text.split([',', ';', '\t']).map(str::trim);
    fields.map(|field| field.trim_matches('"'))
}

fn row(text: &str) -> Option<(f64, f64)> {
    let mut fields = fields(text);
    let (time, rate) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    let is_row: bool = f64::is_finite(time) && time >= 0.0 && (0.0..=MOST_RATE).contains(&rate);
    (is_row && fields.next().is_none()).then_some((time, rate))
}

/// Whether no field is a number.
fn is_names(text: &str) -> bool {
    fields(text).count() == 2 && fields(text).all(|field| field.parse::<f64>().is_err())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_table_is_a_ramp_from_row_to_row() {
        let stages =
            Stages::of_table("time,rate\r\n# a day\n10,5\n70,5\n70,20\n\n130;0\n").unwrap();
        assert_eq!(stages.to_string(), "rate:5@60s,20..0@60s");
        assert_eq!(stages.length(), Duration::from_secs(120));
        // 300 in the first minute, 600 in the second.
        assert_eq!(stages.time_of(300.0), Some(Duration::from_secs(60)));
        assert_eq!(stages.time_of(900.0), Some(Duration::from_secs(120)));
        assert_eq!(stages.to_string().parse(), Ok(stages));
    }

    #[test]
    fn nothing_is_due_where_the_rate_is_0() {
        let stages = Stages::of_table("0,10\n10,10\n10,0\n30,0\n30,10\n40,10").unwrap();
        assert_eq!(stages.to_string(), "rate:10@10s,0@20s,10@10s");
        assert_eq!(stages.to_string().parse(), Ok(stages.clone()));
        let due = |area| stages.time_of(area).unwrap().as_secs_f64();
        assert_eq!((due(100.0), due(110.0)), (10.0, 31.0));
    }

    #[test]
    fn what_is_no_table_is_said() {
        for (text, said) in [
            ("", "two rows"),
            ("0,5", "two rows"),
            ("0,5\n0,6", "two rows"),
            ("0,5\n10,fast", "line 2: `10,fast`"),
            ("a,b\nc,d\n", "line 2"),
            ("0,5\n10,-1", "line 2"),
            ("0,5,6\n10,1", "line 1"),
            ("5,5\n4,5", "line 2: its time is before"),
            ("0,0\n4,0", "all its rates are 0"),
        ] {
            let error = Stages::of_table(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
        let many: String = (0..=MOST_ROWS).map(|row| format!("{row},1\n")).collect();
        assert_eq!(Stages::of_table(&many), Err(RateTableError::Many));
    }
}
