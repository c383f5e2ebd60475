//! How requests are sent.

use super::{Arrivals, Load};
use crate::document::TransportRecord;
use std::num::NonZeroU32;
use std::time::Duration;

/// How requests are sent: client threads need this, and nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportSettings {
    /// What carries requests.
    pub choice: TransportChoice,
    /// Whether that was left to this program, which then says why it chose so.
    pub by_auto: bool,
    /// Whether the connections of a closed loop are opened before it begins.
    pub warm_connections: bool,
    /// Whether a connection carries more than one request.
    pub keep_alive: bool,
    /// The most requests that a connection carries. `None`: any number.
    pub requests_per_connection: Option<NonZeroU32>,
    /// How many threads carry requests; [`TransportSettings::threads`] where this is left open.
    pub client_threads: Option<usize>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
}

impl Default for TransportSettings {
    /// What measures best.
    fn default() -> Self {
        Self {
            choice: TransportChoice::Socket,
            by_auto: true,
            warm_connections: true,
            keep_alive: true,
            requests_per_connection: None,
            client_threads: None,
            timeouts: Timeouts::default(),
        }
    }
}

impl TransportSettings {
    /// How many threads carry requests: as many as were asked for, or else as many as the load needs. Threads that
    /// have little to do are woken for every chunk, which costs nearly half of a chunk's work again, and takes that
    /// time from a server on the same machine.
    pub fn threads(&self, load: &Load) -> usize {
        /// The streams of a thread, or its requests in a second: a fourth of a processor where each stream brings a
        /// chunk every 10 ms.
        const LOAD: usize = 250;
        /// The server's answers are the work, and one thread can carry thousands of streams.
        const MOST: usize = 8;
        let most = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST));
        let by_load = || {
            let requests = load.requests.map_or(usize::MAX, |number| {
                usize::try_from(number).unwrap_or(usize::MAX)
            });
            let streams = match load.arrivals {
                Arrivals::Closed { parallel } => parallel.min(requests),
                // Cut to what there is of numbers.
                Arrivals::Open { rate, .. } => rate as usize,
                Arrivals::AllAtOnce => requests,
                // Its rate may be any at any time.
                Arrivals::Trace(_) => usize::MAX,
            };
            match self.choice {
                TransportChoice::Socket => streams.div_ceil(LOAD).clamp(1, most),
                // Its stamps are late by as long as bytes wait for their thread.
                TransportChoice::Reqwest => most,
            }
        };
        self.client_threads.unwrap_or_else(by_load)
    }

    /// As it stands in a document, with the number of threads for `load`.
    pub(super) fn to_record(&self, load: &Load) -> TransportRecord {
        let seconds = |time: Duration| time.as_secs_f64();
        TransportRecord {
            choice: self.choice.as_str().to_owned(),
            warm_connections: self.warm_connections,
            keep_alive: self.keep_alive,
            requests_per_connection: self.requests_per_connection.map(NonZeroU32::get),
            client_threads: Some(self.threads(load) as u64),
            connect_timeout_seconds: Some(seconds(self.timeouts.connect)),
            read_timeout_seconds: Some(seconds(self.timeouts.read)),
            total_timeout_seconds: self.timeouts.total.map(seconds),
        }
    }
}

/// What carries requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportChoice {
    /// Sockets of our own: HTTP/1.1, arrivals by the kernel's clock.
    Socket,
    /// reqwest: HTTP/1.1 or HTTP/2, arrivals as reads return.
    Reqwest,
}

impl TransportChoice {
    /// Its name, as on the command line and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Reqwest => "reqwest",
        }
    }

    /// The reason for it, where nobody asked for another.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Socket if cfg!(target_os = "linux") => "HTTP/1.1, stamped by the kernel",
            Self::Socket => "HTTP/1.1, over connections of our own",
            Self::Reqwest => "HTTP/1.1, or HTTP/2 where a TLS server offers it",
        }
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection: name resolution, TCP and TLS together.
    pub connect: Duration,
    /// For silence of the server between two reads.
    pub read: Duration,
    /// For a request as a whole.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    /// Two minutes each, and a request as a whole may take as long as it does.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(120),
            read: Duration::from_secs(120),
            total: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_threads_as_the_load_needs_and_the_machine_has() {
        let most = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(8));
        let load = |arrivals| Load {
            arrivals,
            ..Load::default()
        };
        let mut transport = TransportSettings::default();
        let three = TransportSettings {
            client_threads: Some(3),
            ..TransportSettings::default()
        };
        for (arrivals, expected) in [
            (Arrivals::Closed { parallel: 1 }, 1),
            (Arrivals::Closed { parallel: 250 }, 1),
            (Arrivals::Closed { parallel: 251 }, 2),
            (Arrivals::Closed { parallel: 100_000 }, 8),
            (Arrivals::poisson(0.5), 1),
            (Arrivals::poisson(2_000.0), 8),
            (Arrivals::poisson(f64::MAX), 8),
            (Arrivals::AllAtOnce, 8),
        ] {
            let load = load(arrivals);
            assert_eq!(transport.threads(&load), expected.min(most), "{arrivals:?}");
            assert_eq!(three.threads(&load), 3);
        }
        let mut few = load(Arrivals::Closed { parallel: 1_000 });
        few.requests = Some(10);
        assert_eq!(transport.threads(&few), 1);
        transport.choice = TransportChoice::Reqwest;
        assert_eq!(transport.threads(&few), most);
    }
}
