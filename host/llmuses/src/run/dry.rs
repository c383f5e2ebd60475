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
