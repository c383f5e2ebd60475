use super::*;

fn at(nanos: u64) -> Moment {
    Moment::from_nanos(nanos)
}

#[test]
fn a_stream_is_known_by_its_content_type_or_its_beginning() {
    for content_type in [
        Some("text/event-stream; charset=utf-8"),
        Some("application/json"),
        None,
    ] {
        let mut reader = BodyReader::new(Framing::default(), content_type);
        reader.push(b"dat", at(1)).unwrap();
        reader.push(b"a: x\n\ndata: y", at(2)).unwrap();
        reader.push(b"\n\ndata: [DONE]\n\n", at(3)).unwrap();
        reader.finish(at(4));
        let (log, failure) = reader.into_parts();
        assert!(failure.is_none() && log.is_streamed());
        assert_eq!(log.iter().collect::<Vec<_>>(), [b"x", b"y"]);
        assert_eq!(log.arrivals().collect::<Vec<_>>(), [at(2), at(3)]);
        assert_eq!(log.done(), Some(at(3)));
    }
}

#[test]
fn values_of_json_are_events_with_the_stamp_of_their_last_byte() {
    for (framing, content_type, text, streamed) in [
        (
            Framing::ByContentType,
            "application/x-ndjson",
            "{1}\n{2}\n",
            true,
        ),
        (Framing::JsonLines, "application/json", "{1}\n{2}\n", true),
        (Framing::JsonLines, "application/json", "{12}\n", false),
        (Framing::JsonArray, "application/json", "[{1}\n,{2}]", true),
        (
            Framing::JsonArray,
            "text/event-stream",
            "data: {1}\n\ndata: {2}\n\n",
            true,
        ),
        (Framing::Sse, "", "data: {1}\n\ndata: {2}\n\n", true),
    ] {
        let mut reader = BodyReader::new(framing, Some(content_type));
        for (at_, byte) in (1..).zip(text.as_bytes()) {
            reader.push(&[*byte], at(at_)).unwrap();
        }
        reader.finish(at(99));
        let (log, _) = reader.into_parts();
        assert_eq!(log.is_streamed(), streamed, "{text}");
        if streamed {
            assert_eq!(log.iter().collect::<Vec<_>>(), [b"{1}", b"{2}"], "{text}");
            assert!(log.arrival(0) < log.arrival(1) && log.arrival(1) < Some(at(99)));
        }
    }
    let mut reader = BodyReader::new(Framing::Plain, None);
    reader.push(b"data: x\n\n", at(1)).unwrap();
    reader.finish(at(2));
    assert!(!reader.into_parts().0.is_streamed());
}

#[test]
fn what_arrived_of_a_broken_stream_of_json_is_kept() {
    let mut reader = BodyReader::new(Framing::JsonLines, None);
    reader.push(b"{1}\n{2", at(1)).unwrap();
    reader.abandon(at(5));
    let (log, _) = reader.into_parts();
    assert_eq!(log.iter().collect::<Vec<_>>(), [b"{1}".as_slice(), b"{2"]);
}

#[test]
fn an_event_that_ends_with_one_line_end_came_with_that() {
    let mut reader = BodyReader::new(Framing::default(), Some("text/event-stream"));
    for (at_, line) in (1..).zip([
        "data: {1}\n",
        "data: {2}\n",
        "data: {3}\n",
        "data: [DONE]\n",
    ]) {
        reader.push(line.as_bytes(), at(at_)).unwrap();
    }
    reader.finish(at(9));
    let (log, _) = reader.into_parts();
    assert_eq!(log.arrivals().collect::<Vec<_>>(), [at(1), at(2), at(3)]);
    assert_eq!(log.done(), Some(at(4)));
}

#[test]
fn a_plain_body_is_one_event_at_its_end() {
    let mut reader = BodyReader::new(Framing::default(), Some("application/json"));
    reader.push(b"{\"a\":", at(1)).unwrap();
    reader.push(b"1}", at(2)).unwrap();
    reader.finish(at(2));
    let (log, _) = reader.into_parts();
    assert!(!log.is_streamed());
    assert_eq!(log.iter().collect::<Vec<_>>(), [b"{\"a\":1}"]);
    assert_eq!(log.arrival(0), Some(at(2)));
}

#[test]
fn a_body_of_line_ends_is_looked_at_once() {
    let mut reader = BodyReader::new(Framing::default(), None);
    let begun = std::time::Instant::now();
    let read = [b'\n'; 64 << 10];
    for _ in 0..512 {
        reader.push(&read, at(1)).unwrap();
    }
    // Looked at again with each read it took 10 s and more.
    assert!(begun.elapsed() < std::time::Duration::from_secs(2));
    reader.finish(at(2));
    assert_eq!(reader.into_parts().0.len(), 1);
}

