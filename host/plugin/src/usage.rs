//! What a parser has taken of its bounds: the memory of an instance, and the time and data of the call
//! under way.

use llmuses_core::bounds::Bounds;
use llmuses_kernel_io::processor_time;
use std::time::{Duration, Instant};
use wasmtime::{ResourceLimiter, UpdateDeadline};

/// Core instances in one component instance. One from an ordinary toolchain has a handful: its code, an
/// adapter, and small ones that tie them together.
const MOST_INSTANCES: usize = 64;

/// Memories of an instance. Each takes address space of its own whatever its size, and toolchains give
/// one to each module with code.
const MOST_MEMORIES: usize = 16;

/// Tables of an instance: one or two for each core instance.
const MOST_TABLES: usize = 64;

/// How often one call may open the data set. A pass over it takes one; each reader holds an open file, a
/// buffer and perhaps a thread.
const MOST_OPENED: u32 = 16;

/// A bound was broken.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Exceeded {
    #[error(
        "it took longer than {}, the most that one call may take (--plugin-call-timeout)",
        seconds(*.0)
    )]
    CallTime(Duration),
    #[error(
        "it was not over after {}, waits for the data set and the tokenizer included \
         (--plugin-call-timeout)",
        seconds(*.0)
    )]
    WallTime(Duration),
    #[error("it wanted more than {} MiB of memory (--plugin-memory-mib)", .0 >> 20)]
    Memory(usize),
    #[error(
        "it moved more than {} MiB to the host in one call (--plugin-transfer-mib)",
        .0 >> 20
    )]
    Transfer(usize),
    #[error("it opened the data set more than {MOST_OPENED} times in one call")]
    Opened,
    #[error("it has more than {0} readers of the data set open at once")]
    Readers(u32),
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// A function of the host under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct HostCall {
    wall: Instant,
    processor: Duration,
}

impl HostCall {
    pub(super) fn begin() -> Self {
        Self {
            wall: Instant::now(),
            processor: processor_time::of_thread(),
        }
    }
}

/// The call under way. The parser's own time is that of the processor: beside other programs that are busy, a call
/// takes longer for no fault of the parser. Time in the host's functions is that of the clock, since they may wait.
#[derive(Debug)]
pub(super) struct CallUsage {
    began: Instant,
    /// Processor time of the thread when the call came to its first deadline, a tick after it began at the latest. Not when
    /// it began: to ask for it takes a call of the system, and nearly all calls are over before.
    processor: Option<Duration>,
    in_host: Duration,
    /// Processor time in the host's functions since then.
    host_work: Duration,
    moved: usize,
    opened: u32,
}

impl CallUsage {
    pub(super) fn begin() -> Self {
        Self {
            began: Instant::now(),
            processor: None,
            in_host: Duration::ZERO,
            host_work: Duration::ZERO,
            moved: 0,
            opened: 0,
        }
    }

    /// How long the call has been under way, by the clock.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The parser's own time; that before the first deadline does not count.
    fn own(&mut self) -> Duration {
        let now = processor_time::of_thread();
        let first = *self.processor.get_or_insert(now);
        now.saturating_sub(first).saturating_sub(self.host_work)
    }

    /// Notes data that came from the parser.
    pub(super) fn add_moved(&mut self, bytes: usize, bounds: &Bounds) -> Result<(), Exceeded> {
        self.moved = self.moved.saturating_add(bytes);
        if self.moved > bounds.transfer_bytes {
            return Err(Exceeded::Transfer(bounds.transfer_bytes));
        }
        Ok(())
    }

    /// Notes that the data set is opened.
    pub(super) fn add_opened(&mut self) -> Result<(), Exceeded> {
        self.opened += 1;
        if self.opened > MOST_OPENED {
            return Err(Exceeded::Opened);
        }
        Ok(())
    }

