//! Prompts without their words: of each only how long it is, and salted hashes of its blocks, by which prompts still share
//! as long a beginning as they did.

use sha2::{Digest, Sha256};

/// Bits of a hash: as many as every reader of JSON takes exactly.
const BITS: u32 = 53;

/// Hashes blocks of prompts. A block's hash is of everything up to its end, so that equal hashes are equal beginnings.
#[derive(Debug)]
pub struct BlockHashes {
    salt: [u8; 32],
}

impl BlockHashes {
    /// Hashes with a salt that is nowhere kept: nobody can find out by trying whether a prompt had some words.
    ///
    /// # Errors
    /// Where the system gives no random numbers.
    pub fn with_a_salt_of_its_own() -> Result<Self, String> {
        use rand::TryRng;
        let mut salt = [0; 32];
        rand::rngs::SysRng
            .try_fill_bytes(&mut salt)
            .map_err(|error| format!("the system gives no random numbers: {error}"))?;
        Ok(Self { salt })
    }

    /// The hashes of `blocks` blocks of a text that is cut at these bytes, in ascending order. The last block has what is
    /// left; a text with fewer pieces ends before its last blocks.
    pub fn of(&self, text: &str, cuts: &[usize], blocks: u64) -> Vec<u64> {
        let mut known = Sha256::new();
        known.update(self.salt);
        let mut begin = 0;
        let mut cuts = cuts.iter().copied();
        (1..=blocks)
            .map(|block| {
                let cut = cuts.next().filter(|_| block < blocks);
                let end = cut.unwrap_or(text.len()).clamp(begin, text.len());
                known.update(&text.as_bytes()[begin..end]);
                // Blocks behind the end of the text are other ones too.
                known.update([0xff]);
                begin = end;
                let digest = known.clone().finalize();
                let mut first = [0; 8];
                first.copy_from_slice(&digest[..8]);
                u64::from_be_bytes(first) >> (u64::BITS - BITS)
            })
            .collect()
    }
}

/// Where a text is cut into blocks, by the ends of its tokens in bytes.
pub fn cuts_by_tokens(ends: &[usize], block: usize) -> Vec<usize> {
    ends.chunks_exact(block)
        .filter_map(|block| block.last().copied())
        .collect()
}

/// Where a text is cut into blocks of so many bytes, where nobody knows its tokens.
pub fn cuts_by_bytes(text: &str, block: f64) -> Vec<usize> {
    let all = (1_u32..).map(|number| (f64::from(number) * block.max(1.0)) as usize);
    all.take_while(|end| *end < text.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_beginnings_have_equal_hashes_and_nothing_else() {
        let hashes = BlockHashes { salt: [7; 32] };
        let of = |text: &str, blocks| hashes.of(text, &cuts_by_bytes(text, 4.0), blocks);
        let one = of("aaaabbbbcccc", 3);
        let other = of("aaaabbbbdddd", 3);
        assert_eq!(one[..2], other[..2]);
        assert_ne!(one[2], other[2]);
        // The same block behind another beginning.
        assert_ne!(of("xxxxbbbb", 2)[1], one[1]);
        // More text than blocks: all of it counts.
        assert_ne!(of("aaaabbbbcccc", 2)[1], of("aaaabbbb", 2)[1]);
        // More blocks than text.
        let long = of("aaaa", 3);
        assert_eq!(long.len(), 3);
        assert!(long[1] != long[2] && long[0] == one[0]);
        assert!(one.iter().all(|hash| *hash < 1 << BITS));
    }

    #[test]
    fn another_salt_gives_other_hashes() {
        let hashes = |_| {
            BlockHashes::with_a_salt_of_its_own()
                .unwrap()
                .of("text", &[], 1)
        };
        assert_ne!(hashes(()), hashes(()));
    }

    #[test]
    fn texts_are_cut_at_the_ends_of_tokens_or_of_bytes() {
        assert_eq!(cuts_by_tokens(&[2, 5, 7, 9, 12], 2), [5, 9]);
        assert_eq!(cuts_by_bytes("0123456789", 4.0), [4, 8]);
        assert_eq!(cuts_by_bytes("01234567", 4.0), [4]);
    }
}
