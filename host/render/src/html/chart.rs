//! A chart: a plot with a head, a description in words and a legend, or the reason why there is nothing to draw.

use super::plot::{Plot, Shape};
use askama::Template;

/// A chart, or why there is none.
#[derive(Debug, Clone, Template)]
#[template(path = "chart.html")]
pub(super) struct Chart {
    /// What it shows.
    title: String,
    /// The drawing.
    svg: String,
    /// The names of what is drawn, each with its classes of the style sheet; empty where there is one line only.
    legend: Vec<(String, String)>,
    /// What is to be known about it.
    note: Option<String>,
    /// Why there is nothing to draw.
    pub(super) absent: Option<String>,
}

impl askama::filters::HtmlSafe for Chart {}

impl Chart {
    /// A plot. `description`: what is to be seen, in words.
    pub(super) fn of(title: impl Into<String>, description: &str, plot: &Plot) -> Self {
        let named = plot.series.iter().filter(|series| series.is_named());
        let legend: Vec<(String, String)> = named
            .map(|series| {
                let dots = match series.shape {
                    Shape::Dots(_) => " dots",
                    _ => "",
                };
                (format!("c{}{dots}", series.colour), series.name.clone())
            })
            .collect();
        Self {
            title: title.into(),
            svg: plot.svg(description),
            legend: if legend.len() > 1 { legend } else { Vec::new() },
            note: None,
            absent: None,
        }
    }

    /// The reason why there is nothing to draw.
    pub(super) fn absent(title: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            svg: String::new(),
            legend: Vec::new(),
            note: None,
            absent: Some(why.into()),
        }
    }

    /// The same with a sentence under it.
    pub(super) fn note(self, note: impl Into<String>) -> Self {
        Self {
            note: Some(note.into()),
            ..self
        }
    }
}
