//! The clocks of WASI, as parsers get them: they stand still but for what the parser itself does.
//!
//! A parser has no business with time, and real time would let it measure the run or sleep in it. Real
//! sleep could not even be interrupted. So a sleep is over at once and moves the clock by its length,
//! every look at the clock moves it by a microsecond (a loop that waits for a moment ends), and two runs
//! with the same seed see the same times.

use std::pin::Pin;
use std::time::Duration;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::{self, Instant};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::{self, Datetime};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

/// The time of day at which every instance begins: the first second of 2026, UTC.
const BEGINNING_UNIX_SECONDS: u64 = 1_767_225_600;

/// How far a look at the clock moves it, in nanoseconds.
const LOOK_NANOS: u64 = 1_000;

/// How long an instance has been running, by its own clock.
#[derive(Debug, Default)]
pub(super) struct VirtualTime {
    nanos: u64,
}

impl VirtualTime {
    fn look(&mut self) -> u64 {
        self.pass(LOOK_NANOS);
        self.nanos
    }

    fn pass(&mut self, nanos: u64) {
        self.nanos = self.nanos.saturating_add(nanos);
    }
}

/// The clocks of one instance, for the functions of WASI.
pub(super) struct VirtualClock<'a> {
    pub(super) time: &'a mut VirtualTime,
    pub(super) table: &'a mut ResourceTable,
}

/// Ties [`VirtualClock`] to the linker.
pub(super) struct HasVirtualClock;

impl HasData for HasVirtualClock {
    type Data<'a> = VirtualClock<'a>;
}

impl wall_clock::Host for VirtualClock<'_> {
    fn now(&mut self) -> wasmtime::Result<Datetime> {
        let since = Duration::from_nanos(self.time.look());
        Ok(Datetime {
            seconds: BEGINNING_UNIX_SECONDS + since.as_secs(),
            nanoseconds: since.subsec_nanos(),
        })
    }

    fn resolution(&mut self) -> wasmtime::Result<Datetime> {
        Ok(Datetime {
            seconds: 0,
            nanoseconds: LOOK_NANOS as u32,
        })
    }
}

impl monotonic_clock::Host for VirtualClock<'_> {
    fn now(&mut self) -> wasmtime::Result<Instant> {
        Ok(self.time.look())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(LOOK_NANOS)
    }

    fn subscribe_instant(&mut self, when: Instant) -> wasmtime::Result<Resource<DynPollable>> {
        self.time.nanos = self.time.nanos.max(when);
        self.over()
    }

    fn subscribe_duration(&mut self, nanos: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.time.pass(nanos);
        self.over()
    }
}

impl VirtualClock<'_> {
    fn over(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        let over = self.table.push(Over)?;
        subscribe(self.table, over)
    }
}

/// A sleep that is over.
struct Over;

impl Pollable for Over {
    fn ready<'a, 'b>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::ready(()))
    }
}
