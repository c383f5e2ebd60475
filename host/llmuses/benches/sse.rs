//! How fast a byte stream is split into events: in small pieces as tokens come, and in large ones.

use criterion::{Criterion, Throughput};
use llmuses_transport::sse::EventSplitter;
use std::hint::black_box;
use std::time::Duration;

const EVENTS: usize = 1000;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let event = format!("data: {{\"content\":\"{}\"}}\n\n", "x".repeat(180));
    let stream = event.repeat(EVENTS).into_bytes();
    let mut group = criterion.benchmark_group("sse");
    group.throughput(Throughput::Bytes(stream.len() as u64));
    for (name, piece) in [
        ("one_event_at_a_time", event.len()),
        ("64_kib_at_a_time", 64 << 10),
        ("7_bytes_at_a_time", 7),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut splitter = EventSplitter::new(1 << 20);
                let mut bytes = 0;
                for piece in stream.chunks(piece) {
                    splitter
                        .push(piece, |event| bytes += black_box(event.data).len())
                        .expect("no event is large");
                }
                assert_eq!(bytes, EVENTS * (event.len() - "data: \n\n".len()));
            });
        });
    }
    group.finish();
    criterion.final_summary();
}
