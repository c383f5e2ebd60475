//! Parsers that mean harm, or were built by somebody in a hurry. Each goes through the real program, with
//! WASI linked and through `--sandbox strict`, and what the user reads is held by a snapshot.

mod confined;
mod exports;
mod files;
mod fuzz;
pub mod guest;
mod memory;
mod parts;
mod plugin_command;
mod time;
mod toolchains;
mod values;
mod words;

use crate::support::{Bench, Mock, peak_memory};
use guest::Guest;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// One server for all of them: it is not what is under test. It ends when this process lets go of its
/// standard input.
static MOCK: LazyLock<Mock> = LazyLock::new(|| {
    Mock::start(&[
        "--ttft",
        "1ms",
        "--itl",
        "1ms",
        "--tokens",
        "5",
        "--role-chunk",
    ])
});

/// The time that a call of a guest gets: more than any of them needs that comes to an end, however busy
/// the machine is.
const CALL_SECONDS: &str = "8";

/// The time that a call of a guest without end gets.
const LOOP_SECONDS: &str = "0.3";

/// A guest and what is to come of it.
pub struct Case {
    name: &'static str,
    file: File,
    arguments: Vec<&'static str>,
    code: i32,
    longest: Duration,
    most_memory: u64,
    strict_too: bool,
    call_seconds: &'static str,
}

enum File {
    Bytes(Vec<u8>),
    Made(fn(&Path)),
}

impl Case {
    /// Six requests of a prompt with this guest, which are to end with exit code `code`.
    pub fn of(name: &'static str, code: i32, guest: &Guest) -> Self {
        Self::bytes(name, code, guest.component())
    }

    /// The same with any bytes.
    pub fn bytes(name: &'static str, code: i32, bytes: Vec<u8>) -> Self {
        Self {
            name,
            file: File::Bytes(bytes),
            arguments: vec!["--prompt", "hi", "-n", "6"],
            code,
            longest: Duration::from_secs(20),
            most_memory: 300 << 20,
            strict_too: true,
            call_seconds: CALL_SECONDS,
        }
    }

    /// The same with whatever `make` puts at a path.
    pub fn made(name: &'static str, code: i32, make: fn(&Path)) -> Self {
        let mut case = Self::bytes(name, code, Vec::new());
        case.file = File::Made(make);
        case
    }

    /// With these arguments in place of a prompt and six requests.
    pub fn arguments(mut self, arguments: &[&'static str]) -> Self {
        self.arguments = arguments.to_vec();
        self
    }

    /// With further arguments.
    pub fn also(mut self, arguments: &[&'static str]) -> Self {
        self.arguments.extend(arguments);
        self
    }

    /// The guest does not come to an end, so it is ended soon.
    pub fn loops(mut self) -> Self {
        self.call_seconds = LOOP_SECONDS;
        self
    }

    /// The guest imports WASI, so it is not tried without.
    pub fn with_wasi(mut self) -> Self {
        self.strict_too = false;
        self
    }

    /// The program may take this much memory, in MiB.
    pub fn most_memory(mut self, mebibytes: u64) -> Self {
        self.most_memory = mebibytes << 20;
        self
    }

    /// Runs the program, checks all that is to be so in every case, and holds what the user reads.
    pub fn check(self) -> Run {
        let run = self.run(&[]);
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(self.name, run.said);
        });
        if self.strict_too {
            let strict = self.run(&["--sandbox", "strict"]);
            assert_eq!(
                strict.said, run.said,
                "{}: strict is no different",
                self.name
            );
        }
        run
    }

    fn run(&self, more: &[&str]) -> Run {
        let name = self.name;
        let bench = Bench::new();
        let parser = bench.path("guest.wasm");
        match &self.file {
            File::Bytes(bytes) => std::fs::write(&parser, bytes).expect("the guest can be written"),
            File::Made(make) => make(&parser),
        }
        bench.file("questions.txt", "one\ntwo\nthree\n");
        let began = Instant::now();
        let child = bench
            .perf(&["--url", &MOCK.chat(), "--parallel", "2"])
            .args(["--parser", "guest.wasm", "--details"])
            .args(["--log-every-n-query", "1000"])
            .args(["--plugin-call-timeout", self.call_seconds])
            .args(&self.arguments)
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let (code, stdout, stderr, peak) = wait(child, self.longest);
        assert!(!stderr.contains("panicked"), "{name}: {stderr}");
        assert!(
            !stderr.contains('\u{1b}') && !stdout.contains('\u{1b}'),
            "{name}"
        );
        assert_eq!(code, Some(self.code), "{name}: {stdout}{stderr}");
        assert!(
            peak <= self.most_memory,
            "{name}: {} MiB of memory",
            peak >> 20
        );
        let said = said(code, &stdout, &stderr, &bench);
        Run {
            bench,
            said,
            stderr,
            took: began.elapsed(),
        }
    }
}

