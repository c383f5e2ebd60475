use super::*;
use crate::sink::tests_support::{measured, record};
use crate::sink::{Database, FinishedRun, RunRecord};
use llmuses_core::clock::Clock;
use llmuses_core::exchange::{Outcome, TokenSource};
use llmuses_samples::{OutcomeBuilder, moment};
use llmuses_stats::{Circumstances, Origin, RunStatistics, totals, verdict};
use std::sync::LazyLock;

/// Requests of a closed loop, of which one in seven is refused.
fn outcome(number: u64) -> Outcome {
    let from = 1_000 + number * 10;
    let made = OutcomeBuilder::at(from)
        .number(number)
        .sent(from + 1)
        .events(&[from + 20, from + 30 + number, from + 60])
        .end(from + 70)
        .outputs(&[0, 1])
        .tokens(7, 2, TokenSource::Server);
    match number % 7 {
        3 => made
            .fails(llmuses_core::exchange::FailureKind::Truncated, "cut")
            .build(),
        _ => made.build(),
    }
}

fn record_of(shard: Option<&str>) -> RunRecord {
    // Machines whose clocks agree.
    static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::start);
    let mut record = record();
    record.clock = *CLOCK;
    record.plan.load.shard = shard.map(ToOwned::to_owned);
    record.plan.load.parallel = Some(3);
    record.plan.load.number = Some(60);
    record
}

/// Writes the database of a run that has these requests.
fn write(path: &Path, record: &RunRecord, numbers: impl Iterator<Item = u64>) {
    let database = Database::create(path, record).unwrap();
    database.begin(moment(1_000));
    let mut statistics = RunStatistics::new(Origin::Sent).starting_at(moment(1_000));
    let mut circumstances = Circumstances {
        transport: "sockets".to_owned(),
        client_busy: vec![0.5],
        ..Circumstances::default()
    };
    for number in numbers {
        let sample = measured(outcome(number), false);
        statistics.add(&sample);
        database.send(sample);
        circumstances.issued += 1;
    }
    let finished = FinishedRun {
        finished: moment(5_000),
        state: RunState::Finished,
        totals: totals(&statistics, &circumstances),
        verdict: verdict(&[]),
        summary: String::new(),
    };
    database.finish(&finished).unwrap();
}

/// The databases of three parts in a folder, which leave out `left_out`.
fn parts(folder: &Path, left_out: &[u64]) -> Vec<PathBuf> {
    (0..3)
        .map(|part| {
            let path = folder.join(format!("run.{part}.db"));
            let own = (0..60).filter(|number| number % 3 == part && !left_out.contains(number));
            write(&path, &record_of(Some(&format!("{part}/3"))), own);
            path
        })
        .collect()
}

#[test]
fn the_parts_of_a_run_are_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.db");
    write(&whole, &record_of(None), 0..60);
    let out = folder.path().join("all.db");
    let parts = parts(folder.path(), &[]);
    let merged = merge(&out, &parts, |run| format!("run {}", run.id)).unwrap();
    assert_eq!(merged.missing, Vec::<String>::new());

    let read = |path: &Path| ResultsDatabase::open(path).unwrap();
    let (database, expected) = (read(&out), read(&whole));
    let (run, before) = (
        database.runs().unwrap().remove(0),
        expected.runs().unwrap().remove(0),
    );
    assert_eq!(run, merged.runs[0]);
    assert_eq!(run.state, RunState::Finished);
    assert_eq!(run.plan, before.plan);
    assert_eq!(run.rows.as_ref().unwrap().kept, 60);
    // What rows do not have is that of the parts.
    let (totals, before) = (run.totals.unwrap(), before.totals.unwrap());
    assert_eq!(totals.client.busy_shares, [0.5; 3]);
    assert_eq!(totals.times, before.times);
    assert_eq!(totals.figures, before.figures);
    assert_eq!(totals.failures, before.failures);
    assert_eq!(totals.tokens, before.tokens);
    assert_eq!(totals.timeline, before.timeline);
    // The texts of slow requests come from rows, and the totals of the made-up run have none.
    let slowest = |totals: &Totals| -> Vec<(u64, f64)> {
        let slowest = totals.slowest_requests.iter();
        slowest
            .map(|slow| (slow.number, slow.latency_seconds))
            .collect()
    };
    assert_eq!(slowest(&totals), slowest(&before));

    let rows = |database: &ResultsDatabase| {
        let mut rows = Vec::new();
        database.each_row(|row| rows.push(row)).unwrap();
        rows.sort_by_key(|row| row.number);
        rows
    };
    assert_eq!(rows(&database), rows(&expected));
    let workers: Vec<i64> = database
        .connection()
        .prepare("SELECT worker FROM result ORDER BY number")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(
        workers
            .iter()
            .zip(0..)
            .all(|(worker, number)| *worker == number % 3)
    );
}

