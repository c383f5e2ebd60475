//! Whole pages, of runs whose figures are made up.

use super::comparison_page;
use crate::compare::{Results, compare};
use llmuses_core::document::{
    Document, LoadRecord, ParserIdentity, PlanRecord, Reason, Run, RunState, TargetRecord, Task,
    Verdict, Versions,
};
use llmuses_core::exchange::{FailureKind, TokenSource};
use llmuses_core::metric::{ITL, LATENCY, TTFT};
use llmuses_samples::OutcomeBuilder;
use llmuses_stats::{Circumstances, Origin, RunStatistics, judge, totals, verdict};
use serde_json::{Value, json};

fn report_page(runs: &[Run]) -> String {
    super::report_page(&Document::of(runs.to_vec()))
}

/// Text that would be markup, or would end the script that holds the document.
const HOSTILE: &str = "</script><script>alert(1)</script><!--<img onload='alert(2)'>\"&lt;]]>";

fn run(samples: impl IntoIterator<Item = OutcomeBuilder>) -> Run {
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
fn streams(count: u64) -> Vec<OutcomeBuilder> {
    (0..count)
        .map(|number| {
            let from = number * 40;
            OutcomeBuilder::at(from)
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

fn refused(count: u64) -> Vec<OutcomeBuilder> {
    (0..count)
        .map(|number| {
            OutcomeBuilder::at(number)
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
    // The document and our own script; and no third.
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script").count(), 2);
    assert!(!page.contains(" style=") && !page.contains("unsafe"));
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
    page.matches("<svg class=\"chart\"").count()
}

/// What stands in the figure of that head.
fn figure<'a>(page: &'a str, head: &str) -> &'a str {
    let (_, rest) = page
        .split_once(&format!("<figcaption>{head}</figcaption>"))
        .unwrap_or_else(|| panic!("no figure `{head}`"));
    rest.split_once("</figure>").unwrap().0
}

/// The points of what is drawn under that name.
fn points(figure: &str, name: &str) -> usize {
    let end = format!("\" data-name=\"{name}\"/>");
    let before = figure
        .split_once(&end)
        .unwrap_or_else(|| panic!("no `{name}`"))
        .0;
    let path = before.rsplit_once(" d=\"").unwrap().1;
    path.matches(['M', 'L']).count()
}

#[test]
fn every_chart_has_the_data_of_the_document() {
    let mut one = run(streams(500));
    let totals = one.totals.as_mut().unwrap();
    totals.timeline.warmup_seconds = Some(2.5);
    let totals = totals.clone();
    let page = report_page(&[one]);
    for (head, time) in [("Time to first token", TTFT), ("Request latency", LATENCY)] {
        let histogram = figure(&page, head);
        let found = totals.times[time].histogram.clone().unwrap();
        let bins = found.samples.iter().filter(|count| **count > 0).count();
        assert_eq!(histogram.matches("<rect class=\"bar").count(), bins);
        has(histogram, &format!(">{head} (ms)</text>"));
        has(histogram, ">Requests</text>");
    }
    let curve = figure(
        &page[page.find(">Percentiles<").unwrap()..],
        "Request latency",
    );
    for title in [">Percentile</text>", ">Time (ms)</text>", ">p99</text>"] {
        has(curve, title);
    }
    let slots = totals.times_over_time.unwrap();
    let over_time = figure(&page, "Time to first token, by when a request was sent");
    assert_eq!(points(over_time, "p50"), slots.requests.len());
    assert_eq!(points(over_time, "p99"), slots.requests.len());
    for text in [
        ">Time since the start (s)</text>",
        "class=\"band\"",
        ">warm-up</text>",
    ] {
        has(over_time, text);
    }
    let scatter = figure(&page, "Time to first token by length of the prompt");
    assert_eq!(points(scatter, "requests"), 500);
    assert_eq!(points(scatter, "straight line through all"), 2);
    has(scatter, ">Input tokens</text>");
    has(scatter, "<li class=\"c1 dots\">requests</li>");
    // 9 lengths.
    let lengths = figure(&page, "Input tokens per request");
    assert_eq!(lengths.matches("<rect class=\"bar").count(), 9);
}

#[test]
fn nothing_of_the_warm_up_is_drawn() {
    let mut one = run(streams(500));
    let timeline = &mut one.totals.as_mut().unwrap().timeline;
    // Of the first half of the run nothing was recorded, as where it is a warm-up.
    let half = timeline.requests_succeeded.len() / 2;
    timeline.requests_succeeded[..half].fill(0);
    timeline.warmup_seconds = Some(half as f64 * timeline.slot_seconds);
    let page = report_page(&[one]);
    let rate = figure(&page, "Requests per second");
    let path = rate.split("<path class=\"line").nth(1).unwrap();
    let (_, from) = path.split_once("d=\"M").unwrap();
    let first: f64 = from.split(' ').next().unwrap().parse().unwrap();
    // The chart is 398 wide.
    assert!((first - 199.0).abs() < 3.0, "{first}");
    let lowest = path.split('"').nth(2).unwrap();
    assert!(!lowest.contains(" 210.0"), "the rate is drawn as zero");
}

#[test]
fn objectives_are_lines() {
    let mut one = run(streams(500));
    let totals = one.totals.as_mut().unwrap();
    totals.goodput = Some(llmuses_core::document::Goodput::default());
    totals.goodput.as_mut().unwrap().objectives.0[TTFT] = Some(0.024);
    totals.goodput.as_mut().unwrap().objectives.0[LATENCY] = Some(60.0);
    let page = report_page(&[one]);
    is_sound(&page);
    for head in [
        "Time to first token",
        "Time to first token by length of the prompt",
    ] {
        has(figure(&page, head), "class=\"bound\"");
        has(figure(&page, head), ">objective 24 ms</text>");
    }
    has(
        figure(&page, "Request latency"),
        "Beyond the chart: objective 60 s.",
    );
}

#[test]
fn what_repeats_a_run_stands_first() {
    let mut one = run(streams(20));
    one.plan.outputs.command = Some(format!("llmuses perf --prompt '{HOSTILE}'"));
    let totals = one.totals.as_mut().unwrap();
    totals.connections.servers = vec!["uvicorn".to_owned(), HOSTILE.to_owned()];
    totals.client.machine = Some(llmuses_core::document::Machine {
        host: Some("bench-1".to_owned()),
        kernel: Some("Linux 6.18".to_owned()),
        cpu: Some("Model 1".to_owned()),
        processors: Some(8),
    });
    for several in [1, 2] {
        let page = report_page(&vec![one.clone(); several]);
        is_sound(&page);
        let first = page.split("<table").next().unwrap();
        for text in [
            "llmuses perf --prompt",
            "uvicorn",
            "bench-1",
            "Linux 6.18",
            "Model 1, 8 processors",
        ] {
            has(first, text);
        }
    }
}

#[test]
fn slow_requests_lead_to_their_prompt_and_answer() {
    let mut one = run(streams(20));
    let slowest = &mut one.totals.as_mut().unwrap().slowest_requests;
    slowest[0].prompt = Some(format!("Why?\n{HOSTILE}"));
    slowest[0].answer = Some("Because.".to_owned());
    let number = slowest[0].number;
    let page = report_page(&[one]);
    is_sound(&page);
    has(
        &page,
        &format!("<a href=\"#run-1-request-{number}\">{number}</a>"),
    );
    let texts = page
        .split(&format!("id=\"run-1-request-{number}\""))
        .nth(1)
        .unwrap();
    has(texts, "<pre tabindex=\"0\">Why?\n");
    has(texts, "<pre tabindex=\"0\">Because.</pre>");
    assert_eq!(page.matches("class=\"texts\"").count(), 1);
}

#[test]
fn the_tail_is_as_large_as_the_median() {
    let page = report_page(&[run(streams(500))]);
    let cards = page.split("<dt>Time to first token</dt>").nth(1).unwrap();
    let big = cards.split("</dd>").next().unwrap();
    assert!(big.contains("<dd class=\"big\">"), "{big}");
    for key in ["p50_seconds", "p99_seconds"] {
        has(big, &format!("/time_to_first_token/{key}"));
    }
    let times = page
        .split("aria-label=\"Times in milliseconds\"")
        .nth(1)
        .unwrap();
    let heads: Vec<&str> = times.split("</th>").take(3).collect();
    assert!(
        heads[1].ends_with("p50") && heads[2].ends_with("p99"),
        "{heads:?}"
    );
}

#[test]
fn a_document_of_an_earlier_version_has_a_page() {
    let mut one = run(streams(500));
    let totals = one.totals.as_mut().unwrap();
    totals.times_over_time = None;
    totals.time_to_first_token_by_input_length = None;
    totals.time_per_output_token_by_input_length = None;
    for time in [TTFT, LATENCY, ITL, llmuses_core::metric::TPOT] {
        totals.times.0[time].histogram = None;
    }
    let page = report_page(&[one]);
    is_sound(&page);
    assert!(!page.contains("How times are spread"));
    has(
        &page,
        "a version of this program made the results that did not keep this",
    );
}

#[test]
fn a_run_has_every_number_of_its_document() {
    let runs = [run(streams(500).into_iter().chain(refused(3)))];
    let page = report_page(&runs);
    is_sound(&page);
    let document = serde_json::to_value(Document::of(runs.to_vec())).unwrap();
    assert_eq!(carried(&page), document);
    // Histograms and scatter, curves, over time, input tokens.
    assert_eq!(charts(&page), 5 + 5 + 7 + 1);
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
        "74.91"
    );
    // 500 prompts of 5 to 13 tokens: 4,490 in all.
    assert_eq!(
        text("/runs/0/totals/figures/input_throughput"),
        format!("{:.1}", 4_490.0 / 20.024)
    );
    assert_eq!(text("/runs/0/totals/requests/succeeded"), "500");
    assert_eq!(
        text("/runs/0/totals/time_to_first_token/p50_seconds"),
        "23.00"
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
    let failed = OutcomeBuilder::at(0)
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
        OutcomeBuilder::at(number * 100)
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
    has(&plain, "<figcaption>Requests per second</figcaption>\n<svg");
}

/// Embeddings: one body at once, no output tokens. `tokens`: whether the server counts those of prompts.
fn embeddings(tokens: bool) -> Run {
    let mut run = run((0..60).map(|number| {
        let request = OutcomeBuilder::at(number * 100)
            .number(number)
            .sent(number * 100)
            .events(&[number * 100 + 30])
            .end(number * 100 + 30 + number % 7)
            .outputs(&[0]);
        match tokens {
            true => request.input_tokens(5 + number % 9, TokenSource::Server),
            false => request,
        }
    }));
    run.totals.as_mut().unwrap().task = Task::Embed;
    // It was judged as a run of generation.
    run.verdict = Some(verdict(&[]));
    run
}

#[test]
fn a_task_without_output_tokens_has_no_places_for_them() {
    for tokens in [true, false] {
        let runs = [embeddings(tokens), embeddings(tokens)];
        for page in [report_page(&runs[..1]), report_page(&runs)] {
            is_sound(&page);
            let (shown, _) = page.split_once("The summary as text").unwrap();
            for absent in [
                "No histogram",
                "No curve",
                "Nothing to draw: no response has such a time",
                "Nothing to draw: neither",
                "Time to first token",
                "Time per output token",
                "Inter-token latency",
                "Output tokens",
                "output tokens",
                "TTFT",
                "TPOT",
                ">Output<",
            ] {
                assert!(!shown.contains(absent), "{tokens}: {absent}");
            }
            assert_eq!(shown.contains(">Tokens</h"), tokens);
            assert_eq!(shown.contains("Input tokens per request"), tokens);
            has(shown, "Request latency");
        }
    }
}

#[test]
fn both_times_are_drawn_by_the_length_of_the_prompt() {
    let page = report_page(&[run(streams(500))]);
    for time in ["Time to first token", "Time per output token"] {
        let drawn = figure(&page, &format!("{time} by length of the prompt"));
        has(drawn, "Straight line: ");
    }
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
    // Of 30 requests there are no percentiles over time.
    assert_eq!(charts(&page), 4 + 5 + 3 * (5 + 5 + 6 + 1) - 3);
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    assert!(at("All loads") < at("Time to first token against load"));
    assert!(at("Throughput against load") < at("Run 1: parallel 1"));
    has(&page, "<a href=\"#run-3\">parallel 4</a>");
    // Folded, and a link into one opens it.
    assert_eq!(page.matches("<details class=\"load\">").count(), 3);
    assert!(at("<details class=\"load\">") < at("id=\"run-1\""));
    let throughput = figure(&page, "Throughput against load");
    assert_eq!(points(throughput, "Output tokens/s"), 3);
    for text in ["Requests in parallel", "Output tokens/s", ">4</text>"] {
        has(throughput, text);
    }
    let ttft = figure(&page, "Time to first token against load");
    assert_eq!((points(ttft, "p50"), points(ttft, "p99")), (3, 3));
    let curves = figure(&page[at("Percentiles of all loads")..], "Request latency");
    assert!(
        ["parallel 1", "parallel 2", "parallel 4"]
            .iter()
            .all(|name| points(curves, name) > 9)
    );
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
    let second = &page[page.find("id=\"pair-2\"").unwrap()..];
    let latency = figure(second, "Request latency");
    assert!(points(latency, "a.db") > 99 && points(latency, "c.db") > 99);
    let numbers = numbers(&page);
    assert!(
        numbers
            .iter()
            .any(|(at, _, _)| at == "/comparisons/1/changes/0/after/value")
    );
}