    /// Notes time in a function of the host. It is not the parser's; but with it the call may have become too long as
    /// a whole.
    pub(super) fn add_host_time(
        &mut self,
        since: HostCall,
        bounds: &Bounds,
    ) -> Result<(), Exceeded> {
        self.in_host += since.wall.elapsed();
        if self.processor.is_some() {
            self.host_work += processor_time::of_thread().saturating_sub(since.processor);
        }
        if self.in_host > bounds.wall_time() {
            return Err(Exceeded::WallTime(bounds.wall_time()));
        }
        Ok(())
    }

    /// What is to be done when the deadline has come, which is one of the clock: the parser gets the time that the host
    /// took, and that during which its thread had no processor.
    pub(super) fn at_deadline(&mut self, bounds: &Bounds) -> Result<UpdateDeadline, Exceeded> {
        let own = self.own();
        let left = bounds.call_time.saturating_sub(own);
        let left_of_all = bounds.wall_time().saturating_sub(own + self.in_host);
        if left.is_zero() {
            Err(Exceeded::CallTime(bounds.call_time))
        } else if left_of_all.is_zero() {
            Err(Exceeded::WallTime(bounds.wall_time()))
        } else {
            let ticks = super::engine::ticks(left.min(left_of_all));
            Ok(UpdateDeadline::Continue(ticks))
        }
    }
}

/// Counts what all memories and tables of an instance take together.
#[derive(Debug)]
pub(super) struct MemoryUsage {
    bytes: usize,
    limit: usize,
}

impl MemoryUsage {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self {
            bytes: 0,
            limit: bounds.memory_bytes,
        }
    }

    /// An error rather than a refusal: a refusal would come back to the parser, which could only give up
    /// for a reason that nobody is told.
    fn grow(&mut self, current: usize, desired: usize, unit: usize) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current).saturating_mul(unit);
        let total = self.bytes.saturating_add(more);
        if total > self.limit {
            return Err(Exceeded::Memory(self.limit).into());
        }
        self.bytes = total;
        Ok(true)
    }
}

impl ResourceLimiter for MemoryUsage {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(current, desired, 1)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.grow(current, desired, size_of::<usize>())
    }

    fn instances(&self) -> usize {
        MOST_INSTANCES
    }

    fn memories(&self) -> usize {
        MOST_MEMORIES
    }

    fn tables(&self) -> usize {
        MOST_TABLES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(millis: u64) -> Bounds {
        Bounds {
            call_time: Duration::from_millis(millis),
            ..Bounds::default()
        }
    }

    fn work(time: Duration) {
        let began = processor_time::of_thread();
        while processor_time::of_thread() - began < time {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn neither_time_in_the_host_nor_without_a_processor_is_the_parsers() {
        let mut call = CallUsage::begin();
        let since = HostCall::begin();
        work(Duration::from_millis(30));
        call.add_host_time(since, &bounds(20)).unwrap();
        // As a thread that others keep off the processor.
        std::thread::sleep(Duration::from_millis(300));
        assert!(matches!(
            call.at_deadline(&bounds(20)),
            Ok(UpdateDeadline::Continue(_))
        ));
        work(Duration::from_millis(30));
        let error = call.at_deadline(&bounds(20)).err();
        assert_eq!(error, Some(Exceeded::CallTime(Duration::from_millis(20))));
    }

    #[test]
    fn a_call_that_only_waits_ends_too() {
        let mut call = CallUsage::begin();
        let since = HostCall::begin();
        std::thread::sleep(Duration::from_millis(30));
        let error = call.add_host_time(since, &bounds(2)).unwrap_err();
        assert_eq!(error, Exceeded::WallTime(Duration::from_millis(24)));
    }

    #[test]
    fn all_memories_and_tables_count_together() {
        let mut memory = MemoryUsage::new(&Bounds {
            memory_bytes: 1 << 20,
            ..Bounds::default()
        });
        assert!(memory.memory_growing(0, 600 << 10, None).unwrap());
        assert!(memory.table_growing(0, 32 << 10, None).unwrap());
        let error = memory.memory_growing(0, 200 << 10, None).unwrap_err();
        assert!(error.to_string().contains("more than 1 MiB"), "{error}");
    }
}
