//! Sessions: each later turn has what was said before it, is sent when its user has thought, and is told apart.

use crate::helpers::{good, mock, older_plugin, paragraph, quick_mock, refused};
use crate::results::{json, runs};
use crate::support::{Bench, Mock, run};
use serde_json::Value;
use std::time::Instant;

/// Runs `perf` with an API that completes its URL by itself.
fn with_api(bench: &Bench, mock: &Mock, api: &str, arguments: &[&str]) -> String {
    let url = mock.url("");
    let url = url.trim_end_matches('/');
    let ended = run(bench
        .perf(&[
            "--url",
            url,
            "--parser",
            api,
            "--details",
            "--json",
            "run.json",
        ])
        .args(arguments));
    assert_eq!(ended.code, Some(0), "{api}: {}", ended.stderr);
    ended.stdout
}

/// Runs two sessions of three turns with made-up messages of 50 tokens and answers of 7.
fn made_up_turns(bench: &Bench, mock: &Mock, api: &str, more: &[&str]) -> String {
    let tokenizer = crate::support::repository().join("datasets/tokenizer");
    let tokenizer = tokenizer.to_str().expect("the path is text");
    let length = ["--input-tokens", "50", "--output-tokens", "7"];
    let sessions = ["--turns", "3", "--sessions", "2"];
    let counted = ["--tokenizer-path", tokenizer];
    let arguments = [&length[..], &sessions, &counted, more].concat();
    with_api(bench, mock, api, &arguments)
}

fn sessions(bench: &Bench) -> Value {
    let document = json(bench, "run.json");
    runs(&document)[0]["totals"]["sessions"].clone()
}

/// The rows of a run as session, turn, body, and what the model answered: the parts at these places of the events, or the
/// last of them where each repeats those before.
fn conversations(bench: &Bench, answers: &[&str]) -> Vec<(i64, i64, Value, String)> {
    let rows = bench.rows(
        "SELECT session, turn, request, response_messages FROM result ORDER BY session, turn",
    );
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    rows.iter()
        .map(|row| {
            let body = serde_json::from_str(&text(&row[2])).expect("a body");
            let events: Vec<String> = serde_json::from_str(&text(&row[3])).expect("a list");
            let parts = events
                .iter()
                .filter_map(|event| serde_json::from_str::<Value>(event).ok())
                .filter_map(|event| {
                    let text = answers.iter().find_map(|place| event.pointer(place));
                    Some(text?.as_str()?.to_owned())
                });
            let answer = parts.fold(String::new(), |before, part| {
                match !before.is_empty() && part.starts_with(&before) {
                    true => part,
                    false => before + &part,
                }
            });
            let number = |value: &Value| value.as_i64().expect("a number");
            (number(&row[0]), number(&row[1]), body, answer)
        })
        .collect()
}

