//! Prompts that are made up, of lengths that were asked for.

use crate::helpers::{
    assert_close, ends, good, mean, mock, numbers, older_plugin, paragraph, prompts, quick_mock,
    refused,
};
use crate::support::{Bench, Ended, Mock, repository, run};
use llmuses_plugin_host::builtin;
use serde_json::{Value, json};

fn tokenizer() -> String {
    let folder = repository().join("datasets/tokenizer");
    folder.to_str().expect("the path is text").to_owned()
}

/// `--tokenizer-path` and further arguments.
fn with_tokenizer<'a>(tokenizer: &'a str, arguments: &[&'a str]) -> Vec<&'a str> {
    [&["--tokenizer-path", tokenizer], arguments].concat()
}

fn lengths(bench: &Bench) -> Value {
    let document = std::fs::read_to_string(bench.path("run.json")).expect("it was written");
    let document: Value = serde_json::from_str(&document).expect("it is JSON");
    document["runs"][0]["totals"]["asked_lengths"].clone()
}

#[test]
fn prompts_and_outputs_have_the_lengths_asked_for() {
    let (bench, mock, tokenizer) = (Bench::new(), quick_mock(), tokenizer());
    let mix = ["--input-tokens", "70%:20/5,30%:80/12", "-n", "40"];
    let arguments = [&mix[..], &["--json", "run.json"]].concat();
    let ended = good(&bench, &mock, &with_tokenizer(&tokenizer, &arguments));
    let told = bench.rows(
        "SELECT prompt_tokens, completion_tokens, count(*) FROM result GROUP BY 1, 2 ORDER BY 1",
    );
    assert_eq!(told.len(), 2, "{told:?}");
    let kinds: Vec<&[Value]> = told.iter().map(|row| &row[..2]).collect();
    assert_eq!(kinds, [[20, 5].map(Value::from), [80, 12].map(Value::from)]);
    let lengths = lengths(&bench);
    for side in ["input", "output"] {
        assert_eq!(lengths[side]["requests"], 40, "{lengths}");
        assert_eq!(lengths[side]["different"], 0, "{lengths}");
    }
    let said = paragraph(&ended.stdout, "Lengths asked");
    assert!(
        said.contains("exact by the server's count for 40 of 40"),
        "{said}"
    );
    // No prompt comes twice.
    let mut texts = prompts(&mock);
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 40);
}

#[test]
fn prompts_depend_on_the_seed_alone() {
    let tokenizer = tokenizer();
    let sent = |arguments: &[&str]| {
        let (bench, mock) = (Bench::new(), quick_mock());
        let length = ["--input-tokens", "uniform:10..50", "-n", "12"];
        let arguments = [&length[..], arguments].concat();
        good(&bench, &mock, &with_tokenizer(&tokenizer, &arguments));
        let mut texts = prompts(&mock);
        texts.sort();
        texts
    };
    let first = sent(&[]);
    assert_eq!(sent(&["--parallel", "4"]), first);
    assert_eq!(sent(&["--rate", "200"]), first);
    assert_ne!(sent(&["--seed", "7"]), first);
    assert_ne!(sent(&["--warmup", "4"]), first);
}

#[test]
fn each_load_of_a_sweep_has_prompts_of_its_own() {
    let (bench, mock, tokenizer) = (Bench::new(), quick_mock(), tokenizer());
    let arguments = ["--input-tokens", "30", "-n", "6", "--parallel", "1,2"];
    good(&bench, &mock, &with_tokenizer(&tokenizer, &arguments));
    let mut texts = prompts(&mock);
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 12);
}

#[test]
fn prompts_share_prefixes() {
    let (bench, mock, tokenizer) = (Bench::new(), quick_mock(), tokenizer());
    let arguments = [
        "--input-tokens",
        "100",
        "--prefix-tokens",
        "60",
        "--prefixes",
        "3",
        "-n",
        "30",
    ];
    good(&bench, &mock, &with_tokenizer(&tokenizer, &arguments));
    let beginning = |text: &String| text.split(' ').take(60).collect::<Vec<_>>().join(" ");
    let mut beginnings: Vec<String> = prompts(&mock).iter().map(beginning).collect();
    beginnings.sort();
    beginnings.dedup();
    assert_eq!(beginnings.len(), 3);
}

