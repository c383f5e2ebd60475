//! What is measured, and under which loads.

use crate::processes::{PROMPT, PerfRun, Server, cost_of, program};
use crate::raw_client;
use crate::table::{Readings, Row, Table, Target};
use llmuses_transport::capacity;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// How large the loads are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// A few minutes in all.
    Small,
    /// As large as the targets speak of.
    Full,
}

/// Takes all figures whose names hold `wanted`.
pub fn measure(size: Size, runs: usize, wanted: &str) -> Table {
    let cache = tempfile::tempdir().expect("a temporary folder");
    let bench = Bench {
        size,
        runs,
        cache: cache.path(),
    };
    // The parser is compiled once, so that no figure but the one for that has it in it.
    PerfRun::of(
        bench.cache,
        Server::start(bench.cache, &["--ttft", "0"]).address,
        1,
        &[],
    );
    let mut table = Table::default();
    let figures: [(&str, Figure<'_>); 7] = [
        ("chunk", Bench::chunk),
        ("unary", Bench::unary),
        ("streams", Bench::streams),
        ("many", Bench::many_streams),
        ("start", Bench::start),
        ("long", Bench::long),
        ("open", Bench::open_loop),
    ];
    for (name, figure) in figures {
        if name.contains(wanted) {
            eprintln!("{name} ...");
            figure(&bench, &mut table);
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    table.notes.push(format!(
        "Medians of {runs}, with the smallest and the largest; {cores} processors, shared with the server."
    ));
    table
}

/// Takes figures and adds them to the table.
type Figure<'a> = fn(&Bench<'a>, &mut Table);

struct Bench<'a> {
    size: Size,
    runs: usize,
    cache: &'a Path,
}

impl Bench<'_> {
    fn is_full(&self) -> bool {
        self.size == Size::Full
    }

    /// Processor time per chunk that is read alone: the difference between long and short answers of as many
    /// streams, so that start-up, connections and requests are not in it.
    fn chunk(&self, table: &mut Table) {
        const SHORT: u64 = 20;
        let long = if self.is_full() { 520 } else { 320 };
        let mut rows = variants("processor time per chunk", 2, 1.3);
        let chunks = (STREAMS as u64 * (long - SHORT)) as f64;
        for _ in 0..self.runs {
            // Times that vary, so that hardly ever two chunks wait at once.
            let servers = [SHORT, long].map(|tokens| {
                let tokens = tokens.to_string();
                let mut flags = vec!["--ttft", "20ms", "--ttft-jitter", "10ms"];
                flags.extend(["--itl", "10ms", "--itl-jitter", "5ms", "--tokens", &tokens]);
                Server::start(self.cache, &flags)
            });
            let mut raw_before = raw_chunk(table, &servers, chunks);
            for (variant, row) in &mut rows {
                let [short, long] = servers.each_ref().map(|server| {
                    let parallel = STREAMS.to_string();
                    let flags = [["--parallel", &parallel].as_slice(), variant].concat();
                    PerfRun::of(self.cache, server.address, STREAMS, &flags).cost
                });
                // A machine that others share becomes faster and slower while this goes on: the raw client of
                // before and the one of after are as near to it on both sides.
                let raw_after = raw_chunk(table, &servers, chunks);
                let raw = f64::midpoint(raw_before, raw_after);
                row.add_pair(raw, micros(long.cpu, short.cpu, chunks));
                raw_before = raw_after;
            }
        }
        table.rows.extend(rows.map(|(_, row)| row));
    }

    /// Processor time per unary request, again as a difference.
    fn unary(&self, table: &mut Table) {
        const SLOTS: usize = 16;
        const FEW: usize = 2_000;
        let many = if self.is_full() { 42_000 } else { 22_000 };
        let requests = (many - FEW) as f64;
        let mut rows = variants("processor time per unary request", 1, 3.0);
        for _ in 0..self.runs {
            let server = unary_server(self.cache);
            for (variant, row) in &mut rows {
                let [few, many_cpu] = [FEW, many].map(|requests| {
                    let request = request(false, server.address);
                    raw_client::run(server.address, SLOTS, requests, &request)
                        .expect("the server answers")
                        .cpu
                });
                let raw = micros(many_cpu, few, requests);
                let [few, many] = [FEW, many].map(|requests| {
                    let slots = SLOTS.to_string();
                    let flags = [["--parallel", &slots].as_slice(), variant, &UNARY].concat();
                    PerfRun::of(self.cache, server.address, requests, &flags)
                        .cost
                        .cpu
                });
                row.add_pair(raw, micros(many, few, requests));
            }
        }
        table.rows.extend(rows.map(|(_, row)| row));
    }

    /// Memory at 1,000 streams of 100 tokens, 10 ms apart.
    fn streams(&self, table: &mut Table) {
        let mut memory = row("peak memory, 1,000 streams, MiB", 1, Target::AtMost(60.0));
        for _ in 0..self.runs {
            let server = Server::start(self.cache, &["--tokens", "100"]);
            let flags = ["--parallel", "1000"];
            let run = PerfRun::of(self.cache, server.address, 2_000, &flags);
            memory.ours.add(run.cost.peak_mib);
        }
        table.rows.push(memory);
    }

    /// Memory at 10,000 streams of 20 tokens, one second apart, or at as many as the limit of open files
    /// permits.
    fn many_streams(&self, table: &mut Table) {
        const WANTED: usize = 10_000;
        let most = match capacity::raise_open_file_limit() {
            Ok(files) => usize::try_from(files.saturating_sub(64)).unwrap_or(WANTED),
            Err(_) => 900,
        };
        let streams = WANTED.min(most);
        let target = if streams == WANTED {
            Target::AtMost(250.0)
        } else {
            table.notes.push(format!(
                "The limit of open files does not permit {WANTED} streams here: {streams} were held."
            ));
            Target::None
        };
        let mut memory = row(&format!("peak memory, {streams} streams, MiB"), 1, target);
        let (tokens, itl) = if self.is_full() {
            ("20", "1s")
        } else {
            ("20", "250ms")
        };
        for _ in 0..self.runs {
            let flags = ["--ttft", "1s", "--itl", itl, "--tokens", tokens];
            let server = Server::start(self.cache, &flags);
            let parallel = streams.to_string();
            let flags = ["--parallel", &parallel];
            let run = PerfRun::of(self.cache, server.address, streams, &flags);
            memory.ours.add(run.cost.peak_mib);
        }
        table.rows.push(memory);
    }

    /// How long it takes to begin.
    fn start(&self, table: &mut Table) {
        let mut help = row("--help, ms", 1, Target::None);
        let mut cold = row("one request, parser not compiled yet, ms", 0, Target::None);
        let mut warm = row("one request, ms", 0, Target::None);
        let mut memory = row("peak memory, one request, MiB", 1, Target::None);
        let server = Server::start(self.cache, &["--ttft", "0", "--itl", "0", "--tokens", "10"]);
        for _ in 0..self.runs.max(3) {
            help.ours
                .add(millis(cost_of(program(self.cache).arg("--help")).wall));
            let empty = tempfile::tempdir().expect("a temporary folder");
            for (row, cache) in [(&mut cold, empty.path()), (&mut warm, self.cache)] {
                let run = PerfRun::of(cache, server.address, 1, &[]);
                row.ours.add(millis(run.cost.wall));
                if cache == self.cache {
                    memory.ours.add(run.cost.peak_mib);
                }
            }
        }
        table.rows.extend([help, cold, warm, memory]);
    }

    /// Whether memory grows with the number of requests.
    fn long(&self, table: &mut Table) {
        let [few, many] = if self.is_full() {
            [100_000, 1_000_000]
        } else {
            [20_000, 100_000]
        };
        let server = unary_server(self.cache);
        let [at_few, at_many] = [few, many].map(|requests| {
            let flags = [["--parallel", "16"].as_slice(), &UNARY].concat();
            let run = PerfRun::of(self.cache, server.address, requests, &flags);
            run.cost.peak_mib
        });
        let mut rows = [
            row(
                &format!("peak memory, {few} unary requests, MiB"),
                1,
                Target::None,
            ),
            row(
                &format!("peak memory, {many} unary requests, MiB"),
                1,
                Target::AtMost(at_few.round() + 10.0),
            ),
        ];
        rows[0].ours.add(at_few);
        rows[1].ours.add(at_many);
        table.rows.extend(rows);
    }

    /// An open loop of 2,000 requests a second.
    fn open_loop(&self, table: &mut Table) {
        let mut late = row("2,000 requests/s: sent late by, p99, ms", 3, Target::None);
        let mut sent = row("2,000 requests/s: sent in a second", 0, Target::None);
        let mut busy = row(
            "2,000 requests/s: processor time per request, µs",
            1,
            Target::None,
        );
        let requests = if self.is_full() { 20_000 } else { 8_000 };
        for _ in 0..self.runs {
            let server = Server::start(
                self.cache,
                &["--ttft", "5ms", "--itl", "0", "--tokens", "5"],
            );
            let flags = [["--rate", "2000", "--save", "summary"].as_slice(), &UNARY].concat();
            let run = PerfRun::of(self.cache, server.address, requests, &flags);
            let figure = |path: &str| run.totals.pointer(path).and_then(serde_json::Value::as_f64);
            late.ours
                .add(1e3 * figure("/dispatch_lag/p99_seconds").unwrap_or(f64::NAN));
            sent.ours
                .add(figure("/rates/sent_per_second").unwrap_or(f64::NAN));
            busy.ours
                .add(run.cost.cpu.as_secs_f64() * 1e6 / requests as f64);
        }
        table.rows.extend([late, sent, busy]);
    }
}

