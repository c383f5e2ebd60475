//! The program on a terminal: a pseudo-terminal of its own, what a terminal would show of it, and keys.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// No test waits longer for something to show.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `Ctrl-C` sends.
pub const CTRL_C: &[u8] = b"\x03";

/// Ctrl-Z as a terminal sends it.
pub const CTRL_Z: &[u8] = b"\x1a";

/// A terminal with a program on it.
pub struct Terminal {
    keyboard: File,
    child: Child,
    shown: Arc<Mutex<Shown>>,
    reader: Option<JoinHandle<()>>,
}

/// What was written to the terminal, and what it shows of that.
struct Shown {
    bytes: Vec<u8>,
    parser: vt100::Parser,
}

/// Where standard output goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stdout {
    /// To the terminal.
    Terminal,
    /// Away.
    Nowhere,
}

impl Terminal {
    /// Starts a command with standard error on a terminal of this size, which is its controlling one.
    pub fn start(command: &mut Command, columns: u16, rows: u16, stdout: Stdout) -> Self {
        let (keyboard, terminal) = pair();
        set_size(&keyboard, columns, rows);
        let same = || Stdio::from(terminal.try_clone().expect("a descriptor can be copied"));
        command
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .stdin(same())
            .stderr(same())
            .stdout(match stdout {
                Stdout::Terminal => same(),
                Stdout::Nowhere => Stdio::null(),
            });
        let take_terminal = || {
            // SAFETY: both calls take plain numbers and touch no memory.
            let taken =
                unsafe { libc::setsid() != -1 && libc::ioctl(0, libc::TIOCSCTTY as _, 0) != -1 };
            if taken {
                Ok(())
            } else {
                Err(io::Error::last_os_error())
            }
        };
        // SAFETY: what runs between fork and exec calls two functions that may be called there, and allocates
        // nothing: an error of the system is a number.
        let child = unsafe { command.pre_exec(take_terminal) }
            .spawn()
            .expect("the program starts");
        // The command still holds copies of the terminal, which would keep its end from being seen.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        drop(terminal);
        let shown = Arc::new(Mutex::new(Shown {
            bytes: Vec::new(),
            parser: vt100::Parser::new(rows, columns, 1000),
        }));
        let mut screen = keyboard.try_clone().expect("a descriptor can be copied");
        let follow = Arc::clone(&shown);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Once nobody has the terminal open, reading gives an error.
            while let Ok(count) = screen.read(&mut buffer)
                && count > 0
            {
                let mut shown = follow.lock().expect("nobody panics with it");
                shown.bytes.extend_from_slice(&buffer[..count]);
                shown.parser.process(&buffer[..count]);
            }
        });
        Self {
            keyboard,
            child,
            shown,
            reader: Some(reader),
        }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).expect("keys are taken");
    }

    /// Sends the program a signal.
    pub fn signal(&self, signal: i32) {
        crate::support::signal(&self.child, signal);
    }

    /// Gives the terminal another size, as a person does with the mouse.
    pub fn resize(&self, columns: u16, rows: u16) {
        let mut shown = self.shown.lock().expect("nobody panics with it");
        shown.parser.screen_mut().set_size(rows, columns);
        set_size(&self.keyboard, columns, rows);
    }

    /// The lines that the terminal shows.
    pub fn screen(&self) -> String {
        let shown = self.shown.lock().expect("nobody panics with it");
        shown.parser.screen().contents()
    }

    /// Forgets what was written so far; the screen stays.
    pub fn forget(&self) {
        self.shown
            .lock()
            .expect("nobody panics with it")
            .bytes
            .clear();
    }

    /// What was written since it was last forgotten.
    pub fn written(&self) -> String {
        let shown = self.shown.lock().expect("nobody panics with it");
        String::from_utf8_lossy(&shown.bytes).into_owned()
    }

    /// Waits until the screen shows what is wanted, and gives it.
    pub fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(Instant::now() < deadline, "it never showed:\n{screen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the end of the program. Gives its exit code and what the terminal shows then, with all
    /// that has left it at the top; the cursor must be there to be seen, at the start of a line.
    pub fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        let code = loop {
            if let Some(status) = self.child.try_wait().expect("the child can be waited for") {
                break status.code();
            }
            assert!(Instant::now() < deadline, "no end:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        };
        if let Some(reader) = self.reader.take() {
            reader.join().expect("all was read");
        }
        let mut shown = self.shown.lock().expect("nobody panics with it");
        let screen = shown.parser.screen_mut();
        assert!(!screen.hide_cursor(), "the cursor is not to be seen");
        assert!(!screen.alternate_screen());
        assert_eq!(screen.cursor_position().1, 0, "{}", screen.contents());
        let (_, columns) = screen.size();
        screen.set_size(500, columns);
        screen.set_scrollback(1000);
        (code, screen.contents())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The two ends of a pseudo-terminal: ours, and the program's.
fn pair() -> (File, OwnedFd) {
    let (mut ours, mut theirs) = (-1, -1);
    let null = std::ptr::null_mut();
    // SAFETY: the two integers live until the call is over; of what is null, the system writes nothing and
    // takes its defaults.
    let opened = unsafe {
        libc::openpty(
            &raw mut ours,
            &raw mut theirs,
            null,
            null.cast(),
            null.cast(),
        )
    };
    assert_eq!(opened, 0, "{}", io::Error::last_os_error());
    // SAFETY: the call has just opened both, and nobody else knows of them.
    let (ours, theirs) = unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) };
    for end in [&ours, &theirs] {
        // SAFETY: the call takes plain numbers. Without it, programs that other tests start at the same
        // time would keep the terminal open.
        unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    (File::from(ours), theirs)
}

fn set_size(terminal: &File, columns: u16, rows: u16) {
    let size = libc::winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the request reads one `winsize`, which lives until the call is over.
    let set = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}
