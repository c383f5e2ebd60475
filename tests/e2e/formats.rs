//! The built-in formats of data sets: what each file becomes, as the server gets it.

use crate::helpers::{good, paragraph, prompts, quick_mock, refused};
use crate::support::{Bench, program, repository, run};
use serde_json::{Value, json};

const CHAT: &[&str] = &["--parser", "openai_chat", "--dataset"];
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\x2b\x28\xca\xcf\x2d\x28\xd1\xc9\x4c\xe1\xe5\xca\xcf\x4b\xd5\x31\xe4\xe5\x2a\x29\xcf\xd7\x31\xe2\xe5\xe2\xe5\x02\x00\xb5\x22\xa6\x3d\x1b\x00\x00\x00";

fn message(role: &str, content: &str) -> Value {
    json!({"role": role, "content": content})
}

/// The messages of all requests that are made of a file, and what standard error says of it.
fn sent(name: &str, content: impl AsRef<[u8]>, flags: &[&str]) -> (Vec<Value>, String) {
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file(name, content);
    let ended = good(&bench, &mock, &[CHAT, &[name], flags].concat());
    let messages = |body: &Value| body["messages"].clone();
    (mock.bodies().iter().map(messages).collect(), ended.stderr)
}

#[test]
fn every_format_of_prompts_and_conversations_is_recognised() {
    let user = |text: &str| message("user", text);
    let (ask, answer, again) = (user("one"), message("assistant", "yes"), user("two"));
    let two = json!([[ask], [ask, answer, again]]);
    let one_and_two = json!([[user("one")], [user("two")]]);
    let sharegpt = json!({"conversations": [
        {"from": "human", "value": "one"}, {"from": "gpt", "value": "yes"},
        {"from": "human", "value": "two"}, {"from": "gpt", "value": "no"},
    ]});
    let swift = json!({"conversation": [
        {"human": "one", "assistant": "yes"}, {"human": "two", "assistant": "no"},
    ]});
    let open_qa = r#"{"question":"one","human_answers":["x"],"source":"s"}"#;
    let alpaca =
        r#"[{"instruction":"one","input":"","output":"x","file":"f"}, {"instruction":"two"}]"#;
    let zstd = zstd::encode_all(&b"one\ntwo\n"[..], 1).unwrap();
    for (name, content, format, expected) in [
        ("a.txt", "one\r\ntwo".into(), "lines", &one_and_two),
        ("a.zst", zstd, "lines", &one_and_two),
        ("a.csv.gz", GZIP.to_vec(), "csv", &one_and_two),
        (
            "a.csv",
            "\u{feff}Id,Prompt\n1,one\n2,\"two\"\n".into(),
            "csv",
            &one_and_two,
        ),
        (
            "a.tsv",
            "id\tprompt\n1\tone\n2\ttwo\n".into(),
            "tsv",
            &one_and_two,
        ),
        (
            "qa.jsonl",
            open_qa.into(),
            "json_lines",
            &json!([[user("one")]]),
        ),
        ("alpaca.json", alpaca.into(), "json_array", &one_and_two),
        (
            "s.json",
            format!("\u{feff}[\r\n{sharegpt}\r\n]\r\n").into(),
            "sharegpt",
            &two,
        ),
        (
            "s.jsonl",
            format!("{sharegpt}\n\n").into(),
            "sharegpt",
            &two,
        ),
        ("swift.json", format!("[{swift}]").into(), "sharegpt", &two),
        (
            "turns.jsonl",
            format!("{}\n", json!([ask, answer, again, answer])).into(),
            "multi_turn",
            &two,
        ),
        (
            "openai.jsonl",
            json!({"messages": [ask, answer, again, answer]})
                .to_string()
                .into(),
            "json_lines",
            &json!([[ask, answer, again]]),
        ),
    ] {
        let content: Vec<u8> = content;
        let (messages, said) = sent(name, content, &["--recorded-replies"]);
        assert_eq!(Value::Array(messages), *expected, "{name}");
        assert!(
            said.contains(&format!("{name} read as {format} (")),
            "{said}"
        );
    }
}

