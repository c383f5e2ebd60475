//! Places for charts. What they show stands in the document that the page carries; the script draws it.
//! Each has a description in words, and where there is nothing to draw, the reason.

use askama::Template;

/// A chart, or why there is none.
#[derive(Debug, Clone, Template)]
#[template(path = "chart.html")]
pub(super) struct Chart {
    /// What it shows.
    pub(super) title: String,
    /// What is to be seen, in words.
    pub(super) description: String,
    /// The kind of chart, as the script knows it.
    pub(super) kind: &'static str,
    /// The part of the totals that is drawn.
    pub(super) of: &'static str,
    /// The runs that are drawn: places in the document.
    pub(super) runs: Vec<usize>,
    /// A name for each of them.
    pub(super) names: Vec<String>,
    /// Why there is nothing to draw.
    pub(super) absent: Option<String>,
}

impl askama::filters::HtmlSafe for Chart {}

impl Chart {
    fn places(&self) -> String {
        let places: Vec<String> = self.runs.iter().map(usize::to_string).collect();
        places.join(",")
    }

    fn labels(&self) -> String {
        // Strings have a JSON form.
        serde_json::to_string(&self.names).unwrap_or_default()
    }
}
