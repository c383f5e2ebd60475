//! How fast built-in parsers make request bodies out of data sets in their own formats, in the batches of a run.

use criterion::{Criterion, Throughput};
use llmuses_core::bounds::Bounds;
use llmuses_core::messages::Messages;
use llmuses_plugin_host::{
    Compiler, FileOptions, InstanceContext, Loading, Parser, PluginEngine, builtin,
};
use llmuses_workload::{ApiSettings, Bodies, Dataset, FormatEntries, ItemBodies};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// As many bodies as a run asks for at once.
const BATCH: u32 = 64;

/// Makes all the bodies of one pass, and returns how many.
fn pass(bodies: &mut dyn Bodies) -> u64 {
    bodies.begin().expect("it begins");
    let mut made = 0;
    loop {
        let batch = bodies.next(BATCH).expect("every entry is good");
        if batch.is_empty() {
            break;
        }
        made += black_box(batch).len() as u64;
    }
    bodies.end().expect("it lets go");
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
        messages: Messages::new(|_| {}),
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
        let options = FileOptions {
            file_name: dataset.file_name(),
            ..FileOptions::default()
        };
        let context = InstanceContext {
            dataset: Some(Arc::new(dataset)),
            ..InstanceContext::default()
        };
        let instance = || parser.instantiate(context.clone()).expect("it starts");
        let entries =
            FormatEntries::new(instance(), options, Arc::default(), Messages::new(|_| {}));
        let settings = ApiSettings {
            models: Default::default(),
            model: "m".to_owned(),
            parameters: r#"{"temperature":0.5}"#.to_owned(),
            url: "http://127.0.0.1/".parse().expect("a URL"),
            path: parser.info().path.clone(),
            has_content_type: false,
            lengths: Default::default(),
        };
        let mut bodies = ItemBodies::new(instance(), settings, Box::new(entries));
        let made = pass(&mut bodies);
        group.throughput(Throughput::Elements(made));
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert_eq!(pass(&mut bodies), made));
        });
    }
    group.finish();
    criterion.final_summary();
}
