//! The frame of a page: head, styles, the document that is drawn from, and the scripts.

use super::table::Markup;
use askama::Template;
use serde_json::Value;

const STYLE: &str = include_str!("../../assets/html/page.css");
const SCRIPT: &str = include_str!("../../assets/html/page.js");
const CHART_STYLE: &str = include_str!("../../assets/uplot/uPlot.min.css");
const CHART_SCRIPT: &str = include_str!("../../assets/uplot/uPlot.iife.min.js");

/// A page.
#[derive(Debug, Template)]
#[template(path = "page.html")]
struct Page<'a> {
    title: &'a str,
    heading: &'a str,
    body: Markup,
    styles: [Markup; 2],
    scripts: [Markup; 2],
    document: Markup,
    version: &'static str,
}

/// The page around `body`, which a template of this room has made. `document`: what the charts are drawn
/// from, and what every `data` element points into.
pub(super) fn page(title: &str, heading: &str, body: &impl Template, document: &Value) -> String {
    let own = |text: &str| Markup(text.to_owned());
    let page = Page {
        title,
        heading,
        body: Markup(rendered(body)),
        styles: [own(CHART_STYLE), own(STYLE)],
        scripts: [own(CHART_SCRIPT), own(SCRIPT)],
        document: Markup(json_for_script(document)),
        version: env!("CARGO_PKG_VERSION"),
    };
    rendered(&page)
}

/// A part of the document as JSON: its types have no value that JSON cannot have.
pub(super) fn json(part: &impl serde::Serialize) -> Value {
    serde_json::to_value(part).unwrap_or_default()
}

/// A template fails only where a value in it fails to print, and none of this room's does.
fn rendered(template: &impl Template) -> String {
    template.render().unwrap_or_default()
}

/// JSON within a `script` element: no `</script>`, no comment, and nothing else that HTML takes notice of.
/// These characters are in strings alone, where JSON has another form for them.
fn json_for_script(document: &Value) -> String {
    let text = document.to_string();
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
    use serde_json::json;

    #[test]
    fn no_string_ends_the_script() {
        let document = json!({ "</script><!--": "<script>&amp;\u{2028}" });
        let text = json_for_script(&document);
        assert!(!text.contains(['<', '>', '&', '\u{2028}']), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
    }
}