/// What became of a guest.
pub struct Run {
    /// The folder, with the database if there is one.
    pub bench: Bench,
    /// What the user reads, without what is different each time.
    pub said: String,
    /// All of standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

fn wait(mut child: Child, longest: Duration) -> (Option<i32>, String, String, u64) {
    let output = reader(child.stdout.take());
    let error = reader(child.stderr.take());
    let deadline = Instant::now() + longest;
    let mut peak = 0;
    let status = loop {
        peak = peak.max(peak_memory(child.id()));
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().ok();
            panic!("the program did not end within {longest:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let stdout = output.join().expect("standard output was read");
    let stderr = error.join().expect("standard error was read");
    (status.code(), stdout, stderr, peak)
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut bytes).ok();
        }
        String::from_utf8(bytes).expect("the program writes text")
    })
}

/// The parts of the output that tell of the guest, and the rows of the database.
fn said(code: Option<i32>, stdout: &str, stderr: &str, bench: &Bench) -> String {
    let mut said = format!("exit code {}\n", code.unwrap_or(-1));
    let mut logged = 0;
    for line in stderr.lines() {
        // The last comes from a busy machine alone.
        let noise = [
            " - perf - INFO - ",
            "requests are in run.db",
            "makes the first requests, up to ",
        ];
        if noise.iter().any(|noise| line.contains(noise)) {
            continue;
        }
        // A flood is held by its first lines and what is said of the rest.
        let is_log = line.starts_with("parser hostile (");
        logged += usize::from(is_log);
        if is_log && logged > 2 {
            continue;
        }
        let line = match line.split_once(" to http://") {
            Some((count, rest)) => {
                let rest = rest.split_once(": ").map_or(rest, |(_, rest)| rest);
                format!("{count} to [MOCK]: {rest}")
            }
            None => line.to_owned(),
        };
        said.push_str(&format!("! {}\n", brief(&without_ids(&line))));
    }
    if logged > 2 {
        said.push_str(&format!("({logged} lines of the log in all)\n"));
    }
    let mut told = false;
    for line in stdout.lines() {
        told |= line.starts_with(" Failures") || line.starts_with(" The parser");
        if told && line.trim().is_empty() {
            break;
        }
        if told || line.starts_with(" Output tokens") || line.starts_with(" Data set") {
            said.push_str(&format!("|{}\n", brief(&without_ids(line))));
        }
    }
    for line in stdout
        .lines()
        .filter(|line| line.contains("Issuing stopped"))
    {
        said.push_str(&format!("|{}\n", brief(line)));
    }
    if bench.path("run.db").exists() {
        let rows =
            bench.rows("select success, error_kind, error from result order by error_kind, error");
        let mut alike: BTreeMap<_, (u64, u64)> = BTreeMap::new();
        for row in rows {
            let text = |value: &Value| value.as_str().map(without_ids);
            let counts = alike.entry((text(&row[1]), text(&row[2]))).or_default();
            counts.0 += 1;
            counts.1 += row[0].as_u64().expect("0 or 1");
        }
        for ((kind, error), (count, succeeded)) in alike {
            said.push_str(&format!(
                "rows: {count} ({succeeded} succeeded) {}: {}\n",
                kind.as_deref().unwrap_or("-"),
                brief(error.as_deref().unwrap_or("-"))
            ));
        }
        let run = &bench
            .rows("select state, rows_kept, json_extract(totals, '$.client.stop_reason') from run")
            [0];
        said.push_str(&format!(
            "run: {}, {} rows, stopped because: {}\n",
            run[0].as_str().unwrap_or("-"),
            run[1],
            brief(run[2].as_str().unwrap_or("-"))
        ));
    }
    said
}

/// A text with one word for each identifier that the server makes up.
fn without_ids(text: &str) -> String {
    let mut parts = text.split("chatcmpl-");
    let mut stable = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        stable.push_str("chatcmpl-[ID]");
        stable.push_str(
            part.trim_start_matches(|letter: char| letter.is_ascii_hexdigit() || letter == '-'),
        );
    }
    stable
}

/// A line, cut where it is longer than anybody reads.
fn brief(line: &str) -> String {
    match line.char_indices().nth(700) {
        Some((end, _)) => format!("{} [and so on, {} bytes]", &line[..end], line.len()),
        None => line.to_owned(),
    }
}

#[test]
fn a_guest_that_behaves_well() {
    let run = Case::of("well_behaved", 0, &Guest::new()).check();
    assert_eq!(
        run.bench.value("select sum(completion_tokens) from result"),
        30
    );
}
