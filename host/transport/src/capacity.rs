//! How many connections this machine lets the program hold, found out before the first request.

use std::io;

/// Files that the program needs besides its connections: standard streams, database, data set, sockets
/// of the runtime, and room for a resolver.
const OTHER_FILES: u64 = 64;

/// The concurrency asked for cannot be held.
#[derive(Debug, thiserror::Error)]
pub enum CapacityError {
    /// Too few files may be open.
    #[error(
        "{wanted} connections at once need {needed} open files, and this machine allows {allowed}: \
         at most {possible} can be held. Raise the limit (`ulimit -n {needed}`), or ask for less"
    )]
    OpenFiles {
        /// Connections asked for.
        wanted: u64,
        /// Files that they need.
        needed: u64,
        /// Files that may be open.
        allowed: u64,
        /// Connections that can be held.
        possible: u64,
    },
    /// Too few local ports for connections to one address.
    #[error(
        "{wanted} connections at once to one address need as many local ports, and this machine has \
         {possible} (net.ipv4.ip_local_port_range): at most {possible} can be held"
    )]
    LocalPorts {
        /// Connections asked for.
        wanted: u64,
        /// Ports that there are.
        possible: u64,
    },
    /// The limit could not be read.
    #[error("the limit of open files could not be read: {0}")]
    Unknown(#[from] io::Error),
}

/// Raises the limit of open files as far as it goes, and gives back what it is then.
///
/// # Errors
/// Where the system does not tell its limit.
pub fn raise_open_file_limit() -> Result<u64, CapacityError> {
    let (_, hard) = rlimit::Resource::NOFILE.get()?;
    Ok(rlimit::increase_nofile_limit(hard)?)
}

/// Makes sure that `wanted` connections can be open at the same time.
///
/// # Errors
/// Says how many can, where it is fewer.
pub fn ensure(wanted: u64) -> Result<(), CapacityError> {
    check(wanted, raise_open_file_limit()?, local_ports())
}

/// How many connections to one address this machine lets the program hold at once: one at least.
///
/// # Errors
/// Where the system does not tell its limit.
pub fn most() -> Result<u64, CapacityError> {
    Ok(possible(raise_open_file_limit()?, local_ports()))
}

fn possible(allowed: u64, ports: Option<u64>) -> u64 {
    let files = allowed.saturating_sub(OTHER_FILES);
    files.min(ports.unwrap_or(u64::MAX)).max(1)
}

fn check(wanted: u64, allowed: u64, ports: Option<u64>) -> Result<(), CapacityError> {
    let possible = allowed.saturating_sub(OTHER_FILES);
    if wanted > possible {
        return Err(CapacityError::OpenFiles {
            wanted,
            needed: wanted.saturating_add(OTHER_FILES),
            allowed,
            possible,
        });
    }
    match ports {
        Some(possible) if wanted > possible => Err(CapacityError::LocalPorts { wanted, possible }),
        _ => Ok(()),
    }
}

/// The number of ports for outgoing connections, where the system tells.
fn local_ports() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut bounds = text.split_whitespace().map(str::parse::<u64>);
    let (low, high) = (bounds.next()?.ok()?, bounds.next()?.ok()?);
    Some(high.checked_sub(low)? + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_allowed_and_what_does_not_is_refused_with_the_figure() {
        assert!(check(936, 1000, Some(28_000)).is_ok());
        let error = check(937, 1000, Some(28_000)).unwrap_err().to_string();
        assert!(error.contains("at most 936 can be held"), "{error}");
        assert!(error.contains("ulimit -n 1001"), "{error}");
        let error = check(30_000, 100_000, Some(28_232))
            .unwrap_err()
            .to_string();
        assert!(error.contains("at most 28232 can be held"), "{error}");
        assert_eq!(possible(1000, Some(28_000)), 936);
        assert_eq!(possible(100_000, Some(28_232)), 28_232);
        assert_eq!(possible(10, None), 1);
    }
}