#[test]
fn what_is_missing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let parts = parts(folder.path(), &[4, 5, 58]);
    let out = folder.path().join("all.db");
    let merged = merge(&out, &[parts[2].clone(), parts[1].clone()], |_| {
        String::new()
    })
    .unwrap();
    assert_eq!(
        merged.missing,
        [
            "parts 0/3 are missing",
            "part 2/3: 1 request without a row: 5",
            "part 1/3: 2 requests without a row: 4, 58",
        ]
    );
    let run = &merged.runs[0];
    assert_eq!(run.state, RunState::Interrupted);
    let reason = run.totals.as_ref().unwrap().client.stop_reason.clone();
    assert!(reason.unwrap().starts_with("parts 0/3 are missing; "));
    assert!(!run.verdict.as_ref().unwrap().trusted);
}

#[test]
fn what_is_not_of_one_run_is_refused_and_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let mut parts = parts(folder.path(), &[]);
    write(&file("whole.db"), &record_of(None), 0..1);
    write(&file("other.db"), &record_of(Some("1/2")), 1..2);
    let mut seed = record_of(Some("1/3"));
    seed.schedule_seed = 7;
    write(&file("seed.db"), &seed, 1..2);
    let mut overlap = record_of(Some("1/3"));
    overlap.plan.load.number = None;
    let mut first = record_of(Some("0/3"));
    first.plan.load.number = None;
    write(&file("first.db"), &first, 0..1);
    write(&file("overlap.db"), &overlap, 0..1);
    let out = file("all.db");
    let refused = |files: [PathBuf; 2], said: &str| {
        let error = merge(&out, &files, |_| String::new()).unwrap_err();
        assert!(error.is_usage());
        assert!(error.to_string().contains(said), "{error}");
        assert!(!out.exists());
    };
    let part = parts.remove(0);
    refused([part.clone(), file("whole.db")], "holds a whole run");
    refused([part.clone(), file("other.db")], "is part 1/2, and");
    refused([part.clone(), part.clone()], "are both part 0/3");
    refused([part, file("seed.db")], "seed: 18446744073709551615 and 7");
    let with = |name: &str, shard, change: &dyn Fn(&mut PlanRecord)| {
        let mut record = record_of(Some(shard));
        change(&mut record.plan);
        write(&file(name), &record, 0..1);
        file(name)
    };
    let of_command =
        |id: &'static str| move |plan: &mut PlanRecord| plan.load.run_id = Some(id.to_owned());
    let starts = |at| move |plan: &mut PlanRecord| plan.load.start_at_unix_seconds = Some(at);
    let made_from = |digest: &'static str| {
        move |plan: &mut PlanRecord| {
            let digest = ("tokenizer".to_owned(), digest.to_owned());
            plan.work.made_from.extend([digest]);
        }
    };
    refused(
        [
            with("a.db", "0/3", &of_command("a")),
            with("b.db", "1/3", &of_command("b")),
        ],
        "id of the run: a and b",
    );
    refused(
        [
            with("early.db", "0/3", &starts(1_000.0)),
            with("late.db", "1/3", &starts(1_004.0)),
        ],
        "--start-at: 1000 and 1004",
    );
    refused(
        [
            with("one.db", "0/3", &made_from("00")),
            with("two.db", "1/3", &made_from("11")),
        ],
        "SHA-256 of the tokenizer: 00 and 11",
    );
    refused(
        [file("first.db"), file("overlap.db")],
        "another database holds too",
    );
}