#[test]
fn each_server_has_a_cache_of_its_own() {
    let (bench, tokenizer) = (Bench::new(), tokenizer());
    let [first, second] = [(); 2].map(|()| mock(&["--prefix-cache", "100000"]));
    let other = second.chat();
    let arguments = [
        "--url",
        &other,
        "--input-tokens",
        "640",
        "--prefix-tokens",
        "512",
    ];
    let more = [
        "--prefixes",
        "8",
        "-n",
        "40",
        "--parallel",
        "1",
        "--json",
        "run.json",
    ];
    let all = [&arguments[..], &more].concat();
    good(&bench, &first, &with_tokenizer(&tokenizer, &all));
    let cached = lengths(&bench)["cached"].clone();
    let mean = |name: &str| cached[name].as_f64().expect("it is a number");
    let (predicted, reported) = (mean("mean_predicted_tokens"), mean("mean_reported_tokens"));
    assert!((predicted - reported).abs() <= 16.0, "{cached}");
    // Each of the prefixes is new to both.
    assert!(predicted < 512.0 * 0.75, "{cached}");
}

#[test]
fn predicted_cache_hits_are_those_of_the_server() {
    let (bench, tokenizer) = (Bench::new(), tokenizer());
    let mock = mock(&["--prefix-cache", "100000"]);
    let arguments = [
        "--input-tokens",
        "640",
        "--prefix-tokens",
        "512",
        "--prefixes",
        "4",
        "-n",
        "60",
        "--parallel",
        "4",
        "--json",
        "run.json",
    ];
    let ended = good(&bench, &mock, &with_tokenizer(&tokenizer, &arguments));
    let cached = lengths(&bench)["cached"].clone();
    assert_eq!(cached["requests"], 60, "{cached}");
    let mean = |name: &str| cached[name].as_f64().expect("it is a number");
    let [predicted, possible, reported] = [
        mean("mean_predicted_tokens"),
        mean("mean_possible_tokens"),
        mean("mean_reported_tokens"),
    ];
    assert!(predicted > 512.0 * 0.7, "{cached}");
    // The server knows full blocks of 16 tokens.
    let expected = predicted - 16.0..=possible + 16.0;
    assert!(expected.contains(&reported), "{cached}");
    // Four users, of whom some begin with the same prefix while another's is read.
    assert!(possible > predicted, "{cached}");
    assert!(
        !ended.stdout.contains("prefix cache on average"),
        "{}",
        ended.stdout
    );
    // The same prompts again, which nobody told the prediction of.
    let again = Bench::new();
    let ended = good(&again, &mock, &with_tokenizer(&tokenizer, &arguments));
    let stdout = ended
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        stdout.contains("the server has seen these prompts before"),
        "{stdout}"
    );
}

#[test]
fn what_was_asked_for_is_a_figure_as_any_other() {
    let (bench, tokenizer) = (Bench::new(), tokenizer());
    // The server adds tokens to prompts.
    let mock = mock(&[
        "--prefix-cache",
        "100000",
        "--template-tokens",
        "9",
        "--reasoning-tokens",
        "3",
    ]);
    let length = [
        "--input-tokens",
        "640/8",
        "--prefix-tokens",
        "512",
        "-n",
        "8",
    ];
    let bounds = [
        "--fail-if",
        "missed_input_share>50%",
        "--objective",
        "predicted_cached_share<1%",
    ];
    let files = ["--json", "run.json", "--csv", "run.csv"];
    let arguments = [&length[..], &bounds, &files].concat();
    let ended = ends(&bench, &mock, &with_tokenizer(&tokenizer, &arguments), 1);
    assert!(ended.stderr.contains("missed_input_share"), "{ended:?}");
    let text = std::fs::read_to_string(bench.path("run.json")).expect("it was written");
    let document: Value = serde_json::from_str(&text).expect("it is JSON");
    let totals = &document["runs"][0]["totals"];
    let figures = &totals["figures"];
    assert_eq!(figures["missed_input_share"], 1.0, "{figures}");
    assert_eq!(figures["reasoning_tokens"], 3.0, "{figures}");
    assert_eq!(figures["short_output_share"], 0.0, "{figures}");
    let share = |name: &str| figures[name].as_f64().expect("a share");
    let predicted = share("predicted_cached_share");
    // All but the first one find 512 of 649 tokens; the server knows full blocks.
    assert!(
        (predicted - 512.0 / 649.0 * 7.0 / 8.0).abs() < 1e-9,
        "{figures}"
    );
    assert!(
        (share("cached_share") - predicted).abs() < 0.05,
        "{figures}"
    );
    assert_eq!(totals["objectives"][0]["outcome"], "missed", "{totals}");
    let rows = std::fs::read_to_string(bench.path("run.csv")).expect("it was written");
    let mut lines = rows.lines();
    let header = lines.next().expect("a header");
    assert!(header.ends_with(",request_id,cached_tokens,reasoning_tokens,asked_output_tokens"));
    assert_eq!(lines.clone().count(), 8);
    for line in lines {
        let cached = line.rsplit(',').nth(2).expect("a column");
        assert!(
            line.ends_with(",3,8") && cached.parse::<u64>().is_ok(),
            "{line}"
        );
    }
    // From the database, the same to the letter.
    let again = crate::support::program()
        .args(["report", "run.db", "--csv", "again.csv"])
        .current_dir(bench.path(""))
        .status();
    assert!(again.expect("it runs").success());
    let again = std::fs::read_to_string(bench.path("again.csv")).expect("it was written");
    assert_eq!(again, rows);
}