/// The program as it is compared with the raw client: with as many threads, with as many as it has where nothing
/// is said, and with a row for every request besides.
fn variants(name: &str, digits: usize, ratio: f64) -> [(&'static [&'static str], Row); 3] {
    const VARIANTS: [(&str, &[&str]); 3] = [
        (
            "one client thread",
            &["--save", "summary", "--client-threads", "1"],
        ),
        ("default threads", &["--save", "summary"]),
        ("rows kept", &["--save", "full"]),
    ];
    VARIANTS.map(|(what, flags)| {
        let target = match what {
            "rows kept" => Target::None,
            _ => Target::Ratio(ratio),
        };
        (flags, row(&format!("{name}, {what}, µs"), digits, target))
    })
}

/// Streams of the figures per chunk.
const STREAMS: usize = 100;

/// What the raw client takes per chunk, in microseconds, by a server of short and one of long answers that has so many
/// chunks more.
fn raw_chunk(table: &mut Table, servers: &[Server; 2], chunks: f64) -> f64 {
    let [short, long] = servers.each_ref().map(|server| {
        let request = request(true, server.address);
        raw_client::run(server.address, STREAMS, STREAMS, &request).expect("the server answers")
    });
    let alone = (long.reads - short.reads) as f64 / chunks;
    if alone < 0.95 {
        table.notes.push(format!(
            "This machine is busy: the raw client had {:.0} reads for 100 chunks, so that not all chunks came \
             alone.",
            100.0 * alone
        ));
    }
    micros(long.cpu, short.cpu, chunks)
}

/// Has the server answer with one body.
const UNARY: [&str; 2] = ["--parameters", "stream=bool_false"];

fn unary_server(cache: &Path) -> Server {
    Server::start(cache, &["--ttft", "0", "--itl", "0", "--tokens", "10"])
}

/// A request such as the program sends.
fn request(stream: bool, server: SocketAddr) -> Vec<u8> {
    let options = if stream {
        r#","stream":true,"stream_options":{"include_usage":true}"#
    } else {
        r#","stream":false"#
    };
    let body = format!(
        r#"{{"model":"mock","messages":[{{"role":"user","content":"{PROMPT}"}}]{options}}}"#
    );
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\ncontent-type: application/json\r\naccept: */*\r\n\
         user-agent: raw\r\nhost: {server}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn row(name: &str, digits: usize, target: Target) -> Row {
    Row {
        name: name.to_owned(),
        digits,
        raw: Readings::default(),
        ratios: Readings::default(),
        ours: Readings::default(),
        target,
    }
}

fn micros(more: Duration, less: Duration, parts: f64) -> f64 {
    (more.as_secs_f64() - less.as_secs_f64()) * 1e6 / parts
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
