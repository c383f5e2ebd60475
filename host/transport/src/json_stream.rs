//! JSON values out of a byte stream, as they become whole: one a line, or the elements of one array.
//!
//! A value that spans lines is one value all the same, since errors come pretty-printed. It is handed over within the
//! call that brought its last byte: that read's stamp is the event's.

/// A value grew past the bound that the splitter was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValueTooLong;

/// Where the splitter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Behind one value and before the next.
    Between,
    /// In an object or an array, outside of strings.
    Nested,
    /// In a string.
    Text,
    /// In a string, behind a backslash.
    Escape,
    /// In a number, a word, or something that is no JSON.
    Bare,
}

/// Splits a byte stream into JSON values.
#[derive(Debug)]
pub struct JsonSplitter {
    /// The most bytes that an unfinished value may have.
    limit: usize,
    /// Whether the values are the elements of one array.
    is_array: bool,
    /// Whether that array has begun.
    is_open: bool,
    place: Place,
    /// Objects and arrays that are open.
    depth: usize,
    /// The beginning of a value whose end has not arrived.
    value: Vec<u8>,
}

impl JsonSplitter {
    /// A splitter of values, one a line.
    pub fn lines(limit: usize) -> Self {
        Self {
            limit,
            is_array: false,
            is_open: false,
            place: Place::Between,
            depth: 0,
            value: Vec::new(),
        }
    }

    /// A splitter of the elements of one array. Where no array comes, of values.
    pub fn array(limit: usize) -> Self {
        Self {
            is_array: true,
            ..Self::lines(limit)
        }
    }

    /// Takes the bytes of one read, and hands every value that they complete to `each`, in order.
    ///
    /// # Errors
    /// [`ValueTooLong`] where an unfinished value is larger than the limit. Nothing useful comes after it.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), ValueTooLong> {
        // Where the value under way begins in these bytes.
        let mut begin = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            let end = match self.place {
                Place::Between => {
                    begin = at;
                    self.begin(byte);
                    None
                }
                Place::Nested => match byte {
                    b'"' => {
                        self.place = Place::Text;
                        None
                    }
                    b'{' | b'[' => {
                        self.depth += 1;
                        None
                    }
                    b'}' | b']' => {
                        self.depth -= 1;
                        (self.depth == 0).then_some(at + 1)
                    }
                    _ => None,
                },
                Place::Text => match byte {
                    b'\\' => {
                        self.place = Place::Escape;
                        None
                    }
                    b'"' if self.depth == 0 => Some(at + 1),
                    b'"' => {
                        self.place = Place::Nested;
                        None
                    }
                    _ => None,
                },
                Place::Escape => {
                    self.place = Place::Text;
                    None
                }
                Place::Bare => {
                    let is_over = matches!(byte, b'\n' | b'\r')
                        || (self.is_open && matches!(byte, b',' | b']'));
                    is_over.then_some(at)
                }
            };
            if let Some(end) = end {
                self.place = Place::Between;
                if self.value.is_empty() {
                    each(&bytes[begin..end]);
                } else {
                    self.value.extend_from_slice(&bytes[begin..end]);
                    each(&self.value);
                    self.value.clear();
                }
            }
        }
        if self.place != Place::Between {
            let rest = &bytes[begin.min(bytes.len())..];
            if self.value.len() + rest.len() > self.limit {
                return Err(ValueTooLong);
            }
            self.value.extend_from_slice(rest);
        }
        Ok(())
    }

    /// The first byte behind a value.
    fn begin(&mut self, byte: u8) {
        match byte {
            // White space, the separator of RFC 7464, and the byte-order mark.
            b' ' | b'\t' | b'\r' | b'\n' | 0x1E | 0xEF | 0xBB | 0xBF => {}
            b',' | b']' if self.is_open => {}
            b'[' if self.is_array && !self.is_open => self.is_open = true,
            b'{' | b'[' => {
                self.depth = 1;
                self.place = Place::Nested;
            }
            b'"' => {
                self.depth = 0;
                self.place = Place::Text;
            }
            _ => self.place = Place::Bare,
        }
    }

    /// Whether what has come is the beginning of an array whose elements are taken apart.
    pub fn is_open_array(&self) -> bool {
        self.is_open
    }

    /// The bytes that are held of a value whose end has not come.
    pub fn held(&self) -> usize {
        self.value.len()
    }

    /// What has come of a value whose end has not.
    pub fn unfinished(&self) -> &[u8] {
        self.value.trim_ascii_end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of `text`, whatever the size of the pieces in which it comes.
    fn values(splitter: fn(usize) -> JsonSplitter, text: &str) -> Vec<String> {
        let in_pieces = |size: usize| {
            let mut splitter = splitter(1000);
            let mut found = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                splitter
                    .push(piece, |value| {
                        found.push(String::from_utf8(value.to_vec()).unwrap());
                    })
                    .unwrap();
            }
            if !splitter.unfinished().is_empty() {
                found.push(format!(
                    "unfinished {}",
                    String::from_utf8_lossy(splitter.unfinished())
                ));
            }
            found
        };
        let whole = in_pieces(text.len().max(1));
        for size in 1..text.len() {
            assert_eq!(in_pieces(size), whole, "{text} in pieces of {size}");
        }
        whole
    }

    #[test]
    fn values_come_one_a_line() {
        let text = "{\"a\":\"}\\\"{\"}\r\n\n{\"b\":[1,{}]}\n";
        assert_eq!(
            values(JsonSplitter::lines, text),
            ["{\"a\":\"}\\\"{\"}", "{\"b\":[1,{}]}"]
        );
        assert_eq!(
            values(JsonSplitter::lines, "{\n  \"a\": 1\n}\n"),
            ["{\n  \"a\": 1\n}"]
        );
        assert_eq!(
            values(JsonSplitter::lines, "out of memory\n12\n\"x\""),
            ["out of memory", "12", "\"x\""]
        );
        assert_eq!(
            values(JsonSplitter::lines, "{}\n{\"a\":"),
            ["{}", "unfinished {\"a\":"]
        );
    }

    #[test]
    fn elements_of_an_array_come_one_by_one() {
        let text = "[{\"a\":[1]}\n,\r\n{\"b\":2},3,[4]]\n";
        assert_eq!(
            values(JsonSplitter::array, text),
            ["{\"a\":[1]}", "{\"b\":2}", "3", "[4]"]
        );
        assert_eq!(
            values(JsonSplitter::array, "{\"error\":{}}"),
            ["{\"error\":{}}"]
        );
    }

    #[test]
    fn a_value_without_end_is_bounded() {
        let mut splitter = JsonSplitter::lines(10);
        assert_eq!(splitter.push(b"{\"aaaa\":", |_| {}), Ok(()));
        assert_eq!(splitter.push(b"12345", |_| {}), Err(ValueTooLong));
    }
}
