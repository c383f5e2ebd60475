//! Who goes first when processors are short: the threads that stamp. Parsing, storing and counting step
//! back, since nothing that they do has a deadline.

/// By how much the calling thread steps back: enough to lose every contest with a thread that stamps,
/// not so much that it starves beside other programs.
#[cfg(target_os = "linux")]
const STEP_BACK: libc::c_int = 5;

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
