//! Totals made again from the rows of a run whose program was ended before it could write them. Times in
//! rows are rounded to microseconds, and so are these totals; what no row holds (connections opened
//! beforehand, how busy the client was) is absent.

use super::cells::{json, place, shown_named};
use super::error::ResultsError;
use super::reader::{NotedAtStart, ResultsDatabase};
use crate::sink::{WORKER, added_columns, read_messages};
use llmuses_core::clock::Moment;
use llmuses_core::document::{Run, RunState};
use llmuses_core::exchange::{
    ConnectionOpening, Exchange, Failure, FailureKind, Outcome, Reading, ResponseHead,
    StampQuality, TokenCount, TokenSource,
};
use llmuses_core::metric::{ANSWER, HELD_UP, RESPONSE_HEAD, SESSION, Time};
use llmuses_core::plan::{Arrivals, Load, Objectives, Warmup};
use llmuses_core::turn::TurnPlace;
use llmuses_stats::{
    ByWorker, Circumstances, Groups, Origin, RunStatistics, Sample, StoppedBy, asked_output_tokens,
    judge, totals, verdict,
};
use rusqlite::Row;
use std::collections::BTreeMap;
use std::time::Duration;

impl ResultsDatabase {
    /// All runs, in the order in which they were made. The totals of a run whose program was ended before
    /// it could write them, or of an older version that had others, are made again from the rows.
    ///
    /// # Errors
    /// Where SQLite cannot go on, or a column holds what this program does not write.
    pub fn runs(&self) -> Result<Vec<Run>, ResultsError> {
        let mut runs = self.unfinished_runs()?;
        if runs.is_empty() {
            return Err(self.damaged("it has no run"));
        }
        for (run, noted) in &mut runs {
            if run.totals.is_none() {
                rebuild(self, run, *noted)?;
            }
        }
        Ok(runs.into_iter().map(|(run, _)| run).collect())
    }
}

/// What is said of a run that has no end.
const KILLED: &str = "its program was killed or still runs, and wrote no totals; these are made of the rows that there are";

/// Gives `run` its totals and its verdict.
fn rebuild(
    database: &ResultsDatabase,
    run: &mut Run,
    noted: NotedAtStart,
) -> Result<(), ResultsError> {
    let was_killed = run.state == RunState::Running;
    let known = Circumstances {
        stop_reason: was_killed.then(|| KILLED.to_owned()),
        stopped_by: was_killed.then_some(StoppedBy::Kill),
        totals_of_older_version: !was_killed,
        transport: run.plan.transport.choice.clone(),
        ..Circumstances::default()
    };
    rebuild_with(database, run, noted, known)
}

