//! Whole pages, of runs whose figures are made up.

use super::comparison_page;
use crate::compare::{Results, compare};
use llmuses_core::document::{
    Document, LoadRecord, ParserIdentity, PlanRecord, Reason, Run, RunState, TargetRecord, Verdict,
    Versions,
};
use llmuses_core::exchange::{FailureKind, TokenSource};
use llmuses_core::metric::{ITL, LATENCY, TTFT};
use llmuses_samples::Sample;
use llmuses_stats::{Circumstances, Origin, RunStatistics, judge, totals, verdict};
use serde_json::{Value, json};

fn report_page(runs: &[Run]) -> String {
    super::report_page(&Document::of(runs.to_vec()))
}

/// Text that would be markup, or would end the script that holds the document.
const HOSTILE: &str = "</script><script>alert(1)</script><!--<img onload='alert(2)'>\"&lt;]]>";

fn run(samples: impl IntoIterator<Item = Sample>) -> Run {
    let mut statistics = RunStatistics::new(Origin::Sent);
    for sample in samples {
        statistics.record(&sample.build());
    }
    let circumstances = Circumstances {
        asked: Some(statistics.counts().completed),
        issued: statistics.counts().completed,
        client_busy: vec![0.125],
        peak_in_flight: 2,
        transport: "socket".to_owned(),
        ..Circumstances::default()
    };
    Run {
        id: 1,
        state: RunState::Finished,
        started_unix_seconds: 1.8e9,
        finished_unix_seconds: Some(1.8e9 + 60.25),
        plan: PlanRecord {
            target: TargetRecord {
                model: "qwen".to_owned(),
                url: "http://127.0.0.1:8000/v1".to_owned(),
                ..TargetRecord::default()
            },
            load: LoadRecord {
                arrivals: "closed".to_owned(),
                parallel: Some(2),
                seed: 7,
                ..LoadRecord::default()
            },
            ..PlanRecord::default()
        },
        schedule_seed: "18446744073709551615".to_owned(),
        versions: Versions {
            llmuses: "0.1.0".to_owned(),
            contract: "0.1.0".to_owned(),
            wasmtime: "48.0.8".to_owned(),
        },
        parser: parser(["openai", "1.0.0", "00ff", "built in"]),
        totals: Some(totals(&statistics, &circumstances)),
        verdict: Some(verdict(&judge(&statistics, &circumstances))),
        rows: None,
    }
}

fn parser([name, version, sha256, source]: [&str; 4]) -> ParserIdentity {
    ParserIdentity {
        name: name.to_owned(),
        version: version.to_owned(),
        sha256: sha256.to_owned(),
        source: source.to_owned(),
    }
}

/// Streams of three outputs, each a little slower than the one before it.
fn streams(count: u64) -> Vec<Sample> {
    (0..count)
        .map(|number| {
            let from = number * 40;
            Sample::at(from)
                .number(number)
                .sent(from + 1)
                .events(&[from + 21 + number % 7, from + 31, from + 45, from + 45])
                .end(from + 60 + number % 13)
                .outputs(&[0, 1, 2])
                .tokens(5 + number % 9, 3, TokenSource::Server)
                .metric("cached", (number % 4) as f64)
        })
        .collect()
}

fn refused(count: u64) -> Vec<Sample> {
    (0..count)
        .map(|number| {
            Sample::at(number)
                .number(number)
                .end(number + 1)
                .fails(FailureKind::Connect, "refused")
        })
        .collect()
}

/// The `data` elements of a page: pointer, value, text.
fn numbers(page: &str) -> Vec<(String, String, String)> {
    let unescape = |text: &str| {
        text.replace("&#34;", "\"")
            .replace("&#39;", "'")
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#38;", "&")
    };
    page.split("<data value=\"")
        .skip(1)
        .map(|rest| {
            let (value, rest) = rest.split_once("\" data-at=\"").unwrap();
            let (pointer, rest) = rest.split_once("\">").unwrap();
            let (text, _) = rest.split_once("</data>").unwrap();
            (unescape(pointer), unescape(value), unescape(text))
        })
        .collect()
}

