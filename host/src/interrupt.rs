//! Ctrl-C, and the polite end that other programs ask for: the first asks the run to end early, the
//! second ends the program at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of a program that a second Ctrl-C ended, by the custom of shells: 128 and SIGINT.
const EXIT_CODE_INTERRUPTED: i32 = 130;

/// Sets `interrupted` at the first signal, and ends the program at the second one.
///
/// # Errors
/// Where the signals cannot be watched.
pub fn watch(interrupted: Arc<AtomicBool>) -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for _ in signals.forever() {
                if interrupted.swap(true, Ordering::Relaxed) {
                    eprintln!("ended at once; what was stored so far is kept");
                    std::process::exit(EXIT_CODE_INTERRUPTED);
                }
                eprintln!(
                    "interrupted: no further requests; waiting for those in flight (Ctrl-C again ends at once)"
                );
            }
        })?;
    Ok(())
}
