use super::*;

fn reader(text: impl Into<Vec<u8>>) -> ItemReader {
    let input = std::io::Cursor::new(text.into());
    ItemReader::new(input, Arc::default(), &Arc::default()).unwrap()
}

fn all(text: &'static str) -> Vec<Result<String, String>> {
    let mut reader = reader(text);
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

    let mut reader = ItemReader::new(Broken, Arc::default(), &Arc::default()).unwrap();
    let error = reader.next(1).unwrap_err();
    assert_eq!(error, "it cannot be read: the disk is gone");
}

#[test]
fn long_items_come_in_small_batches() {
    let item = format!("\"{}\"", "a".repeat(BATCH_BYTES * 2 / 3));
    let text = format!("[{}]", [item.as_str(); 5].join(","));
    let mut reader = reader(text);
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
    let mut reader =
        ItemReader::new(Endless(told, false), Arc::default(), &Arc::default()).unwrap();
    assert_eq!(reader.next(1).unwrap(), ["1"]);
    // The thread has read ahead, and waits to hand over more.
    assert!(ended.try_recv().is_err());
    drop(reader);
    let longest = std::time::Duration::from_secs(20);
    assert_eq!(ended.recv_timeout(longest), Ok(()), "it reads on and on");
}

#[test]
fn an_item_without_end_is_refused() {
    let endless = std::io::Read::chain(&b"[\"a\", \""[..], std::io::repeat(b'x'));
    let mut reader = ItemReader::new(endless, Arc::default(), &Arc::default()).unwrap();
    assert_eq!(reader.next(1).unwrap(), ["\"a\""]);
    let error = reader.next(1).unwrap_err();
    assert!(error.contains("an item is longer than 64 MiB"), "{error}");
}

#[test]
fn what_is_read_ahead_is_bounded_in_bytes_and_given_back() {
    let budget = Arc::new(Budget::new(32 << 20));
    let item = format!("\"{}\"", "a".repeat((1 << 20) - 2));
    let text = format!("[{}]", vec![item.as_str(); 64].join(","));
    let readers: Vec<ItemReader> = (0..4)
        .map(|_| {
            let input = std::io::Cursor::new(text.clone());
            ItemReader::new(input, Arc::default(), &budget).unwrap()
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let ahead: Vec<usize> = readers
        .iter()
        .map(|reader| reader.ahead.load(Ordering::Relaxed))
        .collect();
    assert!(ahead.iter().all(|ahead| *ahead <= AHEAD_BYTES), "{ahead:?}");
    assert!(ahead.iter().sum::<usize>() > 0 && budget.used() > 0);
    drop(readers);
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while budget.used() > 0 && std::time::Instant::now() < until {
        std::thread::sleep(LOOK_UP);
    }
    assert_eq!(budget.used(), 0);
}
