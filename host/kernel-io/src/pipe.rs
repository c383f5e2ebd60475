//! A pipe that a user names, such as what the shell makes of `<(command)`.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often it is looked whether something has come.
const LOOK_UP: Duration = Duration::from_millis(5);

/// A named pipe, read to the end. It is not waited for without end that somebody begins to write into it; who has begun may
/// take as long as it wants.
#[derive(Debug)]
pub struct Pipe {
    file: File,
    has_writer: bool,
    until: Instant,
}

impl Pipe {
    /// Opens a pipe into which somebody has to write within this time, counted from now.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(path: &Path, longest: Duration) -> std::io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true);
        // Without this, to open it waits for a writer.
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
        Ok(Self {
            file: options.open(path)?,
            has_writer: false,
            until: Instant::now() + longest,
        })
    }
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.file.read(into) {
                // Nobody has it open for writing: not yet, or no more.
                Ok(0) if !self.has_writer && !into.is_empty() => {
                    if Instant::now() > self.until {
                        return Err(Error::new(
                            ErrorKind::TimedOut,
                            "it is a pipe into which nobody writes",
                        ));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.has_writer = true,
                read => {
                    self.has_writer = true;
                    return read;
                }
            }
            std::thread::sleep(LOOK_UP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::process::Command;

    fn pipe(folder: &Path) -> std::path::PathBuf {
        let path = folder.join("pipe");
        let made = Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        path
    }

    #[test]
    fn what_a_slow_writer_brings_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = pipe(folder.path());
        let writer = {
            let path = path.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                let mut pipe = OpenOptions::new().write(true).open(path).unwrap();
                for part in ["one\n", "two\n"] {
                    std::thread::sleep(Duration::from_millis(50));
                    pipe.write_all(part.as_bytes()).unwrap();
                }
            })
        };
        let mut text = String::new();
        let mut pipe = Pipe::open(&path, Duration::from_secs(20)).unwrap();
        pipe.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one\ntwo\n");
        writer.join().unwrap();
    }

    #[test]
    fn a_pipe_into_which_nobody_writes_is_not_waited_for_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut pipe = Pipe::open(&pipe(folder.path()), Duration::from_millis(30)).unwrap();
        let error = pipe.read(&mut [0; 9]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }
}
