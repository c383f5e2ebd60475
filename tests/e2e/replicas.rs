//! Several servers behind one run: several --url, and --label-header.

use crate::helpers::{good, in_every_report, mock, of_run, quick_mock, refused, seen, typed};
use crate::misbehaving::{Misbehaving, Step, TRANSPORTS, head, text};
use crate::support::{Bench, Mock, run};
use serde_json::Value;

/// The groups of a kind in the totals of the run: name and requests that are over.
fn groups(bench: &Bench, by: &str) -> Vec<(String, u64)> {
    let totals = of_run(bench, "totals");
    let all = totals["groups"].as_array().cloned().unwrap_or_default();
    all.iter()
        .filter(|group| group["by"] == by)
        .map(|group| {
            let name = group["name"].as_str().expect("a group has a name");
            let completed = group["completed"].as_u64().expect("a count");
            (name.to_owned(), completed)
        })
        .collect()
}

#[test]
fn several_urls_take_turns_and_have_figures_of_their_own() {
    for transport in TRANSPORTS {
        let (bench, mocks) = (Bench::new(), [quick_mock(), quick_mock(), quick_mock()]);
        let urls = [mocks[0].chat(), mocks[1].chat(), mocks[2].url("")];
        let load = ["--prompt", "x", "-n", "12", "--parallel", "4", "--details"];
        let files = [
            "--html",
            "page.html",
            "--markdown",
            "out.md",
            "--csv",
            "out.csv",
        ];
        let arguments = [
            &["--transport", transport, "--url", &urls[0]][..],
            &load,
            &files,
        ];
        // After one flag or each after its own.
        let ended = run(bench
            .perf(&["--url", &urls[1], &urls[2]])
            .args(arguments.concat()));
        assert_eq!(ended.code, Some(0), "{transport}: {}", ended.stderr);
        assert_eq!(mocks.each_ref().map(seen), [4, 4, 4], "{transport}");
        let mut expected: Vec<(String, u64)> = mocks.iter().map(|mock| (mock.chat(), 4)).collect();
        expected.sort();
        assert_eq!(groups(&bench, "url"), expected, "{transport}");
        let rows = bench.rows("SELECT url, count(*) FROM result GROUP BY url ORDER BY url");
        let of_rows: Vec<Vec<Value>> = expected
            .iter()
            .map(|(url, count)| vec![url.as_str().into(), (*count).into()])
            .collect();
        assert_eq!(rows, of_rows, "{transport}");
        in_every_report(&bench, &ended, &expected[0].0);
        let csv = std::fs::read_to_string(bench.path("out.csv")).expect("it was written");
        assert!(csv.contains(&expected[0].0), "{transport}: {csv}");
        let page = std::fs::read_to_string(bench.path("page.html")).expect("it was written");
        assert!(page.contains(">By URL</h2>"), "{transport}: {page}");
        let all = [1, 2, 0].map(|place| mocks[place].chat());
        let subject = format!("<p class=\"subject\">{}</p>", all.join(" "));
        assert!(page.contains(&subject), "{transport}: {page}");
        let compared = typed(&bench, &["compare", "run.db", "run.db"]);
        let group = format!("URL {}", expected[0].0);
        assert!(compared.stdout.contains(&group), "{}", compared.stdout);
    }
}

