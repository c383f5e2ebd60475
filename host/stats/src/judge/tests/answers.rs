//! Doubts about what was asked and what was answered.

use super::*;

fn with_length(tokens: u64) -> OutcomeBuilder {
    success().tokens(100, tokens, TokenSource::Server)
}

#[test]
fn more_output_tokens_than_bytes_are_a_doubt() {
    let bytes = 3 * r#"{"i":0}"#.len() as u64;
    let counts = |tokens| success().tokens(5, tokens, TokenSource::Server).build();
    let found = |tokens| codes(&statistics(500, [counts(tokens)]), &circumstances());
    assert!(!found(bytes).contains(&"more-tokens-than-bytes"));
    assert!(found(bytes + 1).contains(&"more-tokens-than-bytes"));
    let doubts = judge(&statistics(500, [counts(1 << 31)]), &circumstances());
    let expected = Doubt::MoreTokensThanBytes {
        requests: 1,
        succeeded: 501,
        tokens: 1 << 31,
        bytes,
    };
    assert!(doubts.contains(&expected), "{doubts:?}");
    // Tokens of reasoning that the server says it did not send have no bytes.
    let mut hidden = counts(1 << 31);
    let reading = hidden.reading.as_mut().unwrap();
    let name = llmuses_core::exchange::HIDDEN_REASONING.to_owned();
    reading.metrics.push((name, f64::from(1_u32 << 31)));
    let doubts = codes(&statistics(500, [hidden]), &circumstances());
    assert!(!doubts.contains(&"more-tokens-than-bytes"), "{doubts:?}");
}

#[test]
fn a_prompt_sent_again_may_be_cached_unless_the_server_tells() {
    let with = |cached: Option<f64>, prompt: u64| {
        let mut sample = success().tokens(prompt, 3, TokenSource::Server);
        if let Some(cached) = cached {
            sample = sample.metric("cached_tokens", cached);
        }
        let outcome = sample.build();
        let run = statistics(0, std::iter::repeat_n(outcome, 500));
        let mut circumstances = circumstances();
        circumstances.one_prompt = Some(300);
        judge(&run, &circumstances)
    };
    assert_eq!(with(Some(0.0), 100), []);
    assert_eq!(with(None, 63), []);
    assert_eq!(
        with(None, 64)[0].figure(),
        "all 500 requests had the same prompt"
    );
    let known = with(Some(72.0), 100);
    assert_eq!(
        known[0].figure(),
        "all 500 requests had the same prompt; 72.0 % of the tokens of prompts came from the cache of the server"
    );
    assert_ne!(known[0].likely_cause(), with(None, 64)[0].likely_cause());
}

#[test]
fn a_data_set_that_the_server_has_in_its_cache_is_noticed() {
    let with = |cached: Option<f64>, turn: u32, passes: f64| {
        let mut sample = success()
            .turn(0, turn, 2)
            .tokens(100, 3, TokenSource::Server);
        if let Some(cached) = cached {
            sample = sample.metric("cached_tokens", cached);
        }
        let run = statistics(0, std::iter::repeat_n(sample.build(), 500));
        let mut circumstances = circumstances();
        circumstances.dataset = Some(DatasetUse {
            passes,
            ..DatasetUse::default()
        });
        let doubts = judge(&run, &circumstances);
        let found = doubts
            .into_iter()
            .find(|doubt| matches!(doubt, Doubt::DatasetCached { .. }));
        (found, circumstances, run)
    };
    let found = with(Some(95.0), 0, 1.0).0.expect("a doubt");
    assert_eq!(
        found.figure(),
        "95.0 % of the tokens of prompts of first turns came from the cache of the server, though no entry of the data set was sent \
         twice"
    );
    assert!(found.likely_cause().contains("sent to this server before"));
    assert_eq!(with(Some(50.0), 0, 0.3).0, None);
    assert_eq!(with(None, 0, 1.0).0, None);
    // Later turns are to be found there; and a data set that is used again is another doubt.
    assert_eq!(with(Some(95.0), 1, 1.0).0, None);
    assert_eq!(with(Some(95.0), 0, 2.0).0, None);
    // Where hits are predicted, they are judged by that.
    let (_, mut circumstances, run) = with(Some(95.0), 0, 1.0);
    circumstances.lengths_asked = Some(crate::LengthsAsked::default());
    let doubts = judge(&run, &circumstances);
    assert!(
        !doubts
            .iter()
            .any(|doubt| matches!(doubt, Doubt::DatasetCached { .. }))
    );
}

