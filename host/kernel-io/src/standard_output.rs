//! Standard output whose reader is waited for as long as it takes, but not without end once the program was asked to end.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
#[cfg(unix)]
use std::time::{Duration, Instant};

/// What is written at once: a pipe that has any room has room for as much.
#[cfg(unix)]
const AT_ONCE: usize = 4 << 10;

/// A reader that takes nothing for so long is not waited for once the program was asked to end.
#[cfg(unix)]
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is looked whether the program was asked to end.
#[cfg(unix)]
const LOOK_UP: Duration = Duration::from_millis(50);

/// What is set when the program is asked to end.
static IS_ENDING: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From when this flag is set, a reader that takes nothing is not waited for without end. The first flag counts.
pub fn do_not_wait_after(is_ending: Arc<AtomicBool>) {
    // One that is there already is the same.
    let _ = IS_ENDING.set(is_ending);
}

fn is_ending() -> bool {
    IS_ENDING
        .get()
        .is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// Standard output.
///
/// A write fails with [`io::ErrorKind::TimedOut`] where the reader takes nothing for two seconds after the program was
/// asked to end.
#[derive(Debug)]
pub struct StandardOutput(io::StdoutLock<'static>);

/// Standard output. Nobody else has it until this is dropped.
pub fn standard_output() -> StandardOutput {
    StandardOutput(io::stdout().lock())
}

impl Write for StandardOutput {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        #[cfg(unix)]
        {
            use std::os::fd::AsFd;
            write(self.0.as_fd(), data, is_ending)
        }
        #[cfg(not(unix))]
        self.0.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        // What others put into its buffer, which is none of this program.
        self.0.flush()
    }
}

/// Writes a beginning of `data` as soon as the reader has room for it.
#[cfg(unix)]
fn write(
    to: std::os::fd::BorrowedFd<'_>,
    data: &[u8],
    is_ending: impl Fn() -> bool,
) -> io::Result<usize> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let look_up = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(LOOK_UP.subsec_nanos()),
    };
    let mut ending_since: Option<Instant> = None;
    loop {
        let mut wanted = [PollFd::from_borrowed_fd(to, PollFlags::OUT)];
        match poll(&mut wanted, Some(&look_up)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            // Also where it failed, and of what cannot be asked: the write tells.
            _ => {
                let data = &data[..data.len().min(AT_ONCE)];
                return rustix::io::write(to, data).map_err(Into::into);
            }
        }
        if is_ending() {
            let since = *ending_since.get_or_insert_with(Instant::now);
            if since.elapsed() > PATIENCE {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "nobody reads it, and the program was asked to end",
                ));
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::AsFd;

    #[test]
    fn a_reader_that_takes_nothing_is_waited_for_until_the_program_is_to_end() {
        let (mut reader, writer) = io::pipe().unwrap();
        let is_ending = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&is_ending);
        let begun = Instant::now();
        let thread = std::thread::spawn(move || {
            let data = vec![b'x'; 1 << 20];
            let mut at = 0;
            let error = loop {
                match write(writer.as_fd(), &data[at..], || flag.load(Ordering::Relaxed)) {
                    Ok(written) => at += written,
                    Err(error) => break error,
                }
            };
            (at, error.kind())
        });
        std::thread::sleep(PATIENCE + Duration::from_millis(500));
        assert!(!thread.is_finished());
        let mut some = vec![0; 200 << 10];
        reader.read_exact(&mut some).unwrap();
        is_ending.store(true, Ordering::Relaxed);
        let (written, error) = thread.join().unwrap();
        assert_eq!(error, io::ErrorKind::TimedOut);
        assert!((200 << 10..1 << 20).contains(&written), "{written}");
        assert!(begun.elapsed() > 2 * PATIENCE);
    }

    #[test]
    fn a_file_and_a_closed_pipe_say_what_they_say() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(write(file.as_fd(), b"abc", || true).unwrap(), 3);
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let error = write(writer.as_fd(), b"abc", || false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}