/// What a later turn of an API has of the conversation so far.
#[derive(Clone, Copy)]
enum History {
    /// Messages at this place of the body, with the content of each at this place, and the name of the model's role.
    Messages(&'static str, &'static str, &'static str),
    /// One text in this member of the body, with an empty line between what was said.
    Text(&'static str),
}

impl History {
    /// What was said, as the body has it: a role and a text each.
    fn of(self, body: &Value) -> Vec<(String, String)> {
        let text = |value: Option<&Value>| match value {
            Some(Value::String(text)) => text.clone(),
            other => panic!("{other:?} is no text: {body}"),
        };
        let whole = |text: String| vec![("user".to_owned(), text)];
        match self {
            Self::Text(member) => whole(text(body.get(member))),
            Self::Messages(place, content, model) => match body.pointer(place).expect("a member") {
                Value::String(prompt) => whole(prompt.clone()),
                messages => {
                    let messages = messages.as_array().expect("a list").iter();
                    let read = |message: &Value| {
                        let role = text(message.get("role")).replace(model, "assistant");
                        (role, text(message.pointer(content)))
                    };
                    messages.map(read).collect()
                }
            },
        }
    }

    /// What a body is to have after these questions and answers.
    fn expected(self, said: &[(String, String)]) -> Vec<(String, String)> {
        match self {
            Self::Messages(..) => said.to_vec(),
            Self::Text(_) => {
                let texts: Vec<&str> = said.iter().map(|(_, text)| text.as_str()).collect();
                vec![("user".to_owned(), texts.join("\n\n"))]
            }
        }
    }
}

const fn messages(place: &'static str) -> History {
    History::Messages(place, "/content", "assistant")
}

const GEMINI: History = History::Messages("/contents", "/parts/0/text", "model");

/// The APIs whose models answer, with where an event has a part of the answer. `sglang` repeats the text so far.
const GENERATING: [(&str, History, &str); 11] = [
    (
        "openai_chat",
        messages("/messages"),
        "/choices/0/delta/content",
    ),
    (
        "openai_completions",
        History::Text("prompt"),
        "/choices/0/text",
    ),
    ("openai_responses", messages("/input"), "/delta"),
    ("anthropic_messages", messages("/messages"), "/delta/text"),
    ("gemini", GEMINI, "/candidates/0/content/parts/0/text"),
    ("ollama", messages("/messages"), "/message/content"),
    (
        "dashscope_line_by_line",
        messages("/input/messages"),
        "/output/text",
    ),
    ("ollama_generate", History::Text("prompt"), "/response"),
    ("tgi", History::Text("inputs"), "/token/text"),
    ("sglang", History::Text("text"), "/text"),
    ("triton", History::Text("text_input"), "/text_output"),
];

#[test]
fn the_history_has_the_live_replies_of_each_api() {
    for (api, history, answer) in GENERATING {
        let (bench, mock) = (Bench::new(), mock(&["--prefix-cache"]));
        let arguments = ["--prompt", "why?", "--turns", "3", "--think-time", "50ms"];
        let more = ["--sessions", "4", "--parallel", "2"];
        with_api(&bench, &mock, api, &[&arguments[..], &more].concat());
        let turns = conversations(&bench, &[answer]);
        assert_eq!(turns.len(), 12, "{api}");
        let mut bodies = mock.bodies();
        let mut expected: Vec<Value> = turns.iter().map(|(.., body, _)| body.clone()).collect();
        for all in [&mut bodies, &mut expected] {
            all.sort_by_key(Value::to_string);
        }
        assert_eq!(bodies, expected, "{api}");
        for session in turns.chunks(3) {
            let mut said: Vec<(String, String)> = Vec::new();
            for (place, (number, turn, body, answer)) in session.iter().enumerate() {
                assert_eq!((*number, *turn), (session[0].0, place as i64), "{api}");
                said.push(("user".to_owned(), "why?".to_owned()));
                assert_eq!(history.of(body), history.expected(&said), "{api}");
                assert!(!answer.is_empty(), "{api}");
                said.push(("assistant".to_owned(), answer.clone()));
            }
        }
        let found = sessions(&bench);
        assert_eq!(found["complete"], 4, "{api}: {found}");
        assert_eq!(found["turns_not_sent"], 0, "{api}: {found}");
        let by_turn = found["by_turn"].as_array().expect("a list");
        let counts: Vec<&Value> = by_turn.iter().map(|turn| &turn["requests"]).collect();
        assert_eq!(counts, [4, 4, 4], "{api}");
    }
}

#[test]
fn the_lengths_of_later_turns_are_checked_with_each_api() {
    for (api, ..) in GENERATING {
        let (bench, mock) = (Bench::new(), quick_mock());
        let said = made_up_turns(&bench, &mock, api, &[]);
        let document = json(&bench, "run.json");
        let lengths = &runs(&document)[0]["totals"]["asked_lengths"];
        for (part, requests, mean) in [("input", 2, 50.0), ("later_input", 4, 135.5)] {
            let found = &lengths[part];
            assert_eq!(found["requests"], requests, "{api} {part}: {found}");
            assert_eq!(found["different"], 0, "{api} {part}: {found}");
            let asked = found["mean_asked_tokens"].as_f64().expect("known");
            // An API of texts has empty lines between what was said, which are tokens too.
            assert!((asked - mean).abs() <= 3.0, "{api} {part}: {found}");
        }
        let told = paragraph(&said, "Lengths asked");
        let part = "what they add for 4 of 4";
        assert!(told.contains(part), "{api}: {told}");
    }
}

#[test]
fn reasoning_is_no_part_of_the_lengths_of_later_turns() {
    let tokenizer = crate::support::repository().join("datasets/tokenizer");
    let tokenizer = tokenizer.to_str().expect("the path is text");
    // These do not count it apart.
    let without_a_count = ["anthropic_messages", "ollama", "ollama_generate"];
    for (api, ..) in GENERATING {
        let bench = Bench::new();
        let mock = mock(&["--reasoning-tokens", "100", "--tokens", "50"]);
        let length = ["--input-tokens", "50", "--output-tokens", "150"];
        let sessions = ["--turns", "3", "--sessions", "2"];
        let counted = ["--tokenizer-path", tokenizer];
        let said = with_api(
            &bench,
            &mock,
            api,
            &[&length[..], &sessions, &counted].concat(),
        );
        let document = json(&bench, "run.json");
        let lengths = &runs(&document)[0]["totals"]["asked_lengths"];
        let not_judged = if without_a_count.contains(&api) { 4 } else { 0 };
        let later = &lengths["later_input"];
        assert_eq!(later["requests"], 4 - not_judged, "{api}: {lengths}");
        assert_eq!(later["different"], 0, "{api}: {lengths}");
        assert_eq!(lengths["later_input_not_judged"], not_judged, "{api}");
        let told = paragraph(&said, "Lengths asked");
        let part = "prompts of 4 later turns are not judged";
        assert_eq!(told.contains(part), not_judged > 0, "{api}: {told}");
    }
}

#[test]
fn a_history_that_the_server_cuts_is_noticed() {
    let (bench, mock) = (Bench::new(), quick_mock());
    // A message of its own, without any of those before it.
    let cut = r#"messages=[{"role":"user","content":"why?"}]"#;
    let said = made_up_turns(&bench, &mock, "openai_chat", &["--parameters", cut]);
    let part = "4 of 4 prompts of later turns have other lengths than the turn before";
    assert!(crate::verdict::flat(&said).contains(part), "{said}");
}

#[test]
fn a_later_turn_is_due_when_its_user_has_thought() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let arguments = ["--prompt", "why?", "--turns", "uniform:1..4"];
    let load = ["--think-time", "150ms", "--rate", "40", "--sessions", "15"];
    let said = with_api(
        &bench,
        &mock,
        "openai_chat",
        &[arguments.to_vec(), load.to_vec()].concat(),
    );
    let waits = bench.rows(
        "SELECT later.intended_time - earlier.completed_time, later.sent_time - later.intended_time \
         FROM result later JOIN result earlier \
         ON later.session = earlier.session AND later.turn = earlier.turn + 1",
    );
    assert!(waits.len() > 10, "{}", waits.len());
    for wait in &waits {
        let [due, late] = [0, 1].map(|place| wait[place].as_f64().expect("a time"));
        assert!((due - 0.15).abs() < 0.0001, "{due}");
        assert!(late >= 0.0, "{late}");
    }
    let sessions = bench.rows("SELECT count(DISTINCT session), count(*) FROM result");
    assert_eq!(sessions[0][0], 15);
    // Numbers go on from session to session.
    let numbers = bench.rows("SELECT min(number), max(number), count(DISTINCT number) FROM result");
    let all = &sessions[0][1];
    assert_eq!((&numbers[0][0], &numbers[0][2]), (&Value::from(0), all));
    assert_eq!(numbers[0][1].as_i64(), all.as_i64().map(|all| all - 1));
    let rate = paragraph(&said, "Rate");
    assert!(
        rate.contains("40.000 sessions per second asked for"),
        "{rate}"
    );
}

#[test]
fn no_more_turns_than_may_be_are_in_flight() {
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "20ms"]));
    let arguments = ["--prompt", "why?", "--turns", "3", "--rate", "-1"];
    let load = ["--sessions", "10", "--max-in-flight", "2"];
    with_api(
        &bench,
        &mock,
        "openai_chat",
        &[&arguments[..], &load].concat(),
    );
    let document = json(&bench, "run.json");
    let requests = &runs(&document)[0]["totals"]["requests"];
    assert_eq!(requests["succeeded"], 30);
    assert_eq!(requests["peak_in_flight"], 2);
    let held_up = bench.value("SELECT count(held_up_time) FROM result WHERE turn > 0");
    assert!(held_up.as_i64() > Some(10), "{held_up}");
}

