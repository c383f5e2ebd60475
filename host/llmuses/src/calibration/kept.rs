//! What `llmuses calibrate` found, kept in a file: up to which load this machine measures right.

use super::{BOUNDS, Level};
use llmuses_core::document::{Machine, Totals};
use llmuses_core::plan::{Arrivals, Load, Plan, TransportSettings};
use llmuses_kernel_io::regular_file::read_regular_text;
use llmuses_kernel_io::{machine, private_file};
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the file says that it is.
const FORMAT: &str = "llmuses.calibration";

/// The largest file that is read.
const MOST_BYTES: u64 = 1 << 20;

/// What a calibration found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    format: String,
    written_by: String,
    /// When.
    unix_seconds: f64,
    /// On which machine.
    machine: Machine,
    transport: String,
    tls: bool,
    /// The most streams at once with TTFT and the gaps between tokens right within 1 ms, and at all fewer that were tried.
    streams_within_1_ms: Option<u64>,
    /// The most streams that were tried.
    most_streams_tried: Option<u64>,
    /// Chunks per second of all streams together at that level.
    chunks_per_second_within_1_ms: Option<f64>,
    /// The same of the requests per second of an open loop.
    requests_per_second_within_1_ms: Option<f64>,
    most_requests_per_second_tried: Option<f64>,
}

/// The file cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// There is no place for it.
    #[error("there is no home directory to keep it in (set XDG_STATE_HOME or HOME, or give --out)")]
    NoHome,
    /// The system says no.
    #[error("{}: {reason}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: std::io::Error,
    },
}

/// The file in the user's folder for what a program keeps: `llmuses/calibration.json` in `XDG_STATE_HOME` or
/// `~/.local/state`.
fn default_path() -> Option<PathBuf> {
    let base = directories::BaseDirs::new()?;
    // Systems without such a folder have one for data.
    let state = base.state_dir().unwrap_or_else(|| base.data_local_dir());
    Some(state.join("llmuses").join("calibration.json"))
}

/// Why a load is more than the last calibration on this machine found right. `trace_rate`: of a trace, the requests per
/// second that it has at most. `None`: it is not, or nothing is known of such loads.
pub fn beyond(plan: &Plan, trace_rate: Option<f64>) -> Option<String> {
    let is_tls = plan.target.url.scheme() == "https";
    let kept = Kept::of_this_machine().filter(|kept| kept.is_of_tls(is_tls))?;
    kept.what_is_beyond(&plan.load, trace_rate, &plan.transport)
}

