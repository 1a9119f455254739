//! A small writer of SVG: shapes with classes, no colours.
//!
//! Colours live in one style sheet ([`STYLE`]) with a light and a dark variant, so that the same figure
//! reads on either background, inside the HTML report and as a file of its own. Text is SVG text: no font
//! is read when a figure is drawn.

use std::fmt::Write as _;

/// Levels of the heat map's scale, classes `h0` (nothing) to `h11` (most).
pub(crate) const HEAT_LEVELS: usize = 12;

/// The figures' style sheet.
pub(crate) const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;font-size:12px;fill:#52606d}\
.title{font-size:22px;font-weight:650;fill:#16202a}.lead{font-size:14px;fill:#52606d}\
.head{font-size:13px;font-weight:600;fill:#16202a}.small{font-size:11px}.strong{font-weight:600;fill:#16202a}\
.paper{fill:#fff}.panel{fill:#f6f8fa}.grid{stroke:#e3e8ee;stroke-width:1;fill:none}.axis{stroke:#9aa5b1;stroke-width:1;fill:none}\
.goal{fill:#0f9d76;fill-opacity:.13}.mark{stroke:#c2410c;stroke-width:1.5;stroke-dasharray:5 4;fill:none}.marked{fill:#c2410c;font-weight:600}\
.boundary{stroke:#9aa5b1;stroke-width:1;stroke-dasharray:2 3;fill:none}\
.line{fill:none;stroke-width:1.75;stroke-linejoin:round;stroke-linecap:round}.bold{stroke-width:2.75}.thin{stroke-width:1}.faint{opacity:.45}\
.s0{stroke:#1f6feb}.s1{stroke:#d9730d}.s2{stroke:#8250df}.s3{stroke:#0f9d76}.s4{stroke:#7b8794}\
.f0{fill:#1f6feb}.f1{fill:#c05f04}.f2{fill:#8250df}.f3{fill:#0b7d5e}.f4{fill:#616e7c}\
.band{stroke:none;fill-opacity:.15}.dots{fill:none;stroke-width:4;stroke-linecap:round;stroke-opacity:.55}\
.rod{stroke:#3e4c59;stroke-width:2.5;stroke-linecap:round;fill:none}\
.bob{fill:#1f6feb}.bob2{fill:#c2410c}.pivot{fill:#3e4c59}.ghost{opacity:.18}\
.h0{fill:#f6f8fa}.h1{fill:#e6effb}.h2{fill:#d3e3f8}.h3{fill:#bdd5f4}.h4{fill:#a3c5ef}.h5{fill:#86b2e9}.h6{fill:#689de2}.h7{fill:#4c88d8}.h8{fill:#3573ca}.h9{fill:#255fb6}.h10{fill:#1a4c9b}.h11{fill:#123a7c}\
@media (prefers-color-scheme:dark){text{fill:#9aa7b4}.title,.head,.strong{fill:#e6edf3}.lead{fill:#9aa7b4}\
.paper{fill:#0d1117}.panel{fill:#151b23}.grid{stroke:#262e38}.axis{stroke:#56616d}.boundary{stroke:#56616d}\
.goal{fill:#2dd4a7;fill-opacity:.14}.mark{stroke:#ff8f4d}.marked{fill:#ff8f4d}\
.s0{stroke:#58a6ff}.s1{stroke:#f0953f}.s2{stroke:#b392f0}.s3{stroke:#35c99f}.s4{stroke:#8b98a5}\
.f0{fill:#58a6ff}.f1{fill:#f0953f}.f2{fill:#b392f0}.f3{fill:#35c99f}.f4{fill:#8b98a5}\
.rod{stroke:#b6c2cf}.pivot{fill:#b6c2cf}.bob{fill:#58a6ff}.bob2{fill:#ff8f4d}\
.h0{fill:#151b23}.h1{fill:#16243a}.h2{fill:#182e4f}.h3{fill:#1b3a66}.h4{fill:#1f477e}.h5{fill:#255697}.h6{fill:#2e67b0}.h7{fill:#3b7ac8}.h8{fill:#5090dc}.h9{fill:#70a8ec}.h10{fill:#97c2f6}.h11{fill:#c6e0ff}}";

/// A figure in the making. Coordinates are in pixels, y grows downwards.
#[derive(Clone, Debug)]
pub(crate) struct Svg {
    width: f64,
    height: f64,
    label: String,
    body: String,
}

/// Where a text lies relative to its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    /// Begins there.
    Start,
    /// Is centred there.
    Middle,
    /// Ends there.
    End,
}

impl Svg {
    /// An empty figure; `label` is what a screen reader says.
    #[must_use]
    pub(crate) fn new(width: f64, height: f64, label: &str) -> Self {
        Self {
            width,
            height,
            label: escape(label),
            body: String::new(),
        }
    }

    /// A straight line.
    pub(crate) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.path(class, &[Some(from), Some(to)]);
    }

    /// A path through the points; `None` lifts the pen.
    pub(crate) fn path(&mut self, class: &str, points: &[Option<(f64, f64)>]) {
        let mut data = String::new();
        let mut pen = 'M';
        for point in points {
            match point {
                Some((x, y)) => {
                    let _ = write!(data, "{pen}{} {}", number(*x), number(*y));
                    pen = 'L';
                }
                None => pen = 'M',
            }
        }
        self.data(class, &data);
    }

    /// A path given by its own data string.
    pub(crate) fn data(&mut self, class: &str, data: &str) {
        if !data.is_empty() {
            let _ = write!(self.body, "<path class=\"{class}\" d=\"{data}\"/>");
        }
    }

    /// A rectangle with rounded corners of `radius`.
    pub(crate) fn rectangle(
        &mut self,
        class: &str,
        corner: (f64, f64),
        size: (f64, f64),
        radius: f64,
    ) {
        let _ = write!(
            self.body,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"{}\"/>",
            number(corner.0),
            number(corner.1),
            number(size.0.max(0.0)),
            number(size.1.max(0.0)),
            number(radius)
        );
    }

    /// A disc.
    pub(crate) fn disc(&mut self, class: &str, centre: (f64, f64), radius: f64) {
        let _ = write!(
            self.body,
            "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"{}\"/>",
            number(centre.0),
            number(centre.1),
            number(radius)
        );
    }

    /// A line of text whose baseline lies at `position`.
    pub(crate) fn text(&mut self, class: &str, position: (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let _ = write!(
            self.body,
            "<text class=\"{class}\" x=\"{}\" y=\"{}\"{anchor}>{}</text>",
            number(position.0),
            number(position.1),
            escape(text)
        );
    }

    /// The figure for an HTML page that carries [`STYLE`] itself; it scales with the page.
    #[must_use]
    pub(crate) fn inline(&self) -> String {
        format!("<svg {}>{}</svg>", self.attributes(), self.body)
    }

    /// The figure as a file of its own.
    #[must_use]
    pub(crate) fn standalone(&self) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" {}>\
             <style>{STYLE}</style>{}</svg>\n",
            number(self.width),
            number(self.height),
            self.attributes(),
            self.body
        )
    }

    fn attributes(&self) -> String {
        format!(
            "viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\"",
            number(self.width),
            number(self.height),
            self.label
        )
    }
}

/// `value` with at most two decimals and no trailing zeros.
#[must_use]
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

/// `text` with the characters that XML reserves replaced.
#[must_use]
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(3.0), "3");
        assert_eq!(number(-0.001), "0");
        assert_eq!(number(2.5), "2.5");
        assert_eq!(number(f64::NAN), "0");
    }

    #[test]
    fn text_cannot_break_out() {
        let mut svg = Svg::new(10.0, 10.0, "a\"b");
        svg.text("small", (1.0, 2.0), Anchor::Middle, "<script>&");
        let text = svg.standalone();
        assert!(text.contains("&lt;script&gt;&amp;"));
        assert!(text.contains("a&quot;b"));
        assert!(!text.contains("<script>"));
    }

    #[test]
    fn a_lifted_pen_starts_anew() {
        let mut svg = Svg::new(10.0, 10.0, "");
        svg.path(
            "line",
            &[Some((0.0, 0.0)), Some((1.0, 1.0)), None, Some((2.0, 2.0))],
        );
        assert!(svg.inline().contains("M0 0L1 1M2 2"));
    }
}
