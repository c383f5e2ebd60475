//! How long the audio of a WAV file is.

/// The seconds of a WAV file (RIFF), by the bytes of a second that its chunk `fmt ` names and the size of its chunk
/// `data`. `None`: it is none, or its head does not tell.
pub(super) fn seconds(file: &[u8]) -> Option<f64> {
    let number = |at: usize| {
        let bytes: [u8; 4] = file.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    if file.get(..4)? != b"RIFF" || file.get(8..12)? != b"WAVE" {
        return None;
    }
    let (mut at, mut per_second) = (12_usize, None);
    loop {
        let size = number(at + 4)?;
        match file.get(at..at + 4)? {
            b"fmt " => per_second = number(at + 16),
            // One that was streamed may not know its size.
            b"data" => {
                let size = size.min(file.len().saturating_sub(at + 8));
                return per_second
                    .filter(|bytes| *bytes > 0)
                    .map(|bytes| size as f64 / bytes as f64);
            }
            _ => {}
        }
        // Chunks begin at even places.
        at = at
            .checked_add(8)?
            .checked_add(size)?
            .checked_add(size % 2)?;
    }
}
