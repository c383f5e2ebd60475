//! What a server under load does: slots and queue, prefill, slower decoding, and the prefix cache.

use std::thread;

use super::*;

/// A chat with a prompt of so many words, which no other `name` shares.
fn long_chat(name: &str, words: usize) -> Value {
    let mut body = chat();
    body["messages"][0]["content"] = json!(vec![name; words].join(" "));
    body["stream_options"] = json!({"include_usage": true});
    body
}

/// Answers to `count` requests that are sent at once.
fn at_once(mock: &RunningMock, count: usize, body: &Value) -> Vec<Answer> {
    thread::scope(|scope| {
        let posts: Vec<_> = (0..count)
            .map(|_| scope.spawn(|| post(mock, CHAT, body)))
            .collect();
        let answers = posts.into_iter().map(|post| post.join());
        answers.map(|answer| answer.expect("an answer")).collect()
    })
}

#[test]
fn requests_beyond_the_slots_wait_and_the_truth_tells_it() {
    let (ttft, itl) = (Duration::from_millis(40), Duration::from_millis(10));
    let whole = ttft + 4 * itl;
    let mock = start(MockConfig {
        ttft,
        itl,
        slots: Some(2),
        ..quick()
    });
    let answers = at_once(&mock, 6, &chat());
    let mut first: Vec<_> = answers.iter().map(|answer| answer.first_byte).collect();
    first.sort_unstable();
    // Three turns of two.
    for (turn, pair) in first.chunks(2).enumerate() {
        let due = ttft + whole * turn as u32;
        for time in pair {
            assert!(*time + Duration::from_millis(1) >= due, "{first:?}");
            assert!(*time < due + LATE, "{first:?}");
        }
    }
    let truth = get(&mock, "/truth");
    assert_eq!(truth["completed"], 6);
    assert_eq!(truth["queue_seconds"]["count"], 6);
    assert!(time(&truth["queue_seconds"]["max"]) >= 2 * whole - Duration::from_millis(1));
    let longest = time(&truth["ttft_seconds"]["max"]);
    assert!(longest >= 2 * whole + ttft - Duration::from_millis(1));
    assert!(longest <= first[5] + Duration::from_millis(1));
}

#[test]
fn a_full_queue_turns_requests_down() {
    let mock = start(MockConfig {
        ttft: Duration::from_millis(100),
        slots: Some(1),
        queue_limit: Some(1),
        ..quick()
    });
    let answers = at_once(&mock, 4, &chat());
    let with = |status: u16| answers.iter().filter(move |answer| answer.status == status);
    assert_eq!((with(200).count(), with(429).count()), (2, 2));
    for refused in with(429) {
        assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
        assert!(refused.first_byte < Duration::from_millis(100));
    }
    let truth = get(&mock, "/truth");
    assert_eq!(
        (&truth["completed"], &truth["errors"]),
        (&json!(2), &json!(2))
    );
}

#[test]
fn a_client_that_leaves_the_queue_makes_room() {
    let mock = start(MockConfig {
        ttft: Duration::from_millis(100),
        slots: Some(1),
        ..quick()
    });
    thread::scope(|scope| {
        let first = scope.spawn(|| post(&mock, CHAT, &chat()));
        thread::sleep(Duration::from_millis(20));
        let mut stream = connect(&mock);
        let body = chat().to_string();
        let request = head("POST", CHAT, "", body.len()) + &body;
        stream.write_all(request.as_bytes()).expect("a write");
        thread::sleep(Duration::from_millis(20));
        drop(stream);
        assert_eq!(first.join().expect("an answer").status, 200);
    });
    let sent = Instant::now();
    assert_eq!(post(&mock, CHAT, &chat()).status, 200);
    assert!(sent.elapsed() < Duration::from_millis(200));
    let truth = get(&mock, "/truth");
    assert_eq!(
        (&truth["completed"], &truth["aborted"]),
        (&json!(2), &json!(1))
    );
}

#[test]
fn a_longer_prompt_takes_longer() {
    let mock = start(MockConfig {
        ttft: Duration::from_millis(10),
        prefill: Duration::from_micros(500),
        ..quick()
    });
    let times = [10, 400].map(|words| {
        post(&mock, CHAT, &long_chat("word", words));
        time(&get(&mock, "/truth")["ttft_seconds"]["p50"])
    });
    let due = [15, 210].map(Duration::from_millis);
    for (time, due) in times.iter().zip(due) {
        assert!(*time + Duration::from_millis(1) >= due, "{times:?}");
        assert!(*time < due + LATE, "{times:?}");
    }
}

