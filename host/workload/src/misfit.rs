//! Items that are not wanted, since they are too short or too long.

use llmuses_core::item::Item;
use llmuses_core::plan::LengthFilter;

/// Why an item is not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfit {
    /// Its prompt is as short as the minimum, or shorter.
    TooShort,
    /// Its prompt is as long as the maximum, or longer.
    TooLong,
}

impl Misfit {
    /// Why an item is not wanted. `None`: it is, or its length says nothing of how much it asks.
    pub fn of(item: &Item, lengths: LengthFilter) -> Option<Self> {
        if !item.is_measured_by_length() {
            return None;
        }
        let length = item.length();
        if length <= lengths.min {
            Some(Self::TooShort)
        } else if length >= lengths.max {
            Some(Self::TooLong)
        } else {
            None
        }
    }

    /// A few words for messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooShort => "not longer than the minimum",
            Self::TooLong => "not shorter than the maximum",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bounds_are_left_out() {
        let lengths = LengthFilter { min: 2, max: 5 };
        let of = |text: &str| {
            let item = Item {
                prompt: Some(text.to_owned()),
                ..Item::default()
            };
            Misfit::of(&item, lengths)
        };
        assert_eq!(of("üü"), Some(Misfit::TooShort));
        assert_eq!(of("üüü"), None);
        assert_eq!(of("abcd"), None);
        assert_eq!(of("abcde"), Some(Misfit::TooLong));
        let ids = Item {
            prompt_token_ids: vec![1],
            ..Item::default()
        };
        assert_eq!(Misfit::of(&ids, lengths), None);
    }
}