#[test]
fn a_field_may_be_named_and_a_format_chosen() {
    let expected = [json!([message("user", "one")])];
    for (name, content, flags) in [
        (
            "a.jsonl",
            "{\"riddle\":\"one\",\"text\":\"x\"}\n",
            &["--field", "riddle"][..],
        ),
        ("a.json", "[{\"riddle\":\"one\"}]", &["--field", "riddle"]),
        ("a.csv", "Riddle,text\none,x\n", &["--field", "Riddle"]),
        ("b", "one\n", &["--dataset-parser", "lines"]),
    ] {
        let (messages, _) = sent(name, content, flags);
        assert_eq!(messages, expected, "{name}");
    }
    let (bench, mock) = (Bench::new(), quick_mock());
    bench.file("a", "{\"prompt\":\"one\"}\n");
    for (flags, code, said) in [
        (
            &["--field", "nope"][..],
            2,
            "no format recognises the data set a with --field nope",
        ),
        (
            &["--field", "x", "--dataset-parser", "lines"],
            1,
            "lines takes no --field",
        ),
        (
            &["--field", "x", "--dataset-parser", "json_lines"],
            1,
            "a: line 1: no field \"x\"",
        ),
    ] {
        let error = refused(&bench, &mock, &[CHAT, &["a"], flags].concat(), code);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn recorded_bodies_are_sent_as_they_are() {
    let body =
        json!({"model": "recorded", "messages": [message("user", "one")], "stream": false, "n": 1});
    let mut expected = body.clone();
    expected["model"] = "m".into();
    for (content, flags) in [
        (json!({"body": body}), &[][..]),
        (json!({"body": body.to_string(), "timestamp": 12}), &[]),
        (body, &["--dataset-parser", "bodies"]),
    ] {
        let (bench, mock) = (Bench::new(), quick_mock());
        bench.file("a", content.to_string());
        good(&bench, &mock, &[CHAT, &["a"], flags].concat());
        assert_eq!(mock.bodies(), [expected.clone()]);
    }
}

#[test]
fn texts_and_documents_become_entries() {
    let bench = Bench::new();
    for (format, content, entry) in [
        (
            "texts",
            "{\"texts\":[\"a\",\"b\"]}",
            r#"{"turns":[{"texts":["a","b"]}]}"#,
        ),
        (
            "rerank",
            "[{\"query\":\"q\",\"passages\":[\"a\"]}]",
            r#"{"turns":[{"query":"q","documents":["a"]}]}"#,
        ),
    ] {
        bench.file("a", content);
        let arguments = ["plugin", "check", "formats", "--dataset", "a"];
        let ended = run(program().args(arguments).current_dir(bench.path("")));
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let said = format!("entry 1: {entry}\n");
        assert!(ended.stdout.contains(&said), "{format}: {}", ended.stdout);
    }
}

#[test]
fn images_are_read_beside_the_data_set_and_nowhere_else() {
    let (bench, mock) = (Bench::new(), quick_mock());
    std::fs::create_dir_all(bench.path("set/images")).unwrap();
    bench.file("set/images/a.png", b"\x89PNG");
    bench.file("secret.png", b"\x89PNG");
    bench.file(
        "set/data.jsonl",
        "{\"prompt\":\"What?\",\"images\":[\"images/a.png\",\"https://x/b.png\"]}\n",
    );
    good(&bench, &mock, &[CHAT, &["set/data.jsonl"]].concat());
    let image = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    assert_eq!(
        mock.bodies()[0]["messages"],
        json!([{"role": "user", "content": [
            {"type": "text", "text": "What?"},
            image("data:image/png;base64,iVBORw=="),
            image("https://x/b.png"),
        ]}])
    );
    let outside = "{\"prompt\":\"What?\",\"image\":\"../secret.png\"}\n";
    let (bench, mock) = (Bench::new(), quick_mock());
    std::fs::create_dir_all(bench.path("set")).unwrap();
    bench.file("secret.png", b"\x89PNG");
    bench.file("set/data.jsonl", outside);
    let error = refused(&bench, &mock, &[CHAT, &["set/data.jsonl"]].concat(), 1);
    assert!(
        error.contains("entry 1: the image ../secret.png is not in set"),
        "{error}"
    );
    let chosen = ["set/data.jsonl", "--image-folder", "."];
    let error = refused(&bench, &mock, &[CHAT, &chosen].concat(), 1);
    assert!(error.contains("../secret.png"), "{error}");
    bench.file("set/data.jsonl", outside.replace("../", ""));
    good(&bench, &mock, &[CHAT, &chosen].concat());
}

/// What the server counted of each request, by time of arrival: tokens of the prompt and of the answer.
fn counted(bench: &Bench) -> Vec<Vec<Value>> {
    bench.rows("SELECT prompt_tokens, completion_tokens FROM result ORDER BY rowid")
}

fn tokenizer() -> String {
    let folder = repository().join("datasets/tokenizer");
    folder.to_str().expect("the path is text").to_owned()
}

#[test]
fn every_trace_becomes_prompts_of_its_lengths() {
    let tokenizer = tokenizer();
    for (format, content) in [
        (
            "mooncake",
            "{\"timestamp\": 0, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [1, 2]}\n\
             {\"timestamp\": 250, \"input_length\": 40, \"output_length\": 7, \"hash_ids\": [3]}\n",
        ),
        (
            "bailian",
            "{\"chat_id\": 1, \"parent_chat_id\": -1, \"timestamp\": 61.1, \"input_length\": 600, \"output_length\": 3, \
             \"type\": \"text\", \"turn\": 1, \"hash_ids\": [1, 2]}\n\
             {\"chat_id\": 2, \"parent_chat_id\": 1, \"timestamp\": 62.4, \"input_length\": 40, \"output_length\": 7, \
             \"type\": \"text\", \"turn\": 2, \"hash_ids\": [1, 2, 3]}\n",
        ),
        (
            "timed_trace",
            "{\"timestamp\": 1, \"input_length\": 600, \"output_length\": 3, \"hash_ids\": [HASHES]}\n\
             {\"timestamp\": 2, \"input_length\": 40, \"output_length\": 7, \"hash_ids\": [1, 2, 3]}\n",
        ),
        (
            "guidellm_trace",
            "{\"timestamp\": 1, \"input_length\": 600, \"output_length\": 3}\n\
             {\"timestamp\": 2, \"input_length\": 40, \"output_length\": 7}\n",
        ),
        (
            "azure",
            "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9799600,600,3\r\n\
             2023-11-16 18:17:04.0319600,40,7",
        ),
        (
            "burstgpt",
            "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
             5,ChatGPT,600,3,603,Conversation log\n6,ChatGPT,9,0,9,API log\n45,GPT-4,40,7,47,API log\n",
        ),
    ] {
        let hashes: Vec<String> = (1..=38).map(|id| id.to_string()).collect();
        let (bench, mock) = (Bench::new(), quick_mock());
        bench.file("trace", content.replace("HASHES", &hashes.join(",")));
        let flags = ["trace", "--tokenizer-path", &tokenizer];
        let ended = good(&bench, &mock, &[CHAT, &flags].concat());
        let said = format!("trace read as {format} (");
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
        let expected = [[600, 3], [40, 7]].map(|row| row.map(Value::from).to_vec());
        assert_eq!(counted(&bench), expected, "{format}");
        if format == "burstgpt" {
            let said = paragraph(&ended.stdout, "Data set");
            assert!(said.contains("1 skipped: without output tokens"), "{said}");
        }
    }
}

#[test]
fn prompts_of_a_trace_share_the_blocks_that_it_tells() {
    let (bench, mock, tokenizer) = (Bench::new(), quick_mock(), tokenizer());
    bench.file(
        "trace",
        "{\"timestamp\": 0, \"input_length\": 1400, \"output_length\": 2, \"hash_ids\": [7, 8, 9]}\n\
         {\"timestamp\": 1, \"input_length\": 1100, \"output_length\": 2, \"hash_ids\": [7, 8, 5]}\n\
         {\"timestamp\": 2, \"input_length\": 1400, \"output_length\": 2, \"hash_ids\": [7, 8, 9]}\n",
    );
    let flags = ["trace", "--tokenizer-path", &tokenizer];
    good(&bench, &mock, &[CHAT, &flags].concat());
    let texts = prompts(&mock);
    let pairs = texts[0].split(' ').zip(texts[1].split(' '));
    assert_eq!(pairs.take_while(|(one, other)| one == other).count(), 1024);
    assert_eq!(texts[0], texts[2]);
    let body = &mock.bodies()[0];
    assert_eq!(
        (&body["max_completion_tokens"], &body["ignore_eos"]),
        (&json!(2), &json!(true))
    );
}

#[test]
fn a_trace_that_cannot_be_sent_says_why() {
    let tokenizer = tokenizer();
    let record = |input: &str, more: &str| {
        format!("{{\"timestamp\": 5, \"input_length\": {input}, \"output_length\": 2{more}}}\n")
    };
    let good_one = record("40", "");
    for (content, flags, said) in [
        (
            // Whether a data set has texts is seen from its first entries.
            "{\"timestamp\": 5, \"text_input\": \"a\", \"output_length\": 2}\n".repeat(16)
                + &good_one,
            &["--dataset-parser", "mooncake"][..],
            "entry 17: it tells only the length of a prompt",
        ),
        (
            format!("{good_one}{{\"timestamp\": 6, \"input_length\": oops}}\n"),
            &["--tokenizer-path", &tokenizer],
            "set: line 2, column 34: not valid JSON",
        ),
        (
            format!("{good_one}{}", record("\"x\"", "")),
            &[
                "--tokenizer-path",
                &tokenizer,
                "--dataset-parser",
                "guidellm_trace",
            ],
            "line 2: \"input_length\" is not a number of tokens",
        ),
        (
            format!("{good_one}{}", record("40", "").replace('5', "4")),
            &["--tokenizer-path", &tokenizer],
            "line 2: its time is before that of the first entry",
        ),
        (
            record("600", ", \"hash_ids\": [1, 2, 3]"),
            &[
                "--tokenizer-path",
                &tokenizer,
                "--dataset-parser",
                "mooncake",
            ],
            "3 \"hash_ids\", and a prompt of 600 tokens has 2 blocks of 512 tokens",
        ),
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\nsoon,5,5\n".to_owned(),
            &["--tokenizer-path", &tokenizer],
            "line 2: \"timestamp\" is neither a number nor a date",
        ),
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\n1,5\n".to_owned(),
            &["--tokenizer-path", &tokenizer],
            "line 2: a row of 2 columns, where the first row has 3",
        ),
    ] {
        let (bench, mock) = (Bench::new(), quick_mock());
        bench.file("set", content);
        let error = refused(&bench, &mock, &[CHAT, &["set"], flags].concat(), 1);
        assert!(error.contains(said), "{error}");
    }
}
