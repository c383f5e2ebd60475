//! The file of records: the log format of LevelDB with a head of its own. Blocks of 32 KiB, the head
//! counted in; a record is one fragment, or several where it crosses the end of a block; every fragment
//! carries the CRC-32 (of IEEE, not masked: both are other in LevelDB) of its type and its bytes.

use std::io::{self, Write};

/// What a file begins with: a mark, a magic number in little endian, the version.
pub(super) const HEAD: [u8; 7] = [b':', b'W', b'&', b'B', 0xe1, 0xbe, 0];

/// The size of a block.
pub(super) const BLOCK: usize = 32 * 1024;

/// The head of a fragment: CRC-32, length, type.
pub(super) const FRAGMENT_HEAD: usize = 7;

/// A record in one fragment, and the first, middle and last fragments of others.
pub(super) const FULL: u8 = 1;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
pub(super) const LAST: u8 = 4;

/// Appends records.
#[derive(Debug)]
pub(super) struct Datastore<W> {
    file: W,
    /// How many bytes of the present block are taken.
    taken: usize,
}

impl<W: Write> Datastore<W> {
    /// Begins a file.
    pub(super) fn begin(mut file: W) -> io::Result<Self> {
        file.write_all(&HEAD)?;
        Ok(Self {
            file,
            taken: HEAD.len(),
        })
    }

    /// Appends a record and hands it to the system: a program that is killed leaves it behind.
    pub(super) fn append(&mut self, record: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(record.len() + 2 * FRAGMENT_HEAD);
        let mut taken = self.taken;
        let mut rest = record;
        let mut is_first = true;
        loop {
            let left = BLOCK - taken;
            if left < FRAGMENT_HEAD {
                bytes.extend(std::iter::repeat_n(0, left));
                taken = 0;
                continue;
            }
            let (fragment, more) = rest.split_at(rest.len().min(left - FRAGMENT_HEAD));
            let kind = match (is_first, more.is_empty()) {
                (true, true) => FULL,
                (true, false) => FIRST,
                (false, false) => MIDDLE,
                (false, true) => LAST,
            };
            let mut crc = crc32fast::Hasher::new();
            crc.update(&[kind]);
            crc.update(fragment);
            bytes.extend_from_slice(&crc.finalize().to_le_bytes());
            // Fits: a fragment is shorter than a block.
            bytes.extend_from_slice(&(fragment.len() as u16).to_le_bytes());
            bytes.push(kind);
            bytes.extend_from_slice(fragment);
            taken += FRAGMENT_HEAD + fragment.len();
            rest = more;
            is_first = false;
            if rest.is_empty() {
                break;
            }
        }
        // In one piece, so that a disk that is full does not leave half a head.
        self.file.write_all(&bytes)?;
        self.taken = taken;
        self.file.flush()
    }
}