#[test]
fn the_groups_of_a_killed_run_come_from_its_rows() {
    let (bench, mocks) = (Bench::new(), [quick_mock(), quick_mock()]);
    let urls = [mocks[0].chat(), mocks[1].chat()];
    let ended = run(bench
        .perf(&["--url", &urls[0], &urls[1], "--prompt", "x", "-n", "6"])
        .args(["--label-header", "content-type"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let (by_url, by_label) = (groups(&bench, "url"), groups(&bench, "label"));
    assert_eq!((by_url.len(), by_label.len()), (2, 1));
    let database = bench.database();
    database
        .execute(
            "UPDATE run SET state = 'running', totals = NULL, verdict = NULL",
            [],
        )
        .expect("the database can be changed");
    drop(database);
    let again = typed(&bench, &["report", "run.db", "--json", "again.json"]);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let text = std::fs::read_to_string(bench.path("again.json")).expect("it was written");
    let document: Value = serde_json::from_str(&text).expect("it is JSON");
    let totals = &document["runs"][0]["totals"]["groups"];
    let names: Vec<&str> = totals
        .as_array()
        .expect("there are groups")
        .iter()
        .filter(|group| group["by"] != "window")
        .filter_map(|group| group["name"].as_str())
        .collect();
    let expected = by_url.iter().chain(&by_label);
    let expected: Vec<&str> = expected.map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, expected);
}

#[test]
fn a_slow_server_gets_fewer_with_least_in_flight() {
    let (bench, slow, quick) = (Bench::new(), mock(&["--ttft", "400ms"]), quick_mock());
    let (first, second) = (slow.chat(), quick.chat());
    let load = ["--prompt", "x", "-n", "40", "--parallel", "4"];
    let ended = run(bench
        .perf(&[
            "--url",
            &first,
            "--url",
            &second,
            "--url-policy",
            "least-in-flight",
        ])
        .args(load));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let (of_slow, of_quick) = (seen(&slow), seen(&quick));
    assert_eq!(of_slow + of_quick, 40);
    assert!(of_quick > 2 * of_slow, "{of_slow} and {of_quick}");
}

#[test]
fn the_credentials_of_every_url_stay_secret() {
    let (bench, mocks) = (Bench::new(), [quick_mock(), quick_mock()]);
    let with_user = |mock: &Mock, key: &str| mock.chat().replace("://", &format!("://me:{key}@"));
    let urls = [
        with_user(&mocks[0], "first-of-the-secrets"),
        with_user(&mocks[1], "second-of-the-secrets"),
    ];
    let ended = run(bench
        .perf(&["--url", &urls[0], &urls[1], "--prompt", "x"])
        .args(["-n", "2", "--json", "run.json", "--html", "run.html"]));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let sent = crate::helpers::last_headers(&mocks[1]);
    let authorization = sent["authorization"].as_str().unwrap_or_default();
    assert!(authorization.starts_with("Basic "), "{authorization}");
    for name in ["run.json", "run.html", "run.db"] {
        let bytes = std::fs::read(bench.path(name)).expect("it was written");
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("of-the-secrets"), "{name}");
    }
    assert!(!ended.stdout.contains("of-the-secrets"), "{}", ended.stdout);
}

#[test]
fn urls_that_cannot_share_requests_are_refused() {
    let (bench, mock) = (Bench::new(), quick_mock());
    let other = mock.url("/v2/other");
    let said = refused(&bench, &mock, &["--prompt", "x", "--url", &other], 2);
    assert!(said.contains("the same path"), "{said}");
    let same = mock.chat();
    let said = refused(&bench, &mock, &["--prompt", "x", "--url", &same], 2);
    assert!(said.contains("given twice"), "{said}");
}

/// A server behind which two replicas answer in turns, and every third answer does not say which.
fn balancer() -> Misbehaving {
    let body = crate::misbehaving::delta("hi");
    let length = format!("content-length: {}", body.len());
    let answer = |lines: &[&str]| {
        let kind = ["content-type: application/json", &length];
        [
            Step::Request,
            text(head("200 OK", &[&kind[..], lines].concat()) + &body),
        ]
    };
    let steps = [
        answer(&["x-served-by: replica-b"]),
        answer(&["X-Served-By: replica-a"]),
        answer(&[]),
    ];
    Misbehaving::start(steps.into_iter().flatten().chain([Step::Again]).collect())
}

#[test]
fn the_label_of_a_response_says_who_answered() {
    for transport in TRANSPORTS {
        let (bench, server) = (Bench::new(), balancer());
        let url = server.chat();
        let ended = run(bench
            .perf(&["--url", &url, "--prompt", "x", "-n", "9", "--details"])
            .args(["--transport", transport, "--label-header", "X-Served-By"]));
        assert_eq!(ended.code, Some(0), "{transport}: {}", ended.stderr);
        let expected = ["(none)", "replica-a", "replica-b"].map(|name| (name.to_owned(), 3));
        assert_eq!(groups(&bench, "label"), expected, "{transport}");
        assert_eq!(of_run(&bench, "plan")["label_header"], "x-served-by");
        assert_eq!(
            bench.value("SELECT count(*) FROM result WHERE label = 'replica-a'"),
            3
        );
        assert!(ended.stdout.contains("replica-b"), "{}", ended.stdout);
        let compared = typed(&bench, &["compare", "run.db", "run.db"]);
        assert!(
            compared.stdout.contains("label replica-a"),
            "{}",
            compared.stdout
        );
    }
}

#[test]
fn a_run_of_one_url_has_no_groups() {
    let (bench, mock) = (Bench::new(), quick_mock());
    good(&bench, &mock, &["--prompt", "x"]);
    assert_eq!(groups(&bench, "url"), []);
    assert_eq!(bench.value("SELECT url FROM result"), Value::Null);
}
