//! The search of the highest load that keeps objectives: its result in words, and its probes.

use super::number::{Part, at};
use super::sweep::load_of;
use super::table::{Cell, Column, Piece, Table};
use crate::digits::{UNKNOWN, counted, fixed, percent};
use llmuses_core::document::{
    ObjectiveOutcome, ProbeFigures, Run, SearchFigures, SearchOutcome, ShareFigures,
};
use llmuses_core::wording::one_line;

/// A load of a search in words.
fn load(search: &SearchFigures, load: f64) -> String {
    match search.asked.vary.as_str() {
        "parallel" => format!("{load} in flight"),
        _ => format!("{load} requests/s"),
    }
}

/// The result in sentences, the answer first.
pub(crate) fn search_lines(search: &SearchFigures) -> Vec<String> {
    let asked = &search.asked;
    let name = |value: f64| load(search, value);
    let mut lines = vec![
        match (search.outcome, search.highest_met, search.lowest_missed) {
            (SearchOutcome::Found, Some(met), Some(missed)) => format!(
                "The highest load that keeps the objectives is {}; {} does not keep them.",
                name(met),
                name(missed)
            ),
            (SearchOutcome::BeyondTo, Some(met), _) => format!(
                "Even {} keeps the objectives: search further with a higher --to.",
                name(met)
            ),
            (SearchOutcome::BelowFrom, _, Some(missed)) => format!(
                "Even {} does not keep the objectives: search with a lower --from.",
                name(missed)
            ),
            (SearchOutcome::NotSteady, Some(met), _) => format!(
                "The server did not stay the same: {} kept the objectives and later did not.",
                name(met)
            ),
            (_, met, missed) => format!(
                "Not decided: {}, {}.",
                met.map_or_else(
                    || "no load is known to keep the objectives".to_owned(),
                    |met| format!("{} keeps the objectives", name(met))
                ),
                missed.map_or_else(
                    || "none is known not to keep them".to_owned(),
                    |missed| format!("{} does not", name(missed))
                ),
            ),
        },
    ];
    if let (Some(met), Some(missed)) = (search.highest_met, search.lowest_missed)
        && search.outcome != SearchOutcome::NotSteady
    {
        lines.push(format!(
            "The capacity lies between {} and {}; the chance that it does not is {} at most.",
            name(met),
            name(missed),
            percent(search.error)
        ));
    }
    if search.outcome == SearchOutcome::NotDecided {
        lines.push(what_it_takes(search));
    }
    if let Some(goodput) = search.goodput_per_second {
        lines.push(format!(
            "Goodput at the highest load that keeps them: {} requests/s.",
            fixed(Some(goodput), 2)
        ));
    }
    lines.push(format!(
        "Objectives: {}. {} with {} in {} s, those of warm-ups included.",
        one_line(&asked.objectives.join(", "), 300),
        counted(search.probes, "probe"),
        counted(search.requests, "request"),
        fixed(search.seconds, 1),
    ));
    lines
}

/// What would decide a search that is not.
fn what_it_takes(search: &SearchFigures) -> String {
    let asked = &search.asked;
    let unclear: Vec<String> = search
        .not_decided
        .iter()
        .map(|value| load(search, *value))
        .collect();
    match (unclear.as_slice(), search.requests_needed) {
        ([], _) => format!(
            "The time was over ({} s): give a longer --time-limit, or a coarser --resolution.",
            asked.time_limit_seconds
        ),
        (unclear, Some(needed)) => format!(
            "Within {} s a probe did not decide {}: it would take some {}; give a longer --probe-limit.",
            asked.probe_limit_seconds,
            unclear.join(", "),
            counted(needed, "request"),
        ),
        (unclear, None) => format!(
            "Within {} s a probe did not decide {}: the figure lies on the objective, or no request had it.",
            asked.probe_limit_seconds,
            unclear.join(", "),
        ),
    }
}

/// The probes in the order in which they were run. `None`: the runs are no probes of a search.
pub(crate) fn probes(runs: &[Part<'_, Run>]) -> Option<Table> {
    let first = runs.first()?.value();
    let asked = first.plan.outputs.search.as_ref()?;
    let columns = ["Probe", "outcome", "requests", "seconds"]
        .map(Column::new)
        .into_iter();
    let objectives = asked
        .objectives
        .iter()
        .map(|objective| Column::new(one_line(objective, 30)));
    let mut table = Table::of_columns("Probes of the search", columns.chain(objectives));
    for (place, run) in runs.iter().enumerate() {
        let mut row = vec![Cell::of([Piece::Link(
            format!("#run-{}", place + 1),
            load_of(run.value()),
        )])];
        let totals = at!(run, totals).known();
        let probe = totals
            .as_ref()
            .and_then(|totals| at!(totals, probe).known());
        match totals.zip(probe) {
            Some((totals, probe)) => {
                row.push(Cell::name(outcome(probe.value())));
                row.push(Cell::number(at!(totals, requests.completed).whole()));
                row.push(Cell::number(at!(totals, wall_seconds).fixed(1)));
                let shares = at!(probe, shares).items();
                row.extend(shares.iter().map(|share| Cell::number(held(share.value()))));
            }
            None => row.extend((0..3 + asked.objectives.len()).map(|_| Cell::number(UNKNOWN))),
        }
        table.rows.push(row);
    }
    table.note(
        "Under each objective: the share of requests that break it, and the most that there may be; of one with >, the share \
         that met theirs, and the least. A probe ends once all objectives are met for certain, one is missed for certain, or \
         the queue grows.",
    );
    Some(table)
}

/// A share beside its bound.
fn held(share: &ShareFigures) -> String {
    if share.requests == 0 {
        return UNKNOWN.to_owned();
    }
    let found = share.counted as f64 / share.requests as f64;
    let digits = |share: f64| format!("{:.2} %", share * 100.0);
    // What an objective with `>` asks for is the least share.
    let limit = match share.objective.contains('>') {
        true => "at least",
        false => "at most",
    };
    format!("{}, {limit} {}", digits(found), digits(share.bound))
}

fn outcome(probe: &ProbeFigures) -> String {
    let outcome = match (probe.outcome, &probe.lost) {
        (ObjectiveOutcome::Missed, Some(_)) => "lost: the queue grew",
        (outcome, _) => outcome.as_str(),
    };
    match probe.repeats {
        true => format!("{outcome} (repeated)"),
        false => outcome.to_owned(),
    }
}

/// A probe in a line.
pub(crate) fn probe_in_short(run: &Run) -> Option<String> {
    let totals = run.totals.as_ref()?;
    let probe = totals.probe.as_ref()?;
    let shares: Vec<String> = probe
        .shares
        .iter()
        .map(|share| format!("{} {}", share.objective, held(share)))
        .collect();
    let mut line = format!(
        "Probe {}: {}: {}; {} in {} s; {}",
        run.id,
        load_of(run),
        outcome(probe),
        counted(totals.requests.completed, "request"),
        fixed(totals.wall_seconds, 1),
        shares.join(", "),
    );
    if let Some((kind, failure)) = totals.failures.iter().next() {
        let message = one_line(&failure.first_message, 120);
        line.push_str(&format!("; failed: {} {kind}: {message}", failure.requests));
    }
    Some(line)
}
