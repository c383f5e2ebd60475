//! Plots as SVG within a page: shown as they stand, without a script. Text in them is escaped; colours come from the style
//! sheet, so that they follow the scheme of the reader and paper.
//!
//! The data lie in an `svg` of their own that is stretched over its place: a script shows a part of them by another
//! `viewBox`, and lines keep their width.

mod axis;

pub(super) use axis::{Axis, place_of};

use std::fmt::Write;

/// The size of a plot. Two stand side by side on a wide screen, where it grows; on a telephone it shrinks, and text has a
/// larger font (see the style sheet).
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 272.0;
/// The place of the data.
const LEFT: f64 = 68.0;
const TOP: f64 = 10.0;
const INNER_WIDTH: f64 = WIDTH - LEFT - 14.0;
const INNER_HEIGHT: f64 = HEIGHT - TOP - 52.0;

/// A plot: axes, and what is drawn between them.
#[derive(Debug, Clone)]
pub(super) struct Plot {
    /// The horizontal axis.
    pub(super) x: Axis,
    /// The vertical axis.
    pub(super) y: Axis,
    /// Parts of the horizontal axis that are shaded, from where to where, with what stands there.
    pub(super) bands: Vec<(f64, f64, String)>,
    /// Values of the vertical axis with a line across, and what stands at each.
    pub(super) bounds: Vec<(f64, String)>,
    /// Values of the horizontal axis with a line up, what stands at each, and whether it is a bound.
    pub(super) marks: Vec<(f64, String, bool)>,
    /// What is drawn, the first behind all others.
    pub(super) series: Vec<Series>,
}

/// What is drawn in one colour.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// Its name, for a legend.
    pub(super) name: String,
    /// Its colour: a number of the style sheet, from 1.
    pub(super) colour: usize,
    /// How it is drawn.
    pub(super) shape: Shape,
}

impl Series {
    /// Whether it has a name of its own in the legend: confidence intervals belong to what they are of.
    pub(super) fn is_named(&self) -> bool {
        !matches!(self.shape, Shape::Strokes(_))
    }
}

/// How something is drawn. Values are of both axes.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// A line through points.
    Line(Vec<(f64, f64)>),
    /// A line through points, with a dot at each.
    Dotted(Vec<(f64, f64)>),
    /// Dots.
    Dots(Vec<(f64, f64)>),
    /// A line that is level from where to where, with an area under it.
    Steps(Vec<(f64, f64, f64)>),
    /// Bars from where to where, with a height, and what is said of each.
    Bars(Vec<(f64, f64, f64, String)>),
    /// Strokes up: where, from which value to which.
    Strokes(Vec<(f64, f64, f64)>),
}

impl Plot {
    /// A plot in which nothing is drawn yet.
    pub(super) fn new(x: Axis, y: Axis) -> Self {
        Self {
            x,
            y,
            bands: Vec::new(),
            bounds: Vec::new(),
            marks: Vec::new(),
            series: Vec::new(),
        }
    }

    /// The same with something drawn before all that is there.
    pub(super) fn with(mut self, name: impl Into<String>, colour: usize, shape: Shape) -> Self {
        self.series.push(Series {
            name: name.into(),
            colour,
            shape,
        });
        self
    }

    /// Markup. `description`: what is to be seen, in words.
    pub(super) fn svg(&self, description: &str) -> String {
        let mut out = String::new();
        let _ = write!(
            out,
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\" \
             data-x=\"{} {} {}\" data-y=\"{} {}\">",
            escaped(description),
            self.x.scale.key(),
            self.x.low,
            self.x.high,
            self.y.low,
            self.y.high,
        );
        self.frame(&mut out);
        let is_alone = self
            .series
            .iter()
            .filter(|series| series.is_named())
            .count()
            < 2;
        let alone = if is_alone { " alone" } else { "" };
        let _ = write!(
            out,
            "<svg class=\"data{alone}\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{INNER_WIDTH}\" height=\"{INNER_HEIGHT}\" \
             viewBox=\"0 0 {INNER_WIDTH} {INNER_HEIGHT}\" preserveAspectRatio=\"none\">"
        );
        for (from, to, _) in &self.bands {
            let (from, to) = (self.across(*from), self.across(*to));
            let _ = write!(
                out,
                "<rect class=\"band\" x=\"{from:.1}\" y=\"0\" width=\"{:.1}\" height=\"{INNER_HEIGHT}\"/>",
                to - from
            );
        }
        for series in &self.series {
            self.draw(series, &mut out);
        }
        for (value, _) in &self.bounds {
            let y = self.down(*value);
            let _ = write!(out, "<path class=\"bound\" d=\"M0 {y:.1}H{INNER_WIDTH}\"/>");
        }
        for (value, _, is_bound) in &self.marks {
            let x = self.across(*value);
            let class = if *is_bound { "bound" } else { "mark" };
            let _ = write!(
                out,
                "<path class=\"{class}\" d=\"M{x:.1} 0V{INNER_HEIGHT}\"/>"
            );
        }
        out.push_str("</svg>");
        self.labels(&mut out);
        out.push_str("</svg>");
        out
    }

