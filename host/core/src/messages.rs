//! Messages to the person who runs the test, from crates that do not print.

use std::fmt;
use std::sync::Arc;

/// Takes messages. Copies take them to the same place.
#[derive(Clone)]
pub struct Messages(Arc<dyn Fn(&str) + Send + Sync>);

impl Messages {
    /// Messages go to `show`.
    pub fn new(show: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(show))
    }

    /// Shows a message of one or more lines.
    pub fn say(&self, text: impl AsRef<str>) {
        (self.0)(text.as_ref());
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Messages")
    }
}
