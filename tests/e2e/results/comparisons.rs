//! Runs compared with one another.

use super::json;
use crate::helpers::{mock, typed};
use crate::support::{Bench, Mock};

/// A run against a server, kept as `NAME.db`.
fn kept(bench: &Bench, mock: &Mock, name: &str, flags: &[&str]) {
    let url = mock.chat();
    let start = ["perf", "--model", "m", "--prompt", "x"];
    let place = ["--name", name, "--url", &url];
    let ended = typed(bench, &[&start, place.as_slice(), flags].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_slower_server_is_worse_and_fails_the_build() {
    let bench = Bench::new();
    for (name, ttft, file) in [("fast", "40ms", "fast.json"), ("slow", "80ms", "slow.json")] {
        let mock = Mock::start(&["--ttft", ttft, "--itl", "2ms", "--tokens", "10"]);
        let flags = ["-n", "200", "--parallel", "10", "--json", file];
        kept(&bench, &mock, name, &flags);
    }
    let ended = typed(
        &bench,
        &["compare", "fast.db", "slow.json", "--json", "out.json"],
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let out = json(&bench, "out.json");
    let verdicts: Vec<(&str, &str)> = out["comparisons"][0]["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .map(|change| {
            let text = |key: &str| change[key].as_str().expect("a word");
            (text("metric"), text("verdict"))
        })
        .collect();
    for expected in [
        ("ttft_p50", "worse"),
        ("latency_mean", "worse"),
        ("output_tokens", "same"),
        ("failed_share", "same"),
    ] {
        assert!(verdicts.contains(&expected), "{expected:?} in {verdicts:?}");
    }
    assert!(ended.stdout.contains("--url: "), "{}", ended.stdout);
    // The other way round everything is the better.
    for (files, bound, code) in [
        (["fast.db", "slow.db"], "ttft_p50>+50%", 1),
        (["fast.db", "slow.db"], "ttft_p50>+500%", 0),
        (["fast.db", "slow.db"], "ttft_p50>60ms", 1),
        (["slow.db", "fast.db"], "ttft_p50>+5%", 0),
        (["fast.db", "slow.db"], "goodput<-5%", 1),
    ] {
        let ended = typed(&bench, &["compare", files[0], files[1], "--fail-if", bound]);
        assert_eq!(ended.code, Some(code), "{bound}: {}", ended.stderr);
        assert_eq!(
            ended.stderr.contains("fails: "),
            code == 1,
            "{}",
            ended.stderr
        );
    }
    for (arguments, said) in [
        (&["compare", "fast.db"][..], "FILE"),
        (
            &["compare", "fast.db", "slow.db", "--fail-if", "speed>1%"],
            "no figure",
        ),
        (
            &["compare", "fast.db", "slow.db", "--fail-if", "ttft_p50"],
            "ttft_p99>+5%",
        ),
        (&["compare", "fast.db", "missing.json"], "missing.json"),
    ] {
        let ended = typed(&bench, arguments);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
    }
}

#[test]
fn other_work_is_not_comparable() {
    let (bench, mock) = (Bench::new(), mock(&["--ttft", "1ms"]));
    let one = |name, parallel| kept(&bench, &mock, name, &["-n", "20", "--parallel", parallel]);
    one("a", "1");
    one("b", "2");
    one("sweep", "1,2");
    let ended = typed(
        &bench,
        &["compare", "a.db", "b.db", "--fail-if", "qps<-99%"],
    );
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stdout.contains("--parallel: 1 and 2"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("not comparable"), "{}", ended.stdout);
    // A load that has nothing beside it does not pass a bound.
    for (fail_if, code) in [(&[][..], 0), (&["--fail-if", "qps<-99%"][..], 1)] {
        let ended = typed(
            &bench,
            &[&["compare", "sweep.db", "b.db"], fail_if].concat(),
        );
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        let said = "Not compared: parallel 1";
        assert!(ended.stdout.contains(said), "{}", ended.stdout);
        let said = "fails: cannot be judged: parallel 1";
        assert_eq!(ended.stderr.contains(said), code == 1, "{}", ended.stderr);
    }
}

#[test]
fn other_objectives_are_told_and_only_goodput_is_not_compared() {
    let bench = Bench::new();
    let mock = mock(&["--ttft", "5ms", "--itl", "1ms", "--tokens", "3"]);
    for (name, objective) in [("a", "ttft:200ms"), ("b", "ttft:300ms")] {
        let flags = ["-n", "60", "--parallel", "4", "--goodput", objective];
        kept(&bench, &mock, name, &flags);
    }
    let compare = ["compare", "a.db", "b.db", "--json", "out.json"];
    let ended = typed(&bench, &compare);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let told = "--goodput: ttft:200ms and ttft:300ms";
    assert!(ended.stdout.contains(told), "{}", ended.stdout);
    let out = json(&bench, "out.json");
    assert_eq!(out["comparisons"][0]["comparable"], true);
    let changes = out["comparisons"][0]["changes"]
        .as_array()
        .expect("changes");
    for change in changes {
        let name = change["metric"].as_str().expect("a name");
        let is_of_objectives = ["goodput", "goodput_share"].contains(&name);
        let found = change["verdict"] == "not comparable";
        assert_eq!(found, is_of_objectives, "{change}");
    }
    let bounded = [&compare[..3], &["--fail-if", "goodput<-50%"]].concat();
    let ended = typed(&bench, &bounded);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let said = "the objectives (--goodput) differ";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
}

#[test]
fn goodput_has_an_interval() {
    let bench = Bench::new();
    for (name, ttft) in [("good", "5ms"), ("bad", "60ms")] {
        let mock = Mock::start(&["--ttft", ttft, "--itl", "1ms", "--tokens", "3"]);
        let load = ["--duration", "2", "--parallel", "4"];
        let flags = [load.as_slice(), &["--goodput", "ttft:40ms"]].concat();
        kept(&bench, &mock, name, &flags);
    }
    let ended = typed(
        &bench,
        &["compare", "good.db", "bad.db", "--json", "out.json"],
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let out = json(&bench, "out.json");
    let changes = out["comparisons"][0]["changes"]
        .as_array()
        .expect("changes");
    let goodput = changes.iter().find(|change| change["metric"] == "goodput");
    let goodput = goodput.expect("both runs have it");
    assert_eq!(goodput["verdict"], "worse", "{goodput}");
    assert!(goodput["before"]["low"].as_f64() > Some(0.0), "{goodput}");
}
