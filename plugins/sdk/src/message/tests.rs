use super::*;
use std::borrow::Cow;

fn text(json: &str) -> String {
    serde_json::from_str::<Text<'_>>(json)
        .map(|text| text.as_str().to_owned())
        .expect("valid JSON")
}

#[test]
fn a_text_without_escapes_is_not_copied() {
    let Text(plain) = serde_json::from_str(r#""abc""#).expect("valid JSON");
    assert!(matches!(plain, Cow::Borrowed("abc")));
}

#[test]
fn whatever_stands_for_a_text_is_read() {
    assert_eq!(text(r#""a\nb""#), "a\nb");
    for empty in [
        "null",
        "true",
        "1",
        "-1",
        "1.5",
        "[]",
        "{}",
        r#"{"type":"image_url","image_url":{"url":"u"}}"#,
    ] {
        assert_eq!(text(empty), "", "{empty}");
    }
    assert_eq!(
        text(r#"["a",{"type":"text","text":"b"},null,{"thinking":[{"text":"c"}]}]"#),
        "abc"
    );
}

#[test]
fn an_empty_error_is_none() {
    for none in [
        "null",
        "false",
        "\"\"",
        "{}",
        "[]",
        "0",
        r#"{"message":"","type":null,"code":0}"#,
    ] {
        assert_eq!(
            failure(&serde_json::from_str(none).expect("valid JSON")),
            None,
            "{none}"
        );
    }
}

#[test]
fn an_error_is_told_with_what_it_has() {
    let told =
        |json: &str| failure(&serde_json::from_str(json).expect("valid JSON")).unwrap_or_default();
    assert_eq!(
        told("\"out of memory\""),
        "the server reported an error: out of memory"
    );
    assert_eq!(
        told(r#"{"message":"busy","type":"overloaded","code":503,"param":null}"#),
        "the server reported an error: busy (overloaded, 503)"
    );
    assert_eq!(
        told(r#"{"reason":1}"#),
        r#"the server reported an error: {"reason":1}"#
    );
}

#[test]
fn parts_of_a_content_that_are_thoughts_are_no_answer() {
    let message = |content: &str| {
        serde_json::from_str::<Message<'_>>(&format!(r#"{{"content":{content}}}"#))
            .map(|message| {
                (
                    message.size(),
                    message.reasoning_size(),
                    message.has_answer(),
                )
            })
            .expect("valid JSON")
    };
    assert_eq!(message(r#""abc""#), (3, 0, true));
    assert_eq!(
        message(r#"[{"type":"text","text":"abc"},"d"]"#),
        (4, 0, true)
    );
    assert_eq!(
        message(r#"[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]"#),
        (2, 2, false)
    );
    assert_eq!(
        message(r#"[{"type":"reasoning","text":"hm"},{"type":"text","text":"abc"}]"#),
        (5, 2, true)
    );
    for empty in [
        "null",
        "0",
        "1.5",
        "-1",
        "true",
        "[]",
        "{}",
        r#"{"type":"image_url"}"#,
    ] {
        assert_eq!(message(empty), (0, 0, false), "{empty}");
    }
}

#[test]
fn what_a_model_says_aloud_is_output() {
    let audio = r#"{"audio":{"id":"a","data":"UklG"}}"#;
    let message: Message<'_> = serde_json::from_str(audio).expect("valid JSON");
    assert_eq!(message.size(), 4);
    assert!(message.has_answer());
    assert_eq!(message.only_text(), None);
    for other in [
        r#"{"images":[{"type":"image_url","image_url":{"url":"data:"}}]}"#,
        r#"{"tool_calls":[{"custom":{"name":"f","input":"x"}}]}"#,
    ] {
        let message: Message<'_> = serde_json::from_str(other).expect("valid JSON");
        assert!(message.size() > 0, "{other}");
    }
    let none: Message<'_> = serde_json::from_str(r#"{"audio":{"id":"a"}}"#).expect("valid JSON");
    assert_eq!(none.size(), 0);
}