#[test]
fn a_response_that_there_is_no_memory_for_fails_and_gives_it_back() {
    let budget = Arc::new(Budget::new(8 << 20));
    let plain = Framing::ByContentType;
    for (framing, kind, piece) in [
        (plain, "application/json", [b'x'; 4096].to_vec()),
        (plain, "text/event-stream", b"data: x\n\n".repeat(400)),
        (plain, "text/event-stream", [b'x'; 4096].to_vec()),
        (
            Framing::JsonLines,
            "application/json",
            b"{\"a\":1}\n".repeat(400),
        ),
    ] {
        let mut reader = BodyReader::new(framing, Some(kind)).drawing_from(&budget);
        let mut pushed = 0;
        let failure = loop {
            match reader.push(&piece, at(1)) {
                Ok(()) => pushed += piece.len(),
                Err(failure) => break failure,
            }
        };
        assert_eq!(failure.kind, FailureKind::ClientResource);
        assert!(failure.message.contains("--memory-limit"), "{failure:?}");
        assert!((2 << 20..8 << 20).contains(&pushed), "{pushed}");
        assert!(budget.used() < 128 << 10, "given back at once");
        let mut small = BodyReader::new(framing, Some(kind)).drawing_from(&budget);
        small.push(&piece, at(1)).unwrap();
        reader.abandon(at(2));
        let charge = reader.take_charge();
        let (log, _) = reader.into_parts();
        let kept: usize = log.iter().map(|data| data.len()).sum();
        assert!((16..=64 << 10).contains(&kept), "{kept}");
        assert!(log.len() <= 4096);
        drop((charge, small));
        assert_eq!(budget.used(), 0);
    }
}

#[test]
fn an_error_event_is_a_failure_with_its_text() {
    let mut reader = BodyReader::new(Framing::default(), Some("text/event-stream"));
    reader
        .push(
            b"data: a\n\nevent: error\ndata: {\"message\":\n data: x\n\n",
            at(1),
        )
        .unwrap();
    let (log, failure) = reader.into_parts();
    assert_eq!(failure.unwrap().kind, FailureKind::StreamError);
    assert_eq!(log.len(), 2);
}

#[test]
fn a_plain_body_that_is_labelled_as_a_stream_is_one_event() {
    for (body, streamed) in [
        ("\n {\"a\":1}", false),
        ("<html>", false),
        ("\n\ndata: x\n\n", true),
        ("\u{feff}data: x\n\n", true),
        ("unknown: {\n\n", true),
        ("\n\n", true),
        ("", true),
    ] {
        let mut reader = BodyReader::new(Framing::default(), Some("text/event-stream"));
        for byte in body.as_bytes() {
            reader.push(&[*byte], at(1)).unwrap();
        }
        reader.finish(at(2));
        reader.abandon(at(3));
        let (log, _) = reader.into_parts();
        assert_eq!(log.is_streamed(), streamed, "{body:?}");
        let data: Vec<&[u8]> = log.iter().collect();
        let expected: &[&[u8]] = match (streamed, body.contains("data")) {
            (false, _) => &[body.as_bytes()],
            (true, true) => &[b"x"],
            (true, false) => &[],
        };
        assert_eq!(data, expected, "{body:?}");
    }
}

#[test]
fn what_arrived_of_a_broken_stream_is_kept() {
    let mut reader = BodyReader::new(Framing::default(), Some("text/event-stream"));
    reader
        .push(b"data: a\n\ndata: b\ndata: {\"c", at(1))
        .unwrap();
    reader.abandon(at(5));
    let (log, _) = reader.into_parts();
    assert_eq!(
        log.iter().collect::<Vec<_>>(),
        [b"a".as_slice(), b"b\ndata: {\"c"]
    );
    let mut reader = BodyReader::new(Framing::default(), Some("text/event-stream"));
    reader.push(b"data: a\n\n", at(1)).unwrap();
    reader.abandon(at(5));
    assert_eq!(reader.into_parts().0.len(), 1);
}

#[test]
fn what_arrived_of_a_broken_plain_body_is_kept() {
    let mut reader = BodyReader::new(Framing::default(), None);
    reader.push(b"{\"half\":", at(1)).unwrap();
    reader.abandon(at(5));
    let (log, _) = reader.into_parts();
    assert_eq!(log.iter().collect::<Vec<_>>(), [b"{\"half\":"]);
}

#[test]
fn the_budget_pays_for_what_is_kept_alone() {
    let budget = Arc::new(Budget::new(8 << 20));
    // Comments, fields of no meaning, and blank lines: of 64 MiB, nothing is kept.
    let mut reader =
        BodyReader::new(Framing::default(), Some("text/event-stream")).drawing_from(&budget);
    let mut chunk = b": keep-alive\n\nid: 7\n\n".repeat(2000);
    chunk.extend_from_slice(b"\n".repeat(1000).as_slice());
    for _ in 0..(64 << 20) / chunk.len() {
        reader.push(&chunk, at(1)).unwrap();
    }
    assert!(budget.used() <= 2 << 20, "{}", budget.used());
    drop(reader);
    // What was held back at the beginning is paid for once.
    let size = 3 << 20;
    let mut reader = BodyReader::new(Framing::default(), None).drawing_from(&budget);
    reader.push(&vec![b' '; size], at(1)).unwrap();
    let mut charge = reader.take_charge();
    charge.shrink();
    assert_eq!(budget.used(), size);
}
