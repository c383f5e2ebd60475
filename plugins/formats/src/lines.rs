//! Lines of text: each is a prompt.

use crate::tables;
use llmuses_plugin::{Format, Head, Source};

pub(crate) struct Lines;

impl Format for Lines {
    const NAME: &'static str = "lines";
    const DESCRIPTION: &'static str = "lines of text, each of them a prompt";
    const SOURCE: Source = Source::Lines;

    /// Any text that is neither JSON, which another format may be made for, nor a table by its name.
    fn recognises(head: &Head<'_>) -> bool {
        let (line, _) = head.first_line();
        let is_text =
            !head.bytes.contains(&0) && !line.starts_with(b"{") && !line.starts_with(b"[");
        is_text && !tables::is_one(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::tests::head;

    #[test]
    fn text_is_recognised_and_json_is_not() {
        for (text, is_text) in [
            ("Why is the sky blue?\n", true),
            ("", true),
            ("{\"a\": 1}\n", false),
            ("\n[1]", false),
            ("PK\0\0", false),
        ] {
            assert_eq!(Lines::recognises(&head(text)), is_text, "{text:?}");
        }
        for (file_name, is_text) in [("x.csv", false), ("x.tsv", true), ("x.txt", true)] {
            let named = Head {
                file_name,
                ..head("id,ask\n1,why?\n")
            };
            assert_eq!(Lines::recognises(&named), is_text, "{file_name}");
        }
    }
}
