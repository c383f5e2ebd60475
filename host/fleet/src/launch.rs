//! Starting workers through a command of the user.

use crate::error::FleetError;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What stands for the name of the machine in the command.
const HOST: &str = "{}";

/// Which workers there are to be.
#[derive(Debug, Clone)]
pub struct FleetSettings {
    /// What starts one.
    pub launcher: Launcher,
    /// The machines, by the names that the command takes.
    pub hosts: Vec<String>,
    /// How long all have to be ready.
    pub timeout: Duration,
    /// This program.
    pub program: OwnProgram,
    /// Environment variables with credentials, which the command that starts a worker does not get.
    pub credentials: Vec<String>,
}

/// The program that workers should be too.
#[derive(Debug, Clone)]
pub struct OwnProgram {
    /// Its version.
    pub version: String,
    /// SHA-256 of its executable, in hexadecimal digits. `None`: it cannot be read.
    pub sha256: Option<String>,
}

/// The command that starts a worker on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launcher {
    words: Vec<String>,
    program: String,
}

impl Launcher {
    /// Of a command such as `ssh {}`, in words as a shell has them. `program`: what it is to start there.
    ///
    /// # Errors
    /// Where it is no command.
    pub fn new(text: &str, program: &str) -> Result<Self, FleetError> {
        let wrong = |reason| FleetError::Command {
            text: text.to_owned(),
            reason,
        };
        let words = shlex::split(text).ok_or_else(|| wrong("a quote is not closed"))?;
        if words.is_empty() {
            return Err(wrong("it is empty"));
        }
        Ok(Self {
            words,
            program: program.to_owned(),
        })
    }

    /// Whether the name of the machine is part of it.
    pub fn names_hosts(&self) -> bool {
        self.words.iter().any(|word| word.contains(HOST))
    }

    /// The words that start a worker on `host`.
    pub fn words(&self, host: &str) -> Vec<String> {
        let own = [self.program.clone(), "worker".to_owned()];
        let words = self.words.iter().map(|word| word.replace(HOST, host));
        words.chain(own).collect()
    }

    /// Starts the worker on `host`, in a process group of its own: Ctrl-C is for the coordinator alone.
    /// `credentials`: variables that it does not get.
    pub(crate) fn start(
        &self,
        worker: &str,
        host: &str,
        credentials: &[String],
    ) -> Result<Child, FleetError> {
        let words = self.words(host);
        let mut command = Command::new(&words[0]);
        for name in credentials {
            command.env_remove(name);
        }
        command
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|source| FleetError::Start {
                worker: worker.to_owned(),
                program: words[0].clone(),
                source,
            })
    }
}

/// Ends a child and what it started in its process group.
pub(crate) fn kill(child: &mut Child) {
    let group = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    // It may have ended, and then has been waited for by nobody else, so that its group is still its own.
    if let (Ok(None), Some(group)) = (child.try_wait(), group) {
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
        child.kill().ok();
    }
    child.wait().ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_stands_where_the_command_says() {
        let of = |text: &str| Launcher::new(text, "llmuses").unwrap();
        let ssh = of("ssh -o 'BatchMode yes' {}");
        assert_eq!(
            ssh.words("n1"),
            ["ssh", "-o", "BatchMode yes", "n1", "llmuses", "worker"]
        );
        assert!(ssh.names_hosts());
        let mpi = of("mpirun --host {}:1 -n 1").words("n2");
        assert_eq!(mpi[..3], ["mpirun", "--host", "n2:1"]);
        assert!(!of("env").names_hosts());
        assert_eq!(of("env").words("1"), ["env", "llmuses", "worker"]);
    }

    #[test]
    fn what_is_no_command_is_said() {
        for (text, said) in [("", "empty"), ("ssh 'x", "quote")] {
            let error = Launcher::new(text, "llmuses").unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
