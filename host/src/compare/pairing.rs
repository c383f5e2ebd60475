//! Which run is held against which, whether that makes sense, and what comes out.

use super::interval::Estimate;
use super::load::Results;
use super::metric::{Better, METRICS, Metric};
use crate::document::Run;
use crate::plan::Arrivals;
use crate::report::load_name;
use serde_json::Value;

/// What differs in the work makes runs not comparable: the names in the plan, and the same for a person.
const WORK: [(&str, &str); 14] = [
    ("arrivals", "arrivals"),
    ("parallel", "--parallel"),
    ("rate", "--rate"),
    ("prompt", "--prompt"),
    ("dataset", "--dataset"),
    ("min_prompt_length", "--min-prompt-length"),
    ("max_prompt_length", "--max-prompt-length"),
    ("parameters", "--parameters"),
    ("parser", "--parser"),
    ("warmup_requests", "--warmup"),
    ("warmup_seconds", "--warmup"),
    ("skip_bad_lines", "--skip-bad-lines"),
    ("warm_connections", "--no-warm-connections"),
    ("objectives", "--goodput"),
];

/// What differs here is what one compares, or does not change what is estimated; it is only told.
const CIRCUMSTANCES: [(&str, &str); 9] = [
    ("url", "--url"),
    ("model", "--model"),
    ("number", "-n"),
    ("duration_seconds", "--duration"),
    ("seed", "--seed"),
    ("tokenizer", "--tokenizer-path"),
    ("transport", "--transport"),
    ("client_threads", "--client-threads"),
    ("insecure", "--insecure"),
];

/// What a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// More than chance, and to the good.
    Better,
    /// More than chance, and to the bad.
    Worse,
    /// More than chance, of a figure that is neither good nor bad.
    Different,
    /// With confidence no more than the margin apart.
    Same,
    /// Chance could do it: more samples would tell.
    Unclear,
    /// One of the runs does not have the figure, or the work was another one.
    NotComparable,
}

impl Judgement {
    /// The judgement as a person reads it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Different => "different",
            Self::Same => "same",
            Self::Unclear => "unclear",
            Self::NotComparable => "not comparable",
        }
    }
}

/// One figure of two runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The figure.
    pub metric: &'static Metric,
    /// Of the first run.
    pub before: Option<Estimate>,
    /// Of the other run.
    pub after: Option<Estimate>,
    /// By how much the other is above the first, as a share of the first.
    pub change: Option<Estimate>,
    /// What that is.
    pub judgement: Judgement,
}

/// Where the two runs of a comparison stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Places {
    /// The first run, among the runs of the first file.
    pub before: usize,
    /// The file of the other run, among all files: 0 is the first one.
    pub file: usize,
    /// The other run, among the runs of its file.
    pub after: usize,
}

/// Two runs held against one another.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The file of the first run.
    pub before: String,
    /// The file of the other.
    pub after: String,
    /// The load of both in words.
    pub load: String,
    /// Where both stand.
    pub places: Places,
    /// What of the work differs; runs are comparable where it is empty. Names with both values.
    pub different_work: Vec<String>,
    /// What else differs.
    pub different_circumstances: Vec<String>,
    /// Which of the two speak against themselves: file and number of reasons.
    pub doubted: Vec<(String, usize)>,
    /// The figures that at least one of the runs has.
    pub changes: Vec<Change>,
}

impl Comparison {
    /// Whether the work was the same.
    pub fn is_comparable(&self) -> bool {
        self.different_work.is_empty()
    }
}

