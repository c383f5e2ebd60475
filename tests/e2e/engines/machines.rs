//! Machines that this one is divided into: network namespaces, with two links each. Over one an engine starts and
//! carries the workers, over the other they reach the server; so the first can be cut while the server stays in reach.

use super::done;
use std::process::{Child, Command, Stdio};

/// Removed, with all that runs on them, when this is dropped.
pub struct Machines {
    count: usize,
    /// What their interfaces and namespaces are named by, and the third byte of their addresses.
    id: u32,
    started: Vec<Child>,
}

/// The two links of a machine, and the second byte of their addresses.
const LINKS: [(&str, u8); 2] = [("control", 210), ("load", 211)];

/// Whether this process may make namespaces and links between them.
pub fn can_be_made() -> bool {
    let name = format!("llmuses{}-try", std::process::id());
    let ip = |arguments: &[&str]| {
        let output = Command::new("ip").args(arguments).output();
        output.is_ok_and(|output| output.status.success())
    };
    let made = ip(&["netns", "add", &name])
        && ip(&[
            "-n", &name, "link", "add", "name", "one", "type", "veth", "peer", "name", "two",
        ]);
    ip(&["netns", "del", &name]);
    made
}

impl Machines {
    /// So many machines named n0, n1 and on, with a bridge for each of their links.
    pub fn new(count: usize) -> Self {
        let machines = Self {
            count,
            id: std::process::id() % 250,
            started: Vec::new(),
        };
        // What a test that was killed left behind.
        machines.remove();
        for machine in 0..count {
            ip(&["netns", "add", &machines.namespace(machine)]);
            let loopback = ["link", "set", "lo", "up"];
            ip(&[&["-n", &machines.namespace(machine)][..], &loopback].concat());
        }
        for (link, second) in LINKS {
            let bridge = machines.bridge(link);
            ip(&["link", "add", &bridge, "type", "bridge"]);
            let address = format!("10.{second}.{}.1/24", machines.id);
            ip(&["addr", "add", &address, "dev", &bridge]);
            ip(&["link", "set", &bridge, "up"]);
            for machine in 0..count {
                let (outside, namespace) =
                    (machines.outside(link, machine), machines.namespace(machine));
                let peer = ["type", "veth", "peer", "name", link, "netns", &namespace];
                ip(&[&["link", "add", &outside][..], &peer].concat());
                ip(&["link", "set", &outside, "master", &bridge, "up"]);
                let address = format!("10.{second}.{}.{}/24", machines.id, machine + 10);
                ip(&["-n", &namespace, "addr", "add", &address, "dev", link]);
                ip(&["-n", &namespace, "link", "set", link, "up"]);
            }
        }
        machines
    }

    /// How the engine reaches a machine.
    pub fn address(&self, machine: usize) -> String {
        format!("10.{}.{}.{}", LINKS[0].1, self.id, machine + 10)
    }

    /// How a machine reaches the engine's controller on this machine.
    pub fn address_of_the_controller(&self) -> String {
        format!("10.{}.{}.1", LINKS[0].1, self.id)
    }

    /// How a machine reaches a server on this machine.
    pub fn address_of_the_server(&self) -> String {
        format!("10.{}.{}.1", LINKS[1].1, self.id)
    }

    /// A name of `--hosts` for each.
    pub fn hosts(&self) -> String {
        let names: Vec<String> = (0..self.count).map(Self::name).collect();
        names.join(",")
    }

    /// The host name of a machine.
    pub fn name(machine: usize) -> String {
        format!("n{machine}")
    }

    /// Starts a program on a machine; it runs until the machines are removed.
    pub fn start(&mut self, machine: usize, program: &str, arguments: &[&str]) -> u32 {
        let mut command = Command::new("ip");
        // Each of these programs becomes the next one, so the process is that of the program.
        command
            .args(["netns", "exec", &self.namespace(machine)])
            .args(["unshare", "--uts", "sh", "-c"])
            .args([
                "hostname \"$0\"; exec \"$@\"",
                &Self::name(machine),
                program,
            ])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command.spawn().expect("ip is installed");
        let process = child.id();
        self.started.push(child);
        process
    }

    /// Cuts the link over which the engine reaches a machine.
    pub fn cut(&self, machine: usize) {
        ip(&["link", "set", &self.outside(LINKS[0].0, machine), "down"]);
    }

    /// Whether a process of this name runs on a machine.
    pub fn runs(&self, machine: usize, program: &str) -> bool {
        self.processes(machine).iter().any(|process| {
            std::fs::read_to_string(format!("/proc/{process}/comm"))
                .is_ok_and(|name| name.trim() == program)
        })
    }

    fn processes(&self, machine: usize) -> Vec<i32> {
        let output = Command::new("ip")
            .args(["netns", "pids", &self.namespace(machine)])
            .output()
            .expect("ip is installed");
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| line.trim().parse().ok())
            .collect()
    }

    fn namespace(&self, machine: usize) -> String {
        format!("llmuses{}-{machine}", self.id)
    }

    fn bridge(&self, link: &str) -> String {
        format!("llm{}{link}", self.id)
    }

    /// The end of a link that is not in the machine.
    fn outside(&self, link: &str, machine: usize) -> String {
        format!("{}-{machine}", self.bridge(link))
    }

    fn remove(&self) {
        let quietly = |arguments: &[&str]| {
            Command::new("ip")
                .args(arguments)
                .stderr(Stdio::null())
                .status()
                .ok();
        };
        for machine in 0..self.count {
            for process in self.processes(machine) {
                // SAFETY: two numbers; the process is in a namespace of this test's own.
                unsafe { libc::kill(process, libc::SIGKILL) };
            }
            quietly(&["netns", "del", &self.namespace(machine)]);
        }
        for (link, _) in LINKS {
            for machine in 0..self.count {
                quietly(&["link", "del", &self.outside(link, machine)]);
            }
            quietly(&["link", "del", &self.bridge(link)]);
        }
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        self.remove();
        for child in &mut self.started {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn ip(arguments: &[&str]) {
    done(Command::new("ip").args(arguments));
}