#[test]
fn streams_slow_each_other_down() {
    let mock = start(MockConfig {
        itl: Duration::from_millis(10),
        decode_slowdown: 1.0,
        tokens: 11,
        ..quick()
    });
    let gap = |truth: &Value| time(&truth["itl_seconds"]["p50"]);
    post(&mock, CHAT, &chat());
    let alone = gap(&get(&mock, "/truth"));
    assert!(alone < Duration::from_millis(18), "{alone:?}");
    at_once(&mock, 4, &chat());
    let together = gap(&get(&mock, "/truth"));
    assert!(together > Duration::from_millis(32), "{together:?}");
    // A plain answer is slowed down too.
    let mut plain = chat();
    plain["stream"] = json!(false);
    let whole = at_once(&mock, 4, &plain);
    let longest = whole.iter().map(|answer| answer.first_byte).max();
    assert!(longest > Some(Duration::from_millis(300)), "{longest:?}");
}

#[test]
fn template_tokens_are_added_to_each_message() {
    let mock = start(MockConfig {
        template_tokens: 7,
        ..quick()
    });
    let count = |path: &str, body: &Value| {
        post(&mock, path, body).json()["usage"]["prompt_tokens"].as_u64()
    };
    let message = json!({"role": "user", "content": "one two"});
    assert_eq!(count(CHAT, &json!({"messages": [message]})), Some(9));
    assert_eq!(
        count(CHAT, &json!({"messages": [message, message]})),
        Some(18)
    );
    assert_eq!(
        count("/v1/completions", &json!({"prompt": "one two"})),
        Some(2)
    );
}

/// Prompt tokens and those of them in the cache, as the answer tells.
fn cached(answer: &Answer) -> (u64, u64) {
    let usage = &answer.events().pop().expect("an event")["usage"];
    let number = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
    let cached = number("/prompt_tokens_details/cached_tokens");
    (
        number("/prompt_tokens").expect("it is told"),
        cached.expect("it is told"),
    )
}

#[test]
fn the_prefix_cache_knows_what_it_has_read() {
    let mock = start(MockConfig {
        prefill: Duration::from_millis(1),
        prefix_cache: Some(1_000),
        template_tokens: 4,
        ..quick()
    });
    let body = long_chat("word", 200);
    let cold = post(&mock, CHAT, &body);
    assert_eq!(cached(&cold), (204, 0));
    let warm = post(&mock, CHAT, &body);
    assert_eq!(cached(&warm), (204, 192));
    assert!(cold.first_byte >= Duration::from_millis(203));
    assert!(warm.first_byte < Duration::from_millis(12) + LATE);
    assert_eq!(
        cached(&post(&mock, CHAT, &long_chat("other", 200))),
        (204, 0)
    );
    // The common beginning only.
    let mut longer = body.clone();
    longer["messages"][0]["content"] =
        json!(vec!["word"; 100].join(" ") + " and then something else");
    assert_eq!(cached(&post(&mock, CHAT, &longer)), (108, 96));
    let truth = get(&mock, "/truth");
    assert_eq!(truth["prompt_tokens"], 3 * 204 + 108);
    assert_eq!(truth["cached_tokens"], 192 + 96);
    // A plain answer tells the same.
    let mut plain = body;
    plain["stream"] = json!(false);
    let usage = &post(&mock, CHAT, &plain).json()["usage"];
    assert_eq!(
        usage["prompt_tokens_details"],
        json!({"cached_tokens": 192})
    );
}

#[test]
fn the_next_turn_finds_the_answer_of_the_last_in_the_cache() {
    let mock = start(MockConfig {
        prefix_cache: Some(1_000),
        template_tokens: 3,
        tokens: 50,
        ..quick()
    });
    let mut body = long_chat("word", 30);
    let answer = post(&mock, CHAT, &body);
    let text: String = answer
        .events()
        .iter()
        .filter_map(|event| {
            event
                .pointer("/choices/0/delta/content")?
                .as_str()
                .map(str::to_owned)
        })
        .collect();
    let messages = body["messages"].as_array_mut().expect("a list");
    messages.push(json!({"role": "assistant", "content": text}));
    messages.push(json!({"role": "user", "content": "go on"}));
    // 33 + 53 tokens were there before, of which 80 fill blocks.
    assert_eq!(cached(&post(&mock, CHAT, &body)), (33 + 53 + 5, 80));
}

#[test]
fn the_prefix_cache_is_bounded() {
    let mock = start(MockConfig {
        prefix_cache: Some(20),
        ..quick()
    });
    let (one, other) = (long_chat("one", 200), long_chat("other", 200));
    assert_eq!(cached(&post(&mock, CHAT, &one)).1, 0);
    assert_eq!(cached(&post(&mock, CHAT, &one)).1, 192);
    assert_eq!(cached(&post(&mock, CHAT, &other)).1, 0);
    // 12 blocks of the other, and 8 that were left of the first.
    assert_eq!(cached(&post(&mock, CHAT, &one)).1, 128);
}