#[test]
fn a_number_of_requests_cuts_the_last_session() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let arguments = [
        "--prompt",
        "why?",
        "--turns",
        "3",
        "-n",
        "7",
        "--parallel",
        "2",
    ];
    let said = with_api(&bench, &mock, "openai_chat", &arguments);
    let turns =
        bench.rows("SELECT session, max(turns), count(*) FROM result GROUP BY 1 ORDER BY 1");
    let turns: Vec<Vec<i64>> = turns
        .iter()
        .map(|row| row.iter().filter_map(Value::as_i64).collect())
        .collect();
    assert_eq!(turns, [[0, 3, 3], [1, 3, 3], [2, 1, 1]]);
    let sessions = paragraph(&said, "Sessions");
    assert!(
        sessions.contains("2 sessions: 2 complete; all of their 6 turns sent"),
        "{sessions}"
    );
}

#[test]
fn a_failed_turn_ends_its_session() {
    let (bench, mock) = (Bench::new(), mock(&["--error-rate", "0.2"]));
    let arguments = [
        "--prompt",
        "why?",
        "--turns",
        "4",
        "-n",
        "120",
        "--parallel",
        "5",
    ];
    let said = with_api(&bench, &mock, "openai_chat", &arguments);
    let found = sessions(&bench);
    let count = |name: &str| found[name].as_u64().expect("a number");
    assert_eq!((count("begun"), count("turns_asked")), (30, 120));
    let failed = count("ended_by_failure");
    assert!((5..=27).contains(&failed), "{found}");
    assert_eq!(count("complete"), 30 - failed);
    assert_eq!(count("cut_short"), 0);
    let rows = bench.value("SELECT count(*) FROM result").as_u64();
    assert_eq!(rows, Some(120 - count("turns_not_sent")));
    // Nothing follows a failed turn.
    let behind = bench.value(
        "SELECT count(*) FROM result later JOIN result earlier ON later.session = earlier.session \
         AND later.turn > earlier.turn WHERE NOT earlier.success",
    );
    assert_eq!(behind, 0);
    assert!(!said.contains("requests were issued"), "{said}");
}

