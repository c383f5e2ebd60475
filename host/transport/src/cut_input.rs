//! Inputs of a fuzzer: a stream and where it is cut.

/// The cuts at the beginning of an input, whose number is its first byte, and the stream behind them.
pub(crate) fn cuts_and_stream(input: &[u8]) -> (&[u8], &[u8]) {
    let Some((&count, rest)) = input.split_first() else {
        return (&[], &[]);
    };
    rest.split_at(usize::from(count).min(rest.len()))
}

/// The pieces of a stream: each cut is that many bytes behind the one before.
pub(crate) fn pieces<'a>(mut stream: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts {
        let (piece, rest) = stream.split_at(usize::from(*cut).min(stream.len()));
        pieces.push(piece);
        stream = rest;
    }
    pieces.push(stream);
    pieces
}