#[test]
fn prompts_are_pieces_of_a_text() {
    let (bench, mock, tokenizer) = (Bench::new(), quick_mock(), tokenizer());
    let text = "the moon is far and the sun is more far than that ".repeat(50);
    bench.file("text.txt", &text);
    let arguments = ["--input-tokens", "30", "--text", "text.txt", "-n", "5"];
    good(&bench, &mock, &with_tokenizer(&tokenizer, &arguments));
    for prompt in prompts(&mock) {
        let begin: Vec<&str> = prompt.split(' ').take(10).collect();
        assert!(text.contains(&begin.join(" ")), "{prompt}");
    }
}

#[test]
fn other_lengths_than_asked_for_are_a_doubt() {
    // The server adds tokens of its own, of which nothing is known here.
    let mock = mock(&["--template-tokens", "9"]);
    let (bench, tokenizer) = (Bench::new(), tokenizer());
    let length = ["--input-tokens", "50", "-n", "10", "--json", "run.json"];
    let arguments = [&length[..], &["--require-valid"]].concat();
    let ended = ends(&bench, &mock, &with_tokenizer(&tokenizer, &arguments), 1);
    let lengths = lengths(&bench);
    assert_eq!(lengths["input"]["different"], 10, "{lengths}");
    assert_eq!(lengths["input"]["worst_difference_tokens"], 9, "{lengths}");
    let stdout = ended
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    let doubt = "10 of 10 prompts have another length than was asked for: 59.0 tokens on average for 50.0, at worst +9";
    assert!(stdout.contains(doubt), "{stdout}");
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let (bench, mock, tokenizer) = (Bench::new(), quick_mock(), tokenizer());
    for (arguments, said) in [
        (
            &["--input-tokens", "0"][..],
            "0 tokens are not between 1 and 4194304",
        ),
        (
            &["--input-tokens", "10", "--prompt", "x"],
            "cannot be used with",
        ),
        (
            &["--input-tokens", "10", "--output-tokens", "x"],
            "`x` is no length",
        ),
        (
            &["--input-tokens", "10", "--prefix-tokens", "10"],
            "no text of its own behind its prefix",
        ),
        (
            &["--input-tokens", "10", "--prefixes", "2"],
            "need the length of a prefix",
        ),
        (
            &["--input-tokens", "100%:10/5", "--output-tokens", "5"],
            "leave one of them out",
        ),
        (
            &["--input-tokens", "10", "--parser", older_plugin(&bench)],
            "parser `hostile` makes its requests by itself",
        ),
        (
            &["--input-tokens", "10", "--text", "nowhere"],
            "the text nowhere cannot be read",
        ),
    ] {
        let error = refused(&bench, &mock, &with_tokenizer(&tokenizer, arguments), 2);
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}

/// A folder with the tokenizer and a chat template, and `special` as what the tokenizer adds to a text.
fn model_with_template(special: Value) -> (Bench, String) {
    let model = Bench::new();
    let file = repository().join("datasets/tokenizer/tokenizer.json");
    let json = std::fs::read_to_string(file).expect("it can be read");
    let mut json: Value = serde_json::from_str(&json).expect("it is JSON");
    json["post_processor"] = special;
    model.file("tokenizer.json", json.to_string());
    model.file(
        "chat_template.jinja",
        "system of the moon\n{% for m in messages %}{{ m.content }}\n{% endfor %}",
    );
    let folder = model.path("");
    let folder = folder.to_str().expect("the path is text").to_owned();
    (model, folder)
}

/// `perf` with these arguments against the mock server, whose URL is given without a path.
fn perf_by_host(bench: &Bench, mock: &Mock, arguments: &[&str]) -> Ended {
    let url = mock.url("");
    let url = url.trim_end_matches('/');
    run(bench.perf(arguments).args(["--url", url]))
}

#[test]
fn lengths_without_room_for_the_chat_template_are_drawn_again() {
    let (_model, folder) = model_with_template(Value::Null);
    let mock = quick_mock();
    for lengths in [
        "normal:20,10",
        "lognormal:20,10",
        "exponential:20",
        "poisson:12",
        "zipf:1.2,400",
        "1..40",
    ] {
        let bench = Bench::new();
        let more = ["-n", "40", "--json", "run.json", "--input-tokens", lengths];
        good(&bench, &mock, &with_tokenizer(&folder, &more));
        let lengths = self::lengths(&bench);
        // The mock server has no template, and counts the same number of tokens less for each prompt.
        let input = |member: &str| lengths["input"][member].as_f64().expect("it is told");
        let template = -input("worst_difference_tokens");
        assert!(template >= 5.0, "{lengths}");
        let counted = numbers(&bench, "SELECT prompt_tokens FROM result");
        assert!(counted.iter().all(|tokens| *tokens >= 1.0), "{counted:?}");
        let asked = mean(&counted) + template;
        assert_close("asked", input("mean_asked_tokens"), asked, 0.001);
    }
    let mock = quick_mock();
    for (arguments, said) in [
        (
            &["--input-tokens", "3"][..],
            "a prompt of 3 tokens has no room",
        ),
        (
            &["--input-tokens", "1..3"],
            "a prompt of 3 tokens or fewer has no room",
        ),
        (
            &["--input-tokens", "normal:3,0.1"],
            "fewer than 1 % of the lengths normal:3,0.1",
        ),
        (
            &["--input-tokens", "normal:30,1", "--prefix-tokens", "40"],
            "and the prefix 40",
        ),
    ] {
        let error = refused(&Bench::new(), &mock, &with_tokenizer(&folder, arguments), 2);
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}

#[test]
fn a_chat_template_is_no_part_of_a_text_that_is_continued_or_embedded() {
    let (_model, folder) = model_with_template(Value::Null);
    let mock = quick_mock();
    let apis = [
        "openai_completions",
        "tgi",
        "sglang",
        "triton",
        "openai_chat",
        "openai_embeddings",
    ];
    for api in apis {
        let bench = Bench::new();
        let output = match api {
            "openai_embeddings" => &[][..],
            _ => &["--output-tokens", "3"],
        };
        let arguments = ["--parser", api, "--input-tokens", "50", "-n", "2"];
        let arguments = [&arguments[..], output].concat();
        let ended = perf_by_host(&bench, &mock, &with_tokenizer(&folder, &arguments));
        assert_eq!(ended.code, Some(0), "{api}: {}", ended.stderr);
        let found = bench.rows("SELECT DISTINCT prompt_tokens FROM result");
        let tokens = found[0][0].as_u64().expect("it is counted");
        // The mock server has no template.
        let has_room = api == "openai_chat";
        assert_eq!(tokens < 50, has_room, "{api}: {tokens}");
        assert!(tokens <= 50, "{api}: {tokens}");
    }
}

#[test]
fn no_chat_template_is_counted_for_a_plugin_from_a_file_that_embeds() {
    let (_model, folder) = model_with_template(Value::Null);
    let (bench, mock) = (Bench::new(), quick_mock());
    let embeddings = builtin("openai_embeddings").expect("it is built in");
    let bytes = embeddings.bytes().expect("there is memory for it");
    let file = bench.file("embed.wasm", bytes);
    let file = file.to_str().expect("the path is text");
    let arguments = ["--parser", file, "--input-tokens", "50", "-n", "2"];
    let ended = perf_by_host(&bench, &mock, &with_tokenizer(&folder, &arguments));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let found = bench.rows("SELECT DISTINCT prompt_tokens FROM result");
    assert_eq!(found, [[Value::from(50)]]);
}

#[test]
fn special_tokens_are_part_of_a_text_that_is_continued_or_embedded() {
    let special = json!({"type": "BertProcessing", "sep": ["b", 1], "cls": ["a", 0]});
    let (_model, folder) = model_with_template(special);
    let mock = quick_mock();
    for api in ["openai_completions", "openai_embeddings"] {
        let bench = Bench::new();
        let arguments = ["--parser", api, "--input-tokens", "50", "-n", "2"];
        let ended = perf_by_host(&bench, &mock, &with_tokenizer(&folder, &arguments));
        assert_eq!(ended.code, Some(0), "{api}: {}", ended.stderr);
        // The mock server adds none.
        let found = bench.rows("SELECT DISTINCT prompt_tokens FROM result");
        assert_eq!(found, [[Value::from(48)]], "{api}");
    }
}

#[test]
fn prompts_are_sent_as_ids_of_tokens() {
    let special = json!({"type": "BertProcessing", "sep": ["b", 1], "cls": ["a", 0]});
    let (_model, folder) = model_with_template(special);
    for (api, member) in [
        ("openai_completions", "prompt"),
        ("openai_embeddings", "input"),
        ("sglang", "input_ids"),
    ] {
        let (bench, mock) = (Bench::new(), quick_mock());
        let arguments = ["--parser", api, "--input-tokens", "50", "-n", "4"];
        let arguments = [&arguments[..], &["--send-token-ids", "--json", "run.json"]].concat();
        let ended = perf_by_host(&bench, &mock, &with_tokenizer(&folder, &arguments));
        assert_eq!(ended.code, Some(0), "{api}: {}", ended.stderr);
        assert_eq!(lengths(&bench)["input"]["different"], 0, "{api}");
        for body in mock.bodies() {
            let ids = body[member].as_array().expect("there are ids");
            assert_eq!(ids.len(), 50, "{api}");
            assert_eq!((&ids[0], &ids[49]), (&json!(0), &json!(1)), "{api}");
            assert!(ids.iter().all(Value::is_u64), "{api}: {ids:?}");
        }
    }
    let mock = quick_mock();
    let ids = ["--input-tokens", "50", "--send-token-ids"];
    for api in [
        "openai_chat",
        "openai_responses",
        "gemini",
        "ollama",
        "tgi",
        "triton",
    ] {
        let arguments = [&["--parser", api], &ids[..]].concat();
        let error = refused(
            &Bench::new(),
            &mock,
            &with_tokenizer(&folder, &arguments),
            2,
        );
        let said = format!("--send-token-ids: parser `{api}` takes no ids of tokens");
        assert!(error.contains(&said), "{api}: {error}");
    }
    let completions = [&["--parser", "openai_completions"], &ids[..]].concat();
    let error = refused(&Bench::new(), &mock, &completions, 2);
    assert!(error.contains("--tokenizer-path"), "{error}");
    let turns = [&completions[..], &["--turns", "2"]].concat();
    let error = refused(&Bench::new(), &mock, &with_tokenizer(&folder, &turns), 2);
    assert!(error.contains("cannot be used with"), "{error}");
}

#[test]
fn lengths_of_texts_to_embed_are_learned_from_the_server() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let arguments = ["--parser", "openai_embeddings", "--input-tokens", "30"];
    let arguments = [&arguments[..], &["-n", "20", "--json", "run.json"]].concat();
    let ended = perf_by_host(&bench, &mock, &arguments);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let lengths = lengths(&bench);
    assert_eq!(lengths["input"]["requests"], 20, "{lengths}");
    assert_eq!(lengths["input"]["different"], 0, "{lengths}");
    // Documents to rank are not made up, which is said without a flag that was not given.
    let arguments = ["--parser", "rerank", "--input-tokens", "30", "-n", "2"];
    let ended = perf_by_host(&Bench::new(), &mock, &arguments);
    assert_ne!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("takes a query and documents"),
        "{}",
        ended.stderr
    );
}