#[test]
fn the_end_of_the_time_cuts_sessions_short() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let began = Instant::now();
    let arguments = ["--prompt", "why?", "--turns", "500", "--think-time", "60s"];
    let load = ["--duration", "1", "--parallel", "3"];
    with_api(
        &bench,
        &mock,
        "openai_chat",
        &[&arguments[..], &load].concat(),
    );
    assert!(began.elapsed().as_secs() < 30);
    let found = sessions(&bench);
    assert_eq!(
        (&found["begun"], &found["cut_short"]),
        (&3.into(), &3.into())
    );
    assert_eq!(found["turns_not_sent"], 3 * 499);
}

/// A conversation of ShareGPT, with a reply that the mock server does not give.
const RECORDED: &str = r#"[{"conversations": [
    {"from": "human", "value": "one"}, {"from": "gpt", "value": "recorded"},
    {"from": "human", "value": "two"}, {"from": "gpt", "value": "never sent"}]}]"#;

#[test]
fn a_conversation_of_a_data_set_is_a_session() {
    let history = |arguments: &[&str]| {
        let (bench, mock) = (Bench::new(), quick_mock());
        bench.file("set.json", RECORDED);
        let data = ["--dataset", "set.json"];
        with_api(&bench, &mock, "openai_chat", &[&data, arguments].concat());
        let turns = conversations(&bench, &["/choices/0/delta/content"]);
        assert_eq!(turns.len(), 2);
        let messages = turns[1].2["messages"].as_array().expect("a list").clone();
        let contents: Vec<String> = messages
            .iter()
            .map(|message| message["content"].as_str().expect("a text").to_owned())
            .collect();
        (contents, turns[0].3.clone())
    };
    let (live, answer) = history(&[]);
    assert_eq!(live, ["one", &answer, "two"]);
    let (recorded, _) = history(&["--recorded-replies"]);
    assert_eq!(recorded, ["one", "recorded", "two"]);
}

