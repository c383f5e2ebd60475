//! What a short unary request costs in plugins: its body made and its response read, through `openai_chat` (items, version
//! 0.2 of the contract). With OLDER_PLUGIN=FILE.wasm also through a component of version 0.1, which makes bodies of lines by
//! itself; any one that was built before its plugin came to 0.2 will do, such as openai_line_by_line of commit cfd7c51.

use criterion::Criterion;
use llmuses_core::bounds::Bounds;
use llmuses_core::clock::Moment;
use llmuses_core::exchange::ResponseLog;
use llmuses_core::item::Item;
use llmuses_plugin_host::{
    BuildOptions, Compiler, InstanceContext, Loading, Parser, ParserInstance, PluginEngine, builtin,
};
use llmuses_workload::Dataset;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// As many as a run asks for at once.
const BATCH: usize = 64;

/// A prompt of 100 bytes.
const PROMPT: &str = "Why is the sky blue during the day, and why is it red in the evening when the sun is about to set?\n\n";

/// A body of about 100 bytes, as it is sent.
const REQUEST: &[u8] =
    br#"{"model":"m","messages":[{"role":"user","content":"Say hello."}],"stream":false,"max_tokens":8}"#;

/// Its answer.
const ANSWER: &[u8] = br#"{"id":"chatcmpl-0123456789abcdef","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello there."},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}"#;

/// An instance of a built-in plugin, or of one in a file.
fn instance(name: &str, dataset: Option<Arc<Dataset>>) -> ParserInstance {
    let engine = PluginEngine::new().expect("WebAssembly runs here");
    let loading = Loading {
        engine: &engine,
        bounds: Bounds::default(),
        compiler: Compiler::InProcess,
        cache: None,
        messages: llmuses_core::messages::Messages::new(|_| {}),
        details: None,
        cache_trouble: &|error| eprintln!("{error}"),
    };
    let parser = match builtin(name) {
        Some(component) => Parser::from_builtin(&loading, component),
        None => Parser::from_file(&loading, Path::new(name)),
    };
    let context = InstanceContext {
        dataset: dataset.map(|dataset| dataset as _),
        ..InstanceContext::default()
    };
    let parser = parser.expect("it loads");
    parser.instantiate(context).expect("it starts")
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();

    let mut log = ResponseLog::default();
    assert!(log.push(ANSWER, Moment::from_nanos(0)));
    let mut group = criterion.benchmark_group("unary/parse");
    let older = std::env::var("OLDER_PLUGIN").ok();
    for (label, name) in [("0.1", older.as_deref()), ("0.2", Some("openai_chat"))] {
        let Some(name) = name else { continue };
        let mut instance = instance(name, None);
        group.bench_function(label, |bencher| {
            bencher
                .iter(|| black_box(instance.parse_responses(&log, REQUEST, "{}", false)).unwrap());
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("unary/64 bodies");
    if let Some(older) = &older {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        for _ in 0..BATCH {
            file.write_all(format!("{}\n", PROMPT.trim()).as_bytes())
                .expect("it can be written");
        }
        let dataset = Arc::new(Dataset::open(file.path()).expect("it is there"));
        let mut lines = instance(older, Some(dataset));
        let options = BuildOptions {
            model: "m".to_owned(),
            prompt: None,
            has_dataset: true,
            min_length: 0,
            max_length: u64::MAX,
            parameters: r#"{"stream":false}"#.to_owned(),
        };
        group.bench_function("0.1, the file read", |bencher| {
            bencher.iter(|| {
                let requests = lines.build_request(&options).expect("it begins");
                let bodies = lines.next(requests, BATCH as u32).expect("good lines");
                assert_eq!(black_box(bodies).len(), BATCH);
                lines.drop_requests(requests).expect("it lets go");
            });
        });
    }
    let mut chat = instance("openai_chat", None);
    group.bench_function("0.2, of items", |bencher| {
        bencher.iter(|| {
            let item = serde_json::to_string(&Item::of_prompt(PROMPT)).expect("it is text");
            let items = vec![item; BATCH];
            let made = chat.requests_of(&items, "m", r#"{"stream":false}"#);
            assert_eq!(black_box(made).expect("good items").len(), BATCH);
        });
    });
    group.finish();
    criterion.final_summary();
}
