use super::*;
use proptest::prelude::*;

type Owned = Vec<(Vec<u8>, Vec<u8>)>;

/// The events of `stream`, handed over in pieces that end at `cuts`.
fn events(stream: &[u8], cuts: &[usize]) -> Owned {
    let mut splitter = EventSplitter::new(1 << 20);
    let mut out = Owned::new();
    let mut start = 0;
    for &cut in cuts.iter().chain([&stream.len()]) {
        let cut = cut.clamp(start, stream.len());
        splitter
            .push(&stream[start..cut], |event| {
                out.push((event.name.to_vec(), event.data.to_vec()));
            })
            .unwrap();
        start = cut;
    }
    splitter.finish(|event| out.push((event.name.to_vec(), event.data.to_vec())));
    out
}

fn data(stream: &[u8]) -> Vec<String> {
    events(stream, &[])
        .into_iter()
        .map(|(_, data)| String::from_utf8_lossy(&data).into_owned())
        .collect()
}

#[test]
fn all_line_ends_are_line_ends() {
    assert_eq!(data(b"data: a\n\ndata: b\n\n"), ["a", "b"]);
    assert_eq!(data(b"data: a\r\n\r\ndata: b\r\n\r\n"), ["a", "b"]);
    assert_eq!(data(b"data: a\r\rdata: b\r\r"), ["a", "b"]);
    assert_eq!(data(b"data: a\r\n\ndata: b\n\r\n"), ["a", "b"]);
}

#[test]
fn one_space_behind_the_colon_is_not_data() {
    assert_eq!(data(b"data:a\n\ndata: b\n\ndata:  c\n\n"), ["a", "b", " c"]);
}

#[test]
fn data_lines_are_joined() {
    assert_eq!(data(b"data: a\ndata: b\ndata\n\n"), ["a\nb\n"]);
    assert_eq!(data(b"data\n\n"), [""]);
}

#[test]
fn comments_and_other_fields_are_passed_over() {
    assert_eq!(
        data(b": keep-alive\n\nid: 7\nretry: 3\nother\ndata: a\n\n"),
        ["a"]
    );
}

#[test]
fn one_line_end_ends_an_event_with_an_object() {
    assert_eq!(
        data(b"data: {\"a\":1}\ndata: {\"b\":2}\ndata: [DONE]\n"),
        ["{\"a\":1}", "{\"b\":2}", "[DONE]"]
    );
    // An object over several lines stays one.
    assert_eq!(
        data(b"data: {\ndata: \"a\":{}\ndata: }\n\ndata: x\n\n"),
        ["{\n\"a\":{}\n}", "x"]
    );
    let mut splitter = EventSplitter::new(100);
    let mut events = Vec::new();
    for line in ["data: {1}\n", "data: {2}\n", "data: {3}\n"] {
        splitter
            .push(line.as_bytes(), |event| {
                events.push((event.data.to_vec(), event.was_complete));
            })
            .unwrap();
    }
    let expected = [("{1}", true), ("{2}", false), ("{3}", false)];
    assert_eq!(
        events,
        expected.map(|(data, was)| (data.as_bytes().to_vec(), was))
    );
}

#[test]
fn what_a_server_says_outside_of_data_is_an_event() {
    assert_eq!(
        data(b"data: a\n\n{\"error\":1}\n\ndata: b\n\n"),
        ["a", "{\"error\":1}", "b"]
    );
    assert_eq!(
        data(b"data: {}\n{\n \"error\": 1\n}"),
        ["{}", "{\n \"error\": 1\n}"]
    );
    let got = events(b"data: a\n\nerror: no more\n\nerror:\n\n", &[]);
    assert_eq!(got[1], (b"error".to_vec(), b"no more".to_vec()));
    assert_eq!(got.len(), 2);
}

#[test]
fn names_belong_to_their_event_alone() {
    let got = events(
        b"event: error\ndata: a\n\ndata: b\n\nevent: x\n\ndata: c\n\n",
        &[],
    );
    let names: Vec<&[u8]> = got.iter().map(|(name, _)| name.as_slice()).collect();
    assert_eq!(names, [b"error".as_slice(), b"", b""]);
}

#[test]
fn a_byte_order_mark_is_dropped_at_the_start_only() {
    assert_eq!(data(b"\xEF\xBB\xBFdata: a\n\n"), ["a"]);
    assert!(data(b"\n\xEF\xBB\xBFdata: a\n\n").is_empty());
}