#[test]
fn the_cache_serves_later_turns() {
    let (bench, mock) = (Bench::new(), mock(&["--prefix-cache", "--tokens", "40"]));
    let arguments = [
        "--prompt",
        "a long question of many words that fills a few blocks of tokens",
    ];
    let turns = ["--turns", "4", "--sessions", "2"];
    let said = with_api(
        &bench,
        &mock,
        "openai_chat",
        &[&arguments[..], &turns].concat(),
    );
    let found = sessions(&bench);
    let cached: Vec<f64> = found["by_turn"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|turn| turn["cached_tokens_per_request"].as_f64().expect("known"))
        .collect();
    assert!(
        cached.is_sorted() && cached[3] > cached[1] + 32.0,
        "{cached:?}"
    );
    assert!(said.contains(" Turn "), "{said}");
    // A session lasts from its first request to its last end; both turns have a time to first token of their own.
    let times = &runs(&json(&bench, "run.json"))[0]["totals"].clone();
    assert_eq!(times["session"]["samples"], 2);
    assert_eq!(times["time_to_first_token_of_first_turns"]["samples"], 2);
    assert_eq!(times["time_to_first_token_of_later_turns"]["samples"], 6);
}

#[test]
fn made_up_turns_have_the_length_asked_for() {
    let (bench, mock) = (Bench::new(), quick_mock());
    made_up_turns(&bench, &mock, "openai_chat", &[]);
    let rows = bench.rows("SELECT turn, prompt_tokens FROM result ORDER BY number");
    let tokens: Vec<Option<i64>> = rows.iter().map(|row| row[1].as_i64()).collect();
    // What was said before, with the replies, and a message of 50 tokens.
    assert_eq!(tokens, [50, 107, 164, 50, 107, 164].map(Some));
    let document = json(&bench, "run.json");
    let lengths = &runs(&document)[0]["totals"]["asked_lengths"];
    for (part, requests) in [("input", 2), ("later_input", 4)] {
        assert_eq!(lengths[part]["requests"], requests, "{part}");
        assert_eq!(lengths[part]["worst_difference_tokens"], 0, "{part}");
    }
    assert_eq!(lengths["output"]["requests"], 6);
}

#[test]
fn what_is_expected_of_the_cache_is_that_of_first_turns() {
    let (bench, mock) = (Bench::new(), mock(&["--prefix-cache"]));
    let said = made_up_turns(&bench, &mock, "openai_chat", &[]);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    // Later turns find what was said before them, which is no prefix that was asked for.
    assert!(
        said.contains("of each prompt of a first turn 0.0 tokens from the server's prefix cache"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_is_said() {
    let (bench, mock) = (Bench::new(), quick_mock());
    for (arguments, code, said) in [
        (
            &["--prompt", "x", "--think-time", "1s"][..],
            2,
            "every session has one turn",
        ),
        (
            &[
                "--prompt",
                "x",
                "--turns",
                "2",
                "--parser",
                older_plugin(&bench),
            ],
            2,
            "each of one turn",
        ),
        (
            &[
                "--prompt",
                "x",
                "--turns",
                "2",
                "--parser",
                "openai_embeddings",
            ],
            2,
            "`openai_embeddings` has no conversations",
        ),
    ] {
        let error = refused(&bench, &mock, arguments, code);
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn rows_of_sessions_give_the_same_figures_again() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let arguments = ["--prompt", "why?", "--turns", "3", "--sessions", "4"];
    good(
        &bench,
        &mock,
        &[&arguments[..], &["--json", "run.json"]].concat(),
    );
    let before = sessions(&bench);
    bench
        .database()
        .execute_batch("UPDATE run SET totals = NULL, state = 'running'")
        .expect("the database is there");
    let ended = run(crate::support::program().current_dir(bench.path("")).args([
        "report",
        "run.db",
        "--json",
        "again.json",
    ]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let again = json(&bench, "again.json");
    let totals = &runs(&again)[0]["totals"];
    for name in ["begun", "complete", "turns_asked", "turns_not_sent"] {
        assert_eq!(totals["sessions"][name], before[name], "{name}");
    }
    assert_eq!(totals["session"]["samples"], 4);
}
