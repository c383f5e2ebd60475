//! What shells and `man` get from the program.

use crate::support::{Bench, program, run};
use std::process::Command;

#[test]
fn bash_takes_the_completions_and_completes_flags() {
    let bench = Bench::new();
    let ended = run(program().args(["completions", "bash"]));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let script = bench.file("llmuses.bash", &ended.stdout);
    let ended = run(Command::new("bash").arg("-n").arg(&script));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));

    let completed = |words: &[&str]| {
        let ended = run(Command::new("bash")
            .args([
                "--norc",
                "-c",
                r#"source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
                   _llmuses "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
                   echo "${COMPREPLY[@]}""#,
            ])
            .arg(&script)
            .args(words));
        ended.stdout.trim().to_owned()
    };
    assert_eq!(completed(&["llmuses", "perf", "--paral"]), "--parallel");
    assert_eq!(completed(&["llmuses", "perf", "--save", "s"]), "summary");
    let commands = completed(&["llmuses", ""]);
    assert!(commands.contains("mock-server"), "{commands}");
    assert!(!commands.contains("compile-plugin"), "{commands}");
}

#[test]
fn there_are_completions_for_each_shell() {
    for (shell, begin) in [
        ("zsh", "#compdef llmuses"),
        ("fish", "# Print"),
        ("elvish", ""),
    ] {
        let ended = run(program().args(["completions", shell]));
        assert_eq!(ended.code, Some(0), "{shell}: {}", ended.stderr);
        assert!(ended.stdout.starts_with(begin), "{shell}: {}", ended.stdout);
        assert!(ended.stdout.contains("parallel"), "{shell}");
    }
    let ended = run(program().args(["completions", "sh"]));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("bash"), "{}", ended.stderr);
}

#[test]
fn man_pages_are_written_to_a_folder() {
    let bench = Bench::new();
    let ended = run(program().args(["man", "--out"]).arg(bench.path("man")));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let page = std::fs::read_to_string(bench.path("man/llmuses-perf.1")).expect("it was written");
    assert!(page.contains(r"\-\-parallel"), "{page}");
    let pages = std::fs::read_dir(bench.path("man")).expect("it is there");
    let said = format!("{} man pages", pages.count());
    assert!(ended.stdout.starts_with(&said), "{}", ended.stdout);

    let file = bench.file("file", "");
    let ended = run(program().args(["man", "--out"]).arg(&file));
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("cannot be written"),
        "{}",
        ended.stderr
    );
}
