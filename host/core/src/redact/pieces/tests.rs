use super::super::Secrets;
use crate::clock::Moment;
use crate::exchange::ResponseLog;
use serde_json::{Value, json};

const KEY: &str = "sk-proj-AbC/9xyzSECRET";

fn secrets() -> Secrets {
    Secrets::of_values(vec![KEY.to_owned(), format!("Bearer {KEY}")])
}

fn log(events: &[String]) -> ResponseLog {
    let mut log = ResponseLog::default();
    for event in events {
        assert!(log.push(event.as_bytes(), Moment::default()));
    }
    log.set_streamed();
    log
}

/// The events as they are kept.
fn kept(events: &[String]) -> Vec<String> {
    let response = log(events);
    let blanked = secrets().blanked(&response).unwrap_or(response);
    assert!(blanked.is_streamed());
    let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
    blanked.iter().map(text).collect()
}

fn json_of(events: &[String]) -> Vec<Value> {
    let read = |event: &String| serde_json::from_str(event).expect("it stays JSON");
    events.iter().map(read).collect()
}

/// Each piece of a text as an event.
fn in_pieces(text: &str, size: usize, event: impl Fn(&str) -> Value) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    let pieces = letters.chunks(size);
    pieces
        .map(|piece| event(&piece.iter().collect::<String>()).to_string())
        .collect()
}

/// All texts that are longer than a star, joined.
fn joined(events: &[Value], pointer: &str) -> String {
    let texts = events.iter().filter_map(|event| event.pointer(pointer));
    texts.filter_map(Value::as_str).collect()
}

#[test]
fn a_credential_in_pieces_is_blanked_in_the_events_of_every_api() {
    let text = format!("Your key is {KEY}, is it?");
    for size in [1, 2, 3, 7, 13] {
        for (pointer, event) in [
            (
                "/choices/0/delta/content",
                &(|piece: &str| json!({"id": "chatcmpl-1", "object": "chunk", "choices": [{"index": 0, "delta": {"content": piece}}]}))
                    as &dyn Fn(&str) -> Value,
            ),
            (
                "/choices/0/delta/reasoning_content",
                &|piece| json!({"choices": [{"delta": {"reasoning_content": piece}, "index": 0}]}),
            ),
            (
                "/choices/0/delta/tool_calls/0/function/arguments",
                &|piece| json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}}]}),
            ),
            (
                "/delta/partial_json",
                &|piece| json!({"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": piece}}),
            ),
            (
                "/delta",
                &|piece| json!({"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "delta": piece, "obfuscation": format!("x{}", piece.len())}),
            ),
            (
                "/token/text",
                &|piece| json!({"token": {"id": 17, "text": piece, "logprob": -0.5}}),
            ),
            ("", &|piece| json!(piece)),
        ] {
            let events = kept(&in_pieces(&text, size, event));
            let kept = joined(&json_of(&events), pointer);
            assert_eq!(
                kept.replace('*', ""),
                "Your key is , is it?",
                "{pointer} {size}: {kept}"
            );
            assert!(
                events.iter().all(|event| !event.contains("xyz")),
                "{events:?}"
            );
        }
    }
}