/// Holds the runs of each of `others` against those of `base`: a run of a sweep against the one with the
/// same load; single runs against one another whatever their load. `margin`: changes up to this share are
/// no difference. Gives the comparisons, and the loads that one side alone has.
pub fn compare(base: &Results, others: &[Results], margin: f64) -> (Vec<Comparison>, Vec<String>) {
    let mut comparisons = Vec::new();
    let mut alone = Vec::new();
    for (file, other) in (1..).zip(others) {
        if let ([before], [after]) = (base.runs.as_slice(), other.runs.as_slice()) {
            let places = Places {
                file,
                ..Places::default()
            };
            let (before, after) = ((base.name.as_str(), before), (other.name.as_str(), after));
            comparisons.push(pair(before, after, places, margin));
            continue;
        }
        for (place, before) in base.runs.iter().enumerate() {
            let load = load_of(before);
            match other.runs.iter().position(|run| load_of(run) == load) {
                Some(after) => {
                    let places = Places {
                        before: place,
                        file,
                        after,
                    };
                    let after = (other.name.as_str(), &other.runs[after]);
                    comparisons.push(pair((&base.name, before), after, places, margin));
                }
                None => alone.push(format!("{load} is in {} alone", base.name)),
            }
        }
        for after in &other.runs {
            let load = load_of(after);
            if !base.runs.iter().any(|run| load_of(run) == load) {
                alone.push(format!("{load} is in {} alone", other.name));
            }
        }
    }
    (comparisons, alone)
}

fn load_of(run: &Run) -> String {
    Arrivals::of_record(&run.plan).map_or_else(
        || "unknown load".to_owned(),
        |arrivals| load_name(&arrivals),
    )
}

fn pair(before: (&str, &Run), after: (&str, &Run), places: Places, margin: f64) -> Comparison {
    let ((before_name, before), (after_name, after)) = (before, after);
    let plan = |run: &Run| serde_json::to_value(&run.plan).unwrap_or_default();
    let (plan_before, plan_after) = (plan(before), plan(after));
    let differing = |names: &[(&str, &str)]| {
        let mut found: Vec<String> = names
            .iter()
            .filter(|(key, _)| plan_before[key] != plan_after[key])
            .map(|(key, flag)| {
                let (a, b) = (&plan_before[key], &plan_after[key]);
                format!("{flag}: {} and {}", short(a), short(b))
            })
            .collect();
        found.dedup();
        found
    };
    let mut different_work = differing(&WORK);
    let sha = |run: &Run| run.parser.sha256.clone();
    if sha(before) != sha(after) && before.plan.parser == after.plan.parser {
        different_work.push(format!(
            "the parser is not the same component: {} and {}",
            cut(&sha(before)),
            cut(&sha(after))
        ));
    }
    let mut different_circumstances = differing(&CIRCUMSTANCES);
    for (name, of) in [
        (
            "llmuses",
            (|run| &run.versions.llmuses) as fn(&Run) -> &String,
        ),
        ("wasmtime", |run| &run.versions.wasmtime),
    ] {
        if of(before) != of(after) {
            different_circumstances.push(format!(
                "version of {name}: {} and {}",
                cut(of(before)),
                cut(of(after))
            ));
        }
    }
    let doubted = [(before_name, before), (after_name, after)]
        .into_iter()
        .filter_map(|(name, run)| {
            let doubts = run
                .verdict
                .as_ref()
                .map_or(0, |verdict| verdict.doubts.len());
            (doubts > 0).then(|| (name.to_owned(), doubts))
        })
        .collect();
    let comparable = different_work.is_empty();
    let changes = METRICS
        .iter()
        .map(|metric| {
            let of = |run: &Run| metric.of(run.totals.as_ref()?);
            let (a, b) = (of(before), of(after));
            let change = a.zip(b).and_then(|(a, b)| a.change_to(&b));
            Change {
                metric,
                before: a,
                after: b,
                change,
                judgement: judge(metric, a, b, change, comparable, margin),
            }
        })
        .filter(|change| change.before.is_some() || change.after.is_some())
        .collect();
    Comparison {
        before: before_name.to_owned(),
        after: after_name.to_owned(),
        load: load_of(after),
        places,
        different_work,
        different_circumstances,
        doubted,
        changes,
    }
}

