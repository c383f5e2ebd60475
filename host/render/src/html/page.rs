//! The frame of a page: head, style, the document that its numbers come from, and the script.

use askama::Template;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("../../assets/html/page.css");
const SCRIPT: &str = include_str!("../../assets/html/page.js");

/// Markup that this room has made, of which nothing comes from outside.
#[derive(Debug)]
struct Markup(String);

impl std::fmt::Display for Markup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Markup {}

/// A page.
#[derive(Debug, Template)]
#[template(path = "page.html")]
struct Page<'a> {
    title: &'a str,
    heading: &'a str,
    body: Markup,
    style: Markup,
    script: Markup,
    /// What the page may do: its own style and script, by their digests, and nothing else.
    policy: Markup,
    document: Markup,
    version: &'static str,
}

/// The page around `body`, which a template of this room has made. `document`: what every `data` element
/// points into.
pub(super) fn page(
    title: &str,
    heading: &str,
    body: &impl Template,
    document: &impl Serialize,
) -> String {
    let own = |text: &str| Markup(format!("\n{text}\n"));
    let (style, script) = (own(STYLE), own(SCRIPT));
    let page = Page {
        title,
        heading,
        body: Markup(rendered(body)),
        policy: Markup(policy(&style.0, &script.0)),
        style,
        script,
        document: Markup(json_for_script(document)),
        version: env!("CARGO_PKG_VERSION"),
    };
    rendered(&page)
}

/// The content security policy of a page with this style and this script.
fn policy(style: &str, script: &str) -> String {
    let digest = |text: &str| BASE64_STANDARD.encode(Sha256::digest(text));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; img-src data:; base-uri 'none'; \
         form-action 'none'",
        digest(style),
        digest(script)
    )
}

/// A template fails only where a value in it fails to print, and none of this room's does.
fn rendered(template: &impl Template) -> String {
    template.render().unwrap_or_default()
}

/// JSON within a `script` element: no `</script>`, no comment, and nothing else that HTML takes notice of.
/// These characters are in strings alone, where JSON has another form for them.
fn json_for_script(document: &impl Serialize) -> String {
    // Its types have no value that JSON cannot have.
    let text = serde_json::to_string(document).unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn no_string_ends_the_script() {
        let document = json!({ "</script><!--": "<script>&amp;\u{2028}" });
        let text = json_for_script(&document);
        assert!(!text.contains(['<', '>', '&', '\u{2028}']), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    }
}
