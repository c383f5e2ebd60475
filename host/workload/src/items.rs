//! A file as the items of one JSON array, read as a stream: the file may be larger than the memory.
//!
//! serde_json calls its visitor; a parser calls us. A thread and a short queue turn the one into the
//! other.

use llmuses_core::budget::{Budget, Charge};
use llmuses_plugin_host::EntryReader;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::fmt;
use std::io::{BufReader, Read};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Items that are read ahead at most.
const AHEAD: usize = 32;

/// Bytes of items that are read ahead at most; a single item may be longer.
const AHEAD_BYTES: usize = 4 << 20;

/// The longest item that is taken, in bytes, as of a line. One without end must not fill the memory.
const ITEM_LIMIT_BYTES: usize = 64 << 20;

/// How long reading waits for memory that others have.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often a thread that is far enough ahead looks whether something was taken.
const LOOK_UP: Duration = Duration::from_millis(1);

/// The most bytes that are handed over at once, so that a batch of long items stays small. A single item may be
/// longer.
const BATCH_BYTES: usize = 1 << 20;

/// An item with its memory.
type Item = Result<(String, Charge), String>;

/// Reads items, and counts them.
#[derive(Debug)]
pub(super) struct ItemReader {
    items: Receiver<Item>,
    /// Bytes that are read and not taken.
    ahead: Arc<AtomicUsize>,
    entries: Arc<AtomicU64>,
    /// What ended a batch early.
    pending: Option<String>,
}

impl ItemReader {
    /// A reader of the items of `input`, which draws from `budget`.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(super) fn new<R: Read + Send + 'static>(
        input: R,
        entries: Arc<AtomicU64>,
        budget: &Arc<Budget>,
    ) -> Result<Self, String> {
        let (sender, items) = sync_channel(AHEAD);
        let ahead = Arc::<AtomicUsize>::default();
        let (to, budget) = (Arc::clone(&ahead), Arc::clone(budget));
        std::thread::Builder::new()
            .name("data-set".to_owned())
            .spawn(move || {
                read(
                    input,
                    &Sender {
                        items: sender,
                        ahead: to,
                        budget,
                    },
                )
            })
            .map_err(|error| format!("no thread could be started to read it: {error}"))?;
        Ok(Self {
            items,
            ahead,
            entries,
            pending: None,
        })
    }
}

impl EntryReader for ItemReader {
    fn next(&mut self, max: u32) -> Result<Vec<String>, String> {
        if let Some(error) = self.pending.take() {
            return Err(error);
        }
        let mut items: Vec<String> = Vec::new();
        let mut bytes = 0;
        while items.len() < max as usize && bytes < BATCH_BYTES {
            // The first one is worth waiting for; what is not there after it can come next time.
            let item = if items.is_empty() {
                self.items.recv().ok()
            } else {
                self.items.try_recv().ok()
            };
            let Some(item) = item else { break };
            self.entries.fetch_add(1, Ordering::Relaxed);
            match item {
                Ok((item, _)) => {
                    self.ahead.fetch_sub(item.len(), Ordering::Relaxed);
                    bytes += item.len();
                    items.push(item);
                }
                Err(error) if items.is_empty() => return Err(error),
                Err(error) => {
                    self.pending = Some(error);
                    break;
                }
            }
        }
        Ok(items)
    }
}

/// The other end of a reader.
struct Sender {
    items: SyncSender<Item>,
    ahead: Arc<AtomicUsize>,
    budget: Arc<Budget>,
}

impl Sender {
    /// Waits until there is room for an item, and hands it over.
    fn send(&self, item: String) -> Result<(), String> {
        let size = item.len();
        loop {
            let ahead = self.ahead.load(Ordering::Relaxed);
            if ahead == 0 || ahead + size <= AHEAD_BYTES {
                break;
            }
            // The reader has the other copy.
            if Arc::strong_count(&self.ahead) == 1 {
                return Err(NOBODY.to_owned());
            }
            std::thread::sleep(LOOK_UP);
        }
        let mut charge = Charge::of(&self.budget);
        charge
            .grow_within(size, PATIENCE)
            .map_err(|error| error.to_string())?;
        self.ahead.fetch_add(size, Ordering::Relaxed);
        self.items
            .send(Ok((item, charge)))
            .map_err(|_| NOBODY.to_owned())
    }
}

const NOBODY: &str = "nobody wants more items";

fn read(input: impl Read, sender: &Sender) {
    let meter = Rc::new(RefCell::new(Meter {
        of_item: 0,
        charge: Charge::of(&sender.budget),
    }));
    let metered = Metered {
        input,
        meter: Rc::clone(&meter),
    };
    let result = read_all(BufReader::with_capacity(64 << 10, metered), sender, &meter);
    if let Err(error) = result {
        // Fails where nobody wants more; then nobody wants to know either.
        let _ = sender.items.send(Err(describe(&error)));
    }
}

fn read_all(input: impl Read, sender: &Sender, meter: &RefCell<Meter>) -> serde_json::Result<()> {
    let input = without_mark(input).map_err(serde_json::Error::io)?;
    let mut json = serde_json::Deserializer::from_reader(input);
    json.deserialize_seq(Items { sender, meter })?;
    json.end()
}

/// What was read for the item under way.
struct Meter {
    of_item: usize,
    charge: Charge,
}

/// Input that ends with an error where an item does not end, or where there is no memory for it.
struct Metered<R> {
    input: R,
    meter: Rc<RefCell<Meter>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        let mut meter = self.meter.borrow_mut();
        meter.of_item += read;
        if meter.of_item > ITEM_LIMIT_BYTES {
            return Err(std::io::Error::other(format!(
                "an item is longer than {} MiB",
                ITEM_LIMIT_BYTES >> 20
            )));
        }
        meter
            .charge
            .grow_within(read, PATIENCE)
            .map_err(std::io::Error::other)?;
        Ok(read)
    }
}

/// The input behind the byte-order mark with which some editors begin a file, and JSON may not.
fn without_mark(mut input: impl Read) -> std::io::Result<impl Read> {
    const MARK: &[u8] = b"\xEF\xBB\xBF";
    let mut begin = Vec::with_capacity(MARK.len());
    input
        .by_ref()
        .take(MARK.len() as u64)
        .read_to_end(&mut begin)?;
    if begin == MARK {
        begin.clear();
    }
    Ok(std::io::Cursor::new(begin).chain(input))
}

/// Says why a file is not one JSON array, with line and column.
fn describe(error: &serde_json::Error) -> String {
    if error.is_io() {
        return format!("it cannot be read: {error}");
    }
    let text = error.to_string();
    // serde_json tells the reason together with the place only; a test notices where it does so in another way.
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = text.strip_suffix(&place).unwrap_or(&text);
    format!(
        "line {}, column {}: not one valid JSON array: {what}; nothing behind this can be read",
        error.line(),
        error.column()
    )
}

struct Items<'a> {
    sender: &'a Sender,
    meter: &'a RefCell<Meter>,
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON array of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while let Some(item) = array.next_element::<Box<RawValue>>()? {
            let item: Box<str> = item.into();
            let mut meter = self.meter.borrow_mut();
            meter.of_item = 0;
            meter.charge.clear();
            drop(meter);
            self.sender
                .send(item.into_string())
                .map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
