//! A page.

use super::{FormSource, Renderer};
use crate::html::report_page;

pub(super) struct Html;

impl Renderer for Html {
    fn flag(&self) -> &'static str {
        "--html"
    }

    fn help(&self) -> &'static str {
        "Write the results as a page that needs no network to a new file; - for standard output"
    }

    fn source(&self) -> FormSource {
        FormSource::Document(report_page)
    }
}
