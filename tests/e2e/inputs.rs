//! What a person gives a run in other forms than the usual ones: no model, a data set in a pipe, files that Git LFS has
//! not fetched, an older form of tokenizer, recordings of other tools.

use crate::helpers::{good, mock, prompts, quick_mock, refused, typed};
use crate::misbehaving::{Misbehaving, Step, response};
use crate::support::{Bench, Ended, Mock, program, run, sample, start, wait};
use serde_json::{Value, json};
use std::io::Write;
use std::process::Stdio;

const LFS_POINTER: &str =
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";

/// A run without `--model`.
fn without_model(bench: &Bench, url: &str, more: &[&str]) -> Ended {
    let all = ["perf", "--name", "run", "--url", url, "--prompt", "x"];
    typed(bench, &[&all, more].concat())
}

#[test]
fn the_only_model_of_the_server_is_used_and_named() {
    for tls in [false, true] {
        let bench = Bench::new();
        let arguments = ["--ttft", "0", "--model", "Org/One", "--tls"];
        let mock = Mock::start(&arguments[..if tls { 5 } else { 4 }]);
        let ended = without_model(&bench, &mock.chat(), &["--insecure"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let said = "Model: Org/One, the only one of http";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        let request = bench.value("SELECT request FROM result");
        let request = request.as_str().expect("it is text");
        assert!(request.contains(r#""model":"Org/One""#), "{request}");
    }
}

#[test]
fn a_file_of_certificates_is_read_though_no_tls_is_spoken() {
    let mock = quick_mock();
    for transport in ["socket", "reqwest"] {
        let bench = Bench::new();
        let flags = [
            "--model",
            "m",
            "--transport",
            transport,
            "--ca-file",
            "no.pem",
        ];
        let ended = without_model(&bench, &mock.chat(), &flags);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains("no.pem"), "{}", ended.stderr);
    }
    assert!(mock.bodies().is_empty());
}

#[test]
fn a_certificate_that_nobody_vouches_for_ends_the_question_for_the_model() {
    let mock = Mock::start(&["--tls"]);
    let ended = without_model(&Bench::new(), &mock.chat(), &[]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("tls: "), "{}", ended.stderr);
}

#[test]
fn the_question_for_the_model_has_the_headers_of_the_user() {
    let list = json!({ "data": [{ "id": "a" }, { "id": "b" }] }).to_string();
    let server = Misbehaving::start(vec![
        Step::Request,
        Step::Write(response("200 OK", "application/json", list)),
        Step::Close,
    ]);
    let bench = Bench::new();
    let key = ["--headers", "Authorization=Bearer k", "User-Agent=mine"];
    let ended = without_model(&bench, &server.chat(), &key);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("it lists 2 models: a, b; give --model"),
        "{}",
        ended.stderr
    );
    let head = server.heads().remove(0).to_lowercase();
    assert!(head.starts_with("get /v1/models http/1.1\r\n"), "{head}");
    for line in ["authorization: bearer k\r\n", "user-agent: mine\r\n"] {
        assert_eq!(head.matches(line).count(), 1, "{head}");
    }
    assert!(!bench.path("run.db").exists());
}

#[test]
fn a_server_that_lists_no_models_needs_the_flag() {
    let server = Misbehaving::start(vec![
        Step::Request,
        Step::Write(response("404 Not Found", "text/plain", "no such page")),
        Step::Close,
    ]);
    let ended = without_model(&Bench::new(), &server.chat(), &[]);
    assert_eq!(ended.code, Some(2));
    for part in [
        "/v1/models",
        "status 404: no such page",
        "give --model NAME",
    ] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

#[test]
fn a_data_set_is_piped_in_and_used_again() {
    for path in ["-", "/dev/stdin"] {
        let (bench, mock) = (Bench::new(), quick_mock());
        let url = mock.chat();
        let mut command = bench.perf(&[
            "--url",
            &url,
            "--dataset",
            path,
            "--parser",
            "openai_line_by_line",
            "-n",
            "5",
        ]);
        let mut child = start(command.stdin(Stdio::piped()));
        let mut pipe = child.stdin.take().expect("it is a pipe");
        pipe.write_all(b"one\ntwo\n").expect("it is read");
        drop(pipe);
        let ended = wait(child);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(
            prompts(&mock),
            ["one", "two", "one", "two", "one"],
            "{path}"
        );
    }
}

#[test]
fn a_flag_that_would_do_nothing_is_refused() {
    let (bench, mock) = (Bench::new(), crate::helpers::quick_mock());
    bench.file("lines", "one\ntwo\n");
    for (arguments, said) in [
        (
            &["--prompt", "x", "--output-tokens", "5"][..],
            "--input-tokens",
        ),
        (
            &["--dataset", "lines", "--output-tokens", "5"],
            "--input-tokens",
        ),
        (&["--prompt", "x", "--prefix-tokens", "5"], "--input-tokens"),
        (&["--prompt", "x", "--text", "lines"], "--input-tokens"),
        (&["--prompt", "x", "--field", "y"], "--dataset"),
        (&["--prompt", "x", "--dataset-parser", "lines"], "--dataset"),
        (&["--prompt", "x", "--recorded-replies"], "--dataset"),
        (
            &["--prompt", "x", "--objective", "goodput_share>90%"],
            "--goodput",
        ),
        (&["--prompt", "x", "--fail-if", "goodput<1"], "--goodput"),
        (&["--prompt", "x", "--objective", "failed<1"], "0.1%"),
        (&["--prompt", "x", "--fail-if", "ttft_p99>200"], "200ms"),
    ] {
        let text = crate::helpers::refused(&bench, &mock, arguments, 2);
        assert!(text.contains(said), "{arguments:?}: {text}");
    }
}

#[test]
fn a_git_lfs_pointer_in_place_of_a_file_is_named() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let file = bench.file("pointer", LFS_POINTER);
    let file = file.to_str().expect("it is text");
    for arguments in [
        &["--dataset", file, "--parser", "openai_line_by_line"][..],
        &["--prompt", "@pointer"],
        &["--prompt", "x", "--tokenizer-path", file],
    ] {
        let said = refused(&bench, &mock, arguments, 2);
        assert!(said.contains("pointer"), "{said}");
        assert!(said.contains("`git lfs pull`"), "{said}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_prompt() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("prompt.txt", "\u{feff}a text");
    good(&bench, &mock, &["--prompt", "@prompt.txt"]);
    assert_eq!(prompts(&mock), ["a text"]);
}

#[test]
fn a_tokenizer_is_made_of_vocabulary_and_merges() {
    let tokenizer = std::fs::read(sample("tokenizer/tokenizer.json")).expect("it is there");
    let tokenizer: Value = serde_json::from_slice(&tokenizer).expect("it is JSON");
    let merges: Vec<String> = tokenizer["model"]["merges"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|pair| match pair.as_array() {
            Some(pair) => format!(
                "{} {}",
                pair[0].as_str().unwrap(),
                pair[1].as_str().unwrap()
            ),
            None => pair.as_str().expect("a pair").to_owned(),
        })
        .collect();
    let tokens = |older: bool| {
        let (bench, mock) = (Bench::new(), mock(&["--usage", "off"]));
        let path = if older {
            bench.file("vocab.json", tokenizer["model"]["vocab"].to_string());
            bench.file("merges.txt", merges.join("\n"));
            bench.path("")
        } else {
            sample("tokenizer")
        };
        let path = path.to_str().expect("it is text");
        let text = "How far away is the moon? 384400 km, unbelievably.";
        let ended = good(&bench, &mock, &["--prompt", text, "--tokenizer-path", path]);
        let said = ended.stderr.contains("made of vocab.json and merges.txt");
        assert_eq!(said, older, "{}", ended.stderr);
        bench.value("SELECT prompt_tokens FROM result")
    };
    assert_eq!(tokens(true), tokens(false));
}

#[test]
fn a_parser_is_checked_with_a_recording_of_curl() {
    let bench = Bench::new();
    let body =
        "event: message\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\ndata: [DONE]\n\n";
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    for text in [body.to_owned(), format!("{head}{body}")] {
        bench.file("recording", text);
        let ended = check(&bench, "openai_prompt", &["--responses", "recording"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stdout);
        assert!(
            ended.stdout.contains("events with output: 1 of 1 (0)"),
            "{}",
            ended.stdout
        );
    }
    // A parser of another API makes nothing of it.
    let ended = check(
        &bench,
        "dashscope_line_by_line",
        &["--responses", "recording"],
    );
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(
        ended.stdout.contains("FAILED: it found neither output"),
        "{}",
        ended.stdout
    );
    bench.file(
        "recording",
        "HTTP/2 401\r\n\r\n{\"error\": {\"message\": \"no key\"}}",
    );
    let ended = check(&bench, "openai_prompt", &["--responses", "recording"]);
    assert!(
        ended
            .stdout
            .contains("recording: a run counts this response as failed: status 401"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_run_records_its_first_response_for_a_check_of_the_parser() {
    for (arguments, form) in [
        (&[][..], "text/event-stream"),
        (&["--parameters", "stream=bool_false"], "application/json"),
    ] {
        let (bench, mock) = (Bench::new(), quick_mock());
        let all = ["--prompt", "x", "-n", "3", "--record", "recording"];
        good(&bench, &mock, &[&all, arguments].concat());
        let text = std::fs::read_to_string(bench.path("recording")).expect("it was written");
        let head = format!("HTTP/1.1 200\r\ncontent-type: {form}");
        assert!(text.starts_with(&head), "{text}");
        let ended = check(&bench, "openai_prompt", &["--responses", "recording"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stdout);
        let counted = "completion tokens: 5, counted by usage";
        assert!(ended.stdout.contains(counted), "{}", ended.stdout);
    }
}

#[test]
fn a_recording_is_written_only_where_there_is_something_to_write() {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("there", "mine");
    let said = refused(&bench, &mock, &["--prompt", "x", "--record", "there"], 2);
    assert!(said.contains("--record"), "{said}");
    let server = Misbehaving::start(vec![Step::Request, Step::Close]);
    let url = server.chat();
    let ended = run(&mut bench.perf(&["--url", &url, "--prompt", "x", "--record", "recording"]));
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("no response came"),
        "{}",
        ended.stderr
    );
    assert!(!bench.path("recording").exists());
}

fn check(bench: &Bench, parser: &str, more: &[&str]) -> Ended {
    run(program()
        .current_dir(bench.path(""))
        .args(["plugin", "check", parser])
        .args(more))
}
