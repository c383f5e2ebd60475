//! How fast built-in parsers make request bodies out of data sets, in the batches of a run.

use criterion::{Criterion, Throughput};
use llmuses_core::bounds::Bounds;
use llmuses_plugin_host::{
    BuildOptions, Compiler, InstanceContext, Loading, Parser, ParserInstance, PluginEngine, builtin,
};
use llmuses_workload::Dataset;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// As many bodies as a run asks for at once.
const BATCH: u32 = 64;

/// Makes all the bodies of one pass, and returns how many.
fn pass(instance: &mut ParserInstance) -> u64 {
    let options = BuildOptions {
        model: "m".to_owned(),
        prompt: None,
        has_dataset: true,
        min_length: 0,
        max_length: 1 << 20,
        parameters: r#"{"temperature":0.5}"#.to_owned(),
    };
    let requests = instance.build_request(&options).expect("it begins");
    let mut made = 0;
    loop {
        let bodies = instance.next(requests, BATCH).expect("every entry is good");
        if bodies.is_empty() {
            break;
        }
        made += black_box(bodies).len() as u64;
    }
    instance.drop_requests(requests).expect("it lets go");
    made
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets");
    let mut group = criterion.benchmark_group("bodies");
    for (name, dataset) in [
        ("openai_line_by_line", "lines.txt"),
        ("openai_openqa_qwen", "open_qa.jsonl"),
        ("openai_longalpaca_12k_qwen", "longalpaca.json"),
        ("dashscope_line_by_line", "lines.txt"),
    ] {
        let parser = Parser::from_builtin(&loading, builtin(name).expect("it is built in"))
            .expect("it loads");
        let dataset = Dataset::open(&folder.join(dataset)).expect("it is there");
        let context = InstanceContext {
            dataset: Some(Arc::new(dataset)),
            ..InstanceContext::default()
        };
        let mut instance = parser.instantiate(context).expect("it starts");
        let made = pass(&mut instance);
        group.throughput(Throughput::Elements(made));
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(pass(&mut instance), made));
        });
    }
    group.finish();
    criterion.final_summary();
}
