//! A page.

use super::Renderer;
use crate::html::report_page;
use llmuses_core::document::Document;

pub(super) struct Html;

impl Renderer for Html {
    fn flag(&self) -> &'static str {
        "--html"
    }

    fn help(&self) -> &'static str {
        "Write the results as a page that needs no network to a new file; - for standard output"
    }

    fn render(&self, document: &Document) -> String {
        report_page(&document.runs)
    }
}