/// Gives `run` its totals and its verdict. `known`: what is known beside the rows.
pub(crate) fn rebuild_with(
    database: &ResultsDatabase,
    run: &mut Run,
    noted: NotedAtStart,
    known: Circumstances,
) -> Result<(), ResultsError> {
    let arrivals = Arrivals::of_record(&run.plan.load)
        .ok_or_else(|| database.damaged("the plan of a run does not say its load"))?;
    let origin = Origin::of(&arrivals);
    let began = match noted.first_due {
        Some(at) => at,
        None => first_intended(database, run.id)?.unwrap_or(run.started_unix_seconds),
    };
    let mut statistics = RunStatistics::new(origin)
        .starting_at(moment(began, run.started_unix_seconds))
        .with_objectives(Objectives::of_record(&run.plan.load))
        .with_texts(true)
        .with_asked_output(asked_output_tokens(&run.plan.work.parameters));
    let mut groups = Groups::new(
        origin,
        moment(began, run.started_unix_seconds),
        Objectives::of_record(&run.plan.load),
        Load::stages_of_record(&run.plan.load),
    )
    .with_labels(run.plan.target.label_header.is_some())
    .with_warmup(Warmup::of_record(&run.plan.load), &arrivals)
    .with_steady_state(
        !arrivals.is_open(),
        (run.plan.load.ramp_up_seconds).and_then(|time| Duration::try_from_secs_f64(time).ok()),
    );
    let mut by_worker = ByWorker::new(moment(began, run.started_unix_seconds));
    let mut of_workers: BTreeMap<u32, u64> = BTreeMap::new();
    let failed = |reason| database.failed(reason);
    let mut statement = database
        .connection()
        .prepare(&format!(
            "SELECT number, warmup, intended_time, sent_time, completed_time, connect_time, dns_time, \
             tls_time, status, chunk_times, response_messages, output_times, prompt_tokens, \
             prompt_tokens_by, completion_tokens, completion_tokens_by, error_kind, error, streamed, \
             stamped_by, metrics, request{} FROM result WHERE run = ?1 \
             ORDER BY number",
            database.added_columns().map_err(failed)?
        ))
        .map_err(failed)?;
    let mut rows = statement.query([run.id]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let outcome = outcome(row, run.started_unix_seconds, origin).map_err(failed)?;
        let warmup = row.get(1).map_err(failed)?;
        let sample = Sample {
            worker: row.get(WORKER).map_err(failed)?,
            ..Sample::of(outcome, origin, warmup)
        };
        statistics.add(&sample);
        groups.add(&sample);
        by_worker.add(&sample);
        if let Some(worker) = sample.worker {
            *of_workers.entry(worker).or_default() += 1;
        }
    }
    let mut workers = database.workers(run.id)?;
    for worker in &mut workers {
        worker.requests = of_workers.remove(&worker.worker).unwrap_or_default();
    }
    by_worker.fill(&mut workers);
    let counts = statistics.counts();
    let was_cut = run.state != RunState::Finished || run.plan.load.number.is_some();
    let circumstances = Circumstances {
        groups: groups.figures(statistics.wall(), was_cut),
        asked: run.plan.load.number,
        issued: counts.over() + counts.warmup,
        peak_in_flight: peak_in_flight(database, run.id)?,
        max_in_flight: run.plan.load.max_in_flight,
        task: noted.task,
        one_prompt: run
            .plan
            .work
            .prompt
            .as_ref()
            .map(|text| text.chars().count() as u64),
        asked_output: asked_output_tokens(&run.plan.work.parameters),
        objectives: run
            .plan
            .outputs
            .run_objectives
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect(),
        unlike_workers: by_worker.unlike(&workers),
        workers,
        ..known
    };
    let doubts = judge(&statistics, &circumstances);
    run.totals = Some(totals(&statistics, &circumstances));
    run.verdict = Some(verdict(&doubts));
    Ok(())
}

/// When the first request was due that has a row.
fn first_intended(database: &ResultsDatabase, run: u32) -> Result<Option<f64>, ResultsError> {
    database
        .connection()
        .query_row(
            "SELECT min(intended_time) FROM result WHERE run = ?1",
            [run],
            |row| row.get(0),
        )
        .map_err(|reason| database.failed(reason))
}

/// The most requests that were in flight at once. SQLite sorts their beginnings and ends, on disk where they
/// are many. Of those at one moment, ends come first: a slot that becomes free takes its next request then.
fn peak_in_flight(database: &ResultsDatabase, run: u32) -> Result<u64, ResultsError> {
    let failed = |reason| database.failed(reason);
    let mut statement = database
        .connection()
        .prepare(
            "SELECT step FROM (\
                SELECT coalesce(sent_time, intended_time) AS at, 1 AS step FROM result WHERE run = ?1 UNION ALL \
                SELECT completed_time AS at, -1 AS step FROM result WHERE run = ?1\
             ) ORDER BY at, step",
        )
        .map_err(failed)?;
    let steps = statement
        .query_map([run], |row| row.get::<_, i64>(0))
        .map_err(failed)?;
    let (mut now, mut peak) = (0_i64, 0_i64);
    for step in steps {
        now += step.map_err(failed)?;
        peak = peak.max(now);
    }
    Ok(peak.unsigned_abs())
}

/// A time of day of a run that started at `started`.
fn moment(unix: f64, started: f64) -> Moment {
    // Whole microseconds again; a difference of two such times of day is exact to that.
    let micros = ((unix - started) * 1e6).round().max(0.0);
    Moment::from_nanos((micros as u64).saturating_mul(1000))
}

