use super::super::erase;
use super::*;
use crate::live::tests_support::{failing, snapshot};

/// What is written to a screen.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> String {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const fn size(columns: u16, rows: u16) -> Size {
    Size { columns, rows }
}

fn painter(size: Size, colour: bool) -> (Painter, Screen, Written) {
    let written = Written::default();
    let screen = Screen::new(written.clone(), size);
    let painter = Painter::new(&screen, LiveView { colour });
    (painter, screen, written)
}

/// The lines of one drawing, which begins and ends where it should.
fn lines(drawn: &str) -> Vec<&str> {
    let drawn = drawn
        .strip_prefix("\r\x1b[K")
        .expect("it begins at the start");
    let drawn = drawn.strip_suffix('\r').expect("it ends at the start");
    assert!(!drawn.contains("\x1b[J"), "it erases by line");
    let (text, below) = drawn.split_once("\x1b7").unwrap_or((drawn, ""));
    let (text, up) = match below.rsplit_once("\x1b8") {
        Some((_, up)) => (text, up),
        None => text.rsplit_once("\x1b[").unwrap_or((text, "")),
    };
    let lines: Vec<&str> = text.split("\r\n\x1b[K").collect();
    if lines.len() > 1 {
        assert!(up.ends_with(&format!("{}A", lines.len() - 1)), "{drawn:?}");
    }
    lines
}

#[test]
fn a_view_is_drawn_in_one_go_and_fits() {
    for columns in NARROWEST..130 {
        for rows in [1, 2, 3, 24] {
            let (painter, _, written) = painter(size(columns, rows), false);
            painter.draw(&failing(), size(columns, rows));
            let drawn = written.take();
            let lines = lines(&drawn);
            assert!(lines.len() < usize::from(rows.max(2)), "{rows}: {drawn:?}");
            for line in lines {
                assert!(line.len() <= columns.into(), "{columns}: {line:?}");
                assert!(!line.ends_with("  "), "{line:?}");
            }
        }
    }
}

#[test]
fn views() {
    let mut all = String::new();
    for columns in [120, 80, 60, 40, 20] {
        let (painter, _, written) = painter(size(columns, 24), false);
        painter.draw(&failing(), size(columns, 24));
        all.push_str(&lines(&written.take()).join("\n"));
        all.push_str("\n\n");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_view_follows_the_size_of_the_terminal_and_goes_away() {
    let (painter, screen, written) = painter(size(80, 24), false);
    painter.draw(&snapshot(), size(80, 24));
    assert_eq!(lines(&written.take()).len(), 6);
    screen.resize(size(20, 24));
    painter.draw(&snapshot(), size(20, 24));
    let narrow = written.take();
    assert!(lines(&narrow).iter().all(|line| line.len() <= 20));
    drop(painter);
    assert_eq!(written.take(), format!("{}\r", erase(24)));
}

#[test]
fn colour_is_for_the_bar_and_for_what_fails() {
    let (painter, _, written) = painter(size(80, 24), true);
    painter.draw(&failing(), size(80, 24));
    let drawn = written.take();
    assert!(drawn.contains("[\x1b[36m="), "{drawn:?}");
    assert!(
        drawn.contains("\x1b[31m Failures   http-status 21, timeout-read 2\x1b[0m"),
        "{drawn:?}"
    );
}

/// What the test below has a process of its own do.
#[test]
#[ignore = "draws on standard error, and panics"]
fn a_panic_beside_a_view() {
    let board = Board::default();
    board.publish(snapshot());
    let view = View::start(board, LiveView { colour: false }).unwrap();
    std::thread::sleep(3 * EVERY);
    let broken = std::thread::spawn(|| panic!("something failed")).join();
    assert!(broken.is_err());
    std::thread::sleep(3 * EVERY);
    // The view is gone afterwards, and nobody sees what it was in the middle of.
    let above = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _view = view;
        panic!("and so did the run");
    }));
    assert!(above.is_err());
    crate::terminal::finish();
    eprint!("afterwards");
}

#[test]
fn a_panic_is_told_above_the_view_and_takes_its_own_with_it() {
    let ran = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture"])
        .arg("terminal::view::tests::a_panic_beside_a_view")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let drawn = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success(), "{drawn}");
    let place = |what: &str| {
        drawn
            .find(what)
            .unwrap_or_else(|| panic!("{what}: {drawn:?}"))
    };
    let (first, last) = (place("something failed"), place("and so did the run"));
    let before = &drawn[..first];
    let erased = erase(24);
    let (_, reason) = before.rsplit_once(&erased).unwrap();
    assert!(before.contains(" Requests   380 of 1000 done"), "{drawn:?}");
    assert!(reason.trim_start().starts_with("thread "), "{drawn:?}");
    assert!(
        drawn[first..last].contains(" Requests   380 of"),
        "{drawn:?}"
    );
    let after = &drawn[last..];
    assert!(!after.contains("Requests"), "{drawn:?}");
    assert!(after.ends_with(&format!("{erased}afterwards")), "{drawn:?}");
}
