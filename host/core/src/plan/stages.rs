//! A load that changes while the run goes on: stages, each with a rate or a number of slots that stays or changes.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// The most stages of which each has figures of its own.
const MOST_STAGES: usize = 100;

/// The stages of a load, one after another; one at least.
#[derive(Debug, Clone, PartialEq)]
pub struct Stages {
    of: Staged,
    stages: Arc<[LoadStage]>,
    /// Where each stage ends: a table of rates has thousands of them, and each request asks for its own.
    ends: Arc<[StageEnd]>,
}

/// The end of a stage, from the start on.
#[derive(Debug, Clone, Copy, PartialEq)]
struct StageEnd {
    seconds: f64,
    /// The integral of the value until then.
    area: f64,
}

/// What changes from stage to stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staged {
    /// The requests per second of an open loop.
    Rate,
    /// The slots of a closed loop.
    Parallel,
}

/// A stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadStage {
    /// The value at its start.
    from: f64,
    /// The value at its end.
    to: f64,
    /// Whether the value changes by the same factor in equal times, rather than by the same difference.
    exponential: bool,
    /// Its length in seconds.
    seconds: f64,
}

impl LoadStage {
    /// A stage in which the value changes by the same difference in equal times.
    pub(super) fn linear(from: f64, to: f64, seconds: f64) -> Self {
        Self {
            from,
            to,
            exponential: false,
            seconds,
        }
    }

    /// ln(to / from) per second, of an exponential ramp that goes anywhere.
    fn growth(&self) -> Option<f64> {
        (self.exponential && self.from != self.to)
            .then(|| (self.to / self.from).ln() / self.seconds)
    }

    /// The integral of the value over the first `seconds` of the stage.
    fn area(&self, seconds: f64) -> f64 {
        match self.growth() {
            Some(growth) => self.from * (growth * seconds).exp_m1() / growth,
            None => {
                let slope = (self.to - self.from) / self.seconds;
                seconds * (self.from + slope * seconds / 2.0)
            }
        }
    }

    /// When the integral reaches `area`: the inverse of [`Self::area`].
    fn seconds_of(&self, area: f64) -> f64 {
        match self.growth() {
            Some(growth) => (growth * area / self.from).ln_1p() / growth,
            None => {
                let slope = (self.to - self.from) / self.seconds;
                // The root of slope/2·t² + from·t = area in the form that loses no digits where the slope is small.
                let root = (self.from * self.from + 2.0 * slope * area).max(0.0).sqrt();
                2.0 * area / (self.from + root)
            }
        }
    }

    /// When the value first is `level` or more, in seconds after the start of the stage but not before `since`.
    fn reaches(&self, level: f64, since: f64) -> Option<f64> {
        let value = |seconds: f64| match self.growth() {
            Some(growth) => self.from * (growth * seconds).exp(),
            None => self.from + (self.to - self.from) * seconds / self.seconds,
        };
        if value(since) >= level {
            return Some(since);
        }
        if self.to < level {
            return None;
        }
        // It grows, and is `level` at some time between `since` and the end.
        let at = match self.growth() {
            Some(growth) => (level / self.from).ln() / growth,
            None => (level - self.from) / (self.to - self.from) * self.seconds,
        };
        Some(at.clamp(since, self.seconds))
    }
}

impl Stages {
    /// Such stages, one at least.
    pub(super) fn of_stages(of: Staged, stages: Vec<LoadStage>) -> Self {
        let mut end = StageEnd {
            seconds: 0.0,
            area: 0.0,
        };
        let ends = stages.iter().map(|stage| {
            end.seconds += stage.seconds;
            end.area += stage.area(stage.seconds);
            end
        });
        Self {
            of,
            ends: ends.collect(),
            stages: stages.into(),
        }
    }

    /// What changes.
    pub fn of(&self) -> Staged {
        self.of
    }

    /// The highest value.
    pub fn peak(&self) -> f64 {
        let ends = self.stages.iter().flat_map(|stage| [stage.from, stage.to]);
        ends.fold(0.0, f64::max)
    }