fn outcome(row: &Row<'_>, started: f64, origin: Origin) -> rusqlite::Result<Outcome> {
    let moment = |unix| moment(unix, started);
    let optional = |column| -> rusqlite::Result<Option<Moment>> {
        Ok(row.get::<_, Option<f64>>(column)?.map(moment))
    };
    let span = |column| -> rusqlite::Result<Option<Duration>> {
        let seconds: Option<f64> = row.get(column)?;
        Ok(seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()))
    };
    let arrivals: Vec<Moment> = list(row, 9)?.into_iter().map(moment).collect();
    let mut response = read_messages(10, row.get_ref(10)?, &arrivals)?;
    if row.get(18)? {
        response.set_streamed();
        // Rows do not tell whether a stream said `[DONE]`: none is blamed for the want of it.
        response.set_done(moment(row.get(4)?));
    }
    let counted_from = match origin {
        Origin::Intended => moment(row.get(2)?),
        Origin::Sent => optional(3)?.unwrap_or(moment(row.get(2)?)),
    };
    let added = |time: Time| {
        let found = (22..).zip(added_columns()).find(|(_, (of, _))| *of == time);
        found.map_or(Ok(None), |(column, _)| span(column))
    };
    let has_outputs: Option<String> = row.get(11)?;
    let reading = match has_outputs {
        None => None,
        Some(_) => {
            let outputs = list::<f64>(row, 11)?.into_iter().map(moment);
            Some(Reading {
                prompt: tokens(row, 12)?,
                completion: tokens(row, 14)?,
                outputs: indices(outputs, &arrivals),
                answers: added(ANSWER)?
                    .and_then(|after| nearest(counted_from.after(after), &arrivals))
                    .map(|index| vec![index]),
                finish_reason: shown_named(row, "finish_reason")?,
                metrics: json(row, 20)?.unwrap_or_default(),
                tokens_so_far: json(row, row.as_ref().column_index("tokens_so_far")?)?,
                ..Reading::default()
            })
        }
    };
    let kind: Option<String> = row.get(16)?;
    let message: Option<String> = row.get(17)?;
    let end = moment(row.get(4)?);
    let (intended, sent) = (moment(row.get(2)?), optional(3)?);
    let head_after = added(RESPONSE_HEAD)?;
    let stamped_by: String = row.get(19)?;
    let number = row.get::<_, i64>(0)?.unsigned_abs();
    let label = shown_named(row, "label")?;
    let exchange = Exchange {
        number,
        place: TurnPlace {
            began: added(SESSION)?.map(|time| {
                let zero = Moment::default();
                zero.after(end.since(zero).saturating_sub(time))
            }),
            ..place(row, number)?
        },
        request_id: shown_named(row, "request_id")?.map(Into::into),
        model: shown_named(row, "model")?.map(Into::into),
        url: shown_named(row, "url")?.map(Into::into),
        request: row.get::<_, String>(21)?.into(),
        intended,
        // No row has it.
        body_wait: Duration::ZERO,
        held_up: added(HELD_UP)?.unwrap_or_default(),
        sent,
        connection: match span(5)? {
            Some(total) => Some(ConnectionOpening {
                dns: span(6)?,
                tls: span(7)?,
                total,
            }),
            None => None,
        },
        head: row.get::<_, Option<u16>>(8)?.map(|status| ResponseHead {
            status,
            at: head_after.map_or(end, |after| counted_from.after(after)),
            content_type: None,
            label: label.map(Into::into),
        }),
        response,
        end,
        stamps: StampQuality::of_key(&stamped_by).unwrap_or(StampQuality::Read),
        failure: kind.map(|kind| {
            let kind = FailureKind::of_name(&kind).unwrap_or(FailureKind::Protocol);
            Failure::new(kind, message.unwrap_or_default())
        }),
        held: Default::default(),
    };
    Ok(Outcome { exchange, reading })
}

/// A JSON list in a column; empty where there is none.
fn list<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<T>> {
    let text: Option<String> = row.get(column)?;
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            rusqlite::types::Type::Text,
            Box::new(error),
        )
    })
}