fn judge(
    metric: &Metric,
    before: Option<Estimate>,
    after: Option<Estimate>,
    change: Option<Estimate>,
    comparable: bool,
    margin: f64,
) -> Judgement {
    let (true, Some(before), Some(after)) = (comparable, before, after) else {
        return Judgement::NotComparable;
    };
    let Some(change) = change else {
        // From zero: there is no share of it. Equal is equal; else the intervals must not touch.
        let apart = after
            .low
            .is_some_and(|low| low > before.high.unwrap_or(f64::INFINITY));
        return match (before.value == after.value, apart) {
            (true, _) => Judgement::Same,
            (false, true) => direction(metric, after.value - before.value),
            (false, false) => Judgement::Unclear,
        };
    };
    let within = change.low.is_some_and(|low| low >= -margin)
        && change.high.is_some_and(|high| high <= margin);
    let certain = metric.better == Better::Neither && change.low.is_none();
    if within || (certain && change.value.abs() <= margin) {
        Judgement::Same
    } else if certain || !change.holds_zero() {
        // Numbers of tokens are counted, not estimated: any difference is one.
        direction(metric, change.value)
    } else {
        Judgement::Unclear
    }
}

fn direction(metric: &Metric, change: f64) -> Judgement {
    match (metric.better, change > 0.0) {
        (Better::Neither, _) => Judgement::Different,
        (Better::Higher, true) | (Better::Lower, false) => Judgement::Better,
        (Better::Higher, false) | (Better::Lower, true) => Judgement::Worse,
    }
}

/// A value in a few characters.
fn short(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => cut(text),
        other => cut(&other.to_string()),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{ByPercentile, PlanRecord, Totals, Verdict};
    use crate::metric::TTFT;
    use crate::sink::tests_support;

    fn results(name: &str, parallel: u64, median: f64, half: f64) -> Results {
        let mut totals = Totals::default();
        totals.requests.completed = 1000;
        totals.requests.succeeded = 1000;
        let ttft = &mut totals.times.0[TTFT];
        ttft.figures.percentiles.0[0] = Some(median);
        let mut intervals = ByPercentile::default();
        intervals.0[0] = [Some(median - half), Some(median + half)];
        ttft.intervals_of_95_percent = Some(intervals);
        Results {
            name: name.to_owned(),
            runs: vec![Run {
                plan: PlanRecord {
                    arrivals: "closed".to_owned(),
                    parallel: Some(parallel),
                    url: name.to_owned(),
                    ..PlanRecord::default()
                },
                verdict: Some(Verdict {
                    trusted: true,
                    doubts: Vec::new(),
                }),
                totals: Some(totals),
                ..tests_support::run()
            }],
        }
    }

    fn judged(before: &Results, after: &Results) -> Judgement {
        let (comparisons, alone) = compare(before, std::slice::from_ref(after), 0.01);
        assert!(alone.is_empty());
        comparisons[0]
            .changes
            .iter()
            .find(|change| change.metric.name == "ttft_p50")
            .unwrap()
            .judgement
    }

    #[test]
    fn a_change_is_judged_by_its_interval() {
        let base = results("a", 8, 0.050, 0.0001);
        assert_eq!(
            judged(&base, &results("b", 8, 0.060, 0.0001)),
            Judgement::Worse
        );
        assert_eq!(
            judged(&base, &results("b", 8, 0.040, 0.0001)),
            Judgement::Better
        );
        assert_eq!(
            judged(&base, &results("b", 8, 0.0501, 0.0001)),
            Judgement::Same
        );
        assert_eq!(
            judged(&base, &results("b", 8, 0.052, 0.004)),
            Judgement::Unclear
        );
    }

    #[test]
    fn another_load_is_not_comparable_and_says_so() {
        let base = results("a", 8, 0.050, 0.0001);
        let other = results("b", 64, 0.060, 0.0001);
        assert_eq!(judged(&base, &other), Judgement::NotComparable);
        let (comparisons, _) = compare(&base, &[other], 0.01);
        assert_eq!(comparisons[0].different_work, ["--parallel: 8 and 64"]);
        assert_eq!(comparisons[0].different_circumstances, ["--url: a and b"]);
    }

    #[test]
    fn sweeps_meet_load_by_load() {
        let mut base = results("a", 8, 0.050, 0.0001);
        base.runs.extend(results("a", 64, 0.070, 0.0001).runs);
        let other = results("b", 64, 0.090, 0.0001);
        let (comparisons, alone) = compare(&base, &[other], 0.01);
        assert_eq!(comparisons.len(), 1);
        assert_eq!(comparisons[0].load, "parallel 64");
        assert_eq!(alone, ["parallel 8 is in a alone"]);
    }
}