    /// How long all stages take.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.ends.last().map_or(0.0, |end| end.seconds))
    }

    /// Whether there are few enough for each to have figures of its own.
    pub fn have_figures(&self) -> bool {
        self.stages.len() <= MOST_STAGES
    }

    /// How many stages there are.
    pub fn count(&self) -> usize {
        self.stages.len()
    }

    /// The stage in which this time after the start lies, from 0; what is later is in the last one.
    pub fn at(&self, time: Duration) -> usize {
        self.ended_at(time.as_secs_f64()).min(self.stages.len() - 1)
    }

    /// How many stages are over so many seconds after the start.
    fn ended_at(&self, seconds: f64) -> usize {
        self.ends.partition_point(|end| end.seconds <= seconds)
    }

    /// Where a stage begins.
    fn begin_of(&self, stage: usize) -> StageEnd {
        let before = stage
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        before.copied().unwrap_or(StageEnd {
            seconds: 0.0,
            area: 0.0,
        })
    }

    /// A stage as it was given, such as `5..50@120s`. `None` where there are too many for figures of each.
    pub fn name_of(&self, stage: usize) -> Option<String> {
        let stage = self.stages.get(stage)?;
        self.have_figures().then(|| stage.to_string())
    }

    /// When a stage begins and ends, from the start of the load.
    pub fn times_of(&self, stage: usize) -> Option<(Duration, Duration)> {
        let end = Duration::try_from_secs_f64(self.ends.get(stage)?.seconds).ok()?;
        let begin = Duration::try_from_secs_f64(self.begin_of(stage).seconds).ok()?;
        Some((begin, end))
    }

    /// The mean of the value over all stages.
    pub fn mean(&self) -> f64 {
        let ended = self.ends.last();
        ended.map_or(0.0, |end| end.area / end.seconds)
    }

    /// When the integral of the value since the start is `area`: at a rate, when that many requests are due. `None`:
    /// not before the end.
    pub fn time_of(&self, area: f64) -> Option<Duration> {
        // Nothing is due before the first stage with a value above 0.
        let place = self
            .ends
            .partition_point(|end| end.area < area || end.area <= 0.0);
        let (stage, begin) = (self.stages.get(place)?, self.begin_of(place));
        let within = stage.seconds_of(area - begin.area);
        Duration::try_from_secs_f64(begin.seconds + within.clamp(0.0, stage.seconds)).ok()
    }

    /// When the value is `level` or more for the first time from `since` on. `None`: not any more.
    pub fn reaches(&self, level: f64, since: Duration) -> Option<Duration> {
        let since = since.as_secs_f64();
        (self.ended_at(since)..self.stages.len()).find_map(|place| {
            let start = self.begin_of(place).seconds;
            let at = self.stages[place].reaches(level, (since - start).max(0.0))?;
            Duration::try_from_secs_f64(start + at).ok()
        })
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.of {
            Staged::Rate => "rate:",
            Staged::Parallel => "parallel:",
        })?;
        for (place, stage) in self.stages.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{stage}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LoadStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.from)?;
        if self.from != self.to {
            let form = if self.exponential { "exp" } else { "" };
            write!(f, "..{}{form}", self.to)?;
        }
        write!(f, "@{}s", self.seconds)
    }
}

/// Stages cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StagesError {
    /// It does not say of what.
    #[error("it should begin with rate: or parallel:, such as rate:5@60s,5..50@2m,50@5m")]
    OfWhat,
    /// A stage is not spelled as one.
    #[error(
        "`{0}` is no stage: it should be VALUE@TIME, FROM..TO@TIME or FROM..TOexp@TIME, with a time of its own in s, m \
         or h, such as 50@5m or 5..50exp@2m"
    )]
    Stage(String),
    /// The slots of a closed loop are whole numbers.
    #[error("`{0}`: the requests in flight of a closed loop are whole numbers from 1 to 1000000")]
    Slots(String),
    /// A rate is out of bounds.
    #[error("`{0}`: a rate is a number from 0 to 1000000")]
    Rate(String),
    /// There are no requests.
    #[error("all rates are 0")]
    Nothing,
    /// An exponential ramp has no zero.
    #[error("`{0}`: an exponential ramp begins and ends above 0")]
    Zero(String),
}

