//! What it costs to have a built-in parser read a response, crossing into WebAssembly and back included.

use criterion::{Criterion, Throughput};
use llmuses_core::bounds::Bounds;
use llmuses_core::clock::Moment;
use llmuses_core::exchange::ResponseLog;
use llmuses_plugin_host::{
    Compiler, InstanceContext, Loading, Parser, ParserInstance, PluginEngine, TokenCounter, builtin,
};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

const CHUNKS: usize = 100;
const REQUEST: &str = r#"{"model":"m","messages":[{"role":"user","content":"Say hello."}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":100}}"#;

/// Takes four bytes for a token, which costs nothing.
struct Quarters;

impl TokenCounter for Quarters {
    fn count(&self, text: &str) -> Result<u64, String> {
        Ok(text.len() as u64 / 4)
    }

    fn memory_bytes(&self, _: &str) -> usize {
        0
    }
}

fn instance(parser: &str) -> ParserInstance {
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
    let component = builtin(parser).expect("it is built in");
    let parser = Parser::from_builtin(&loading, component).expect("it loads");
    let context = InstanceContext {
        tokenizer: Some(Arc::new(Quarters)),
        ..InstanceContext::default()
    };
    parser.instantiate(context).expect("it starts")
}

/// A chunk of chat completions of about 200 bytes.
fn chunk(number: usize, delta: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","created":{number},"model":"qwen2.5-7b","choices":[{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":null}}]}}"#
    )
}

fn log<'a>(chunks: impl Iterator<Item = String>, end: impl Into<Option<&'a str>>) -> ResponseLog {
    let mut log = ResponseLog::default();
    log.set_streamed();
    let end = end.into().map(str::to_owned);
    for data in chunks.chain(end) {
        assert!(log.push(data.as_bytes(), Moment::from_nanos(0)));
    }
    log
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let word = |n: usize| [" hello", " a", " wonderful", ","][n % 4];
    let text = |n: usize| chunk(1_700_000_000, &format!(r#"{{"content":"{}"}}"#, word(n)));
    let escaped = |n: usize| chunk(1_700_000_000, &format!(r#"{{"content":"{}\n"}}"#, word(n)));
    let changing = |n: usize| {
        chunk(
            1_700_000_000 + n,
            &format!(r#"{{"content":"{}"}}"#, word(n)),
        )
    };
    let calling = |n: usize| {
        let call = format!(r#"{{"index":0,"function":{{"arguments":"{}"}}}}"#, word(n));
        chunk(1_700_000_000, &format!(r#"{{"tool_calls":[{call}]}}"#))
    };
    let event = |n: usize| {
        format!(
            r#"{{"output":{{"text":"{}","finish_reason":"null"}},"usage":{{"input_tokens":5,"output_tokens":{n}}},"request_id":"0123456789abcdef"}}"#,
            word(n)
        )
    };
    let chunks = 0..CHUNKS;
    let openai = [
        ("usage", log(chunks.clone().map(text), USAGE)),
        ("counted", log(chunks.clone().map(text), None)),
        ("escapes", log(chunks.clone().map(escaped), USAGE)),
        (
            "other_field_changes",
            log(chunks.clone().map(changing), USAGE),
        ),
        ("tool_call", log(chunks.clone().map(calling), USAGE)),
    ];
    let dashscope = [("usage", log(chunks.map(event), None))];

    for (parser, logs) in [
        ("openai_prompt", &openai[..]),
        ("dashscope_line_by_line", &dashscope),
    ] {
        let mut instance = instance(parser);
        let mut group = criterion.benchmark_group(format!("parse/{parser}"));
        for (name, log) in logs {
            group.throughput(Throughput::Elements(log.len() as u64));
            group.bench_function(*name, |bencher| {
                bencher.iter(|| {
                    black_box(instance.parse_responses(log, REQUEST.as_bytes(), "{}", false))
                        .unwrap()
                });
            });
        }
        group.finish();
    }
    criterion.final_summary();
}
