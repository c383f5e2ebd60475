//! The answer of `GET /metrics`: totals since the start, with the names, labels and buckets of vLLM, for Prometheus.
//!
//! | metric | is |
//! |---|---|
//! | `vllm:num_requests_running`, `vllm:num_requests_waiting` | requests in a slot, and in the queue, now |
//! | `vllm:prompt_tokens_total` | tokens of the prompts of requests that got a slot |
//! | `vllm:generation_tokens_total` | tokens written |
//! | `vllm:prefix_cache_queries_total`, `vllm:prefix_cache_hits_total` | tokens looked up in the prefix cache, and found |
//! | `vllm:request_success_total{finished_reason}` | requests that ended: `stop`, `length`, `abort` (the client left), `error` (status 500). Requests turned down are none |
//! | `vllm:time_to_first_token_seconds` | from the arrival to the departure of the first token; of a plain answer, to when it was due |
//! | `vllm:inter_token_latency_seconds` | from one token of a stream to the next |
//! | `vllm:e2e_request_latency_seconds` | from the arrival to the end of an answer |
//! | `vllm:request_queue_time_seconds` | from the arrival to the slot |
//! | `vllm:request_prompt_tokens`, `vllm:request_generation_tokens` | tokens of the prompt of each request with a slot, and of each whole answer |

use std::fmt::{self, Write};

/// Bounds of the buckets for times to the first token, in seconds.
const FIRST: [f64; 22] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
];

/// Bounds of the buckets for times between tokens, in seconds.
const BETWEEN: [f64; 19] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
    40.0, 80.0,
];

/// Bounds of the buckets for times of whole requests, in seconds.
const WHOLE: [f64; 21] = [
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0,
    480.0, 960.0, 1920.0, 7680.0,
];

/// Bounds of the buckets for numbers of tokens.
const TOKENS: [f64; 19] = [
    1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5,
    5e5, 1e6,
];

/// How a request ended, once work on it had begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Stop,
    Length,
    Abort,
    Error,
}

impl End {
    const ALL: [Self; 4] = [Self::Stop, Self::Length, Self::Abort, Self::Error];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Abort => "abort",
            Self::Error => "error",
        }
    }
}

/// How many samples there were up to each bound.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: &'static [f64],
    /// One more than bounds: the last is of samples beyond them.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: vec![0; bounds.len() + 1],
            sum: 0.0,
        }
    }

    pub(super) fn add(&mut self, sample: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < sample);
        self.counts[bucket] += 1;
        self.sum += sample;
    }

    /// Adds a time in nanoseconds.
    pub(super) fn add_nanos(&mut self, nanos: u64) {
        self.add(nanos as f64 / 1e9);
    }

    fn write(&self, out: &mut String, page: &Page<'_>, name: &str, help: &str) -> fmt::Result {
        head(out, name, help, "histogram")?;
        let labels = page.labels();
        let mut count = 0;
        for (index, bucket) in self.counts.iter().enumerate() {
            count += bucket;
            let bound = match self.bounds.get(index) {
                Some(bound) => format!("{bound:?}"),
                None => "+Inf".to_owned(),
            };
            writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
        }
        writeln!(out, "{name}_sum{{{labels}}} {}", self.sum)?;
        writeln!(out, "{name}_count{{{labels}}} {count}")
    }
}

/// What happened since the start.
#[derive(Debug)]
pub(super) struct Totals {
    pub(super) prompt_tokens: u64,
    pub(super) generation_tokens: u64,
    pub(super) cache_queries: u64,
    pub(super) cache_hits: u64,
    ended: [u64; 4],
    pub(super) first_token: Histogram,
    pub(super) between_tokens: Histogram,
    pub(super) latency: Histogram,
    pub(super) queue: Histogram,
    pub(super) prompts: Histogram,
    pub(super) answers: Histogram,
}

impl Default for Totals {
    fn default() -> Self {
        Self {
            prompt_tokens: 0,
            generation_tokens: 0,
            cache_queries: 0,
            cache_hits: 0,
            ended: [0; 4],
            first_token: Histogram::new(&FIRST),
            between_tokens: Histogram::new(&BETWEEN),
            latency: Histogram::new(&WHOLE),
            queue: Histogram::new(&WHOLE),
            prompts: Histogram::new(&TOKENS),
            answers: Histogram::new(&TOKENS),
        }
    }
}

impl Totals {
    pub(super) fn ended(&mut self, end: End) {
        self.ended[end as usize] += 1;
    }
}