impl FromStr for Stages {
    type Err = StagesError;

    fn from_str(text: &str) -> Result<Self, StagesError> {
        let (of, stages) = match text.trim().split_once(':') {
            Some(("rate", stages)) => (Staged::Rate, stages),
            Some(("parallel", stages)) => (Staged::Parallel, stages),
            _ => return Err(StagesError::OfWhat),
        };
        let stages: Vec<LoadStage> = stages
            .split(',')
            .map(|text| stage(of, text.trim()))
            .collect::<Result<_, _>>()?;
        let stages = Self::of_stages(of, stages);
        if stages.peak() == 0.0 {
            return Err(StagesError::Nothing);
        }
        Ok(stages)
    }
}

fn stage(of: Staged, text: &str) -> Result<LoadStage, StagesError> {
    const MOST: f64 = 1e6;
    let wrong = || StagesError::Stage(text.to_owned());
    let number = |text: &str| text.parse::<f64>().map_err(|_| wrong());
    let (values, time) = text.split_once('@').ok_or_else(wrong)?;
    let seconds = seconds(time).ok_or_else(wrong)?;
    let (from, to, exponential) = match values.split_once("..") {
        None => (number(values)?, number(values)?, false),
        Some((from, to)) => match to.strip_suffix("exp") {
            Some(to) => (number(from)?, number(to)?, true),
            None => (number(from)?, number(to)?, false),
        },
    };
    let both = [from, to];
    match of {
        Staged::Parallel
            if both
                .iter()
                .any(|slots| slots.fract() != 0.0 || *slots < 1.0 || *slots > MOST) =>
        {
            return Err(StagesError::Slots(text.to_owned()));
        }
        Staged::Rate if !both.iter().all(|rate| (0.0..=MOST).contains(rate)) => {
            return Err(StagesError::Rate(text.to_owned()));
        }
        Staged::Rate | Staged::Parallel => {}
    }
    if exponential && from.min(to) <= 0.0 {
        return Err(StagesError::Zero(text.to_owned()));
    }
    Ok(LoadStage {
        from,
        to,
        exponential,
        seconds,
    })
}

