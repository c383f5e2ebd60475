use super::*;

/// Pushes `text` in pieces of `size` bytes until the head is whole.
fn head_of(text: &[u8], size: usize) -> Result<Option<(Head, Vec<u8>)>, HttpError> {
    let mut incoming = Incoming::default();
    for piece in text.chunks(size) {
        if let Some(whole) = incoming.push(piece)? {
            return Ok(Some(whole));
        }
    }
    Ok(None)
}

#[test]
fn a_head_is_found_however_its_bytes_come() {
    let long = "x".repeat(5000);
    for text in [
        "HTTP/1.1 200 OK\r\na: b\r\n\r\n".to_owned(),
        format!("\r\n\r\nHTTP/1.1 100 x\r\n\r\nHTTP/1.1 200 OK\r\na: {long}\r\n\r\n"),
        format!("HTTP/1.1 200 OK\na: {long}\nb: {long}\n\n"),
    ] {
        for size in [1, 2, 3, 7, 1000, 4096] {
            let (head, _) = head_of(text.as_bytes(), size).unwrap().unwrap();
            assert_eq!(head.status, 200);
        }
        let (_, rest) = head_of(format!("{text}body").as_bytes(), usize::MAX)
            .unwrap()
            .unwrap();
        assert_eq!(rest, b"body");
    }
}

#[test]
fn a_head_without_an_end_is_stopped_where_its_bytes_are_added() {
    let line_ends = "\r\n".repeat(LONGEST_HEAD);
    let interim = "HTTP/1.1 100 x\r\n\r\n".repeat(LONGEST_HEAD / 8);
    let one_line = format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(2 * LONGEST_HEAD));
    for text in [line_ends, interim, one_line] {
        for size in [2, 1000, 64 << 10] {
            let result = head_of(text.as_bytes(), size);
            assert!(matches!(result, Err(HttpError::HeadTooLong)), "{result:?}");
        }
    }
}
