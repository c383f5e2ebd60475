//! No credential is found in anything that a run leaves, not even where the server says it back.

use crate::hostile::guest::{Guest, PARSE};
use crate::misbehaving::{
    Misbehaving, Run, Step, TRANSPORTS, delta, event, none, perf, streamed, usage,
};
use crate::support::{Bench, program, run, start, wait};
use std::io::Read;
use std::time::Duration;

/// Where a credential is given, and in which forms it must not be found anywhere.
struct Credential {
    name: &'static str,
    /// Goes before the host in the URL.
    user: &'static str,
    /// Goes behind the path in the URL.
    query: &'static str,
    header: &'static str,
    hidden: &'static [&'static str],
}

#[test]
fn credentials_are_kept_nowhere() {
    check_credentials(&[
        Credential {
            name: "a bearer token",
            header: "Authorization=Bearer sk-verysecret-0123456789",
            ..PLAIN
        },
        Credential {
            name: "a key in another header",
            header: "X-Api-Key=verysecret-0123456789",
            ..PLAIN
        },
        Credential {
            name: "a key in the query",
            query: "?api_key=verysecret-0123456789&x=1",
            ..PLAIN
        },
    ]);
}

#[test]
fn credentials_in_other_forms_are_kept_nowhere() {
    check_credentials(&[
        Credential {
            name: "an encoded key in the query",
            query: "?api_key=verysecret%2F0123456789&x=1",
            ..PLAIN
        },
        Credential {
            name: "user and password",
            user: "somebody:verysecret-0123456789@",
            // The second is the beginning of `somebody:verysecret-0`, as a header carries it.
            hidden: &["verysecret", "c29tZWJvZHk6dmVyeXNlY3JldC0w"],
            ..PLAIN
        },
        Credential {
            name: "a token as the user",
            user: "verysecret-0123456789@",
            hidden: &["verysecret", "dmVyeXNlY3JldC0wMTIzNDU2Nzg5"],
            ..PLAIN
        },
        Credential {
            name: "a key that JSON writes in another way",
            header: "X-Api-Key=\"verysecret\\0123456789",
            hidden: &["verysecret"],
            ..PLAIN
        },
    ]);
}

#[test]
fn credentials_in_unusual_places_are_kept_nowhere() {
    check_credentials(&[
        Credential {
            name: "a JSON Web Token",
            header: "X-Jwt=verysecret-0123456789",
            ..PLAIN
        },
        Credential {
            name: "a signature in the query",
            query: "?sig=verysecret-0123456789&code=verysecret-too",
            ..PLAIN
        },
        Credential {
            name: "a key in the path",
            query: "/sk-verysecret-0123456789",
            ..PLAIN
        },
    ]);
}

#[test]
fn a_key_among_the_parameters_is_kept_nowhere() {
    let server = Misbehaving::start(vec![Step::Request, Step::EchoHead(200), Step::Hang]);
    let parameters = ["--parameters", "api_key=verysecret-0123456789", "--debug"];
    let run = Run::of(&server.chat(), &parameters);
    none(vec![(
        "parameters".to_owned(),
        leaks(&run, &["verysecret"]),
    )]);
    let request = run.bench.value("SELECT request FROM result");
    let request = request.as_str().unwrap_or_default();
    assert!(request.contains("\"api_key\":\"***\""), "{request}");
}

#[test]
fn a_key_that_is_cut_in_an_error_is_blanked_before() {
    // The excerpt of the body ends within the key.
    let body = format!("{}verysecret-0123456789-0123456789", "x".repeat(280));
    let refusal = format!(
        "HTTP/1.1 401 No\r\nretry-after: verysecret-0123456789-0123456789\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let server = Misbehaving::start(vec![
        Step::Request,
        crate::misbehaving::text(refusal),
        Step::Hang,
    ]);
    let header = "X-Api-Key=verysecret-0123456789-0123456789";
    let run = Run::of(&server.chat(), &["--headers", header]);
    none(vec![("cut".to_owned(), leaks(&run, &["verysec"]))]);
    let error = run.bench.value("SELECT error FROM result");
    assert!(
        error.as_str().is_some_and(|error| error.ends_with("x***")),
        "{error}"
    );
}

