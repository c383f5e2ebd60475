use super::*;
use crate::plan::Plan;
use crate::wording::hexadecimal;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use http::{HeaderName, HeaderValue};
use serde_json::json;

const KEY: &str = "sk-proj-AbC/9+xyzSECRETKEY0123456789";

fn of(header: &str, value: &str, url: &str) -> Secrets {
    let mut target = Target::new("m".to_owned(), Url::parse(url).unwrap());
    target.headers.insert(
        HeaderName::from_bytes(header.as_bytes()).unwrap(),
        HeaderValue::from_str(value).unwrap(),
    );
    Secrets::of(&target, &Map::new())
}

fn bearer() -> Secrets {
    of("authorization", &format!("Bearer {KEY}"), "http://h/")
}

#[test]
fn a_key_is_blanked_in_every_encoding() {
    let secrets = bearer();
    let json = serde_json::Value::from(KEY).to_string();
    let escaped = KEY.replace('/', "\\/");
    let twice = serde_json::Value::from(format!("{{\"key\":\"{escaped}\"}}")).to_string();
    let all_units: String = KEY.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let percent: String = KEY.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for (text, expected) in [
        (format!("wrong key {KEY}!"), "wrong key ***!"),
        (format!("Bearer {KEY}"), "***"),
        (json, "\"***\""),
        (format!("a {escaped} b"), "a *** b"),
        (twice, "\"{\\\"key\\\":\\\"***\\\"}\""),
        (format!("é\\n{all_units}\\té"), "é\\n***\\té"),
        (KEY.replace('/', "\\u002F").replace('+', "\\u002b"), "***"),
        (KEY.replace('/', "%2f").replace('+', "%2B"), "***"),
        (percent, "***"),
        (format!("{}\\ud83d\\ude00", KEY), "***\\ud83d\\ude00"),
        (format!("a {} b", hexadecimal(KEY.as_bytes())), "a *** b"),
        (hexadecimal(KEY.as_bytes()).to_ascii_uppercase(), "***"),
        (KEY.replace('/', "&sol;").replace('+', "&#43;"), "***"),
        (KEY.replace('/', "&#x2F;").replace('+', "&#x002b;"), "***"),
        (KEY.replace('/', "&amp;sol;").replace('-', "&#0045;"), "***"),
        (KEY.to_ascii_uppercase(), "***"),
        (KEY.to_ascii_lowercase(), "***"),
        (all_units.replace("\\u00", "\\x"), "***"),
        (all_units.replace("\\u00", "=").to_ascii_uppercase(), "***"),
        (
            KEY.bytes().map(|byte| format!("\\u{{{byte:x}}}")).collect(),
            "***",
        ),
        (
            KEY.bytes().map(|byte| format!("\\{byte:03o}")).collect(),
            "***",
        ),
        (format!("{:?}", KEY.as_bytes()), "[***]"),
        (
            KEY.bytes().map(|byte| format!("{byte:02X}:")).collect(),
            "***:",
        ),
        (format!("a {}=\r\n{} b", &KEY[..9], &KEY[9..]), "a *** b"),
        (format!("a {}\r\n  {} b", &KEY[..9], &KEY[9..]), "a *** b"),
        (format!("a {}\\n{} b", &KEY[..9], &KEY[9..]), "a *** b"),
        (
            KEY.chars()
                .map(|letter| format!("{letter}\u{1b}[1m"))
                .collect(),
            "***\u{1b}[1m",
        ),
        (
            KEY.chars().map(|letter| format!("{letter}\0")).collect(),
            "***\0",
        ),
        (
            KEY.chars()
                .map(|letter| format!("{letter}\\u200b"))
                .collect(),
            "***\\u200b",
        ),
        (
            "a &amp; b &#; &#x; &#99999999; &x; &#1".to_owned(),
            "a &amp; b &#; &#x; &#99999999; &x; &#1",
        ),
        (
            "100% of \\ and %zz \\u12".to_owned(),
            "100% of \\ and %zz \\u12",
        ),
    ] {
        assert_eq!(secrets.blank_text(&text), expected, "{text}");
    }
    assert!(matches!(secrets.blank_text("a\\nb"), Cow::Borrowed(_)));
    let encoded = STANDARD.encode(KEY);
    let lines: Vec<String> = (0..encoded.len())
        .step_by(10)
        .map(|at| encoded[at..encoded.len().min(at + 10)].to_owned())
        .collect();
    let blanked = secrets.blank_text(&lines.join("\r\n")).into_owned();
    assert!(blanked.len() <= 6, "{blanked}");
}