impl Kept {
    /// What these levels show. `transport`: what carried requests.
    pub fn of(levels: &[Level], transport: &str, tls: bool) -> Self {
        let (_, within) = BOUNDS[0];
        let closed = |level: &&Level| matches!(level.arrivals, Arrivals::Closed { .. });
        let mut streams: Vec<&Level> = levels.iter().filter(closed).collect();
        streams.sort_by_key(|level| streams_of(level));
        let mut open: Vec<&Level> = levels
            .iter()
            .filter(|level| rate_of(level).is_some())
            .collect();
        open.sort_by(|a, b| {
            rate_of(a)
                .partial_cmp(&rate_of(b))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        let good = |levels: &[&Level]| {
            let good = levels.iter().take_while(|level| level.is_within(within));
            good.count()
        };
        let best = streams[..good(&streams)].last();
        Self {
            format: FORMAT.to_owned(),
            written_by: concat!("llmuses ", env!("CARGO_PKG_VERSION")).to_owned(),
            unix_seconds: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0.0, |time| time.as_secs_f64()),
            machine: machine::this_one(),
            transport: transport.to_owned(),
            tls,
            streams_within_1_ms: best.map(|level| streams_of(level)),
            most_streams_tried: streams.last().map(|level| streams_of(level)),
            chunks_per_second_within_1_ms: best
                .and_then(|level| level.median(|run| run.chunks_per_second)),
            requests_per_second_within_1_ms: open[..good(&open)]
                .last()
                .and_then(|level| rate_of(level)),
            most_requests_per_second_tried: open.last().and_then(|level| rate_of(level)),
        }
    }

    /// Writes it to `path`, or to its place in the user's folder, over what an earlier calibration left there. Gives back
    /// where that is.
    ///
    /// # Errors
    /// Where there is no place for it, or the system says no.
    pub fn write(&self, path: Option<&Path>) -> Result<PathBuf, KeepError> {
        let place = match path {
            Some(path) => path.to_owned(),
            None => default_path().ok_or(KeepError::NoHome)?,
        };
        let failed = |reason| KeepError::Write {
            path: place.clone(),
            reason,
        };
        // Its types have no value that JSON cannot have.
        let text = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        if path.is_some() {
            let mut file = private_file::create_new(&place).map_err(failed)?;
            file.write_all(text.as_bytes()).map_err(failed)?;
            return Ok(place);
        }
        let folder = place.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(failed)?;
        // Whole or not at all, whoever reads meanwhile.
        let mut new = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        new.write_all(text.as_bytes()).map_err(failed)?;
        new.persist(&place).map_err(|error| failed(error.error))?;
        Ok(place)
    }

    /// What the last calibration on this machine found. `None`: there was none, or its file is of no use.
    pub fn of_this_machine() -> Option<Self> {
        let text = read_regular_text(&default_path()?, MOST_BYTES).ok()?;
        let kept: Self = serde_json::from_str(&text).ok()?;
        let here = machine::this_one();
        let same = |kept: &Machine| {
            (&kept.host, &kept.cpu, kept.processors) == (&here.host, &here.cpu, here.processors)
        };
        (kept.format == FORMAT && same(&kept.machine)).then_some(kept)
    }

    /// Whether it was found with TLS, or without: encryption takes time of the processor, so that one says nothing of the
    /// other.
    pub fn is_of_tls(&self, tls: bool) -> bool {
        self.tls == tls
    }

    /// Why a load is more than this machine is known to measure right. `trace_rate`: of a trace, the requests per second that
    /// it has at most. `None`: it is not, or nothing is known of such loads.
    pub fn what_is_beyond(
        &self,
        load: &Load,
        trace_rate: Option<f64>,
        transport: &TransportSettings,
    ) -> Option<String> {
        if transport.choice.as_str() != self.transport {
            return None;
        }
        let of_streams = |streams: u64| {
            Some((
                streams as f64,
                self.streams_within_1_ms.map(|streams| streams as f64),
                self.most_streams_tried? as f64,
                "streams at once",
            ))
        };
        let of_rate = |rate: f64| {
            Some((
                rate,
                self.requests_per_second_within_1_ms,
                self.most_requests_per_second_tried?,
                "requests/s",
            ))
        };
        let (asked, good, tried, what) = match load.arrivals {
            Arrivals::Closed { parallel } => of_streams(load.shard.share_of(parallel as u64))?,
            Arrivals::Open { rate, .. } => of_rate(rate / f64::from(load.shard.parts()))?,
            Arrivals::AllAtOnce => {
                let own = load.split().count(load.requests?);
                of_streams(load.max_in_flight.map_or(own, |most| own.min(most)))?
            }
            Arrivals::Trace(_) => of_rate(trace_rate?)?,
        };
        if good.is_some_and(|good| asked <= good) {
            return None;
        }
        let known = match good {
            None => format!("of no load that it tried, from {tried} {what} on"),
            Some(good) if good < tried => format!("up to {good} {what}, and not at a higher level"),
            Some(good) => format!("up to {good} {what}, the most that it tried"),
        };
        let at_most = match load.arrivals {
            Arrivals::Trace(_) => " in its busiest tenth",
            _ => "",
        };
        // No more digits than such a bound has.
        let asked = (asked * 10.0).round() / 10.0;
        Some(format!(
            "{} is {asked} {what}{at_most}; the last `llmuses calibrate` on this machine found times right within 1 ms \
             {known}: times may be further off",
            load.name()
        ))
    }

    /// Why the chunks of a run came faster than this machine is known to measure right. `None`: they did not, or nothing is
    /// known of that.
    pub fn what_was_beyond(&self, totals: &Totals) -> Option<String> {
        if totals.client.transport != self.transport {
            return None;
        }
        let good = self.chunks_per_second_within_1_ms?;
        let found =
            totals.packages.count as f64 / totals.wall_seconds.filter(|wall| *wall > 0.0)?;
        // Both are measured, and near each other at the level that was found good.
        (found > good * 1.1).then(|| {
            format!(
                "{found:.0} chunks/s came; the last `llmuses calibrate` on this machine found times right within 1 ms up to \
                 {good:.0} chunks/s: times may be further off"
            )
        })
    }
}

fn streams_of(level: &Level) -> u64 {
    match level.arrivals {
        Arrivals::Closed { parallel } => parallel as u64,
        _ => 0,
    }
}

fn rate_of(level: &Level) -> Option<f64> {
    match level.arrivals {
        Arrivals::Open { rate, .. } => Some(rate),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::level;
    use super::*;
    use llmuses_core::plan::Replay;

    fn load(arrivals: Arrivals) -> Load {
        Load {
            arrivals,
            ..Load::default()
        }
    }

    fn closed(parallel: usize) -> Load {
        load(Arrivals::Closed { parallel })
    }

    #[test]
    fn a_load_beyond_what_was_found_is_warned_of() {
        let transport = TransportSettings::default();
        let levels = [level(100, 0.002), level(1, 0.0), level(10, 0.0005)];
        let kept = Kept::of(&levels, transport.choice.as_str(), false);
        assert_eq!(
            (kept.streams_within_1_ms, kept.most_streams_tried),
            (Some(10), Some(100))
        );
        assert_eq!(kept.chunks_per_second_within_1_ms, Some(1000.0));
        let beyond = |load: &Load| kept.what_is_beyond(load, None, &transport);
        assert_eq!(beyond(&closed(10)), None);
        let said = beyond(&closed(11)).unwrap();
        assert!(said.contains("parallel 11 is 11 streams at once"), "{said}");
        assert!(
            said.contains("up to 10 streams at once, and not at a higher level"),
            "{said}"
        );
        // Of open loops nothing is known.
        assert_eq!(beyond(&load(Arrivals::poisson(1e6))), None);
        let all = Kept::of(&levels[1..], transport.choice.as_str(), false);
        let said = all.what_is_beyond(&closed(11), None, &transport).unwrap();
        assert!(said.contains("the most that it tried"), "{said}");
    }

    #[test]
    fn all_at_once_and_a_trace_are_warned_of_too() {
        let transport = TransportSettings::default();
        let mut kept = Kept::of(&[level(10, 0.0)], transport.choice.as_str(), false);
        kept.requests_per_second_within_1_ms = Some(50.0);
        kept.most_requests_per_second_tried = Some(50.0);
        let at_once = |requests: u64, max_in_flight: Option<u64>| {
            let load = Load {
                requests: Some(requests),
                max_in_flight,
                ..load(Arrivals::AllAtOnce)
            };
            kept.what_is_beyond(&load, None, &transport)
        };
        assert!(at_once(11, None).unwrap().contains("11 streams at once"));
        assert_eq!(at_once(11, Some(10)), None);
        let trace = load(Arrivals::Trace(Replay::default()));
        let beyond = |rate| kept.what_is_beyond(&trace, Some(rate), &transport);
        assert_eq!(beyond(50.0), None);
        let said = beyond(123.456).unwrap();
        assert!(
            said.contains("123.5 requests/s in its busiest tenth"),
            "{said}"
        );
    }

    #[test]
    fn more_chunks_than_were_measured_right_are_told() {
        // 1,000 chunks per second were right.
        let kept = Kept::of(&[level(10, 0.0)], "socket", false);
        let beyond = |chunks: u64, transport: &str| {
            let mut totals = Totals {
                wall_seconds: Some(2.0),
                ..Totals::default()
            };
            totals.packages.count = chunks;
            transport.clone_into(&mut totals.client.transport);
            kept.what_was_beyond(&totals)
        };
        assert_eq!(beyond(2_000, "socket"), None);
        assert_eq!(beyond(20_000, "reqwest"), None);
        let said = beyond(20_000, "socket").unwrap();
        assert!(said.contains("10000 chunks/s came"), "{said}");
        assert!(said.contains("up to 1000 chunks/s"), "{said}");
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let kept = Kept::of(&[level(1, 0.0)], "socket", true);
        assert!(kept.is_of_tls(true) && !kept.is_of_tls(false));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("found.json");
        kept.write(Some(&path)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), kept);
        let error = kept.write(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("found.json"), "{error}");
    }
}
