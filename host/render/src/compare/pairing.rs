//! Which run is compared with which.

use super::comparison::{Places, RunComparison};
use super::load::Results;
use crate::report::load_of;
use llmuses_core::document::Run;

/// Compares the runs of each of `others` with those of `base`: a run of a sweep with the one that has the same
/// load; single runs with one another whatever their load. `margin`: changes up to this share are
/// no difference. Gives the comparisons, and the loads that one side alone has.
pub fn compare(
    base: &Results,
    others: &[Results],
    margin: f64,
) -> (Vec<RunComparison>, Vec<String>) {
    let mut comparisons = Vec::new();
    let mut alone = Vec::new();
    for (file, other) in (1..).zip(others) {
        if let ([before], [after]) = (base.runs.as_slice(), other.runs.as_slice()) {
            let places = Places {
                file,
                ..Places::default()
            };
            let (before, after) = ((base.name.as_str(), before), (other.name.as_str(), after));
            comparisons.push(RunComparison::of(before, after, places, margin));
            continue;
        }
        // Of runs with the same load, the first meets the first and the second the second.
        let mut met = vec![false; other.runs.len()];
        for (place, before) in base.runs.iter().enumerate() {
            let load = load_of(before);
            let free = |(after, run): (usize, &Run)| {
                (!met[after] && load_of(run) == load).then_some(after)
            };
            match other.runs.iter().enumerate().find_map(free) {
                Some(after) => {
                    met[after] = true;
                    let places = Places {
                        before: place,
                        file,
                        after,
                    };
                    let after = (other.name.as_str(), &other.runs[after]);
                    comparisons.push(RunComparison::of(
                        (&base.name, before),
                        after,
                        places,
                        margin,
                    ));
                }
                None => alone.push(format!("{load} is in {} alone", base.name)),
            }
        }
        for (after, met) in other.runs.iter().zip(met) {
            let load = load_of(after);
            if !met {
                alone.push(format!("{load} is in {} alone", other.name));
            }
        }
    }
    (comparisons, alone)
}
