//! The body of a response on HTTP/1.1: where it ends, and its bytes without what frames them.

use super::error::HttpError;

/// The most bytes that extensions and padding of chunk sizes, or trailers, may have in one body. Nothing is made of
/// any of them.
const MOST_OVERHEAD: u32 = 16 << 10;

/// So many leading zeros and blanks of each size do not count as overhead: some servers write all sizes in the same
/// width.
const FREE_PADDING: u8 = 16;

/// How a body ends, and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// After so many more bytes.
    Length(u64),
    /// With the empty chunk.
    Chunks(Chunks),
    /// With the connection.
    UntilClose,
    /// It has ended.
    Over,
}

/// Where in a body in chunks the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunks {
    step: Step,
    /// Bytes that are left of the chunk; while its size is read, the size so far.
    left: u64,
    overhead: u32,
    /// Leading zeros and blanks of the size, up to [`FREE_PADDING`].
    padding: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// At the first digit of a size.
    FirstDigit,
    /// At a later digit, or behind the size.
    Digits,
    /// At blanks behind the size.
    Blanks,
    /// In what a server may add to a size.
    Extension,
    /// At the LF behind a size.
    SizeEnd,
    /// In the data.
    Data,
    /// At the CR behind the data.
    DataEnd,
    /// At the LF behind the data.
    DataEndLf,
    /// At the beginning of a trailer line, or at the empty line behind them.
    Trailers,
    /// In a trailer line.
    Trailer,
    /// At the LF behind a trailer line.
    TrailerEnd,
    /// At the last LF.
    End,
}

impl Body {
    /// A body of known length.
    pub(super) const fn of_length(length: u64) -> Self {
        match length {
            0 => Self::Over,
            length => Self::Length(length),
        }
    }

    /// A body in chunks.
    pub(super) const fn in_chunks() -> Self {
        Self::Chunks(Chunks {
            step: Step::FirstDigit,
            left: 0,
            overhead: 0,
            padding: 0,
        })
    }

    /// Whether it has ended.
    pub(super) fn is_over(&self) -> bool {
        *self == Self::Over
    }

    /// Takes the bytes of a read, hands to `out` what is of the body, and gives back how many bytes it
    /// took: all, unless the body ended before.
    ///
    /// # Errors
    /// Where the framing breaks the rules. What came before that has been handed out.
    pub(super) fn decode(
        &mut self,
        bytes: &[u8],
        mut out: impl FnMut(&[u8]),
    ) -> Result<usize, HttpError> {
        match self {
            Self::Length(left) => {
                // No more than the bytes that are there.
                let taken =
                    usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                out(&bytes[..taken]);
                *self = Self::of_length(*left - taken as u64);
                Ok(taken)
            }
            Self::Chunks(chunks) => {
                let (taken, is_over) = chunks.decode(bytes, out)?;
                if is_over {
                    *self = Self::Over;
                }
                Ok(taken)
            }
            Self::UntilClose => {
                out(bytes);
                Ok(bytes.len())
            }
            Self::Over => Ok(0),
        }
    }
}

