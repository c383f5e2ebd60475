//! Readers of a data set, as a plugin holds them.

/// Reads a data set entry by entry.
pub trait EntryReader: Send {
    /// At most `max` further entries; an empty list is the end.
    ///
    /// # Errors
    /// A text for the user. It stands for one entry; reading may go on behind it.
    fn next(&mut self, max: u32) -> Result<Vec<String>, String>;
}

/// A line reader that a parser holds.
pub struct LineReader(pub(super) Box<dyn EntryReader>);

/// An item reader that a parser holds.
pub struct ItemReader(pub(super) Box<dyn EntryReader>);