#[test]
fn an_end_without_a_blank_line_keeps_the_last_event() {
    assert_eq!(data(b"data: a\n\ndata: b"), ["a", "b"]);
    assert_eq!(data(b"data: a\n\ndata: b\n"), ["a", "b"]);
    assert_eq!(data(b"data: a\n\n"), ["a"]);
}

#[test]
fn an_event_comes_out_with_the_read_that_brings_its_last_byte() {
    let mut splitter = EventSplitter::new(100);
    let mut count = 0;
    splitter.push(b"data: a\r", |_| count += 1).unwrap();
    splitter.push(b"\n\r", |_| count += 1).unwrap();
    assert_eq!(
        count, 1,
        "the second CR ends the event; its LF need not be waited for"
    );
    splitter.push(b"\n", |_| count += 1).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn an_endless_event_is_stopped() {
    let mut splitter = EventSplitter::new(64);
    let got = (0..100).try_for_each(|_| splitter.push(b"0123456789", |_| ()));
    assert_eq!(got, Err(EventTooLong));
    let mut splitter = EventSplitter::new(64);
    let got = (0..100).try_for_each(|_| splitter.push(b"data: 0123456789\n", |_| ()));
    assert_eq!(got, Err(EventTooLong));
    // Whole, and in one piece.
    let mut splitter = EventSplitter::new(10);
    let mut push = |bytes: &[u8]| splitter.push(bytes, |_| ());
    assert_eq!(push(b"data: 0\n\ndata: 0123456789\n\n"), Ok(()));
    assert_eq!(push(b"data: 0123456789a\n\n"), Err(EventTooLong));
}

#[test]
fn streams_are_told_from_plain_bodies() {
    assert_eq!(looks_like_events(b"data: {}"), Some(true));
    assert_eq!(looks_like_events(b"\xEF\xBB\xBF: hello"), Some(true));
    assert_eq!(looks_like_events(b"\r\nevent: x"), Some(true));
    assert_eq!(looks_like_events(b"{\"id\""), Some(false));
    assert_eq!(looks_like_events(b"dat"), None);
    assert_eq!(looks_like_events(b""), None);
    assert_eq!(looks_like_events(b"date"), Some(false));
}

proptest! {
    #[test]
    fn any_split_of_the_bytes_gives_the_same_events(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "data: ", "data:", "event: error", "event", ": note", "id: 1", "\n", "\r", "\r\n",
                "\n\n", "[DONE]", "{\"a\":1}", "{", "error: x", "\u{feff}", "ö", "🙂", "data", " ", "x:y",
            ]),
            0..60,
        ),
        raw in prop::collection::vec(any::<u8>(), 0..20),
        cuts in prop::collection::vec(0usize..400, 0..40),
    ) {
        let mut stream = pieces.concat().into_bytes();
        stream.extend_from_slice(&raw);
        let mut cuts = cuts;
        cuts.sort_unstable();
        let every_byte: Vec<usize> = (0..stream.len()).collect();
        let whole = events(&stream, &[]);
        prop_assert_eq!(&events(&stream, &cuts), &whole);
        prop_assert_eq!(&events(&stream, &every_byte), &whole);
    }
}

/// A large first line, and many short ones behind it: looked at again for each, it takes minutes.
#[test]
fn an_event_of_many_lines_is_not_looked_at_again_for_each_line() {
    const LINES: usize = 200_000;
    let began = std::time::Instant::now();
    for (first, line) in [
        (b"{ ".as_slice(), b"x\n".as_slice()),
        (b"data: ", b"data:}\n"),
    ] {
        let mut stream = first.to_vec();
        stream.resize(4 << 20, b' ');
        stream.push(b'\n');
        stream.extend(line.repeat(LINES));
        stream.push(b'\n');
        let mut splitter = EventSplitter::new(64 << 20);
        let mut found = Vec::new();
        splitter
            .push(&stream, |event| found.push(event.data.to_vec()))
            .unwrap();
        assert_eq!(found.len(), 1);
        let lines = found[0].iter().filter(|byte| **byte == b'\n');
        assert_eq!(lines.count(), LINES);
    }
    let took = began.elapsed();
    assert!(took.as_secs() < 30, "{took:?}");
}

#[test]
fn blanks_around_data_of_several_lines_do_not_matter() {
    assert_eq!(
        data(b"data:\ndata:  \ndata: {\ndata: }  \ndata:\ndata: {\"b\":1}\n\n"),
        ["\n \n{\n}  \n", "{\"b\":1}"]
    );
    assert_eq!(
        data(b"data: {}\ndata: {}\ndata:  [DONE]\n\n"),
        ["{}", "{}", " [DONE]"]
    );
}
