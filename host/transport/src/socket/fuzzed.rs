//! What is fuzzed of HTTP/1.1: the head of a response and the framing of its body.

use super::body::Body;
use super::error::{HttpError, LONGEST_HEAD};
use super::head::Head;
use super::incoming::{Incoming, SHORT_HEAD};
use crate::cut_input::{cuts_and_stream, pieces};

/// What of a head is asked for, and what is left of the pieces behind it.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: u16,
    body: Body,
    keeps_open: bool,
    headers: [Option<String>; 3],
    rest: Vec<u8>,
}

fn told<'a>(mut pieces: impl Iterator<Item = &'a [u8]>) -> Result<Option<Told>, HttpError> {
    let mut incoming = Incoming::default();
    while let Some(piece) = pieces.next() {
        let head = incoming.push(piece)?;
        assert!(
            incoming.text.len() <= LONGEST_HEAD + piece.len(),
            "more is held than is allowed"
        );
        if let Some((head, mut rest)) = head {
            pieces.for_each(|piece| rest.extend_from_slice(piece));
            let header = |name| head.header(name).map(str::to_owned);
            let _ = head.keep_alive().longest_idle();
            return Ok(Some(Told {
                status: head.status,
                body: head.body,
                keeps_open: head.keeps_open,
                headers: ["content-type", "server", "retry-after"].map(header),
                rest,
            }));
        }
    }
    Ok(None)
}

/// The head of a response: found or refused whatever pieces it comes in, without more memory than it may have.
pub fn head(input: &[u8]) {
    let (cuts, stream) = cuts_and_stream(input);
    let whole = told([stream].into_iter());
    for cut in [pieces(stream, cuts), stream.chunks(1).collect()] {
        match (told(cut.into_iter()), &whole) {
            (Ok(Some(told)), Ok(Some(whole))) => assert_eq!(&told, whole),
            // What is wrong may come before the end, and be passed over until then where that is far off.
            (told, whole) => assert!(
                told.is_err() == whole.is_err() || stream.len() > SHORT_HEAD,
                "{told:?} in pieces, {whole:?} as a whole"
            ),
        }
    }
    // As it is used where the bytes are there: what it takes is a prefix.
    let mut bytes = stream.to_vec();
    if let Ok(Some((_, length))) = Head::parse(&mut bytes) {
        assert!(length <= bytes.len());
    }
}

/// The data of a body, how many bytes were taken, and whether it is over; or what came before a fault.
type Decoded = (Vec<u8>, Result<(usize, bool), String>);

fn decoded<'a>(mut body: Body, pieces: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let (mut out, mut taken) = (Vec::new(), 0);
    for piece in pieces {
        match body.decode(piece, |bytes| out.extend_from_slice(bytes)) {
            Ok(of_piece) => {
                assert!(of_piece <= piece.len());
                assert!(of_piece == piece.len() || body.is_over());
                taken += of_piece;
                if body.is_over() {
                    break;
                }
            }
            Err(error) => return (out, Err(error.to_string())),
        }
    }
    (out, Ok((taken, body.is_over())))
}

/// The body of a response: the same data and the same end whatever pieces it comes in.
pub fn body(input: &[u8]) {
    let Some((&kind, rest)) = input.split_first() else {
        return;
    };
    let body = match kind % 4 {
        0 | 1 => Body::in_chunks(),
        2 => Body::of_length(u64::from(kind)),
        _ => Body::UntilClose,
    };
    let (cuts, stream) = cuts_and_stream(rest);
    let whole = decoded(body, [stream]);
    assert_eq!(
        decoded(body, pieces(stream, cuts)),
        whole,
        "cut at {cuts:?}"
    );
    assert_eq!(decoded(body, stream.chunks(1)), whole, "cut at every byte");
}