#[test]
fn escapes_are_pieces_too() {
    let units: Vec<String> = KEY.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let events: Vec<String> = units
        .iter()
        .map(|unit| format!(r#"{{"content":"{unit}"}}"#))
        .collect();
    let kept = joined(&json_of(&kept(&events)), "/content");
    assert_eq!(kept.replace('*', ""), "");
}

#[test]
fn answers_that_come_by_turns_are_joined_each_by_itself() {
    let of_answer = |index: usize| {
        in_pieces(
            KEY,
            2,
            move |piece| json!({"choices": [{"delta": {"content": piece}, "index": index}]}),
        )
    };
    let (first, second) = (of_answer(0), of_answer(1));
    let events: Vec<String> = first
        .into_iter()
        .zip(second)
        .flat_map(|(first, second)| [first, second])
        .collect();
    let content = joined(&json_of(&kept(&events)), "/choices/0/delta/content");
    assert_eq!(content.replace('*', ""), "");
    // Two in one event.
    let events = in_pieces(
        KEY,
        2,
        |piece| json!({"choices": [{"delta": {"content": "x"}}, {"delta": {"content": piece}}]}),
    );
    let content = joined(&json_of(&kept(&events)), "/choices/1/delta/content");
    assert_eq!(content.replace('*', ""), "");
}

#[test]
fn pieces_under_different_names_are_found() {
    let mut events = in_pieces(&KEY[..9], 2, |piece| json!({"reasoning": piece}));
    events.extend(in_pieces(&KEY[9..], 2, |piece| json!({"content": piece})));
    let kept = json_of(&kept(&events));
    let text = joined(&kept, "/reasoning") + &joined(&kept, "/content");
    assert_eq!(text.replace('*', ""), "");
    // Events that are no JSON, and JSON that goes on in the next event.
    let events = KEY
        .as_bytes()
        .chunks(3)
        .map(|piece| String::from_utf8_lossy(piece).into_owned());
    let events: Vec<String> = events.collect();
    assert_eq!(self::kept(&events).concat().replace('*', ""), "");
    let (begin, end) = KEY.split_at(9);
    let events = [format!(r#"{{"content":"{begin}"#), format!(r#"{end}"}}"#)];
    assert_eq!(self::kept(&events), [r#"{"content":"***"#, r#"***"}"#]);
}

#[test]
fn what_says_a_piece_again_is_blanked_with_it() {
    let events = in_pieces(KEY, 4, |piece| {
        json!({"created": 17, "choices": [{
            "delta": {"content": piece},
            "token_ids": [4711],
            "logprobs": {"content": [{
                "token": piece,
                "bytes": piece.as_bytes(),
                "top_logprobs": [{"token": piece, "bytes": null}, {"token": "other", "logprob": -2.5}],
            }]},
        }]})
    });
    let events = kept(&events);
    for event in &events {
        let value: Value = serde_json::from_str(event).unwrap();
        assert_eq!(value["created"], 17);
        let choice = &value["choices"][0];
        assert_eq!(choice["token_ids"], json!([0]));
        let token = &choice["logprobs"]["content"][0];
        let stars = choice["delta"]["content"].as_str().unwrap();
        assert_eq!(stars.replace('*', ""), "");
        assert_eq!(
            (&token["token"], &token["top_logprobs"][0]["token"]),
            (&json!(stars), &json!(stars))
        );
        assert!(
            token["bytes"]
                .as_array()
                .unwrap()
                .iter()
                .all(|byte| *byte == 0)
        );
        assert_eq!(
            token["top_logprobs"][1],
            json!({"token": "other", "logprob": -2.5})
        );
    }
}

#[test]
fn a_list_of_pieces_within_one_body_is_blanked() {
    let tokens: Vec<&str> = vec!["The", " key", " sk-proj", "-AbC", "/9xyz", "SECRET", "."];
    let body = json!({"choices": [{"logprobs": {"tokens": tokens}}], "usage": {"total_tokens": 7}});
    let kept = json_of(&kept(&[body.to_string()]));
    assert_eq!(
        kept[0],
        json!({"choices": [{"logprobs": {"tokens": ["The", " key", " ***", "***", "***", "***", "."]}}], "usage": {"total_tokens": 7}})
    );
}

#[test]
fn what_holds_no_credential_stays_as_it_is() {
    let text = "sk-proj-AbC/9 and then xyzSECRET";
    let events = in_pieces(
        text,
        3,
        |piece| json!({"index": 1, "content": piece, "ids": [1, 2]}),
    );
    assert!(secrets().blanked(&log(&events)).is_none());
}

#[test]
fn pieces_are_found_in_long_responses() {
    // Far more than is joined at once, with the key across the place where it is looked at, wherever that is.
    let text = format!("{KEY} ").repeat(10_000);
    let events = in_pieces(&text, 5, |piece| json!({"content": piece}));
    let kept = joined(&json_of(&kept(&events)), "/content");
    assert_eq!(kept.replace(['*', ' '], ""), "");
    // One large text before and behind which a piece is.
    let large = format!("{}{}{}", &KEY[4..], "x".repeat(3 << 20), &KEY[..9]);
    let events = [&KEY[..4], &large, &KEY[9..]].map(|text| json!({"content": text}).to_string());
    let kept = joined(&json_of(&self::kept(&events)), "/content");
    assert_eq!(kept.replace(['*', 'x'], ""), "");
}

#[test]
fn of_too_many_pieces_no_text_is_kept() {
    let pieces: Vec<String> = KEY.chars().map(|letter| format!("\"{letter}\"")).collect();
    let list = format!("{},", pieces.join(",")).repeat(super::MOST_PIECES / KEY.len() + 2);
    let body = format!(r#"{{"usage":{{"total_tokens":7}},"tokens":[{list}"end"]}}"#);
    let kept = kept(&[body]);
    assert!(
        kept[0].starts_with(r#"{"usage":{"total_tokens":7},"tokens":["*","*""#),
        "{}",
        &kept[0][..60]
    );
    assert!(kept[0].ends_with(r#""*","***"]}"#));
}

#[test]
fn pieces_of_one_event_are_bounded_while_they_are_found() {
    let pieces: Vec<String> = KEY.chars().map(|letter| format!("\"{letter}\"")).collect();
    let times = 6 * super::MOST_PIECES / KEY.len();
    let body = format!("[{}]", vec![pieces.join(","); times].join(","));
    let secrets = secrets();
    let mut joining = super::Joining::new(secrets.longest, |joined| secrets.places(joined));
    joining.add_event(0, body.as_bytes(), &mut super::Texts::default());
    assert!(joining.is_full());
    let found = joining.found.len();
    assert!(found < 2 * super::MOST_PIECES, "{found}");
}

#[test]
fn many_names_take_no_more_memory_and_no_more_time() {
    let members: Vec<String> = (0..200_000)
        .map(|index| format!(r#""n{index}":"v{index}""#))
        .collect();
    let body = format!("{{{}}}", members.join(","));
    let response = log(&[body]);
    let began = std::time::Instant::now();
    assert!(secrets().blanked(&response).is_none());
    assert!(began.elapsed() < std::time::Duration::from_secs(20));
}
