//! Which run is compared with which.

use super::comparison::{Places, RunComparison, Runs};
use super::load::Results;
use crate::report::load_of;
use llmuses_core::document::Run;
use std::fmt;

/// What is in no comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotCompared {
    /// A load that one side alone has.
    Load {
        /// The load, in words.
        load: String,
        /// The name of the file that has it.
        file: String,
    },
    /// A repetition that did not finish, of a load of which another one did.
    Unfinished {
        /// The repetition, in words.
        repetition: String,
        /// The name of its file.
        file: String,
    },
}

impl fmt::Display for NotCompared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load { load, file } => write!(f, "{load} is in {file} alone"),
            Self::Unfinished { repetition, file } => {
                write!(f, "{repetition} in {file}, which did not finish")
            }
        }
    }
}

/// The runs of a file by their loads: those of a load that was repeated together, any other alone. A repetition that did
/// not finish is left out where another one of its load did.
fn loads(runs: &[Run]) -> Vec<(usize, Vec<&Run>)> {
    let mut loads: Vec<(usize, Vec<&Run>)> = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        if is_left_out(run, runs) {
            continue;
        }
        let same = |of_it: &[&Run]| {
            let first = of_it.first();
            first.is_some_and(|first| run.is_repetition_of(first))
        };
        match loads.iter_mut().find(|(_, of_it)| same(of_it)) {
            Some((_, of_it)) => of_it.push(run),
            None => loads.push((place, vec![run])),
        }
    }
    loads
}

/// Whether a run is a repetition that did not finish, of a load of which another one did.
fn is_left_out(run: &Run, runs: &[Run]) -> bool {
    let counts = |other: &Run| other.is_finished_repetition() && other.repeats_load_of(run);
    !run.is_finished_repetition() && runs.iter().any(counts)
}

/// What a run is called among the runs of its file.
fn name_of(run: &Run) -> String {
    let load = load_of(run);
    match run.plan.load.repeat {
        Some(repetition) if !run.is_finished_repetition() => {
            format!("repetition {repetition} of {load}")
        }
        _ => load,
    }
}

/// The runs of a file that are left out.
fn left_out(results: &Results) -> impl Iterator<Item = NotCompared> + '_ {
    let runs = results.runs.iter();
    runs.filter(|run| is_left_out(run, &results.runs))
        .map(|run| NotCompared::Unfinished {
            repetition: name_of(run),
            file: results.name.clone(),
        })
}

/// Compares the loads of each of `others` with those of `base`: a load of a sweep with the same one; single loads with one
/// another, whatever they are. Of a load that was repeated, all its runs count together. `margin`: changes up to this share
/// are no difference. Gives the comparisons, and what is in none of them: loads that one side alone has, and repetitions
/// that did not finish.
pub fn compare(
    base: &Results,
    others: &[Results],
    margin: f64,
) -> (Vec<RunComparison>, Vec<NotCompared>) {
    let mut comparisons = Vec::new();
    let mut alone: Vec<NotCompared> = left_out(base).collect();
    let ours = loads(&base.runs);
    for (file, other) in (1..).zip(others) {
        alone.extend(left_out(other));
        let theirs = loads(&other.runs);
        let mut compare_both = |ours: &(usize, Vec<&Run>), theirs: &(usize, Vec<&Run>)| {
            let places = Places {
                before: ours.0,
                file,
                after: theirs.0,
            };
            if let (Some(before), Some(after)) = (Runs::of(&ours.1), Runs::of(&theirs.1)) {
                let (before, after) = ((base.name.as_str(), before), (other.name.as_str(), after));
                comparisons.push(RunComparison::of(before, after, places, margin));
            }
        };
        if let ([before], [after]) = (ours.as_slice(), theirs.as_slice()) {
            compare_both(before, after);
            continue;
        }
        let told = |(_, runs): &(usize, Vec<&Run>), tell: fn(&Run) -> String| {
            runs.first().map_or_else(String::new, |run| tell(run))
        };
        // Of runs with the same load, the first meets the first and the second the second.
        let mut met = vec![false; theirs.len()];
        for before in &ours {
            let load = told(before, load_of);
            let free = |(place, after): (usize, &(usize, Vec<&Run>))| {
                (!met[place] && told(after, load_of) == load).then_some(place)
            };
            match theirs.iter().enumerate().find_map(free) {
                Some(place) => {
                    met[place] = true;
                    compare_both(before, &theirs[place]);
                }
                None => alone.push(NotCompared::Load {
                    load: told(before, name_of),
                    file: base.name.clone(),
                }),
            }
        }
        for (after, met) in theirs.iter().zip(met) {
            if !met {
                alone.push(NotCompared::Load {
                    load: told(after, name_of),
                    file: other.name.clone(),
                });
            }
        }
    }
    (comparisons, alone)
}