    /// Axes, ticks and titles.
    fn frame(&self, out: &mut String) {
        let bottom = TOP + INNER_HEIGHT;
        let right = LEFT + INNER_WIDTH;
        for (value, text) in &self.y.ticks {
            let y = TOP + self.down(*value);
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>\
                 <text class=\"tick end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT - 6.0,
                y + 4.0,
                escaped(text)
            );
        }
        out.push_str("<g class=\"across\">");
        for (value, text) in &self.x.ticks {
            let x = LEFT + self.across(*value);
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>\
                 <text class=\"tick middle\" x=\"{x:.1}\" y=\"{}\">{}</text>",
                bottom + 17.0,
                escaped(text)
            );
        }
        let _ = write!(
            out,
            "</g><path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right}\"/>\
             <text class=\"title middle\" x=\"{:.1}\" y=\"{}\">{}</text>\
             <text class=\"title middle\" transform=\"translate(14 {:.1}) rotate(-90)\">{}</text>",
            LEFT + INNER_WIDTH / 2.0,
            HEIGHT - 8.0,
            escaped(&self.x.title),
            TOP + INNER_HEIGHT / 2.0,
            escaped(&self.y.title)
        );
    }

    /// What stands at shaded parts and lines.
    fn labels(&self, out: &mut String) {
        for (from, to, text) in &self.bands {
            // In its middle; where it is narrow, from its beginning on.
            let (from, to) = (self.across(*from), self.across(*to));
            let (class, x) = if to - from > 80.0 {
                ("middle", (from + to) / 2.0)
            } else {
                ("start", from + 3.0)
            };
            let _ = write!(
                out,
                "<text class=\"label {class}\" x=\"{:.1}\" y=\"{}\">{}</text>",
                LEFT + x,
                TOP + 14.0,
                escaped(text)
            );
        }
        for (value, text) in &self.bounds {
            let y = self.down(*value);
            // Above its line, or below where there is no room.
            let y = if y > 18.0 { y - 5.0 } else { y + 14.0 };
            let _ = write!(
                out,
                "<text class=\"label end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT + INNER_WIDTH - 3.0,
                TOP + y,
                escaped(text)
            );
        }
        for (place, (value, text, _)) in self.marks.iter().enumerate() {
            let share = self.x.share(*value);
            let (class, dx) = if share > 0.6 {
                ("end", -4.0)
            } else {
                ("start", 4.0)
            };
            let _ = write!(
                out,
                "<text class=\"label {class}\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT + self.across(*value) + dx,
                TOP + 13.0 + 15.0 * place as f64,
                escaped(text)
            );
        }
    }

    fn draw(&self, series: &Series, out: &mut String) {
        let colour = series.colour;
        let path = |class: &str, d: &str| {
            format!(
                "<path class=\"{class} c{colour}\" d=\"{d}\" data-name=\"{}\"/>",
                escaped(&series.name)
            )
        };
        let line = |points: &[(f64, f64)]| {
            let mut d = String::new();
            for (place, (x, y)) in points.iter().enumerate() {
                let step = if place == 0 { 'M' } else { 'L' };
                let _ = write!(d, "{step}{:.1} {:.1}", self.across(*x), self.down(*y));
            }
            d
        };
        let dots = |points: &[(f64, f64)]| {
            let mut d = String::new();
            for (x, y) in points {
                let _ = write!(d, "M{:.1} {:.1}h0", self.across(*x), self.down(*y));
            }
            d
        };
        match &series.shape {
            Shape::Line(points) => out.push_str(&path("line", &line(points))),
            Shape::Dotted(points) => {
                out.push_str(&path("line", &line(points)));
                out.push_str(&path("dots", &dots(points)));
            }
            Shape::Dots(points) => out.push_str(&path("dots small", &dots(points))),
            Shape::Steps(steps) => {
                let mut d = String::new();
                for (place, (from, to, y)) in steps.iter().enumerate() {
                    let step = if place == 0 { 'M' } else { 'L' };
                    let (from, to, y) = (self.across(*from), self.across(*to), self.down(*y));
                    let _ = write!(d, "{step}{from:.1} {y:.1}L{to:.1} {y:.1}");
                }
                if let (Some((first, ..)), Some((_, last, _))) = (steps.first(), steps.last()) {
                    let area = format!(
                        "{d}L{:.1} {INNER_HEIGHT}L{:.1} {INNER_HEIGHT}Z",
                        self.across(*last),
                        self.across(*first)
                    );
                    let _ = write!(out, "<path class=\"area c{colour}\" d=\"{area}\"/>");
                }
                out.push_str(&path("line thin", &d));
            }
            Shape::Bars(bars) => {
                for (from, to, height, text) in bars {
                    let (from, to, y) = (self.across(*from), self.across(*to), self.down(*height));
                    let gap = if to - from > 3.0 { 0.5 } else { 0.0 };
                    let _ = write!(
                        out,
                        "<rect class=\"bar c{colour}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\">\
                         <title>{}</title></rect>",
                        from + gap,
                        to - from - 2.0 * gap,
                        INNER_HEIGHT - y,
                        escaped(text)
                    );
                }
            }
            Shape::Strokes(strokes) => {
                let mut d = String::new();
                for (x, from, to) in strokes {
                    let _ = write!(
                        d,
                        "M{:.1} {:.1}V{:.1}",
                        self.across(*x),
                        self.down(*from),
                        self.down(*to)
                    );
                }
                let _ = write!(out, "<path class=\"stroke c{colour}\" d=\"{d}\"/>");
            }
        }
    }

    fn across(&self, value: f64) -> f64 {
        within(self.x.share(value)) * INNER_WIDTH
    }

    fn down(&self, value: f64) -> f64 {
        (1.0 - within(self.y.share(value))) * INNER_HEIGHT
    }
}