fn tokens(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<TokenCount>> {
    let tokens: Option<i64> = row.get(column)?;
    let source: Option<String> = row.get(column + 1)?;
    Ok(tokens
        .zip(source.and_then(|source| TokenSource::of_key(&source)))
        .map(|(tokens, source)| TokenCount {
            tokens: tokens.unsigned_abs(),
            source,
        }))
}

/// The arrival at this moment. A time counted from another moment is not exact to the nanosecond, as those of the list are.
fn nearest(moment: Moment, arrivals: &[Moment]) -> Option<u32> {
    const AS_GOOD_AS_EQUAL: Duration = Duration::from_micros(2);
    let distance = |arrival: &Moment| arrival.since(moment).max(moment.since(*arrival));
    let (index, arrival) = arrivals
        .iter()
        .enumerate()
        .min_by_key(|(_, arrival)| distance(arrival))?;
    (distance(arrival) <= AS_GOOD_AS_EQUAL)
        .then(|| u32::try_from(index).ok())
        .flatten()
}

/// Which of the arrivals are outputs: both lists ascend, and every output is an arrival. Of arrivals at
/// the same instant the first ones are taken, which no figure tells apart.
fn indices(outputs: impl Iterator<Item = Moment>, arrivals: &[Moment]) -> Vec<u32> {
    let mut next = 0;
    let mut found = Vec::new();
    for output in outputs {
        while next < arrivals.len() && arrivals[next] < output {
            next += 1;
        }
        if arrivals.get(next) == Some(&output) {
            // A response has far fewer than 2^32 events.
            found.push(next as u32);
            next += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::ResultsDatabase;
    use crate::sink::{Database, tests_support};
    use llmuses_core::document::Totals;
    use llmuses_core::metric::{LATENCY, TTFT};
    use llmuses_samples::OutcomeBuilder;

    #[test]
    fn an_answer_begins_with_the_arrival_next_to_its_time() {
        let arrivals = [1_000_000, 2_000_000, 2_000_000, 3_000_000].map(Moment::from_nanos);
        for (at, index) in [
            (1_000_400, Some(0)),
            (1_999_999, Some(1)),
            (2_003_000, None),
            (9_000_000, None),
        ] {
            assert_eq!(nearest(Moment::from_nanos(at), &arrivals), index, "{at}");
        }
    }

    #[test]
    fn a_run_without_totals_gets_them_from_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.db");
        let objectives = Objectives::of([
            (TTFT, Duration::from_millis(25)),
            (LATENCY, Duration::from_millis(80)),
        ]);
        let mut record = tests_support::record();
        record.plan.load.objectives = Some(objectives.to_record());
        let database = Database::create(&path, &record).unwrap();
        // Long after the start of the program's work: a parser was compiled, connections were opened.
        database.begin(llmuses_samples::moment(4_000));
        let mut expected = RunStatistics::new(Origin::Sent)
            .starting_at(llmuses_samples::moment(4_000))
            .with_objectives(Some(objectives));
        for number in 0..50 {
            let from = 4_000 + number * 10;
            let outcome = OutcomeBuilder::at(from)
                .number(number)
                .sent(from + 1)
                .connected_in(1)
                .events(&[from + 20, from + 30, from + 40, from + 40, from + 50])
                .end(from + 50 + number)
                .outputs(&[1, 2, 3])
                .tokens(7, 4, TokenSource::Server)
                .metric("cached", 2.0)
                .build();
            let sample = tests_support::measured(outcome, false);
            expected.add(&sample);
            database.send(sample);
        }
        let failure = OutcomeBuilder::at(0)
            .number(50)
            .end(60)
            .fails(FailureKind::Connect, "refused")
            .build();
        let first = OutcomeBuilder::at(0).number(51).sent(1).end(2).build();
        for (outcome, warmup) in [(failure, false), (first, true)] {
            let sample = tests_support::measured(outcome, warmup);
            expected.add(&sample);
            database.send(sample);
        }
        // Without `finish`: as after a kill.
        drop(database);
        let runs = ResultsDatabase::open(&path).unwrap().runs().unwrap();
        assert_eq!(runs[0].state, RunState::Running);
        let found = runs[0].totals.clone().unwrap();
        let circumstances = Circumstances {
            task: record.task,
            ..Circumstances::default()
        };
        let expected = totals(&expected, &circumstances);
        assert_eq!(found.requests.warmup, 1);
        assert_eq!(found.requests.peak_in_flight, 9);
        assert_eq!(found.groups.len(), 1);
        assert_eq!(found.groups[0].by, "window");
        // All but the requests, the steady state and what no row holds.
        let known = Totals {
            groups: Vec::new(),
            requests: expected.requests.clone(),
            client: expected.client.clone(),
            slowest_requests: expected.slowest_requests.clone(),
            ..found
        };
        assert_eq!(known, expected);
        assert!(!runs[0].verdict.as_ref().unwrap().trusted);
    }
}