fn carried(page: &str) -> Value {
    let (_, rest) = page
        .split_once("<script type=\"application/json\" id=\"results\">")
        .unwrap();
    let (document, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(document).unwrap()
}

/// What must be true of any page.
fn is_sound(page: &str) {
    // The document, the chart library, our own script; and no fourth.
    assert_eq!(page.matches("<script").count(), 3);
    assert_eq!(page.matches("</script").count(), 3);
    for (what, name) in [
        ("<!--", "a comment"),
        ("<img", "a picture"),
        ("src=", "a source"),
        ("url(", "a resource of a style"),
        ("@import", "an import"),
        ("<iframe", "a frame"),
    ] {
        let found = page.find(what);
        let around = found.map(|at| &page[at.saturating_sub(80)..(at + 80).min(page.len())]);
        assert_eq!(around, None, "{name}");
    }
    for reference in page.split("href=\"").skip(1) {
        assert!(
            reference.starts_with('#') || reference.starts_with("data:,\""),
            "{}",
            &reference[..40]
        );
    }
    assert!(page.contains("default-src 'none'"));
    let document = carried(page);
    for (pointer, value, _) in numbers(page) {
        let expected = document.pointer(&pointer).unwrap_or(&Value::Null);
        assert_eq!(value, expected.to_string(), "{pointer}");
    }
}

fn has(page: &str, text: &str) {
    assert!(page.contains(text), "`{text}` is not on the page");
}

fn charts(page: &str) -> usize {
    page.matches("<div class=\"chart\"").count()
}

#[test]
fn a_run_has_every_number_of_its_document() {
    let runs = [run(streams(500).into_iter().chain(refused(3)))];
    let page = report_page(&runs);
    is_sound(&page);
    let document = serde_json::to_value(Document::of(runs.to_vec())).unwrap();
    assert_eq!(carried(&page), document);
    assert_eq!(charts(&page), 5 + 4 + 1);
    has(&page, "all 500 requests had 3 tokens");
    let numbers = numbers(&page);
    let text = |pointer: &str| {
        let found = numbers.iter().find(|(at, _, _)| at == pointer);
        found.unwrap_or_else(|| panic!("no {pointer}")).2.as_str()
    };
    // From the first request sent at 1 ms to the last end, at 499 × 40 + 60 + 499 % 13 = 20025 ms.
    assert_eq!(text("/runs/0/totals/wall_seconds"), "20.024");
    assert_eq!(
        text("/runs/0/totals/rates/output_tokens_per_second"),
        "74.910"
    );
    // 500 prompts of 5 to 13 tokens: 4,490 in all.
    assert_eq!(
        text("/runs/0/totals/figures/input_throughput"),
        format!("{:.3}", 4_490.0 / 20.024)
    );
    assert_eq!(text("/runs/0/totals/requests/succeeded"), "500");
    assert_eq!(
        text("/runs/0/totals/time_to_first_token/p50_seconds"),
        "23.000"
    );
    assert_eq!(text("/runs/0/totals/failures/connect/requests"), "3");
    // What the document has of figures stands in a table.
    let totals = &document["runs"][0]["totals"];
    for part in [LATENCY, TTFT, ITL].map(|time| time.key) {
        for (key, value) in totals[part].as_object().unwrap() {
            if value.is_number() {
                text(&format!("/runs/0/totals/{part}/{key}"));
            }
        }
    }
    for index in 0..totals["timeline"]["output_tokens"]
        .as_array()
        .unwrap()
        .len()
    {
        text(&format!("/runs/0/totals/timeline/output_tokens/{index}"));
    }
    for index in 0..20 {
        text(&format!(
            "/runs/0/totals/slowest_requests/{index}/latency_seconds"
        ));
    }
}

#[test]
fn nothing_from_outside_is_markup() {
    let failed = Sample::at(0)
        .number(400)
        .end(1)
        .fails(FailureKind::HttpStatus, HOSTILE);
    let mut hostile = run(streams(20)
        .into_iter()
        .chain([failed])
        .map(|sample| sample.metric(HOSTILE, 1.0)));
    hostile.plan.target.model = HOSTILE.to_owned();
    hostile.plan.target.url = HOSTILE.to_owned();
    hostile.plan.work.prompt = Some(HOSTILE.to_owned());
    let another = (HOSTILE.to_owned(), json!({ HOSTILE: HOSTILE }));
    hostile.plan.others.extend([another]);
    hostile.parser = parser([HOSTILE; 4]);
    hostile.verdict = Some(Verdict {
        trusted: false,
        doubts: vec![Reason {
            reason: "x".to_owned(),
            figure: HOSTILE.to_owned(),
            likely_cause: HOSTILE.to_owned(),
            what_to_do: HOSTILE.to_owned(),
        }],
    });
    let page = report_page(&[hostile.clone(), hostile.clone()]);
    is_sound(&page);
    has(&page, "&#60;/script&#62;&#60;script&#62;alert(1)");
    let results = |name: &str| Results {
        name: name.to_owned(),
        runs: vec![hostile.clone()],
    };
    let files = [results(HOSTILE), results("b.db")];
    let (comparisons, alone) = compare(&files[0], &files[1..], 0.01);
    let page = comparison_page(&files, &comparisons, &alone);
    is_sound(&page);
}

#[test]
fn where_there_is_nothing_to_draw_the_page_says_why() {
    let none = report_page(&[run([])]);
    is_sound(&none);
    assert_eq!(charts(&none), 0);
    has(&none, "None, but no request was over either.");
    let failed = report_page(&[run(refused(5))]);
    is_sound(&failed);
    assert_eq!(charts(&failed), 0);
    has(&failed, "No curve: no request succeeded.");
    let one = report_page(&[run(streams(1))]);
    is_sound(&one);
    has(&one, "there is one such time only");
    has(&one, "Nothing to draw: one request, with 5 tokens.");
    // One body at once: no chunks, and so no gaps between them; and nobody counted tokens.
    let plain = (0..9).map(|number| {
        Sample::at(number * 100)
            .number(number)
            .sent(number * 100)
            .events(&[number * 100 + 30])
            .end(number * 100 + 30)
            .outputs(&[0])
    });
    let plain = report_page(&[run(plain)]);
    is_sound(&plain);
    has(&plain, "No curve: no response had two chunks of output");
    has(
        &plain,
        "neither the server nor a tokenizer counted these tokens",
    );
    has(&plain, "data-of=\"requests_succeeded\"");
}

#[test]
fn a_run_without_totals_says_so() {
    let killed = Run {
        state: RunState::Running,
        finished_unix_seconds: None,
        totals: None,
        verdict: None,
        ..run([])
    };
    let page = report_page(&[killed]);
    is_sound(&page);
    has(&page, "There is no verdict");
    has(&page, "There are no figures");
}

#[test]
fn a_sweep_begins_with_all_its_loads() {
    let load = |parallel: u32, count: u64| {
        let mut run = run(streams(count));
        run.id = parallel;
        run.plan.load.parallel = Some(parallel.into());
        run
    };
    let page = report_page(&[load(1, 30), load(2, 60), load(4, 90)]);
    is_sound(&page);
    assert_eq!(charts(&page), 2 + 5 + 3 * (5 + 3 + 1));
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(at("All loads") < at("data-kind=\"sweep\""));
    assert!(at("data-kind=\"sweep\"") < at("Run 1: parallel 1"));
    has(&page, "<a href=\"#run-3\">parallel 4</a>");
    has(&page, "data-runs=\"0,1,2\"");
}

#[test]
fn a_comparison_points_into_its_own_document() {
    let file = |name: &str, count: u64| Results {
        name: name.to_owned(),
        runs: vec![run(streams(count))],
    };
    let files = [file("a.db", 600), file("b.db", 700), file("c.db", 800)];
    let (comparisons, alone) = compare(&files[0], &files[1..], 0.01);
    let page = comparison_page(&files, &comparisons, &alone);
    is_sound(&page);
    assert_eq!(charts(&page), 2 * 5);
    has(&page, "c.db (after) against a.db (before), parallel 2");
    has(&page, "data-runs=\"0,2\"");
    let numbers = numbers(&page);
    assert!(
        numbers
            .iter()
            .any(|(at, _, _)| at == "/comparisons/1/changes/0/after/value")
    );
}