/// A time with a unit, in seconds: up to a week.
fn seconds(text: &str) -> Option<f64> {
    const LONGEST: f64 = 7.0 * 24.0 * 3600.0;
    let unit = |suffix: &str, seconds: f64| {
        Some(text.strip_suffix(suffix)?.parse::<f64>().ok()? * seconds)
    };
    let seconds = unit("ms", 1e-3)
        .or_else(|| unit("s", 1.0))
        .or_else(|| unit("m", 60.0))
        .or_else(|| unit("h", 3600.0))?;
    (seconds > 0.0 && seconds <= LONGEST).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(text: &str) -> Stages {
        text.parse().unwrap()
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{a} and {b}");
    }

    #[test]
    fn a_text_is_read_and_written_again() {
        for (text, written) in [
            ("rate:5@60s,5..50@2m,50@5m", "rate:5@60s,5..50@120s,50@300s"),
            ("parallel:1..64exp@5m", "parallel:1..64exp@300s"),
            ("rate:0..2.5@500ms", "rate:0..2.5@0.5s"),
        ] {
            assert_eq!(stages(text).to_string(), written);
            assert_eq!(stages(written), stages(text));
        }
        assert_eq!(
            stages("rate:5@60s,5..50@2m").length(),
            Duration::from_secs(180)
        );
        assert_eq!(stages("rate:5@60s,50..7@2m").peak(), 50.0);
    }

    #[test]
    fn what_is_no_stage_is_said() {
        for (text, said) in [
            ("5@60s", "begin with rate:"),
            ("rate:", "is no stage"),
            ("rate:5", "is no stage"),
            ("rate:5@60", "is no stage"),
            ("rate:5@0s", "is no stage"),
            ("rate:x..5@1s", "is no stage"),
            ("rate:0@1s,0@5s", "all rates are 0"),
            ("rate:-1@1s", "from 0 to 1000000"),
            ("rate:NaN@1s", "from 0 to 1000000"),
            ("rate:0..5exp@1s", "above 0"),
            ("parallel:1.5@1s", "whole numbers"),
            ("parallel:0..5@1s", "whole numbers"),
        ] {
            let error = text.parse::<Stages>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn requests_are_due_where_the_integral_of_the_rate_says() {
        let ramp = stages("rate:10@10s,10..30@10s,30..120exp@10s");
        // 100 in the first stage, 200 in the second.
        for (area, seconds) in [(50.0, 5.0), (100.0, 10.0), (300.0, 20.0), (175.0, 15.0)] {
            let expected = if area == 175.0 {
                10.0 + (-10.0 + (100.0f64 + 4.0 * 75.0).sqrt()) / 2.0
            } else {
                seconds
            };
            close(ramp.time_of(area).unwrap().as_secs_f64(), expected);
        }
        // A ramp to four times its rate has doubled in the middle: ∫ = 30·(2 − 1)/(ln 4 / 10).
        let area = 300.0 + 30.0 / (4.0f64.ln() / 10.0);
        close(ramp.time_of(area).unwrap().as_secs_f64(), 25.0);
        assert_eq!(ramp.time_of(300.0 + 91.0 / (4.0f64.ln() / 10.0)), None);
        close(
            stages("rate:0..10@10s")
                .time_of(50.0)
                .unwrap()
                .as_secs_f64(),
            10.0,
        );
        close(
            stages("rate:10..0@10s")
                .time_of(50.0)
                .unwrap()
                .as_secs_f64(),
            10.0,
        );
    }

    #[test]
    fn a_slot_opens_when_the_ramp_reaches_it() {
        let ramp = stages("parallel:1..11@10s,4@10s,4..8exp@10s");
        let at = |level: f64, since: f64| {
            let time = ramp.reaches(level, Duration::from_secs_f64(since));
            time.map(|time| time.as_secs_f64())
        };
        assert_eq!(at(1.0, 0.0), Some(0.0));
        close(at(6.0, 0.0).unwrap(), 5.0);
        assert_eq!(at(6.0, 7.0), Some(7.0));
        // Above what the second stage has, until the third comes there: 4·2^(t/10) = 6.
        close(at(6.0, 12.0).unwrap(), 20.0 + 10.0 * 1.5f64.log2());
        assert_eq!(at(9.0, 12.0), None);
    }

    #[test]
    fn nothing_is_due_while_the_rate_is_zero() {
        let paused = stages("rate:0@1s,10@1s,0@5s,10@1s");
        let at = |area: f64| paused.time_of(area).map(|time| time.as_secs_f64());
        assert_eq!(at(0.0), Some(1.0));
        assert_eq!(at(10.0), Some(2.0));
        assert_eq!(at(15.0), Some(7.5));
        assert_eq!(at(20.0), Some(8.0));
        assert_eq!(at(20.5), None);
    }

    #[test]
    fn a_time_is_found_among_many_stages() {
        let all = vec!["2@1s"; 5_000].join(",");
        let many = stages(&format!("rate:{all}"));
        assert_eq!(many.length(), Duration::from_secs(5_000));
        for seconds in [0, 1, 2_500, 4_999] {
            let time = Duration::from_secs(seconds) + Duration::from_millis(500);
            assert_eq!(many.at(time), seconds as usize);
            assert_eq!(many.time_of(time.as_secs_f64() * 2.0), Some(time));
            assert_eq!(many.reaches(2.0, time), Some(time));
        }
    }

    #[test]
    fn each_time_lies_in_a_stage() {
        let three = stages("rate:1@10s,2@10s,3@10s");
        let at = |seconds| three.at(Duration::from_secs_f64(seconds));
        assert_eq!([0.0, 9.9, 10.0, 29.0, 31.0].map(at), [0, 0, 1, 2, 2]);
        assert_eq!(three.name_of(1).as_deref(), Some("2@10s"));
        assert_eq!(three.name_of(3), None);
        let second = (Duration::from_secs(10), Duration::from_secs(20));
        assert_eq!(three.times_of(1), Some(second));
        assert_eq!(three.mean(), 2.0);
    }
}