#[test]
fn a_plugin_is_not_shown_a_key_that_the_server_says_back() {
    // An answer that looks like one, with the key in an escape of JSON.
    let key = event(r#"{"choices":[{"delta":{"content":"Bearer sk-verysecret\/0123456789"}}]}"#);
    let answer = Step::Write(streamed(key, 1000));
    let server = Misbehaving::start(vec![Step::Request, answer, Step::Hang]);
    // It logs the first event, and gives it back as its error.
    let event = "(i32.load (local.get $list)) (i32.load offset=4 (local.get $list))";
    let guest = Guest::new().parse(&format!(
        "(call $log (i32.const 1) {event})
        (i32.store8 (i32.const {PARSE}) (i32.const 1))
        (i32.store (i32.const {}) (i32.load (local.get $list)))
        (i32.store (i32.const {}) (i32.load offset=4 (local.get $list)))
        (i32.const {PARSE})",
        PARSE + 8,
        PARSE + 12
    ));
    let files = Bench::new();
    let plugin = files.file("guest.wasm", guest.component());
    let plugin = plugin.to_str().expect("a path of text");
    let header = "Authorization=Bearer sk-verysecret/0123456789";
    let run = Run::of(&server.chat(), &["--headers", header, "--parser", plugin]);
    none(vec![("plugin".to_owned(), leaks(&run, &["verysecret"]))]);
    let log = run
        .ended
        .stderr
        .lines()
        .find(|line| line.contains("(info)"));
    assert!(
        log.is_some_and(|line| line.contains("***")),
        "{}",
        run.ended.stderr
    );
}

#[test]
fn a_key_in_pieces_is_kept_in_none_of_the_chunks() {
    let key = "sk-verysecret-0123456789";
    let mut body = event(delta("the key "));
    for letters in key.as_bytes().chunks(3) {
        body.push_str(&event(delta(&String::from_utf8_lossy(letters))));
    }
    body.push_str(&event(usage(1, 9)));
    let header = format!("Authorization=Bearer {key}");
    let mut found = Vec::new();
    for transport in TRANSPORTS {
        // The second request has no answer, so that the run can be killed after the first.
        let answer = streamed(&body, 1000);
        let server = Misbehaving::with(move |index| match index {
            0 => vec![
                Step::Request,
                Step::Write(answer.clone()),
                Step::Request,
                Step::Hang,
            ],
            _ => vec![Step::Hang],
        });
        let bench = Bench::new();
        let url = server.chat();
        let arguments = [
            "--transport",
            transport,
            "--headers",
            &header,
            "--debug",
            "--csv",
            "rows.csv",
            "-n",
            "2",
        ];
        let mut child = start(&mut perf(&bench, &url, &arguments));
        server.await_requests(2);
        // Rows are written every quarter of a second.
        while bench.rows("SELECT 1 FROM result").is_empty() {
            std::thread::sleep(Duration::from_millis(50));
        }
        child.kill().expect("it can be killed");
        let ended = wait(child);
        let report = run(program().current_dir(bench.path("")).args([
            "report",
            "run.db",
            "--html",
            "page.html",
            "--json",
            "results.json",
        ]));
        let rows = crate::misbehaving::rows(&bench);
        let chunks: String = rows[0].messages.concat();
        let told = [&ended.stderr, &report.stdout, &report.stderr, &chunks];
        let files = ["rows.csv", "page.html", "results.json"].map(|name| {
            std::fs::read_to_string(bench.path(name)).unwrap_or_else(|error| error.to_string())
        });
        let mut problems = Vec::new();
        for text in told.into_iter().chain(&files) {
            // The third piece is of the middle of the key.
            for part in ["yse", "ysecret"] {
                if text.contains(part) {
                    problems.push(format!("{part} in: {text}"));
                }
            }
        }
        if !chunks.contains("the key ") || !files[2].contains("the key ***") {
            problems.push(format!("more than the key is gone: {chunks} {}", files[2]));
        }
        found.push((transport.to_owned(), problems));
    }
    none(found);
}

#[test]
fn errors_of_arguments_repeat_no_key() {
    let bench = Bench::new();
    for arguments in [
        &["--prompt", "hi", "--api-key", "verysecret"][..],
        &["--prompt", "hi", "sk-verysecret-0123456789"],
        &["--prompt", "hi", "--parameters", "verysecret"],
        &["--prompt", "hi", "--url", "ftp://me:verysecret@h/"],
        &["--prompt", "hi", "--headers", "verysecret"],
    ] {
        let ended = run(&mut bench.perf(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("verysecret"), "{}", ended.stderr);
    }
}

/// Without any credential.
const PLAIN: Credential = Credential {
    name: "",
    user: "",
    query: "",
    header: "X-Other=1",
    hidden: &["verysecret"],
};

/// Gives each credential to a server that says it back.
fn check_credentials(credentials: &[Credential]) {
    let mut found = Vec::new();
    for credential in credentials {
        for transport in TRANSPORTS {
            // Both as a refusal and as an error within an answer.
            for status in [401, 200] {
                let name = format!("{}, status {status}, over {transport}", credential.name);
                found.push((name, check_credential(credential, transport, status)));
            }
        }
    }
    none(found);
}

fn check_credential(credential: &Credential, transport: &str, status: u16) -> Vec<String> {
    let server = Misbehaving::start(vec![Step::Request, Step::EchoHead(status), Step::Hang]);
    let url = format!(
        "http://{}127.0.0.1:{}/v1{}",
        credential.user,
        server.port(),
        credential.query
    );
    let run = Run::of(
        &url,
        &[
            "--debug",
            "--transport",
            transport,
            "--headers",
            credential.header,
        ],
    );
    let mut problems = leaks(&run, credential.hidden);
    let sent = server.heads().concat();
    if !credential.hidden.iter().any(|part| sent.contains(part)) {
        problems.push("the server was not given it".to_owned());
    }
    for row in run.rows() {
        if row.messages.len() != 1 || !row.messages[0].contains("***") {
            problems.push(format!("not blanked, but: {:?}", row.messages));
        }
    }
    problems
}

/// Where any of these texts is found among what a run left.
fn leaks(run: &Run, hidden: &[&str]) -> Vec<String> {
    let mut places = vec![
        (
            "standard output".to_owned(),
            run.ended.stdout.clone().into_bytes(),
        ),
        (
            "standard error".to_owned(),
            run.ended.stderr.clone().into_bytes(),
        ),
    ];
    for file in std::fs::read_dir(run.bench.path("")).expect("the folder is there") {
        let path = file.expect("its files can be listed").path();
        let mut bytes = Vec::new();
        std::fs::File::open(&path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .expect("its files can be read");
        places.push((path.display().to_string(), bytes));
    }
    let mut leaks = Vec::new();
    for (place, bytes) in places {
        for part in hidden {
            if let Some(at) = memchr::memmem::find(&bytes, part.as_bytes()) {
                let around = &bytes[at.saturating_sub(60)..(at + 40).min(bytes.len())];
                leaks.push(format!(
                    "{part} in {place}: …{}…",
                    String::from_utf8_lossy(around)
                ));
            }
        }
    }
    leaks
}
