//! Arguments that name headers by which requests are told apart.

use clap::Args;
use http::HeaderName;

/// Arguments that name headers by which requests are told apart.
#[derive(Debug, Clone, Args)]
pub(super) struct HeaderNameArguments {
    /// Header of responses that says which replica answered, such as x-served-by: there are figures for each of its
    /// values, and every row has it.
    #[arg(long, value_name = "NAME", value_parser = header_name, help_heading = "Endpoint")]
    pub(super) label_header: Option<HeaderName>,
}

/// Reads the name of a header.
fn header_name(text: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(text.as_bytes()).map_err(|_| {
        "it should be the name of a header alone, such as x-served-by: letters, digits and hyphens".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_named_without_a_value() {
        assert_eq!(header_name("X-Served-By").unwrap(), "x-served-by");
        for wrong in ["", "a b", "x-served-by: 1"] {
            let error = header_name(wrong).unwrap_err();
            assert!(error.contains("alone"), "{error}");
        }
    }
}
