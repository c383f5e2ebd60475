//! Ctrl-C, and the polite end that other programs ask for: the first asks the run to end early, the
//! second ends the program at once. A third does so within the handler of the signal, whatever else is stuck.

use llmuses_kernel_io::standard_output;
use llmuses_observe::terminal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::flag;
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The exit code of a program that a second Ctrl-C ended, by the custom of shells: 128 and SIGINT.
const EXIT_CODE_INTERRUPTED: i32 = 130;

/// The flag that the first signal sets; the second one ends the program. The signals are watched from
/// the first call on, and every call gives the same flag.
///
/// # Errors
/// Where the signals cannot be watched.
pub fn flag() -> std::io::Result<Arc<AtomicBool>> {
    static FLAG: Mutex<Option<Arc<AtomicBool>>> = Mutex::new(None);
    let mut slot = FLAG.lock().unwrap_or_else(PoisonError::into_inner);
    match &*slot {
        Some(flag) => Ok(Arc::clone(flag)),
        None => {
            let flag = Arc::new(AtomicBool::new(false));
            watch(Arc::clone(&flag))?;
            standard_output::do_not_wait_after(Arc::clone(&flag));
            Ok(Arc::clone(slot.insert(flag)))
        }
    }
}

/// A flag that a signal sets, of a program that is to end then and has nothing to tell.
///
/// # Errors
/// Where the signals cannot be watched.
pub fn quiet_flag() -> std::io::Result<Arc<AtomicBool>> {
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&ended))?;
    }
    Ok(ended)
}

/// Has a write fail that would make a file larger than this user may have, instead of the program being
/// killed for it: whoever wrote says what was lost, and the run goes on.
pub fn outlive_full_files() {
    // SAFETY: the call sets a disposition that the system knows, and no code of ours runs in a handler.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

/// Whether this program was started with a signal ignored: `nohup` does so with SIGHUP, for it is to outlive its terminal.
fn ignores(signal: i32) -> bool {
    // SAFETY: all bytes of the structure may be zero; the call writes it and takes nothing else of ours.
    unsafe {
        let mut known: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut known) == 0
            && known.sa_sigaction == libc::SIG_IGN
    }
}

fn watch(interrupted: Arc<AtomicBool>) -> std::io::Result<()> {
    let mut watched = vec![SIGINT, SIGTERM];
    if !ignores(SIGHUP) {
        watched.push(SIGHUP);
    }
    let is_ending = Arc::new(AtomicBool::new(false));
    for signal in &watched {
        flag::register_conditional_shutdown(
            *signal,
            EXIT_CODE_INTERRUPTED,
            Arc::clone(&is_ending),
        )?;
        // In the handler itself: the run ends even where the thread below does not get to it.
        flag::register(*signal, Arc::clone(&interrupted))?;
    }
    // Ctrl-Z: the view is taken away before the shell writes, and drawn again afterwards.
    if !ignores(SIGTSTP) {
        watched.push(SIGTSTP);
    }
    let mut signals = Signals::new(&watched)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut is_first = true;
            for signal in signals.forever() {
                if signal == SIGTSTP {
                    // It stops this program, and fails for no signal that can stop it.
                    terminal::while_stopped(|| drop(emulate_default_handler(SIGTSTP)));
                    continue;
                }
                if is_first {
                    is_first = false;
                    terminal::say(
                        "interrupted: no further requests; waiting for those in flight (Ctrl-C again ends at once)",
                    );
                    continue;
                }
                // The kernel and the shell may both tell of the same terminal that was closed.
                if signal == SIGHUP {
                    continue;
                }
                is_ending.store(true, Ordering::Relaxed);
                terminal::leave("ended at once; what was stored so far is kept");
                std::process::exit(EXIT_CODE_INTERRUPTED);
            }
        })?;
    Ok(())
}