#[test]
fn a_key_is_blanked_in_base64_of_any_text_around_it() {
    let secrets = bearer();
    for around in ["", "a", "ab", "abc", "Authorization: "] {
        let text = format!("{around}{KEY}{around}");
        for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
            let blanked = secrets.blank_text(&encoded);
            assert!(blanked.contains(BLANK), "{encoded}");
            // What is left is of a few characters on both sides.
            let most = 2 * STANDARD.encode(around).len() + 8 + BLANK.len();
            assert!(blanked.len() <= most, "{encoded} {blanked}");
        }
    }
}

#[test]
fn a_part_of_a_long_key_is_blanked_as_far_as_it_goes() {
    let secrets = bearer();
    for (text, expected) in [
        (format!("key {}...", &KEY[..16]), "key ***..."),
        (format!("key {}...", &KEY[..19]), "key ***..."),
        (
            format!("...{} is wrong", &KEY[KEY.len() - 20..]),
            "...*** is wrong",
        ),
        // Two halves, as two events have them.
        (format!("{}|{}", &KEY[..22], &KEY[5..]), "***|***"),
        (format!("{KEY}{KEY}"), "******"),
        (format!("{}...", &KEY[..15]), "sk-proj-AbC/9+x..."),
        (KEY[3..22].to_owned(), "proj-AbC/9+xyzSECRE"),
        (KEY[..30].replace('/', "\\/").replace('+', "%2B"), "***"),
    ] {
        assert_eq!(secrets.blank_text(&text), expected, "{text}");
    }
    // What any text may have is no part of a key.
    let odd = of(
        "authorization",
        &format!("Bearer {}", "0".repeat(60)),
        "http://h/",
    );
    let zeros = "0".repeat(30);
    assert_eq!(odd.blank_text(&zeros), zeros);
    let short = of(
        "authorization",
        "Bearer a-key-of-31-bytes-0123456789ABC",
        "http://h/",
    );
    assert_eq!(
        short.blank_text("a-key-of-31-bytes-012"),
        "a-key-of-31-bytes-012"
    );
}

#[test]
fn each_part_of_a_credential_is_blanked_alone() {
    for (header, value, url, parts) in [
        (
            "authorization",
            "Basic bWU6c2VjcmV0LXBhc3M=",
            "http://h/",
            vec!["secret-pass", "me:secret-pass", "bWU6c2VjcmV0LXBhc3M="],
        ),
        (
            "cookie",
            "a=first-value; b=\"second-value\"",
            "http://h/",
            vec!["first-value", "second-value"],
        ),
        (
            "cookie",
            "a=first%2Fvalue",
            "http://h/",
            vec!["first/value", "first%2Fvalue"],
        ),
        (
            "authorization",
            "SharedKey account:plainsecret",
            "http://TOKEN-OF-ME:x@h/?a=1;pass=semicolon&bare-plain-key",
            vec!["plainsecret", "TOKEN-OF-ME", "semicolon", "bare-plain-key"],
        ),
        (
            "x-a",
            "1",
            "http://ghp_TOKEN-OF-ME:x-oauth-basic@h/",
            vec!["ghp_TOKEN-OF-ME"],
        ),
        (
            "x-a",
            "1",
            "http://h/sk-my_secret+0123=Zq/v1",
            vec!["sk-my_secret+0123=Zq"],
        ),
        ("x-jwt", "plainsecret", "http://h/", vec!["plainsecret"]),
        (
            "authorization",
            "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJtZSJ9AA.c2lnbmF0dXJlLW9mLWl0",
            "http://h/",
            vec!["c2lnbmF0dXJlLW9mLWl0", "eyJzdWIiOiJtZSJ9AA"],
        ),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/2026, Signature=5d672d79c15b1316",
            "http://h/",
            vec!["AKIDEXAMPLE/2026", "5d672d79c15b1316"],
        ),
        (
            "x-a",
            "1",
            "http://me:pass%2Fword@h/sk-in-the-path/a?sig=abc%2Bdef&code=qwertz&x=harmless#key=fragment",
            vec![
                "pass/word",
                "me:pass/word",
                "sk-in-the-path",
                "abc+def",
                "abc%2Bdef",
                "qwertz",
                "fragment",
            ],
        ),
    ] {
        let secrets = of(header, value, url);
        for part in parts {
            assert_eq!(secrets.blank_text(part), BLANK, "{header}: {value} {url}");
        }
        assert_eq!(secrets.blank_text("harmless"), "harmless");
    }
}

#[test]
fn a_key_with_letters_that_are_not_of_ascii_is_blanked() {
    let mut target = Target::new("m".to_owned(), Url::parse("http://h/").unwrap());
    target.headers.insert(
        "x-api-key",
        HeaderValue::from_bytes("schlüssel-1".as_bytes()).unwrap(),
    );
    let secrets = Secrets::of(&target, &Map::new());
    assert_eq!(secrets.blank_text("no schlüssel-1"), "no ***");
}

