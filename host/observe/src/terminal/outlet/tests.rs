use super::*;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A reader that takes what it is sent only when it is told to.
struct Gate {
    open: Receiver<()>,
    taken: Arc<Mutex<String>>,
    stays_open: bool,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // Where nobody is left to open it, it stays open.
        self.stays_open = self.stays_open || self.open.recv().is_err();
        let mut taken = self.taken.lock().unwrap();
        taken.push_str(std::str::from_utf8(bytes).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn gate() -> (Outlet, Sender<()>, Arc<Mutex<String>>) {
    let (opener, open) = channel();
    let taken = Arc::<Mutex<String>>::default();
    let gate = Gate {
        open,
        taken: Arc::clone(&taken),
        stays_open: false,
    };
    (Outlet::start(gate).unwrap(), opener, taken)
}

#[test]
fn details_that_nobody_reads_are_dropped_and_counted() {
    let (outlet, opener, taken) = gate();
    let begun = Instant::now();
    let line = format!("{}\n", "x".repeat(1023));
    for _ in 0..8 << 10 {
        outlet.put(Weight::Detail, line.clone());
    }
    outlet.put(Weight::Message, "error: it matters\n".to_owned());
    assert!(outlet.0.lock().bytes <= MOST_DETAIL_BYTES + 100);
    assert!(begun.elapsed() < Duration::from_secs(5));
    // It is read after all.
    drop(opener);
    outlet.finish();
    let taken = taken.lock().unwrap();
    let kept = taken.matches(&line).count();
    assert!((4000..=4100).contains(&kept), "{kept}");
    assert!(taken.contains("error: it matters\n"));
    let told = format!("warning: {} lines were not shown", (8 << 10) - kept);
    assert!(taken.contains(&told), "{told}");
}

#[test]
fn the_end_does_not_wait_for_a_reader_that_reads_nothing() {
    let (outlet, _opener, taken) = gate();
    outlet.put(Weight::Message, "a\n".to_owned());
    let begun = Instant::now();
    outlet.settle(Duration::from_millis(50));
    // It has been found out that nobody reads.
    outlet.settle(Duration::from_secs(60));
    outlet.last_words("b\n".to_owned(), Duration::from_millis(50));
    outlet.finish();
    let took = begun.elapsed();
    assert!(took > PATIENCE && took < 3 * PATIENCE, "{took:?}");
    assert_eq!(*taken.lock().unwrap(), "");
}

#[test]
fn messages_outlast_a_slow_reader() {
    let (outlet, opener, taken) = gate();
    for number in 0..100 {
        outlet.put(Weight::Message, format!("message {number}\n"));
    }
    let reads = std::thread::spawn(move || {
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(30));
            if opener.send(()).is_err() {
                return;
            }
        }
    });
    outlet.finish();
    assert_eq!(taken.lock().unwrap().lines().count(), 100);
    drop(outlet);
    reads.join().unwrap();
}

#[test]
fn a_drawing_gives_way_to_what_waits() {
    let (outlet, opener, taken) = gate();
    outlet.put(Weight::Message, "a\n".to_owned());
    outlet.put(Weight::Drawing, "drawn".to_owned());
    drop(opener);
    outlet.finish();
    outlet.put(Weight::Drawing, "again".to_owned());
    outlet.finish();
    assert_eq!(*taken.lock().unwrap(), "a\nagain");
}
