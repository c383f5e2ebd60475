//! Who goes first when processors are short: the threads that stamp. Parsing, storing and counting step
//! back, since nothing that they do has a deadline.
//!
//! The kernel stamps bytes as they come in, but bytes that wait unread in a socket are merged and keep only the
//! stamp of the last: a client thread that is kept from its processor by another program loses arrivals. So
//! it asks to be let in sooner, as does the thread that keeps the schedule of an open loop.

use std::time::Duration;

/// By how much the calling thread steps back: enough to lose every contest with a thread that stamps,
/// not so much that it starves beside other programs.
#[cfg(target_os = "linux")]
const STEP_BACK: libc::c_int = 5;

/// How long a thread that must be prompt wants to run at a stretch, in nanoseconds: the least that the kernel
/// takes.
#[cfg(target_os = "linux")]
const SHORT_SLICE: u64 = 100_000;

/// How long a thread without a deadline lets work gather once it has done all that there was. Short enough that
/// no queue runs full or empty meanwhile: they hold what hundreds of requests need.
pub const GATHER: Duration = Duration::from_millis(1);

/// Lets the calling thread step back behind the threads that stamp. Where the system does not let a
/// single thread do that, nothing changes.
pub fn step_back() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the call takes plain numbers and touches no memory of ours. On Linux, 0 means the
        // calling thread. Lowering one's own priority is always allowed; if it fails all the same,
        // the thread keeps the priority that it has.
        let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, STEP_BACK) };
    }
}

/// Has the calling thread let in soon after it has something to do, by asking for short stretches on the
/// processor. Since Linux 6.12 the scheduler then lets it interrupt a thread that asks for longer ones. Its
/// share of the processor stays what it is, so that a server on this machine loses nothing, and it needs no
/// right. Its sleeps end when they should: the kernel may add 50 µs to them otherwise, which is more than half of the time by
/// which the thread that keeps a schedule wakes before a request is due. On other systems nothing changes.
pub fn be_prompt() {
    #[cfg(target_os = "linux")]
    {
        ask_for_short_slices();
        ask_for_exact_timers();
    }
}

#[cfg(target_os = "linux")]
fn ask_for_exact_timers() {
    /// In nanoseconds; 0 would be the slack that the thread began with.
    const LEAST_SLACK: libc::c_ulong = 1;
    // SAFETY: the call takes plain numbers and touches no memory of ours. It is about the calling thread alone; where it
    // fails, the thread keeps the slack that it has.
    let _ = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, LEAST_SLACK) };
}

#[cfg(target_os = "linux")]
fn ask_for_short_slices() {
    /// `struct sched_attr` in its first version.
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    /// The calling thread, and no flags. As wide as a register, which is how the call takes its arguments.
    const THIS: libc::c_long = 0;
    const NONE: libc::c_long = 0;
    let mut attributes = Attributes::default();
    let size = size_of::<Attributes>();
    // SAFETY: the pointer is to a live, writable value of as many bytes as the kernel is told.
    let got = unsafe {
        libc::syscall(
            libc::SYS_sched_getattr,
            THIS,
            &raw mut attributes,
            size,
            NONE,
        )
    };
    if got != 0 || attributes.policy != libc::SCHED_OTHER as u32 {
        return;
    }
    attributes.runtime = SHORT_SLICE;
    // SAFETY: the pointer is to a live value whose first field says how many bytes it has, as the call
    // above has filled it in. A failure changes nothing.
    let _ = unsafe { libc::syscall(libc::SYS_sched_setattr, THIS, &raw const attributes, NONE) };
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_sleeps_of_a_prompt_thread_have_no_slack() {
        let slack = || {
            // SAFETY: the call takes plain numbers, and gives back one.
            unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) }
        };
        let of_prompt = std::thread::spawn(move || {
            be_prompt();
            slack()
        });
        assert_eq!(of_prompt.join().unwrap(), 1);
        // It is for that thread alone.
        assert!(slack() > 1);
    }
}