/// A share that is drawn: what lies outside ends at the edge, what is no number at the beginning.
fn within(share: f64) -> f64 {
    if share.is_nan() {
        0.0
    } else {
        share.clamp(0.0, 1.0)
    }
}

/// Text within markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&#38;"),
            '<' => out.push_str("&#60;"),
            '>' => out.push_str("&#62;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        Plot::new(
            Axis::numbers("Time (s)", 0.0, 10.0, 5),
            Axis::from_zero("Requests/s", 4.0),
        )
    }

    #[test]
    fn every_point_and_bar_is_drawn() {
        let points: Vec<(f64, f64)> = (0..10).map(|x| (f64::from(x), 1.0)).collect();
        let bars = (0..7).map(|x| (f64::from(x), f64::from(x) + 1.0, 2.0, "two".to_owned()));
        let svg = plot()
            .with("bars", 4, Shape::Bars(bars.collect()))
            .with("line", 1, Shape::Line(points.clone()))
            .with("dots", 2, Shape::Dots(points))
            .svg("All of it");
        assert_eq!(svg.matches("<rect class=\"bar").count(), 7);
        assert_eq!(svg.matches("<title>two</title>").count(), 7);
        assert_eq!(svg.matches("h0").count(), 10);
        let line = svg.split("class=\"line c1\" d=\"").nth(1).unwrap();
        let line = line.split('"').next().unwrap();
        assert_eq!(line.matches(['M', 'L']).count(), 10);
        for title in ["Time (s)", "Requests/s", "aria-label=\"All of it\""] {
            assert!(svg.contains(title), "{title}");
        }
    }

    #[test]
    fn a_line_alone_is_not_dashed() {
        let line = || Shape::Line(vec![(0.0, 1.0), (1.0, 2.0)]);
        let strokes = Shape::Strokes(vec![(0.0, 0.0, 1.0)]);
        let alone = plot().with("", 1, strokes).with("a", 3, line());
        assert!(alone.svg("").contains("class=\"data alone\""));
        let two = alone.with("b", 2, line());
        assert!(two.svg("").contains("class=\"data\""));
    }

    #[test]
    fn nothing_is_drawn_outside() {
        let odd = vec![(f64::NAN, 1.0), (-5.0, 1e300), (1e9, f64::INFINITY)];
        let svg = plot().with("odd", 1, Shape::Line(odd)).svg("");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn text_is_escaped() {
        let mut plot = plot();
        plot.x.title = "</svg><script>".to_owned();
        plot.bands.push((0.0, 1.0, "<b>".to_owned()));
        plot.bounds.push((1.0, "<i>".to_owned()));
        let svg = plot
            .with("\"><img>", 1, Shape::Line(vec![(0.0, 0.0)]))
            .svg("\"<&'");
        for markup in ["<script", "<b>", "<i>", "<img", "\"<&'"] {
            assert!(!svg.contains(markup), "{markup}");
        }
    }
}
