//! No credential is found in anything that a run leaves, not even where the server says it back.

use crate::misbehaving::{Misbehaving, Run, Step, TRANSPORTS, none};
use std::io::Read;

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
