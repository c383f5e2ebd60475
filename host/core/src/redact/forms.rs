//! The forms in which a secret is looked for. Escapes are none of them: they are undone before it is looked for.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shorter values are left alone: blanking every `1` of a text would hide nothing and spoil all.
const SHORTEST_SECRET: usize = 6;

/// Shorter pieces of base64 are left alone.
const SHORTEST_BASE64: usize = 12;

/// Each value as it is and in base64.
pub(super) fn forms(values: Vec<String>) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for value in values {
        let value = value.trim();
        if value.len() < SHORTEST_SECRET || value == crate::wording::BLANK {
            continue;
        }
        forms.extend(in_base64(value.as_bytes()));
        forms.push(value.as_bytes().to_vec());
    }
    forms.sort();
    forms.dedup();
    forms
}

/// A value as it stands in the base64 of any text around it: of six bits each, a character can begin at three places of
/// a byte. Characters that hold bits of what is around it are left out.
fn in_base64(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = Vec::new();
    for before in 0..3 {
        let mut text = vec![0; before];
        text.extend_from_slice(value);
        // Whole characters behind those of what is before, and before those of what is behind.
        let first = (before * 8).div_ceil(6);
        let end = text.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            if let Some(form) = encoded.get(first..end)
                && form.len() >= SHORTEST_BASE64
            {
                forms.push(form.as_bytes().to_vec());
            }
        }
    }
    forms
}
