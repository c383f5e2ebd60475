//! `--dry-run`: what a run would send and when, without a request.

use super::RunError;
use super::loaded::Loaded;
use super::outputs::Outputs;
use super::preparation::Preparation;
use super::schedule::TraceSchedule;
use llmuses_core::exchange::Prepared;
use llmuses_core::plan::{Plan, Sweep};
use llmuses_core::wording::{counted, one_line};
use llmuses_load::{due_times, own_due_times};
use llmuses_observe::terminal;
use llmuses_render::report;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Bodies that are shown of each load.
const BODIES: usize = 3;

/// The characters of a body that are shown.
const LONGEST_BODY: usize = 2_000;

/// Due times that are shown of each load.
const DUE: usize = 10;

/// Prints what each run of a sweep would send: to where, with which headers, its first bodies and its schedule.
///
/// # Errors
/// What the run would fail by before its first request.
pub fn dry_run(sweep: &Sweep, outputs: &Outputs) -> Result<(), RunError> {
    let mut loaded = None;
    for plan in sweep.plans() {
        let loaded: &Loaded = match &loaded {
            Some(loaded) => loaded,
            None => loaded.insert(Loaded::of(&plan, outputs)?),
        };
        let addressed = loaded.addressed(&plan)?;
        let (prepared, source) = Preparation::of(&addressed, &plan, outputs, loaded)?;
        let parser = prepared.parser.info();
        let name = [parser.name.as_str(), &parser.version];
        let mut text = report::opening(&addressed, name, &parser.headers);
        let names: Vec<&str> = prepared
            .headers
            .keys()
            .map(http::HeaderName::as_str)
            .collect();
        text.push_str(&format!("\nHeaders: {}\n", names.join(", ")));
        for line in rules(&plan, outputs, sweep) {
            text.push_str(&line);
            text.push('\n');
        }
        if loaded.must_learn() {
            text.push_str(
                "Lengths of prompts: to be learned from the server by a few requests before the run; below a word is \
                 taken for a token\n",
            );
        }
        text.push_str(&schedule(&plan, loaded.schedule.as_ref()));
        let (queue, bodies) = flume::bounded(BODIES);
        let stop = AtomicBool::new(false);
        let first: Vec<Prepared> = std::thread::scope(|scope| {
            let making = scope.spawn(|| source.run(&queue, &stop, None));
            let mut first = Vec::new();
            while first.len() < BODIES && !making.is_finished() {
                first.extend(bodies.recv_timeout(Duration::from_millis(20)));
            }
            stop.store(true, Ordering::Relaxed);
            first.extend(bodies.drain());
            first
        });
        for body in first.iter().take(BODIES) {
            let whole = String::from_utf8_lossy(&body.body);
            text.push_str(&format!(
                "Body of request {}{} ({}): {}\n",
                body.number + 1,
                match body.place.turns {
                    1 => String::new(),
                    turns => format!(", the first of {turns} turns"),
                },
                counted(body.body.len() as u64, "byte"),
                one_line(&prepared.secrets.blank_text(&whole), LONGEST_BODY)
            ));
        }
        terminal::print(text);
    }
    Ok(())
}

/// What is asked beside the requests: headers that differ between them, what the client cancels, and what the run should keep
/// or ends by. A line each.
fn rules(plan: &Plan, outputs: &Outputs, sweep: &Sweep) -> Vec<String> {
    let (target, load) = (&plan.target, &plan.load);
    let header = |what: &str, name: &Option<http::HeaderName>| {
        name.as_ref().map(|name| format!("{what}{name}"))
    };
    let list = |what: &str, texts: Vec<String>| {
        (!texts.is_empty()).then(|| format!("{what}{}", texts.join(", ")))
    };
    let bounds = load.objectives.map(|objectives| objectives.to_record());
    let bounds = bounds.iter().flat_map(|bounds| bounds.0.iter());
    let bounds = bounds.filter_map(|(time, bound)| {
        let bound = time.unit.format((*bound)?);
        Some(format!(
            "{} within {bound}",
            time.short.unwrap_or(time.title)
        ))
    });
    [
        header(
            "Header with the session of each request: ",
            &target.session_header,
        ),
        header(
            "Header with an id for each request: ",
            &target.request_id_header,
        ),
        header(
            "Header of responses that tells who answered: ",
            &target.label_header,
        ),
        load.cancel
            .as_ref()
            .map(|cancel| format!("Cancelled by the client: {cancel} after it was sent")),
        list("Objectives of each request: ", bounds.collect()),
        list(
            "Objectives of the run: ",
            outputs
                .objectives
                .iter()
                .map(|objective| objective.text().to_owned())
                .collect(),
        ),
        list(
            "Ends early if: ",
            load.stop_if
                .iter()
                .map(|rule| rule.text().to_owned())
                .collect(),
        ),
        load.repeat.map(|repeat| {
            let runs = sweep
                .loads
                .iter()
                .filter(|other| other.name() == load.name());
            format!("Repeats: run {repeat} of {} of this load", runs.count())
        }),
        (plan.place.run > 1 && !sweep.cool_down.is_zero())
            .then(|| format!("Before it, nothing is sent for {:?}", sweep.cool_down)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// When the first requests are due.
fn schedule(plan: &Plan, trace: Option<&TraceSchedule>) -> String {
    if let Some(trace) = trace {
        return format!(
            "Schedule: {}\nSchedule: the first requests are due after {} s\n",
            trace.describe(),
            trace.first().join(", ")
        );
    }
    let Some(due) = due_times(&plan.load) else {
        return "Schedule: a request whenever one of those in flight is over\n".to_owned();
    };
    let due: Vec<String> = own_due_times(due, plan.load.split(), plan.expected_requests())
        .take(DUE)
        .map(|(_, due)| format!("{:.3}", due.as_secs_f64()))
        .collect();
    format!(
        "Schedule: the first requests are due after {} s\n",
        due.join(", ")
    )
}