impl Chunks {
    /// How many bytes it took, and whether the body is over with them.
    fn decode(
        &mut self,
        bytes: &[u8],
        mut out: impl FnMut(&[u8]),
    ) -> Result<(usize, bool), HttpError> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.step == Step::Data {
                let rest = &bytes[at..];
                let taken =
                    usize::try_from(self.left).map_or(rest.len(), |left| left.min(rest.len()));
                out(&rest[..taken]);
                at += taken;
                self.left -= taken as u64;
                if self.left == 0 {
                    self.step = Step::DataEnd;
                }
                continue;
            }
            if let Some(taken) = self.pass_plain_framing(&bytes[at..]) {
                at += taken;
                continue;
            }
            at += 1;
            self.step = self.after(byte)?;
            if self.step == Step::FirstDigit {
                self.left = 0;
            } else if self.step == Step::End && byte == b'\n' {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    /// Takes in one go what stands between chunks as most servers write it: the end of one, and, if there is more, a
    /// size of a few digits with nothing behind it. Gives back how many bytes that was; `None`, with nothing taken, for
    /// all else, which is read byte by byte.
    fn pass_plain_framing(&mut self, bytes: &[u8]) -> Option<usize> {
        /// Sizes of more digits are rare, and need a look at whether they can be held.
        const MOST_DIGITS: usize = 7;
        if self.step == Step::DataEnd && bytes == b"\r\n" {
            // All that is left of a read that brought one chunk.
            self.step = Step::FirstDigit;
            self.left = 0;
            return Some(bytes.len());
        }
        let size_at = match self.step {
            Step::FirstDigit => 0,
            Step::DataEnd if bytes.starts_with(b"\r\n") => 2,
            _ => return None,
        };
        let mut left = 0;
        for (index, &byte) in bytes[size_at..].iter().take(MOST_DIGITS + 1).enumerate() {
            match char::from(byte).to_digit(16) {
                Some(digit) => left = left * 16 + u64::from(digit),
                None if left > 0 && bytes[size_at + index..].starts_with(b"\r\n") => {
                    self.left = left;
                    self.step = Step::Data;
                    return Some(size_at + index + 2);
                }
                None => return None,
            }
        }
        None
    }

    /// The step behind a byte that is not of the data. For the last byte of all it is the same step again.
    fn after(&mut self, byte: u8) -> Result<Step, HttpError> {
        match (self.step, byte) {
            (Step::FirstDigit | Step::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                // A hexadecimal digit, as the pattern says.
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                self.left = self
                    .left
                    .checked_mul(16)
                    .and_then(|size| size.checked_add(u64::from(digit)))
                    .ok_or(HttpError::ChunkSize)?;
                if self.step == Step::FirstDigit {
                    self.padding = 0;
                }
                // Digits of a size that is not zero are bounded by what it can hold.
                match self.left {
                    0 => self.pad(Step::Digits),
                    _ => Ok(Step::Digits),
                }
            }
            (Step::Digits | Step::Blanks, b' ' | b'\t') => self.pad(Step::Blanks),
            (Step::Digits | Step::Blanks, b';') => Ok(Step::Extension),
            (Step::Digits | Step::Blanks | Step::Extension, b'\r') => Ok(Step::SizeEnd),
            (Step::Extension, b'\n') => Err(HttpError::ChunkSize),
            (Step::Extension, _) => self.beside(Step::Extension),
            (Step::SizeEnd, b'\n') if self.left == 0 => Ok(Step::Trailers),
            (Step::SizeEnd, b'\n') => Ok(Step::Data),
            (Step::DataEnd, b'\r') => Ok(Step::DataEndLf),
            (Step::DataEndLf, b'\n') => Ok(Step::FirstDigit),
            (Step::Trailers, b'\r') => Ok(Step::End),
            (Step::Trailer, b'\r') => Ok(Step::TrailerEnd),
            (Step::Trailers | Step::Trailer, b'\n') => Err(HttpError::Trailer),
            (Step::Trailers | Step::Trailer, _) => self.beside(Step::Trailer),
            (Step::TrailerEnd, b'\n') => Ok(Step::Trailers),
            (Step::End, b'\n') => Ok(Step::End),
            (Step::TrailerEnd | Step::End, _) => Err(HttpError::Trailer),
            (Step::DataEnd | Step::DataEndLf, _) => Err(HttpError::ChunkEnd),
            (Step::FirstDigit | Step::Digits | Step::Blanks | Step::SizeEnd | Step::Data, _) => {
                Err(HttpError::ChunkSize)
            }
        }
    }

    /// Counts a leading zero or a blank of a size.
    fn pad(&mut self, next: Step) -> Result<Step, HttpError> {
        if self.padding < FREE_PADDING {
            self.padding += 1;
            return Ok(next);
        }
        self.beside(next)
    }

    /// Counts a byte of which nothing is made.
    fn beside(&mut self, next: Step) -> Result<Step, HttpError> {
        self.overhead += 1;
        if self.overhead > MOST_OVERHEAD {
            return Err(HttpError::Overhead);
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes `bytes` in pieces of `size`; gives back the body and how many bytes were taken.
    fn decoded(mut body: Body, bytes: &[u8], size: usize) -> Result<(Vec<u8>, usize), HttpError> {
        let (mut out, mut taken) = (Vec::new(), 0);
        for piece in bytes.chunks(size) {
            let of_piece = body.decode(piece, |bytes| out.extend_from_slice(bytes))?;
            taken += of_piece;
            if of_piece < piece.len() {
                assert!(body.is_over());
                break;
            }
        }
        Ok((out, taken))
    }

    #[test]
    fn a_body_of_known_length_ends_there() {
        let mut body = Body::of_length(5);
        let mut out = Vec::new();
        let mut decode = |body: &mut Body, bytes: &[u8]| {
            body.decode(bytes, |bytes| out.extend_from_slice(bytes))
                .unwrap()
        };
        assert_eq!(decode(&mut body, b"abc"), 3);
        assert!(!body.is_over());
        assert_eq!(decode(&mut body, b"dexx"), 2);
        assert!(body.is_over());
        assert_eq!(out, b"abcde");
        assert!(Body::of_length(0).is_over());
    }

    #[test]
    fn chunks_may_have_extensions_and_trailers() {
        let bytes =
            b"3;a=\"b\"\r\nabc\r\n00A \t\r\n0123456789\r\n0;x\r\nx-took: 1\r\nx: 2\r\n\r\nnext";
        for size in 1..=bytes.len() {
            let (out, taken) = decoded(Body::in_chunks(), bytes, size).unwrap();
            assert_eq!(out, b"abc0123456789");
            assert_eq!(&bytes[taken..], b"next", "{size}");
        }
    }

    #[test]
    fn broken_framing_is_an_error_and_what_came_before_it_is_kept() {
        for (bytes, kept) in [
            (&b"zz\r\n"[..], &b""[..]),
            (b"\r\n", b""),
            (b";x\r\n", b""),
            (b" 1\r\na", b""),
            (b"-1\r\n", b""),
            (b"1\nabc", b""),
            (b"1\r\nabc\r\n", b"a"),
            (b"1\r\na\rb", b"a"),
            (b"11111111111111111\r\n", b""),
            (b"1;x\n\r\na", b""),
            (b"0\r\nx\n\r\n", b""),
            (b"0\r\n\rx", b""),
        ] {
            for size in 1..=bytes.len() {
                let mut body = Body::in_chunks();
                let mut out = Vec::new();
                let broken = bytes.chunks(size).any(|piece| {
                    body.decode(piece, |bytes| out.extend_from_slice(bytes))
                        .is_err()
                });
                assert!(broken, "{}", bytes.escape_ascii());
                assert_eq!(out, kept, "{}", bytes.escape_ascii());
            }
        }
    }

    #[test]
    fn what_stands_beside_the_data_is_bounded() {
        for (start, then) in [
            ("1;", b'x'),
            ("0\r\nx: ", b'x'),
            ("", b'0'),
            ("1", b' '),
            ("1 ", b'\t'),
        ] {
            let mut bytes = start.as_bytes().to_vec();
            bytes.resize(20_000, then);
            let result = decoded(Body::in_chunks(), &bytes, 1000);
            assert!(matches!(result, Err(HttpError::Overhead)));
        }
    }

    #[test]
    fn sizes_of_one_width_may_be_many() {
        let mut bytes = b"00000001  \r\nx\r\n".repeat(5000);
        bytes.extend(b"00000000\r\n\r\n");
        let (out, taken) = decoded(Body::in_chunks(), &bytes, 1000).unwrap();
        assert_eq!(out.len(), 5000);
        assert_eq!(taken, bytes.len());
    }

    proptest! {
        #[test]
        fn any_split_of_the_bytes_gives_the_same_body(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..40), 0..8),
            size in 1_usize..50,
        ) {
            let mut bytes = Vec::new();
            for chunk in &chunks {
                bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
            let (out, taken) = decoded(Body::in_chunks(), &bytes, size).unwrap();
            prop_assert_eq!(out, chunks.concat());
            prop_assert_eq!(taken, bytes.len());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), size in 1_usize..50) {
            let _ = decoded(Body::in_chunks(), &bytes, size);
        }
    }
}