#[test]
fn without_a_tokenizer_lengths_are_learned_from_the_server() {
    let mock = mock(&["--template-tokens", "11"]);
    let bench = Bench::new();
    let arguments = [
        "--input-tokens",
        "uniform:200..1000",
        "--output-tokens",
        "3",
        "-n",
        "30",
        "--parallel",
        "4",
        "--json",
        "run.json",
    ];
    let ended = good(&bench, &mock, &arguments);
    assert!(
        ended
            .stderr
            .contains("learned from the server by 8 short requests"),
        "{}",
        ended.stderr
    );
    let lengths = lengths(&bench);
    assert_eq!(lengths["input"]["requests"], 30, "{lengths}");
    assert_eq!(lengths["input"]["different"], 0, "{lengths}");
    assert_eq!(lengths["learned"]["probes"], 8, "{lengths}");
    let around = lengths["learned"]["tokens_around"].as_f64();
    assert!(
        around.is_some_and(|around| (around - 11.0).abs() < 4.0),
        "{lengths}"
    );
    // The requests before the run are no rows of it.
    assert_eq!(
        bench.rows("SELECT count(*) FROM result"),
        [[Value::from(30)]]
    );
    let said = paragraph(&ended.stdout, "Lengths asked");
    assert!(said.contains("made without a tokenizer"), "{said}");
}

#[test]
fn a_server_that_does_not_count_is_named() {
    let (bench, mock) = (Bench::new(), mock(&["--usage", "off"]));
    let error = ends(&bench, &mock, &["--input-tokens", "10"], 1).stderr;
    assert!(
        error.contains("the server said for 0 of 8 prompts how many tokens they have"),
        "{error}"
    );
    assert!(error.contains("tokenizer as --tokenizer-path"), "{error}");
}
