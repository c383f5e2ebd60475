//! The search of the highest load that keeps objectives: which load is probed next.
//!
//! The load is doubled from the lowest one until objectives are missed, then the interval between the highest load that
//! kept them and the lowest that did not is halved until it is narrow. Where a load is not decided, since it lies on an
//! objective, the search goes on at both sides of it. Last, the highest load that kept the objectives is probed once more:
//! had the server changed meanwhile, that would show.
//!
//! The k-th probe may be wrong with the chance α / (k (k + 1)). These sum up to α, however many probes there are, and the
//! interval is wrong only where a probe is.

use llmuses_core::document::{ObjectiveOutcome, SearchRecord, is_narrow};

/// A load to be probed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probe {
    /// Requests per second or in flight.
    pub load: f64,
    /// Whether it repeats the highest load that kept the objectives.
    pub repeats: bool,
    /// The chance with which its outcome may be wrong.
    pub error: f64,
}

/// A search so far.
#[derive(Debug, Clone)]
pub struct Search {
    asked: SearchRecord,
    probes: u32,
    met: Option<f64>,
    missed: Option<f64>,
    /// Loads that were not decided.
    unclear: Vec<f64>,
    has_repeated: bool,
}

impl Search {
    /// A search that has not begun.
    pub fn new(asked: SearchRecord) -> Self {
        Self {
            asked,
            probes: 0,
            met: None,
            missed: None,
            unclear: Vec::new(),
            has_repeated: false,
        }
    }

    /// The next load. `None`: the search is over.
    pub fn next(&self) -> Option<Probe> {
        let (load, repeats) = match self.next_load() {
            Some(load) => (load, false),
            None => (self.met.filter(|_| !self.has_repeated)?, true),
        };
        let place = f64::from(self.probes) + 1.0;
        Some(Probe {
            load,
            repeats,
            error: self.asked.error / (place * (place + 1.0)),
        })
    }

    fn next_load(&self) -> Option<f64> {
        let asked = &self.asked;
        let (met, missed) = match (self.met, self.missed) {
            (None, None) if self.unclear.is_empty() => return Some(asked.from),
            // The lowest load of all is missed, or those below it are not to be decided.
            (None, Some(_)) => return None,
            (met, None) => {
                let met = met.unwrap_or_default();
                let tried = self.unclear.iter().copied().fold(met, f64::max);
                let above = self.unclear.iter().filter(|load| **load > met);
                // One lies on an objective; further ones do so for a server whose times do not depend on the load.
                let few = above.count() < 2 || self.met.is_none();
                return (tried < asked.to && few).then(|| (tried * 2.0).min(asked.to));
            }
            (Some(met), Some(missed)) => (met, missed),
        };
        let within = || {
            let unclear = self.unclear.iter().copied();
            unclear.filter(move |load| *load > met && *load < missed)
        };
        let gaps = match (within().reduce(f64::min), within().reduce(f64::max)) {
            (Some(lowest), Some(highest)) => vec![(met, lowest), (highest, missed)],
            _ => vec![(met, missed)],
        };
        gaps.into_iter()
            .find(|(low, high)| !is_narrow(*low, *high, asked))
            .map(|(low, high)| self.middle(low, high))
    }

    fn middle(&self, low: f64, high: f64) -> f64 {
        let middle = (low + high) / 2.0;
        if self.asked.vary == "parallel" {
            return middle.floor();
        }
        // As few digits as the resolution has a use for.
        let digits = 10_f64.powf((high * self.asked.resolution / 10.0).log10().floor());
        let rounded = (middle / digits).round() * digits;
        // Without what is left of a division by a power of ten.
        (rounded * 1e9).round() / 1e9
    }

    /// Takes in the outcome of a probe.
    pub fn note(&mut self, probe: Probe, outcome: ObjectiveOutcome) {
        self.probes += 1;
        if probe.repeats {
            self.has_repeated = true;
            return;
        }
        let load = probe.load;
        match outcome {
            ObjectiveOutcome::Met => self.met = Some(self.met.map_or(load, |met| met.max(load))),
            ObjectiveOutcome::Missed => {
                self.missed = Some(self.missed.map_or(load, |missed| missed.min(load)));
            }
            ObjectiveOutcome::NotDecided => self.unclear.push(load),
        }
    }
}

#[cfg(test)]
mod tests;