#[test]
fn keys_within_parameters_are_blanked_without_what_is_around_them() {
    let parameters = json!({
        "extra_headers": {"Authorization": "Bearer first-secret"},
        "x": "Bearer second-secret",
        "y": "http://me:third-secret@h/?token=fourth-secret",
        "z": "{\"api_key\": \"fifth-secret\"}",
        "pin_code": 918273645,
    });
    let target = Target::new("m".to_owned(), Url::parse("http://h/").unwrap());
    let secrets = Secrets::of(&target, parameters.as_object().unwrap());
    let text = "first-secret second-secret third-secret fourth-secret fifth-secret 918273645";
    assert_eq!(secrets.blank_text(text), "*** *** *** *** *** ***");
}

#[test]
fn a_key_among_the_parameters_is_blanked() {
    let mut plan = Plan::new("m".to_owned(), Url::parse("http://h/").unwrap());
    plan.work
        .parameters
        .insert("api_key".to_owned(), "hidden-key".into());
    let secrets = Secrets::of(&plan.target, &plan.work.parameters);
    assert_eq!(
        secrets.blank_text("{\"api_key\":\"hidden-key\"}"),
        "{\"api_key\":\"***\"}"
    );
    assert_eq!(plan.to_record().work.parameters["api_key"], "***");
}

#[test]
fn bytes_that_are_no_text_stay() {
    let secrets = bearer();
    let data = [b"\xff ", KEY.as_bytes(), b"\xfe"].concat();
    assert_eq!(secrets.blank_bytes(&data).as_ref(), b"\xff ***\xfe");
    let none = Secrets::default();
    assert!(none.is_empty() && matches!(none.blank_bytes(&data), Cow::Borrowed(_)));
}

#[test]
fn errors_about_arguments_repeat_no_key() {
    let arguments = [
        "perf",
        "--api-key",
        "plain-secret",
        "--parameters",
        "api_key=other-secret",
        "--url",
        "http://me:third-secret@h/",
        "hf_abcdefghijklmnop",
        "Authorization: Bearer fourth-secret",
    ];
    let secrets = Secrets::of_arguments(arguments.iter().map(ToString::to_string));
    let shown = secrets.blank_text(
        "plain-secret other-secret third-secret hf_abcdefghijklmnop fourth-secret perf",
    );
    assert_eq!(shown, "*** *** *** *** *** perf");
}

#[test]
fn errors_about_arguments_repeat_no_key_behind_a_scheme_or_in_json() {
    let blanked = |arguments: &[&str], text: &str| {
        let secrets = Secrets::of_arguments(arguments.iter().map(ToString::to_string));
        secrets.blank_text(text).into_owned()
    };
    for argument in [
        "Bearer plain-secret",
        "--rate=bearer plain-secret",
        "x=Basic plain-secret",
        "--headers=x-other: Token plain-secret",
        r#"{"a":1,"api_key":"plain-secret""#,
        r#"--parameters=x={"a":1,"api_key":"plain-secret"}"#,
        r#"x={'token': 'plain-secret'"#,
    ] {
        let text = format!("unexpected argument '{argument}' found");
        let shown = blanked(&[argument], &text);
        assert!(!shown.contains("plain-secret"), "{shown}");
    }
    // Quotes were left out.
    assert_eq!(
        blanked(
            &[
                "Authorization:",
                "Bearer",
                "plain-secret",
                "x-api-key:",
                "other-secret"
            ],
            "plain-secret other-secret"
        ),
        "*** ***"
    );
    let prompt = "Basic requests of a token";
    assert_eq!(
        blanked(&["--prompt", prompt, "--rate", "x"], prompt),
        prompt
    );
}

#[test]
fn a_flag_that_only_sounds_like_a_credential_hides_nothing() {
    let line = "--session-header x-session-id --sessions 100000 --client-key key-of-me.pem --api-key-env MY_VARIABLE";
    let secrets = Secrets::of_arguments(line.split(' ').map(str::to_owned));
    assert_eq!(secrets.blank_text(line), line);
}

#[test]
fn the_credentials_of_every_url_are_blanked() {
    let url = |text: &str| Url::parse(text).unwrap();
    let mut target = Target::new("m".to_owned(), url("http://one/v1"));
    target.more_urls = vec![url("http://me:key-of-the-second@two/v1")];
    let secrets = Secrets::of(&target, &Map::new());
    assert_eq!(secrets.blank_text("not key-of-the-second"), "not ***");
}
