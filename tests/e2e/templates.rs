//! The templates of `llmuses plugin new`: each is made, built with the two commands of its own README, tested,
//! and run against the mock server as its README says, in the default sandbox and in the strict one.

use crate::support::{Bench, Ended, Mock, program, run};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name of the parser that is made. Not the one in the templates.
const NAME: &str = "asks";

/// Tokens of an answer of the mock server.
const TOKENS: u64 = 20;

/// The questions that every template brings.
const QUESTIONS: u64 = 3;

/// A parser that was made from a template.
struct Made {
    bench: Bench,
    folder: PathBuf,
    /// The commands of its README, block by block.
    blocks: Vec<String>,
}

impl Made {
    /// An API and a format in one.
    fn of_both(language: &str) -> Self {
        Self::of_kind(language, &["--kind", "both"])
    }

    fn of_kind(language: &str, kind: &[&str]) -> Self {
        let bench = Bench::new();
        let made = run(program()
            .args(["plugin", "new", "--lang", language, NAME, "--into"])
            .arg(bench.path(""))
            .args(kind));
        assert_eq!(made.code, Some(0), "{}", made.stderr);
        let folder = bench.path(NAME);
        let readme = std::fs::read_to_string(folder.join("README.md")).expect("there is a README");
        let blocks: Vec<String> = readme
            .split("```sh\n")
            .skip(1)
            .filter_map(|rest| rest.split("```").next())
            .map(str::to_owned)
            .collect();
        for line in blocks[0].lines() {
            assert!(made.stdout.contains(line), "{}", made.stdout);
        }
        Self {
            bench,
            folder,
            blocks,
        }
    }

    /// Runs the commands of a block of the README.
    fn commands(&self, block: usize) -> String {
        let script = &self.blocks[block];
        let ended = shell(&self.folder, script, &[]);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code, Some(0), "{script}\n{said}");
        said
    }

    /// Runs a block that ends with a run of the program, with the mock server in place of the service, in
    /// the default sandbox and in the strict one. Returns the bodies that the server saw in the latter.
    fn runs(&self, block: usize, chunks: u64, outputs: u64) -> Vec<Value> {
        let (commands, perf) = self.blocks[block]
            .split_once("llmuses perf")
            .expect("the block ends with a run");
        let prepared = shell(&self.folder, commands, &[]);
        assert_eq!(prepared.code, Some(0), "{}", prepared.stderr);
        let mut bodies = Vec::new();
        for sandbox in ["", " --sandbox strict"] {
            let mock = Mock::start(&[
                "--ttft",
                "5ms",
                "--itl",
                "1ms",
                "--tokens",
                &TOKENS.to_string(),
                "--role-chunk",
            ]);
            let perf = format!(
                "exec \"$LLMUSES\" perf {} --name run{sandbox}",
                perf.trim().replace("http://127.0.0.1:8000", &mock.url(""))
            );
            let ended = shell(&self.folder, &perf, &[]);
            assert_eq!(ended.code, Some(0), "{perf}\n{}", ended.stderr);
            std::fs::rename(self.folder.join("run.db"), self.bench.path("run.db"))
                .expect("the run left a database");
            assert_eq!(
                self.bench.rows(
                    "SELECT success, completion_tokens, prompt_tokens > 0, n_chunks, \
                     json_array_length(output_times), count(*) FROM result GROUP BY 1, 2, 3, 4, 5"
                ),
                [[1, TOKENS, 1, chunks, outputs, QUESTIONS].map(|value| json!(value))],
                "{perf}"
            );
            bodies = mock.bodies();
        }
        bodies
    }
}

/// Runs commands as they would be typed in a folder. There is no bound on their time: they build.
fn shell(folder: &Path, script: &str, variables: &[(&str, &str)]) -> Ended {
    let program = program();
    let mut command = Command::new("sh");
    command
        .args(["-ec", script])
        .current_dir(folder)
        .env("LLMUSES", program.get_program())
        .envs(variables.iter().copied());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // What the outer build was told is no business of the inner one.
    for name in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
    ] {
        command.env_remove(name);
    }
    command.output().expect("there is a shell").into()
}

/// The first message of each body, in order of the alphabet: several may be under way at once.
fn prompts(bodies: &[Value], messages: &str) -> Vec<String> {
    let mut prompts: Vec<String> = bodies
        .iter()
        .filter_map(|body| body.pointer(messages)?.as_str().map(str::to_owned))
        .collect();
    prompts.sort();
    prompts
}

/// The prompts of `questions.jsonl`.
fn questions() -> [&'static str; 3] {
    [
        "How do birds find their way over an ocean?",
        "What makes bread rise?",
        "Why is the sky blue during the day?",
    ]
}

