//! The forms in which the results of runs are written to files: each is made of a document and of nothing else. The table of
//! requests is none of them: it is written row by row while a run goes on.

mod html;
mod json;
mod markdown;

use llmuses_core::document::Document;

/// A form of results.
pub trait Renderer: Sync {
    /// The flag that asks for it.
    fn flag(&self) -> &'static str;

    /// What the flag does.
    fn help(&self) -> &'static str;

    /// The content of the file.
    fn render(&self, document: &Document) -> String;
}

/// All forms, in the order in which they are listed and written.
pub static RENDERERS: [&dyn Renderer; 3] = [&json::Json, &html::Html, &markdown::Markdown];

/// The content of the file that `flag` asks for.
pub fn render(flag: &str, document: &Document) -> Option<String> {
    let renderer = RENDERERS.iter().find(|renderer| renderer.flag() == flag)?;
    Some(renderer.render(document))
}