#[test]
fn outputs_are_judged_by_what_was_asked_for() {
    let run = |tokens| statistics(0, std::iter::repeat_n(with_length(tokens).build(), 500));
    let asked =
        |parameters: serde_json::Value| asked_output_tokens(parameters.as_object().unwrap());
    assert_eq!(asked(serde_json::json!({"max_tokens": 9})), None);
    assert_eq!(
        asked(serde_json::json!({"max_tokens": 9, "ignore_eos": true})),
        Some(9)
    );
    assert_eq!(
        asked(serde_json::json!({"max_tokens": 9, "min_tokens": 4})),
        Some(4)
    );
    let mut circumstances = circumstances();
    circumstances.asked_output = Some(4);
    assert_eq!(
        codes(&run(4), &circumstances)[..],
        ["chunks-are-not-tokens"; 0]
    );
    assert_eq!(codes(&run(3), &circumstances), ["shorter-than-asked"]);
    let ended = |reason: &str| {
        let statistics = RunStatistics::new(Origin::Sent).with_asked_output(Some(4));
        let statistics = (0..500).fold(statistics, |mut statistics, _| {
            statistics.record(&with_length(3).finish_reason(reason).build());
            statistics
        });
        let doubts = judge(&statistics, &circumstances);
        let [doubt] = &doubts[..] else {
            panic!("{doubts:?}");
        };
        (doubt.figure(), doubt.likely_cause())
    };
    let (figure, by_model) = ended("stop");
    assert_eq!(
        figure,
        "outputs have 3.0 tokens on average, 3 at least; the parameters ask for 4; of 500 shorter ones 500 ended with stop"
    );
    assert!(by_model.starts_with("the model ended"), "{by_model}");
    let (_, by_limit) = ended("length");
    assert!(by_limit.starts_with("the server ended"), "{by_limit}");
    assert_eq!(
        codes(&run(0), &circumstances),
        [
            "shorter-than-asked",
            "no-output-tokens",
            "chunks-are-not-tokens"
        ]
    );
}

#[test]
fn chunks_that_are_not_tokens_are_told() {
    let run = |tokens| statistics(0, std::iter::repeat_n(with_length(tokens).build(), 500));
    // Three chunks; the fourth token ends the text.
    for (tokens, doubted) in [(3, false), (4, false), (5, true), (2, true)] {
        let codes = codes(&run(tokens), &circumstances());
        assert_eq!(
            codes == ["chunks-are-not-tokens"],
            doubted,
            "{tokens}: {codes:?}"
        );
        assert!(doubted || codes.is_empty());
    }
}

#[test]
fn streams_that_do_not_say_that_they_are_over_are_a_doubt() {
    let cut = |source| success().tokens(10, 4, source).without_end().build();
    let run = |outcome| statistics(0, std::iter::repeat_n(outcome, 500));
    let by_tokenizer = run(cut(TokenSource::Tokenizer));
    assert_eq!(
        codes(&by_tokenizer, &circumstances()),
        ["streams-without-end"]
    );
    // Usage comes at the end.
    let by_server = run(cut(TokenSource::Server));
    assert_eq!(codes(&by_server, &circumstances()), [""; 0]);
    let mut finished = cut(TokenSource::Tokenizer);
    finished.reading.as_mut().unwrap().finish_reason = Some("stop".into());
    assert_eq!(codes(&run(finished), &circumstances()), [""; 0]);
}

#[test]
fn tokens_that_nobody_counted_are_a_doubt() {
    let mut unknown = success().build();
    unknown.reading.as_mut().unwrap().prompt = None;
    unknown.reading.as_mut().unwrap().completion = None;
    let run = statistics(0, std::iter::repeat_n(unknown, 500));
    assert_eq!(codes(&run, &circumstances()), ["tokens-unknown"]);
    let mut without_output = success().build();
    without_output.reading.as_mut().unwrap().completion = None;
    let prompts_only = statistics(0, std::iter::repeat_n(without_output, 500));
    assert_eq!(codes(&prompts_only, &circumstances()), ["tokens-unknown"]);
    let mut ranking = circumstances();
    ranking.task = Task::Rerank;
    assert_eq!(codes(&run, &ranking), [""; 0]);
}

#[test]
fn tokens_counted_in_two_ways_or_for_some_only() {
    let other = success().tokens(5, 3, TokenSource::Tokenizer).build();
    let doubts = judge(&statistics(499, [other]), &circumstances());
    assert_eq!(doubts.len(), 2);
    assert_eq!(
        doubts[1].figure(),
        "output tokens were counted in more than one way: 499 by usage of the server, 1 by tokenizer"
    );
    let mut unknown = success().build();
    if let Some(reading) = &mut unknown.reading {
        reading.completion = None;
    }
    let doubts = judge(&statistics(499, [unknown]), &circumstances());
    assert_eq!(
        doubts[0].figure(),
        "output tokens are known for 499 of 500 succeeded requests"
    );
    assert_eq!(doubts.len(), 1);
}