/// What all templates have in common: chat completions. The chunk that names the role, the one that names the
/// reason of the end, and the one that reports usage are no output.
fn speaks_openai(made: &Made) -> Vec<Value> {
    let bodies = made.runs(1, TOKENS + 3, TOKENS);
    assert_eq!(prompts(&bodies, "/messages/0/content"), questions());
    bodies
}

#[test]
fn rust() {
    let bodies = built_in_rust(&[]);
    assert_eq!(bodies[0]["temperature"], 0);
}

#[test]
fn rust_for_a_data_set() {
    let bodies = built_in_rust(&["--kind", "dataset"]);
    assert!(bodies[0].get("temperature").is_none());
}

/// Builds the Rust template, and gives the bodies that the plugin in it makes.
fn built_in_rust(kind: &[&str]) -> Vec<Value> {
    let made = Made::of_kind("rust", kind);
    // What does not depend on the folder is built once for all runs of this test.
    #[cfg(unix)]
    {
        let shared =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("template{}", kind.join("-")));
        std::fs::create_dir_all(&shared).expect("a folder for the build");
        std::os::unix::fs::symlink(shared, made.folder.join("target")).expect("a link to it");
    }
    let (script, offline) = (&made.blocks[0], [("CARGO_NET_OFFLINE", "true")]);
    let built = shell(&made.folder, script, &offline);
    assert_eq!(built.code, Some(0), "{}{}", built.stdout, built.stderr);
    assert!(built.stdout.contains("2 passed"), "{}", built.stdout);
    assert_eq!(script.lines().count(), 2);
    speaks_openai(&made)
}

#[test]
#[ignore = "fetches componentize-py from PyPI; `.ci/run` includes it"]
fn python() {
    let made = Made::of_both("python");
    assert_eq!(made.blocks[0].lines().count(), 2);
    made.commands(0);
    assert!(made.commands(2).contains("OK"));
    speaks_openai(&made);

    // The example of the specification: every event counts as output, the last one without text too.
    let bodies = made.runs(3, TOKENS + 1, TOKENS + 1);
    let lines = std::fs::read_to_string(made.folder.join("questions.jsonl")).expect("it is there");
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_unstable();
    assert_eq!(prompts(&bodies, "/input/messages/0/content"), lines);
    assert_eq!(
        bodies[0]["parameters"],
        json!({"stream": true, "incremental_output": true})
    );
}

#[test]
#[ignore = "fetches componentize-qjs from the npm registry; `.ci/run` includes it"]
fn javascript() {
    let made = Made::of_both("js");
    assert_eq!(made.blocks[0].lines().count(), 2);
    made.commands(0);
    made.commands(2);
    speaks_openai(&made);
}

/// Builds and tests a template of a kind, and runs it against the mock server.
fn is_built_and_speaks_openai(language: &str, kind: &str) {
    let made = Made::of_kind(language, &["--kind", kind]);
    assert_eq!(made.blocks[0].lines().count(), 2);
    made.commands(0);
    made.commands(2);
    let bodies = speaks_openai(&made);
    assert_eq!(bodies[0].get("temperature").is_some(), kind == "api");
}

#[test]
#[ignore = "fetches componentize-py from PyPI; `.ci/run` includes it"]
fn python_of_a_kind() {
    is_built_and_speaks_openai("python", "api");
    is_built_and_speaks_openai("python", "dataset");
}

#[test]
#[ignore = "fetches componentize-qjs from the npm registry; `.ci/run` includes it"]
fn javascript_of_a_kind() {
    is_built_and_speaks_openai("javascript", "api");
    is_built_and_speaks_openai("javascript", "dataset");
}

#[test]
fn the_second_version_of_the_contract_is_the_default() {
    for (kind, version) in [
        (&[][..], "llmuses:perf@0.2"),
        (&["--kind", "both"], "llmuses:perf@0.1"),
    ] {
        for language in ["python", "js"] {
            let made = Made::of_kind(language, kind);
            let contract = std::fs::read_to_string(made.folder.join("wit/perf-plugin.wit"));
            let contract = contract.expect("the folder has the contract");
            assert!(contract.contains(version), "{language} {kind:?}");
        }
    }
    let bench = Bench::new();
    let ended = run(program()
        .args([
            "plugin", "new", "--lang", "rust", "--kind", "both", NAME, "--into",
        ])
        .arg(bench.path("")));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--kind api"), "{}", ended.stderr);
}

#[test]
fn a_name_or_a_place_that_is_taken_is_refused() {
    let bench = Bench::new();
    let new = |name: &str| {
        run(program()
            .args(["plugin", "new", "--lang", "js", name, "--into"])
            .arg(bench.path("")))
    };
    let ended = new("my-parser");
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("small letters"), "{}", ended.stderr);
    assert_eq!(new("mine").code, Some(0));
    let ended = new("mine");
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("exists already"), "{}", ended.stderr);
}
