//! Workers through Slurm: `--on 'srun --overlap -N1 -n1 -w {}'` in a job of three nodes.

use super::machines::Machines;
use super::{
    PROGRAM, alone, data_set, done, load, nothing_more_is_sent, sent, server, turn_of, until,
};
use crate::helpers::{numbers, seen};
use crate::support::{Bench, Mock};
use std::fmt::Write as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAMS: [(&str, &str); 4] = [
    ("ip", "iproute2"),
    ("munged", "munge"),
    ("slurmctld", "slurm-wlm"),
    ("slurmd", "slurm-wlm"),
];

/// A cluster of three nodes: munge and the controller on this machine, slurmd on each of the three.
struct Cluster {
    /// Before the folder, which what runs on them uses.
    machines: Machines,
    bench: Bench,
    /// munged and slurmctld.
    daemons: Vec<Child>,
    /// The processes of slurmd.
    nodes: Vec<u32>,
}

impl Cluster {
    fn start() -> Self {
        use std::os::unix::fs::PermissionsExt;
        let bench = Bench::new();
        data_set(&bench);
        let allow = |name: &str, mode| {
            let path = bench.path(name);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        allow("", 0o755);
        allow("munge", 0o700);
        allow("socket", 0o755);
        allow("state", 0o700);
        let mut cluster = Self {
            machines: Machines::new(3),
            bench,
            daemons: Vec::new(),
            nodes: Vec::new(),
        };
        cluster.start_munge();
        cluster.configure();
        let path = cluster.path("slurm.conf");
        cluster.daemon("slurmctld", &["-D", "-f", &path]);
        for machine in 0..3 {
            let name = Machines::name(machine);
            std::fs::create_dir_all(cluster.bench.path(&format!("spool.{name}"))).unwrap();
            let arguments = ["-D", "-N", &name, "-f", &path];
            cluster
                .nodes
                .push(cluster.machines.start(machine, "slurmd", &arguments));
        }
        until("the nodes are idle", Duration::from_secs(60), || {
            let output = cluster
                .command("sinfo")
                .args(["-h", "-t", "idle", "-o", "%D"])
                .output();
            output.is_ok_and(|output| output.stdout.starts_with(b"3"))
        });
        cluster
    }

    fn path(&self, name: &str) -> String {
        self.bench.path(name).to_string_lossy().into_owned()
    }

    fn daemon(&mut self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.daemons.push(child.expect("the daemon is installed"));
    }

    /// munge tells the daemons who is who. Its key is that of this cluster alone.
    fn start_munge(&mut self) {
        use std::os::unix::fs::PermissionsExt;
        let bytes: Vec<u8> = (0..1024_u32)
            .map(|byte| ((byte * 7919) >> 4) as u8)
            .collect();
        let key = self.bench.file("munge/key", bytes);
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let set = |flag: &str, name: &str| format!("--{flag}={}", self.path(name));
        let arguments = [
            "--foreground".to_owned(),
            "--force".to_owned(),
            set("key-file", "munge/key"),
            set("socket", "socket/munge"),
            set("pid-file", "munge/pid"),
            set("log-file", "munge/log"),
            set("seed-file", "munge/seed"),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.daemon("munged", &arguments);
        let socket = self.bench.path("socket/munge");
        until("munge answers", Duration::from_secs(20), || socket.exists());
    }

    fn configure(&self) {
        let here = done(Command::new("hostname").arg("-s"));
        let mut config = format!(
            "ClusterName=llmuses\nSlurmctldHost={}({})\nSlurmctldPort={}\nSlurmUser=root\nAuthType=auth/munge\n\
             AuthInfo=socket={}\nCredType=cred/munge\nStateSaveLocation={}\nSlurmctldPidFile={}\n\
             SlurmctldLogFile={}\n",
            here.trim(),
            self.machines.address_of_the_controller(),
            free_port(),
            self.path("socket/munge"),
            self.path("state"),
            self.path("slurmctld.pid"),
            self.path("slurmctld.log"),
        );
        for (name, value) in [
            ("SlurmdPidFile", "slurmd.%n.pid"),
            ("SlurmdLogFile", "slurmd.%n.log"),
            ("SlurmdSpoolDir", "spool.%n"),
        ] {
            writeln!(config, "{name}={}", self.path(value)).unwrap();
        }
        // What a cluster of real machines leaves to its control groups and its accounting.
        config.push_str(
            "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nJobAcctGatherType=jobacct_gather/none\n\
             AccountingStorageType=accounting_storage/none\nMpiDefault=none\nSelectType=select/cons_tres\n\
             SelectTypeParameters=CR_Core\nSlurmdParameters=config_overrides\nReturnToService=2\nKillWait=5\n\
             SchedulerParameters=sched_interval=2,batch_sched_delay=0\n",
        );
        for machine in 0..3 {
            let (name, address) = (Machines::name(machine), self.machines.address(machine));
            let size = "CPUs=2 RealMemory=500 State=UNKNOWN";
            writeln!(
                config,
                "NodeName={name} NodeAddr={address} Port=16818 {size}"
            )
            .unwrap();
        }
        config.push_str("PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n");
        self.bench.file("slurm.conf", config);
        // It must be there, though nothing of it is used.
        self.bench.file("cgroup.conf", "CgroupPlugin=cgroup/v1\n");
    }

    /// A command of Slurm's for users.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.bench.path(""))
            .env("SLURM_CONF", self.bench.path("slurm.conf"));
        command
    }

    /// Submits a run over the three nodes as one job; gives its number.
    fn submit(&self, mock: &Mock, more: &[&str]) -> String {
        let quoted: Vec<String> = std::iter::once(PROGRAM.to_owned())
            .chain(load(mock, more))
            .map(|argument| format!("'{argument}'"))
            .collect();
        let script = format!(
            "exec {} --worker-program '{PROGRAM}' --on 'srun --overlap -N1 -n1 -w {{}}' --hosts \"$(scontrol show hostnames | paste -sd,)\"",
            quoted.join(" ")
        );
        let mut sbatch = self.command("sbatch");
        sbatch.args([
            "--parsable",
            "-N3",
            "--ntasks-per-node=1",
            "-o",
            "out.txt",
            "--wrap",
            &script,
        ]);
        done(&mut sbatch).trim().to_owned()
    }

    /// Waits until the job has ended; gives its exit code and what it printed.
    fn ended(&self, job: &str) -> (i32, String) {
        let mut shown = String::new();
        until("the job ends", Duration::from_secs(90), || {
            shown = done(self.command("scontrol").args(["show", "job", "-o", job]));
            let state = member(&shown, "JobState");
            // A job is completing, with its exit code, until slurmd of each node has said so.
            !["PENDING", "CONFIGURING", "RUNNING"].contains(&state)
        });
        let code = member(&shown, "ExitCode").split(':').next().unwrap();
        let printed = std::fs::read_to_string(self.bench.path("out.txt")).unwrap_or_default();
        (code.parse().unwrap(), printed)
    }

    /// Waits until the server has seen some requests of the job.
    fn under_way(&self, mock: &Mock) {
        let printed = || std::fs::read_to_string(self.bench.path("out.txt")).unwrap_or_default();
        let began = Instant::now();
        while seen(mock) < 50 {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "no requests came: {}",
                printed()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in &mut self.daemons {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// The value of a member of what `scontrol show job` prints.
fn member<'a>(shown: &'a str, name: &str) -> &'a str {
    shown
        .split_whitespace()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        .unwrap_or_else(|| panic!("no {name} in {shown}"))
}

/// Standard deviation of the gaps between these moments, divided by their mean.
fn variation_of_gaps(moments: &[f64]) -> f64 {
    let gaps: Vec<f64> = moments.windows(2).map(|two| two[1] - two[0]).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let squares: f64 = gaps.iter().map(|gap| (gap - mean).powi(2)).sum();
    (squares / (gaps.len() - 1) as f64).sqrt() / mean
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
#[ignore = "needs root and Slurm"]
fn three_nodes_send_what_one_machine_sends() {
    let Some(_turn) = turn_of("three_nodes_send_what_one_machine_sends (Slurm)", &PROGRAMS) else {
        return;
    };
    let cluster = Cluster::start();
    let mock = server(&cluster.machines);
    let shape = ["--rate", "300", "--duration", "20", "--seed", "7"];
    mock.truth();
    let job = cluster.submit(&mock, &shape);
    let (code, printed) = cluster.ended(&job);
    assert_eq!(code, 0, "{printed}");
    let expected = alone(&shape);
    let parts = sent(&cluster.bench, &["run.0.db", "run.1.db", "run.2.db"]);
    assert_eq!(parts, expected);
    let truth = mock.truth();
    assert_eq!(truth["requests"], expected.len());
    let gap = |figure: &str| truth["arrivals"][figure].as_f64().unwrap();
    let came = gap("gap_standard_deviation") / gap("gap_mean");
    let due = variation_of_gaps(&numbers(
        &cluster.bench,
        "SELECT intended_time FROM result ORDER BY intended_time",
    ));
    // From the sending: how late a request was sent is no matter of the server.
    let ttft = numbers(
        &cluster.bench,
        "SELECT first_chunk_latency - (sent_time - intended_time) FROM result WHERE n_chunks > 0",
    );
    let ttft = ttft.iter().sum::<f64>() / ttft.len() as f64;
    let error = ttft - truth["ttft_seconds"]["mean"].as_f64().unwrap();
    eprintln!(
        "{} requests, std/mean of the gaps between arrivals {came:.3} (due: {due:.3}), mean error of TTFT {:.4} ms",
        expected.len(),
        error * 1e3
    );
    assert!((came / due - 1.0).abs() < 0.2, "{came} {due}");
    assert!(error.abs() < 0.002, "{error} s");
}

#[test]
#[ignore = "needs root and Slurm"]
fn a_job_that_is_cancelled_sends_nothing_more() {
    let Some(_turn) = turn_of("a_job_that_is_cancelled_sends_nothing_more", &PROGRAMS) else {
        return;
    };
    let cluster = Cluster::start();
    let mock = server(&cluster.machines);
    let job = cluster.submit(&mock, &["--rate", "100", "--duration", "60"]);
    cluster.under_way(&mock);
    done(cluster.command("scancel").arg(&job));
    let cancelled = Instant::now();
    cluster.ended(&job);
    std::thread::sleep(Duration::from_millis(6_500).saturating_sub(cancelled.elapsed()));
    nothing_more_is_sent(&mock);
    assert_eq!(cluster.bench.value("SELECT state FROM run"), "interrupted");
    until("the workers end", Duration::from_secs(20), || {
        (0..3).all(|machine| !cluster.machines.runs(machine, "llmuses"))
    });
}

#[test]
#[ignore = "needs root and Slurm"]
fn a_node_whose_slurmd_is_killed_loses_no_request_in_silence() {
    let Some(_turn) = turn_of(
        "a_node_whose_slurmd_is_killed_loses_no_request_in_silence",
        &PROGRAMS,
    ) else {
        return;
    };
    let cluster = Cluster::start();
    let mock = server(&cluster.machines);
    let shape = ["--rate", "100", "--duration", "8", "--seed", "3"];
    let job = cluster.submit(&mock, &shape);
    cluster.under_way(&mock);
    let process = i32::try_from(cluster.nodes[1]).unwrap();
    // SAFETY: two numbers; the process is a child of this test that it has not waited for.
    assert_eq!(unsafe { libc::kill(process, libc::SIGKILL) }, 0);
    let (code, printed) = cluster.ended(&job);
    // A step outlives the slurmd that began it. If it should not, the loss must be said.
    if code == 0 {
        let parts = sent(&cluster.bench, &["run.0.db", "run.1.db", "run.2.db"]);
        assert_eq!(parts, alone(&shape));
    } else {
        assert_eq!(code, 1, "{printed}");
        assert!(printed.contains("worker n1 was lost"), "{printed}");
    }
}

#[test]
#[ignore = "needs root and Slurm"]
fn a_node_that_is_not_in_the_job_stops_the_run_before_it_begins() {
    let Some(_turn) = turn_of(
        "a_node_that_is_not_in_the_job_stops_the_run_before_it_begins",
        &PROGRAMS,
    ) else {
        return;
    };
    let cluster = Cluster::start();
    let mock = server(&cluster.machines);
    let arguments = load(
        &mock,
        &["-n", "30", "--parallel", "3", "--workers-timeout", "10s"],
    );
    let on = [
        "--worker-program",
        PROGRAM,
        "--on",
        "srun --overlap -N1 -n1 -w {}",
        "--hosts",
        "n0,n9",
    ];
    let mut command = cluster.command(PROGRAM);
    let ended = crate::support::run(command.args(arguments).args(on));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("n9"), "{}", ended.stderr);
    assert_eq!(seen(&mock), 0);
}
