//! A file as the items of one JSON array, read as a stream: the file may be larger than the memory.
//!
//! serde_json calls its visitor; a parser calls us. A thread and a short queue turn the one into the
//! other.

use llmuses_plugin_host::EntryReader;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use std::io::{BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Items that are read ahead.
const AHEAD: usize = 32;

/// The most bytes that are handed over at once, so that a batch of long items stays small. A single item may be
/// longer.
const BATCH_BYTES: usize = 1 << 20;

type Item = Result<String, String>;

/// Reads items, and counts them.
#[derive(Debug)]
pub(super) struct ItemReader {
    items: Receiver<Item>,
    entries: Arc<AtomicU64>,
    /// What ended a batch early.
    pending: Option<String>,
}

impl ItemReader {
    /// A reader of the items of `input`.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(super) fn new<R: Read + Send + 'static>(
        input: R,
        entries: Arc<AtomicU64>,
    ) -> Result<Self, String> {
        let (sender, items) = sync_channel(AHEAD);
        std::thread::Builder::new()
            .name("data-set".to_owned())
            .spawn(move || read(input, &sender))
            .map_err(|error| format!("no thread could be started to read it: {error}"))?;
        Ok(Self {
            items,
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
                Ok(item) => {
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

fn read(input: impl Read, sender: &SyncSender<Item>) {
    let result = read_all(BufReader::with_capacity(64 << 10, input), sender);
    if let Err(error) = result {
        // Fails where nobody wants more; then nobody wants to know either.
        let _ = sender.send(Err(describe(&error)));
    }
}

fn read_all(input: impl Read, sender: &SyncSender<Item>) -> serde_json::Result<()> {
    let input = without_mark(input).map_err(serde_json::Error::io)?;
    let mut json = serde_json::Deserializer::from_reader(input);
    json.deserialize_seq(Items(sender))?;
    json.end()
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

struct Items<'a>(&'a SyncSender<Item>);

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one JSON array of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        while let Some(item) = array.next_element::<Box<RawValue>>()? {
            if self.0.send(Ok(item.get().to_owned())).is_err() {
                return Err(serde::de::Error::custom("nobody wants more items"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &'static str) -> Vec<Item> {
        let mut reader = ItemReader::new(text.as_bytes(), Arc::default()).unwrap();
        let mut out = Vec::new();
        loop {
            match reader.next(3) {
                Ok(items) if items.is_empty() => return out,
                Ok(items) => out.extend(items.into_iter().map(Ok)),
                Err(error) => out.push(Err(error)),
            }
        }
    }

    #[test]
    fn items_come_as_they_are_written() {
        let items = all("[ {\"a\": 1} ,2,\n\"x\", [3]]\n");
        let items: Vec<String> = items.into_iter().map(Result::unwrap).collect();
        assert_eq!(items, ["{\"a\": 1}", "2", "\"x\"", "[3]"]);
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let items = all("\u{feff}[1, 2]");
        let items: Vec<String> = items.into_iter().map(Result::unwrap).collect();
        assert_eq!(items, ["1", "2"]);
    }

    #[test]
    fn a_broken_array_says_where() {
        let items = all("[1,\n 2,\n {\"a\": }]");
        assert_eq!(items.len(), 3);
        let said = |place: &str, what: &str| {
            Err(format!(
                "{place}: not one valid JSON array: {what}; nothing behind this can be read"
            ))
        };
        assert_eq!(items[2], said("line 3, column 8", "expected value"));
        assert_eq!(
            all("{\"a\": 1}")[0],
            said(
                "line 1, column 1",
                "invalid type: map, expected one JSON array of items"
            )
        );
        assert_eq!(
            all("[1] [2]")[1],
            said("line 1, column 5", "trailing characters")
        );
        let nothing = all("").remove(0).unwrap_err();
        assert!(
            nothing.starts_with("line 1, column 0: not one valid JSON array: EOF")
                && !nothing.contains(" at line"),
            "{nothing}"
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_says_why() {
        struct Broken;

        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("the disk is gone"))
            }
        }

        let mut reader = ItemReader::new(Broken, Arc::default()).unwrap();
        let error = reader.next(1).unwrap_err();
        assert_eq!(error, "it cannot be read: the disk is gone");
    }

    #[test]
    fn long_items_come_in_small_batches() {
        let item = format!("\"{}\"", "a".repeat(BATCH_BYTES * 2 / 3));
        let text = format!("[{}]", [item.as_str(); 5].join(","));
        let mut reader = ItemReader::new(std::io::Cursor::new(text), Arc::default()).unwrap();
        let mut count = 0;
        loop {
            let items = reader.next(9).unwrap();
            assert!(items.len() <= 2);
            if items.is_empty() {
                break;
            }
            count += items.len();
        }
        assert_eq!(count, 5);
    }

    /// `[1,1,1,1,` without end. Whoever reads it holds it.
    struct Endless(std::sync::mpsc::Sender<()>, bool);

    impl Drop for Endless {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    impl Read for Endless {
        fn read(&mut self, room: &mut [u8]) -> std::io::Result<usize> {
            let Self(_, begun) = self;
            if !*begun {
                *begun = true;
                room[0] = b'[';
                return Ok(1);
            }
            let size = room.len() & !1;
            for (place, byte) in room[..size].iter_mut().enumerate() {
                *byte = if place % 2 == 0 { b'1' } else { b',' };
            }
            Ok(size)
        }
    }

    #[test]
    fn a_reader_that_is_let_go_ends_its_thread() {
        let (told, ended) = std::sync::mpsc::channel();
        let mut reader = ItemReader::new(Endless(told, false), Arc::default()).unwrap();
        assert_eq!(reader.next(1).unwrap(), ["1"]);
        // The thread has read ahead, and waits to hand over more.
        assert!(ended.try_recv().is_err());
        drop(reader);
        let longest = std::time::Duration::from_secs(20);
        assert_eq!(ended.recv_timeout(longest), Ok(()), "it reads on and on");
    }
}
