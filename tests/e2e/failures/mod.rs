//! Every way in which a request fails, each against a socket that misbehaves in that way: the kind is told
//! apart, the message says what happened, and nothing is lost on the way to the database and the summary.

mod connections;
mod credentials;
mod disk;
mod first_requests;
mod http2;
mod percentiles;
mod reports;
mod resources;
mod signals;
mod statuses;
mod streams;

use crate::misbehaving::{
    Failing, Misbehaving, Run, Step, TRANSPORTS, chunk, delta, event, none, problems, stream_head,
    text,
};

/// One way to fail: what the server does, and what is to come of it.
struct Case {
    name: &'static str,
    script: Vec<Step>,
    arguments: Vec<&'static str>,
    expected: Failing,
}

/// What a command may have too little of.
#[derive(Clone, Copy)]
enum Limit {
    /// Bytes of a file.
    FileSize,
    /// Threads and processes of its user.
    Threads,
}

/// Has a command run with so much of it at most.
fn limit(command: &mut std::process::Command, what: Limit, most: u64) {
    use std::os::unix::process::CommandExt;
    let limit = libc::rlimit {
        rlim_cur: most,
        rlim_max: most,
    };
    let resource = match what {
        Limit::FileSize => libc::RLIMIT_FSIZE,
        Limit::Threads => libc::RLIMIT_NPROC,
    };
    // SAFETY: the call takes a live structure, and is one that may be made between fork and exec.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(resource, &limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

/// A case without arguments of its own.
fn case(name: &'static str, script: Vec<Step>, expected: Failing) -> Case {
    Case {
        name,
        script,
        arguments: Vec::new(),
        expected,
    }
}

/// Runs each case over each transport.
fn check(cases: Vec<Case>) {
    let mut found = Vec::new();
    for case in cases {
        for transport in TRANSPORTS {
            let server = Misbehaving::start(case.script.clone());
            let mut arguments = vec!["--transport", transport];
            arguments.extend(&case.arguments);
            let run = Run::of(&server.chat(), &arguments);
            let mut problems = problems(&run, 1, &case.expected);
            if server.heads().len() > 1 {
                problems.push(format!("{} requests were sent", server.heads().len()));
            }
            found.push((format!("{} over {transport}", case.name), problems));
        }
    }
    none(found);
}

/// Runs `perf` against a URL over each transport; its one request is to fail.
fn check_url(name: &str, url: &str, arguments: &[&str], expected: &Failing) {
    let found = TRANSPORTS.into_iter().map(|transport| {
        let mut all = vec!["--transport", transport];
        all.extend(arguments);
        let run = Run::of(url, &all);
        (
            format!("{name} over {transport}"),
            problems(&run, 1, expected),
        )
    });
    none(found.collect());
}

/// The head of a stream and one event of it, after a request.
fn stream_begun() -> Vec<Step> {
    vec![
        Step::Request,
        text(stream_head()),
        Step::Write(chunk(event(delta("one")))),
    ]
}

/// The event with which a stream began, and what had arrived of the next one.
fn message_and(unfinished: &str) -> Vec<String> {
    let mut messages = one_message();
    messages.push(unfinished.to_owned());
    messages
}

/// What the row has of such a stream.
fn one_message() -> Vec<String> {
    vec![delta("one")]
}

/// These steps, then those.
fn then(mut first: Vec<Step>, more: impl IntoIterator<Item = Step>) -> Vec<Step> {
    first.extend(more);
    first
}