/// What a page tells besides totals.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub(super) model: &'a str,
    pub(super) running: u64,
    pub(super) waiting: u64,
}

impl Page<'_> {
    fn labels(&self) -> String {
        let model = self.model.replace('\\', "\\\\");
        let model = model.replace('"', "\\\"").replace('\n', "\\n");
        format!("engine=\"0\",model_name=\"{model}\"")
    }

    /// The whole page, in the text format of Prometheus (0.0.4).
    pub(super) fn text(&self, totals: &Totals) -> String {
        let mut out = String::with_capacity(16 << 10);
        // Writing to memory does not fail.
        self.write(&mut out, totals).ok();
        out
    }

    fn write(&self, out: &mut String, totals: &Totals) -> fmt::Result {
        let labels = self.labels();
        for (name, help, value) in [
            (
                "vllm:num_requests_running",
                "Requests that are being answered.",
                self.running,
            ),
            (
                "vllm:num_requests_waiting",
                "Requests that wait for a slot.",
                self.waiting,
            ),
        ] {
            head(out, name, help, "gauge")?;
            writeln!(out, "{name}{{{labels}}} {value}")?;
        }
        for (name, help, value) in [
            (
                "vllm:prompt_tokens",
                "Tokens of prompts.",
                totals.prompt_tokens,
            ),
            (
                "vllm:generation_tokens",
                "Tokens of answers.",
                totals.generation_tokens,
            ),
            (
                "vllm:prefix_cache_queries",
                "Tokens looked up in the prefix cache.",
                totals.cache_queries,
            ),
            (
                "vllm:prefix_cache_hits",
                "Tokens found in the prefix cache.",
                totals.cache_hits,
            ),
        ] {
            let name = format!("{name}_total");
            head(out, &name, help, "counter")?;
            writeln!(out, "{name}{{{labels}}} {value}")?;
        }
        let name = "vllm:request_success_total";
        head(out, name, "Requests that ended, by why.", "counter")?;
        for end in End::ALL {
            let (reason, count) = (end.as_str(), totals.ended[end as usize]);
            writeln!(
                out,
                "{name}{{{labels},finished_reason=\"{reason}\"}} {count}"
            )?;
        }
        for (name, help, histogram) in [
            (
                "vllm:time_to_first_token_seconds",
                "From the arrival of a request to its first token.",
                &totals.first_token,
            ),
            (
                "vllm:inter_token_latency_seconds",
                "From one token to the next.",
                &totals.between_tokens,
            ),
            (
                "vllm:e2e_request_latency_seconds",
                "From the arrival of a request to the end of its answer.",
                &totals.latency,
            ),
            (
                "vllm:request_queue_time_seconds",
                "From the arrival of a request to its slot.",
                &totals.queue,
            ),
            (
                "vllm:request_prompt_tokens",
                "Tokens of the prompts of a request.",
                &totals.prompts,
            ),
            (
                "vllm:request_generation_tokens",
                "Tokens of the answers to a request.",
                &totals.answers,
            ),
        ] {
            histogram.write(out, self, name, help)?;
        }
        Ok(())
    }
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_count_what_does_not_exceed_them() {
        let mut totals = Totals::default();
        for nanos in [1_000_000, 1_000_001, 3_000_000_000_000] {
            totals.first_token.add_nanos(nanos);
        }
        totals.ended(End::Length);
        totals.prompt_tokens = 7;
        let page = Page {
            model: "a\"b",
            running: 1,
            waiting: 2,
        };
        let text = page.text(&totals);
        let labels = "engine=\"0\",model_name=\"a\\\"b\"";
        let first = "vllm:time_to_first_token_seconds";
        for line in [
            format!("vllm:num_requests_running{{{labels}}} 1"),
            format!("vllm:num_requests_waiting{{{labels}}} 2"),
            format!("vllm:prompt_tokens_total{{{labels}}} 7"),
            format!("vllm:request_success_total{{{labels},finished_reason=\"length\"}} 1"),
            format!("vllm:request_success_total{{{labels},finished_reason=\"stop\"}} 0"),
            format!("# TYPE {first} histogram"),
            format!("{first}_bucket{{{labels},le=\"0.001\"}} 1"),
            format!("{first}_bucket{{{labels},le=\"0.005\"}} 2"),
            format!("{first}_bucket{{{labels},le=\"2560.0\"}} 2"),
            format!("{first}_bucket{{{labels},le=\"+Inf\"}} 3"),
            format!("{first}_count{{{labels}}} 3"),
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }
}
