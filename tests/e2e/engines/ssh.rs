//! Workers through OpenSSH: `--on 'ssh {}'`.

use super::machines::Machines;
use super::{
    PROGRAM, alone, data_set, done, load, nothing_more_is_sent, sent, server, turn_of, until,
};
use crate::helpers::{of_run, seen};
use crate::support::{Bench, program, run, start, wait};
use std::process::Command;
use std::time::{Duration, Instant};

const PROGRAMS: [(&str, &str); 3] = [
    ("ip", "iproute2"),
    ("ssh-keygen", "openssh-client"),
    ("sshd", "openssh-server"),
];

/// Starts a server of OpenSSH on each machine; gives the command of `--on`.
fn serve(bench: &Bench, machines: &mut Machines, count: usize) -> String {
    // Where sshd keeps what it separates from its rights; Debian makes the folder when its service starts.
    std::fs::create_dir_all("/run/sshd").unwrap();
    let path = |name: &str| bench.path(name).to_string_lossy().into_owned();
    for key in ["key", "host_key"] {
        let mut keygen = Command::new("ssh-keygen");
        done(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", &path(key)]));
    }
    let cache = std::env::var("XDG_CACHE_HOME").unwrap_or_else(|_| path("cache"));
    let mut client = format!(
        "IdentityFile {}\nUserKnownHostsFile {}\nStrictHostKeyChecking yes\nLogLevel ERROR\nBatchMode yes\n",
        path("key"),
        path("known_hosts"),
    );
    let host_key = std::fs::read_to_string(path("host_key.pub")).unwrap();
    let mut known = String::new();
    for machine in 0..count {
        let address = machines.address(machine);
        let name = Machines::name(machine);
        client.push_str(&format!("Host {name}\n  HostName {address}\n  User root\n"));
        known.push_str(&format!("{address} {host_key}"));
        let config = bench.file(
            &format!("sshd{machine}"),
            format!(
                "ListenAddress {address}\nHostKey {}\nAuthorizedKeysFile {}\nPermitRootLogin prohibit-password\n\
                 StrictModes no\nUsePAM no\nPidFile none\nSetEnv XDG_CACHE_HOME={cache}\n",
                path("host_key"),
                path("key.pub"),
            ),
        );
        machines.start(
            machine,
            "/usr/sbin/sshd",
            &["-D", "-f", &config.to_string_lossy()],
        );
    }
    bench.file("known_hosts", known);
    let config = bench.file("ssh_config", client);
    let on = format!("ssh -F {} {{}}", config.to_string_lossy());
    for machine in 0..count {
        until("sshd answers", Duration::from_secs(20), || {
            let login = format!("{} true", on.replace("{}", &Machines::name(machine)));
            let mut command = Command::new("sh");
            command.args(["-c", &login]);
            command.output().is_ok_and(|output| output.status.success())
        });
    }
    on
}

#[test]
#[ignore = "needs root and OpenSSH"]
fn three_machines_send_what_one_sends() {
    let Some(_turn) = turn_of("three_machines_send_what_one_sends (OpenSSH)", &PROGRAMS) else {
        return;
    };
    let bench = Bench::new();
    data_set(&bench);
    let mut machines = Machines::new(3);
    let on = serve(&bench, &mut machines, 3);
    let mock = server(&machines);
    let shape = ["--rate", "150", "-n", "300", "--seed", "7"];
    let hosts = machines.hosts();
    let workers = ["--worker-program", PROGRAM, "--on", &on, "--hosts", &hosts];
    let more = [&shape[..], &workers].concat();
    let ended = run(program()
        .current_dir(bench.path(""))
        .args(load(&mock, &more)));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let parts = sent(&bench, &["run.0.db", "run.1.db", "run.2.db"]);
    assert_eq!(parts, alone(&shape));
    assert_eq!(seen(&mock), 300);
    let workers = of_run(&bench, "totals")["workers"].clone();
    for (machine, worker) in workers.as_array().unwrap().iter().enumerate() {
        assert_eq!(worker["host"], Machines::name(machine), "{workers}");
        let bound = worker["clock_bound_seconds"].as_f64().unwrap();
        assert!(bound < 0.005, "{workers}");
    }
}

#[test]
#[ignore = "needs root and OpenSSH"]
fn a_worker_behind_a_cut_link_stops_sending() {
    let Some(_turn) = turn_of("a_worker_behind_a_cut_link_stops_sending", &PROGRAMS) else {
        return;
    };
    let bench = Bench::new();
    data_set(&bench);
    let mut machines = Machines::new(3);
    let on = serve(&bench, &mut machines, 3);
    let mock = server(&machines);
    let hosts = machines.hosts();
    let more = [
        "--rate",
        "100",
        "--duration",
        "60",
        "--worker-program",
        PROGRAM,
        "--on",
        &on,
        "--hosts",
        &hosts,
    ];
    let child = start(
        program()
            .current_dir(bench.path(""))
            .args(load(&mock, &more)),
    );
    until("requests come", Duration::from_secs(60), || {
        seen(&mock) > 50
    });
    machines.cut(1);
    let cut = Instant::now();
    let ended = wait(child);
    assert!(cut.elapsed() < Duration::from_secs(20), "{}", ended.stderr);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("worker n1 was lost"),
        "{}",
        ended.stderr
    );
    // The lost worker still reaches the server. It stops by itself, 5 s after the last word of the coordinator.
    let quiet = Duration::from_millis(6_500);
    std::thread::sleep(quiet.saturating_sub(cut.elapsed()));
    nothing_more_is_sent(&mock);
    assert_eq!(bench.value("SELECT state FROM run"), "interrupted");
    until("the worker ends", Duration::from_secs(20), || {
        !machines.runs(1, "llmuses")
    });
}
