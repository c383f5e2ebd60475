//! How many client threads a load needs.

use super::{Arrivals, Plan, TransportChoice};

impl Plan {
    /// How many threads carry requests: as many as were asked for, or else as many as the load needs. Threads that
    /// have little to do are woken for every chunk, which costs nearly half of a chunk's work again, and takes that
    /// time from a server on the same machine.
    pub fn threads(&self) -> usize {
        /// The streams of a thread, or its requests in a second: a fourth of a processor where each stream brings a
        /// chunk every 10 ms.
        const LOAD: usize = 250;
        /// The server's answers are the work, and one thread can carry thousands of streams.
        const MOST: usize = 8;
        let most = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST));
        let by_load = || {
            let requests = self.requests.map_or(usize::MAX, |number| {
                usize::try_from(number).unwrap_or(usize::MAX)
            });
            let load = match self.arrivals {
                Arrivals::Closed { parallel } => parallel.min(requests),
                // Cut to what there is of numbers.
                Arrivals::Poisson { rate } => rate as usize,
                Arrivals::AllAtOnce => requests,
            };
            match self.transport {
                TransportChoice::Socket => load.div_ceil(LOAD).clamp(1, most),
                // Its stamps are late by as long as bytes wait for their thread.
                TransportChoice::Reqwest => most,
            }
        };
        self.client_threads.unwrap_or_else(by_load)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use url::Url;

    #[test]
    fn there_are_as_many_threads_as_the_load_needs_and_the_machine_has() {
        let most = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(8));
        let plan = |arrivals| Plan {
            arrivals,
            ..Plan::new("m".to_owned(), Url::parse("http://h/").unwrap())
        };
        for (arrivals, expected) in [
            (Arrivals::Closed { parallel: 1 }, 1),
            (Arrivals::Closed { parallel: 250 }, 1),
            (Arrivals::Closed { parallel: 251 }, 2),
            (Arrivals::Closed { parallel: 100_000 }, 8),
            (Arrivals::Poisson { rate: 0.5 }, 1),
            (Arrivals::Poisson { rate: 2_000.0 }, 8),
            (Arrivals::Poisson { rate: f64::MAX }, 8),
            (Arrivals::AllAtOnce, 8),
        ] {
            let mut plan = plan(arrivals);
            assert_eq!(plan.threads(), expected.min(most), "{arrivals:?}");
            plan.client_threads = Some(3);
            assert_eq!(plan.threads(), 3);
        }
        let mut few = plan(Arrivals::Closed { parallel: 1_000 });
        few.requests = Some(10);
        assert_eq!(few.threads(), 1);
        few.transport = TransportChoice::Reqwest;
        assert_eq!(few.threads(), most);
    }
}
