//! Which run is compared with which.

use super::comparison::{Places, RunComparison, Runs};
use super::load::Results;
use crate::report::load_of;
use llmuses_core::document::Run;

/// The runs of a file by their loads: those of a load that was repeated together, any other alone.
fn loads(runs: &[Run]) -> Vec<(usize, Vec<&Run>)> {
    let mut loads: Vec<(usize, Vec<&Run>)> = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        let is_repeated = run.plan.load.repeat.is_some();
        let same = |of_it: &[&Run]| {
            let first = of_it.first().filter(|_| is_repeated);
            first.is_some_and(|first| {
                first.plan.load.repeat.is_some() && load_of(first) == load_of(run)
            })
        };
        match loads.iter_mut().find(|(_, of_it)| same(of_it)) {
            Some((_, of_it)) => of_it.push(run),
            None => loads.push((place, vec![run])),
        }
    }
    loads
}

/// Compares the loads of each of `others` with those of `base`: a load of a sweep with the same one; single loads with one
/// another, whatever they are. Of a load that was repeated, all its runs count together. `margin`: changes up to this share
/// are no difference. Gives the comparisons, and the loads that one side alone has.
pub fn compare(
    base: &Results,
    others: &[Results],
    margin: f64,
) -> (Vec<RunComparison>, Vec<String>) {
    let mut comparisons = Vec::new();
    let mut alone = Vec::new();
    let ours = loads(&base.runs);
    for (file, other) in (1..).zip(others) {
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
        let name = |(_, runs): &(usize, Vec<&Run>)| {
            runs.first().map_or_else(String::new, |run| load_of(run))
        };
        // Of runs with the same load, the first meets the first and the second the second.
        let mut met = vec![false; theirs.len()];
        for before in &ours {
            let load = name(before);
            let free = |(place, after): (usize, &(usize, Vec<&Run>))| {
                (!met[place] && name(after) == load).then_some(place)
            };
            match theirs.iter().enumerate().find_map(free) {
                Some(place) => {
                    met[place] = true;
                    compare_both(before, &theirs[place]);
                }
                None => alone.push(format!("{load} is in {} alone", base.name)),
            }
        }
        for (after, met) in theirs.iter().zip(met) {
            if !met {
                alone.push(format!("{} is in {} alone", name(after), other.name));
            }
        }
    }
    (comparisons, alone)
}
