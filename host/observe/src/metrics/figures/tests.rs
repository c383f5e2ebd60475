use super::*;
use crate::live::tests_support::{failing, snapshot};
use std::collections::HashMap;
use url::Url;

fn about() -> About {
    let url = Url::parse("https://me:secret@example.com/v1?key=hidden").unwrap();
    let mut target = Target::new("a \"model\"".to_owned(), url);
    target
        .headers
        .insert("authorization", "Bearer hidden".parse().unwrap());
    About::of(&target, &ParserChoice::Builtin("openai_prompt"))
}

fn runs() -> Vec<Arc<Snapshot>> {
    let first = Snapshot {
        of: 2,
        phase: Phase::Over,
        ..failing()
    };
    let second = Snapshot {
        run: 2,
        of: 2,
        arrivals: Arrivals::poisson(2.5),
        ..snapshot()
    };
    vec![Arc::new(first), Arc::new(second)]
}

/// The samples of a text, by name with labels.
fn samples(text: &str) -> HashMap<&str, f64> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name, value.parse().unwrap())
        })
        .collect()
}

#[test]
fn all_of_it() {
    insta::assert_snapshot!(exposition(&about(), &runs()));
}

#[test]
fn counters_stay_when_the_next_run_begins() {
    let text = exposition(&about(), &runs());
    let samples = samples(&text);
    for (name, value) in [
        (
            r#"llmuses_requests_completed_total{run="1",outcome="failed"}"#,
            23.0,
        ),
        (
            r#"llmuses_requests_completed_total{run="2",outcome="succeeded"}"#,
            380.0,
        ),
        (
            r#"llmuses_requests_failed_total{run="1",kind="http-status"}"#,
            21.0,
        ),
        (r#"llmuses_requests_failed_total{run="2",kind="dns"}"#, 0.0),
        (r#"llmuses_requests_in_flight{run="2"}"#, 8.0),
        (r#"llmuses_phase{phase="issuing"}"#, 1.0),
        (r#"llmuses_phase{phase="over"}"#, 0.0),
    ] {
        assert_eq!(samples.get(name), Some(&value), "{name}");
    }
    assert!(!samples.contains_key(r#"llmuses_requests_in_flight{run="1"}"#));
}

#[test]
fn before_the_first_request_there_is_little_to_tell() {
    let text = exposition(&about(), &[]);
    assert_eq!(samples(&text)[r#"llmuses_phase{phase="preparing"}"#], 1.0);
    assert_eq!(text.matches("# TYPE").count(), 2);
}

#[test]
fn no_credential_is_told() {
    let text = exposition(&about(), &runs());
    assert!(text.contains("https://example.com/v1?key=***"), "{text}");
    for secret in ["secret", "hidden", "authorization"] {
        assert!(!text.contains(secret), "{secret}");
    }
}
