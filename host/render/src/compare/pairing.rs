//! Which run is compared with which, whether that makes sense, and what comes out.

use super::interval::Estimate;
use super::load::Results;
use super::metric::{Better, METRICS, Metric};
use crate::report::load_of;
use llmuses_core::document::Run;
use serde_json::Value;

/// What differs in the work makes runs not comparable: the names in the plan, and the same for a person.
const WORK: [(&str, &str); 14] = [
    ("arrivals", "arrivals"),
    ("parallel", "--parallel"),
    ("rate", "--rate"),
    ("max_in_flight", "--max-in-flight"),
    ("prompt", "--prompt"),
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
const CIRCUMSTANCES: [(&str, &str); 15] = [
    ("url", "--url"),
    ("header_names", "names of --headers"),
    ("connect_timeout_seconds", "--connect-timeout"),
    ("read_timeout_seconds", "--read-timeout"),
    ("total_timeout_seconds", "--total-timeout"),
    ("drain_seconds", "--drain-timeout"),
    ("parser_bounds", "bounds of the plugin"),
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
    /// More than chance and the margin, and to the good.
    Better,
    /// More than chance and the margin, and to the bad.
    Worse,
    /// More than chance, of a figure that is neither good nor bad.
    Different,
    /// With confidence no more than the margin apart.
    Same,
    /// Chance could do it, or it could be within the margin: more samples would tell.
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

/// Two runs compared with one another.
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
    /// How many of them were tested at once; what is better or worse is corrected for that.
    pub tested: usize,
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
                    comparisons.push(pair((&base.name, before), after, places, margin));
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
    different_work.extend(other_dataset(&plan_before, &plan_after));
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
    let mut changes: Vec<Change> = METRICS
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
    let tokens = |run: &Run| run.totals.as_ref()?.tokens.output.per_request;
    let same_tokens = tokens(before)
        .zip(tokens(after))
        .is_some_and(|(a, b)| (a - b).abs() <= SAME_TOKENS * a);
    let tested = correct(&mut changes, margin, same_tokens);
    if same_tokens {
        follow_requests(&mut changes);
    }
    Comparison {
        before: before_name.to_owned(),
        after: after_name.to_owned(),
        load: load_of(after),
        places,
        different_work,
        different_circumstances,
        doubted,
        changes,
        tested,
    }
}

/// Whether the data sets differ, by what is in them: the same content under another path is the same work.
fn other_dataset(before: &Value, after: &Value) -> Option<String> {
    let (a, b) = (&before["dataset"], &after["dataset"]);
    let digest = |plan: &Value| plan["dataset_sha256"].as_str().map(ToOwned::to_owned);
    match (digest(before), digest(after)) {
        (Some(one), Some(other)) => (one != other).then(|| {
            format!(
                "content of --dataset: {} (sha256 {one:.12}) and {} (sha256 {other:.12})",
                short(a),
                short(b)
            )
        }),
        // Runs of older versions do not have it.
        _ => (a != b).then(|| format!("--dataset: {} and {}", short(a), short(b))),
    }
}

/// Whether Holm's procedure is needed for a figure: it is estimated, and better one way.
fn is_tested(change: &Change) -> bool {
    change
        .change
        .is_some_and(|found| found.low.is_some() || found.high.is_some())
        && change.metric.better != Better::Neither
        && change.judgement != Judgement::NotComparable
}

/// The chance, over all figures of a comparison together, that any is called better or worse and is not.
pub(super) const ERROR: f64 = 0.05;

/// Takes back what chance may have done among so many figures (Holm, *Scandinavian Journal of Statistics* 6,
/// 1979: holds however the figures depend on one another). Gives back how many were tested.
fn correct(changes: &mut [Change], margin: f64, same_tokens: bool) -> usize {
    let mut chances: Vec<(usize, f64)> = changes
        .iter()
        .enumerate()
        // One that follows another is no figure of its own.
        .filter(|(_, change)| is_tested(change) && !(same_tokens && change.metric.name == FOLLOWS))
        .filter_map(|(index, change)| Some((index, change.change?.chance(margin))))
        .collect();
    chances.sort_by(|a, b| a.1.total_cmp(&b.1));
    let tested = chances.len();
    let kept = chances
        .iter()
        .enumerate()
        .take_while(|(rank, (_, chance))| *chance <= ERROR / (tested - rank) as f64)
        .count();
    for (index, _) in &chances[kept..] {
        let judgement = &mut changes[*index].judgement;
        if matches!(judgement, Judgement::Better | Judgement::Worse) {
            *judgement = Judgement::Unclear;
        }
    }
    tested
}

/// The figure that says the same as requests per second where requests have equally many tokens.
const FOLLOWS: &str = "throughput";
/// Tokens per request are equal within this share.
const SAME_TOKENS: f64 = 1e-3;

/// Output tokens per second are requests per second times tokens per request. Where the latter are equal, what
/// differs is when tokens fall into the parts of which the intervals are made.
fn follow_requests(changes: &mut [Change]) {
    let Some((found, judgement)) = changes
        .iter()
        .find(|change| change.metric.name == "qps")
        .map(|change| (change.change, change.judgement))
    else {
        return;
    };
    for change in changes
        .iter_mut()
        .filter(|change| change.metric.name == FOLLOWS)
    {
        (change.change, change.judgement) = (found, judgement);
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
    } else if certain
        || change.low.is_some_and(|low| low > margin)
        || change.high.is_some_and(|high| high < -margin)
    {
        // Numbers of tokens are counted, not estimated: any difference beyond the margin is one.
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
        Value::Array(items) if items.is_empty() => "none".to_owned(),
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
    use crate::tests_support;
    use llmuses_core::document::{ByPercentile, PlanRecord, Totals, Verdict};
    use llmuses_core::metric::TTFT;

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
    fn a_change_within_the_margin_is_neither_better_nor_worse() {
        let base = results("a", 8, 0.050, 0.00001);
        // One percent and a half, for certain: above a margin of one, and not above two.
        let other = results("b", 8, 0.05075, 0.00001);
        let of = |margin| {
            let (comparisons, _) = compare(&base, std::slice::from_ref(&other), margin);
            let changes = &comparisons[0].changes;
            changes
                .iter()
                .find(|change| change.metric.name == "ttft_p50")
                .unwrap()
                .judgement
        };
        assert_eq!(of(0.01), Judgement::Worse);
        assert_eq!(of(0.02), Judgement::Same);
        // Nobody knows on which side of the margin it lies.
        assert_eq!(of(0.015), Judgement::Unclear);
    }

    #[test]
    fn the_same_content_is_the_same_work_wherever_it_lies() {
        let with = |name: &str, path: &str, digest: Option<&str>| {
            let mut results = results(name, 8, 0.050, 0.0001);
            let plan = &mut results.runs[0].plan;
            plan.dataset = Some(path.to_owned());
            plan.dataset_sha256 = digest.map(ToOwned::to_owned);
            results
        };
        let work = |a: &Results, b: &Results| {
            let (comparisons, _) = compare(a, std::slice::from_ref(b), 0.01);
            comparisons[0].different_work.clone()
        };
        let base = with("a", "x/set", Some("0123456789abcdef"));
        assert!(work(&base, &with("b", "y/set", Some("0123456789abcdef"))).is_empty());
        assert_eq!(
            work(&base, &with("b", "x/set", Some("fedcba9876543210"))),
            ["content of --dataset: x/set (sha256 0123456789ab) and x/set (sha256 fedcba987654)"]
        );
        assert_eq!(
            work(&base, &with("b", "y/set", None)),
            ["--dataset: x/set and y/set"]
        );
    }

    #[test]
    fn limits_and_headers_that_differ_are_told() {
        let base = results("a", 8, 0.050, 0.0001);
        let mut other = results("a", 8, 0.050, 0.0001);
        other.runs[0].plan.read_timeout_seconds = Some(5.0);
        other.runs[0].plan.header_names = vec!["x-pool".to_owned()];
        let (comparisons, _) = compare(&base, &[other], 0.01);
        assert!(comparisons[0].is_comparable());
        assert_eq!(
            comparisons[0].different_circumstances,
            [
                "names of --headers: none and [\"x-pool\"]",
                "--read-timeout: none and 5.0"
            ]
        );
    }

    #[test]
    fn runs_of_the_same_load_meet_in_their_order() {
        let twice = |name: &str, medians: [f64; 2]| {
            let mut all = results(name, 8, medians[0], 0.0001);
            all.runs.extend(results(name, 8, medians[1], 0.0001).runs);
            all
        };
        let (base, other) = (twice("a", [0.050, 0.080]), twice("b", [0.050, 0.080]));
        let (comparisons, alone) = compare(&base, std::slice::from_ref(&other), 0.01);
        let places: Vec<(usize, usize)> = comparisons
            .iter()
            .map(|comparison| (comparison.places.before, comparison.places.after))
            .collect();
        assert_eq!(places, [(0, 0), (1, 1)]);
        assert!(alone.is_empty());
        let (comparisons, alone) = compare(&base, &[results("b", 8, 0.050, 0.0001), other], 0.01);
        assert_eq!(comparisons.len(), 3);
        assert_eq!(alone, ["parallel 8 is in a alone"]);
    }

    /// Runs of one and the same server, with times that chance alone makes different.
    #[test]
    fn runs_of_one_server_are_rarely_called_better_or_worse() {
        use llmuses_core::exchange::TokenSource;
        use llmuses_samples::Sample;
        use llmuses_stats::{Circumstances, Origin, RunStatistics, totals};
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = |most: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % most
        };
        let mut run = |name: &str| {
            let mut statistics = RunStatistics::new(Origin::Sent);
            let mut free = [0; 8];
            for number in 0..600 {
                let slot = &mut free[number % 8];
                let first = *slot + 40 + random(40) + if random(20) == 0 { random(100) } else { 0 };
                let (second, third) = (first + 5 + random(10), first + 15 + random(10));
                let outcome = Sample::at(*slot)
                    .sent(*slot)
                    .events(&[first, second, third])
                    .end(third)
                    .outputs(&[0, 1, 2])
                    .tokens(9, 3, TokenSource::Server);
                statistics.record(&outcome.build());
                *slot = third;
            }
            let mut results = results(name, 8, 0.0, 0.0);
            results.runs[0].totals = Some(totals(&statistics, &Circumstances::default()));
            results
        };
        let (mut rows, mut called) = (0, 0);
        for _ in 0..20 {
            let (a, b) = (run("a"), run("b"));
            // No margin at all: chance alone is to be held back.
            let (comparisons, _) = compare(&a, &[b], 0.0);
            assert!(comparisons[0].tested > 15);
            for change in &comparisons[0].changes {
                rows += 1;
                called += usize::from(matches!(
                    change.judgement,
                    Judgement::Better | Judgement::Worse
                ));
            }
        }
        assert!(called * 20 <= rows, "{called} of {rows}");
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
