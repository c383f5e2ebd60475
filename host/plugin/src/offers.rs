//! What a plugin can be used for.

/// What a plugin can be used for. The rest of the program asks for this, and not for a version of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offers {
    /// An API that makes its requests of the prompt, or of the data set in a format of its own.
    OwnRequests,
    /// An API that makes requests of items, from wherever they come.
    Api,
    /// A format of data sets.
    Format,
    /// Both of these.
    ApiAndFormat,
}

impl Offers {
    /// Whether it knows an API.
    pub fn has_api(self) -> bool {
        self != Self::Format
    }

    /// Whether it can read a data set for another plugin.
    pub fn has_format(self) -> bool {
        matches!(self, Self::Format | Self::ApiAndFormat)
    }

    /// A few words for a person.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OwnRequests => {
                "an API, with requests of a prompt or a data set of its own format"
            }
            Self::Api => "an API",
            Self::Format => "a format of data sets",
            Self::ApiAndFormat => "an API and a format of data sets",
        }
    }
}

/// A format of data sets, by its own account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatInfo {
    /// Its name.
    pub name: String,
    /// What it reads.
    pub description: String,
}
