//! A rectangle of a figure with a scale in each direction, its grid, and what is drawn in it.

use super::svg::{Anchor, HEAT_LEVELS, Svg, number};

/// Where a panel lies (pixels) and what it shows (data units). `bottom` is the value at the lower edge:
/// it may be the larger one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Panel {
    /// Upper left corner, in pixels.
    pub corner: (f64, f64),
    /// Width and height, in pixels.
    pub size: (f64, f64),
    /// Values at the left and the right edge.
    pub across: (f64, f64),
    /// Values at the lower and the upper edge.
    pub up: (f64, f64),
}

impl Panel {
    /// Pixel of a value on the horizontal scale.
    #[must_use]
    pub(crate) fn x(&self, value: f64) -> f64 {
        self.corner.0 + (value - self.across.0) / (self.across.1 - self.across.0) * self.size.0
    }

    /// Pixel of a value on the vertical scale.
    #[must_use]
    pub(crate) fn y(&self, value: f64) -> f64 {
        self.corner.1 + self.size.1 - (value - self.up.0) / (self.up.1 - self.up.0) * self.size.1
    }

    /// Its right edge, in pixels.
    pub(crate) fn right(&self) -> f64 {
        self.corner.0 + self.size.0
    }

    /// Its lower edge, in pixels.
    pub(crate) fn bottom(&self) -> f64 {
        self.corner.1 + self.size.1
    }

    /// The background, horizontal grid lines with their labels, and the panel's heading above it.
    pub(crate) fn frame<Label: AsRef<str>>(
        &self,
        svg: &mut Svg,
        heading: &str,
        labels: &[(f64, Label)],
    ) {
        svg.rectangle("panel", self.corner, self.size, 4.0);
        svg.text(
            "head",
            (self.corner.0, self.corner.1 - 8.0),
            Anchor::Start,
            heading,
        );
        for (value, label) in labels {
            let y = self.y(*value);
            svg.line("grid", (self.corner.0, y), (self.right(), y));
            svg.text(
                "small",
                (self.corner.0 - 8.0, y + 4.0),
                Anchor::End,
                label.as_ref(),
            );
        }
    }

    /// Ticks of the horizontal scale below the panel, and the scale's name under them.
    pub(crate) fn scale_below(&self, svg: &mut Svg, ticks: &[f64], name: &str) {
        for tick in ticks {
            let x = self.x(*tick);
            svg.line("axis", (x, self.bottom()), (x, self.bottom() + 4.0));
            svg.text(
                "small",
                (x, self.bottom() + 17.0),
                Anchor::Middle,
                &number(*tick),
            );
        }
        let middle = self.corner.0 + 0.5 * self.size.0;
        svg.text(
            "small",
            (middle, self.bottom() + 34.0),
            Anchor::Middle,
            name,
        );
    }

    /// A vertical line across the panel.
    pub(crate) fn vertical(&self, svg: &mut Svg, class: &str, value: f64) {
        if self.shows(value) {
            let x = self.x(value);
            svg.line(class, (x, self.corner.1), (x, self.bottom()));
        }
    }

    /// A horizontal band between two values.
    pub(crate) fn band(&self, svg: &mut Svg, class: &str, low: f64, high: f64) {
        let (top, bottom) = (self.y(high).min(self.y(low)), self.y(high).max(self.y(low)));
        let (top, bottom) = (top.max(self.corner.1), bottom.min(self.bottom()));
        svg.rectangle(
            class,
            (self.corner.0, top),
            (self.size.0, bottom - top),
            0.0,
        );
    }

    /// A line through `(across, up)` points; values outside the vertical scale are drawn at its edge, points
    /// outside the horizontal one are left out, and a jump larger than `jump` lifts the pen.
    pub(crate) fn curve(
        &self,
        svg: &mut Svg,
        class: &str,
        points: impl Iterator<Item = (f64, f64)>,
        jump: f64,
    ) {
        let mut path = Vec::new();
        let mut last: Option<f64> = None;
        for (across, up) in points {
            if !self.shows(across) || !up.is_finite() {
                path.push(None);
                last = None;
                continue;
            }
            if last.is_some_and(|last| (up - last).abs() > jump) {
                path.push(None);
            }
            last = Some(up);
            let y = self.y(up).clamp(self.corner.1, self.bottom());
            path.push(Some((self.x(across), y)));
        }
        svg.path(class, &path);
    }

    /// The same as [`Panel::curve`], as steps that hold each value until the next point.
    pub(crate) fn steps(
        &self,
        svg: &mut Svg,
        class: &str,
        points: impl Iterator<Item = (f64, f64)>,
    ) {
        let mut last: Option<f64> = None;
        let held = points.flat_map(move |(across, up)| {
            let before = last.replace(up).unwrap_or(up);
            [(across, before), (across, up)]
        });
        self.curve(svg, class, held, f64::INFINITY);
    }

    /// Cells `value(column, row)` in `[0, 1]` over the panel: columns lie at `across[column]` and are
    /// `column_width` wide, rows are `0..rows` with row 0 at the vertical scale's first value.
    pub(crate) fn heat(
        &self,
        svg: &mut Svg,
        across: &[f64],
        column_width: f64,
        rows: usize,
        value: impl Fn(usize, usize) -> f64,
    ) {
        let mut layers = vec![String::new(); HEAT_LEVELS];
        for row in 0..rows {
            let (y0, y1) = (self.y(row as f64), self.y(row as f64 + 1.0));
            let (top, height) = (y0.min(y1), (y1 - y0).abs());
            let mut run: Option<(usize, f64, f64)> = None;
            let mut flush = |run: &mut Option<(usize, f64, f64)>| {
                if let Some((level, from, to)) = run.take()
                    && level > 0
                {
                    // Cells overlap a little, or seams show between them.
                    layers[level].push_str(&format!(
                        "M{} {}h{}v{}h-{}z",
                        number(from),
                        number(top),
                        number(to - from + 0.15),
                        number(height + 0.15),
                        number(to - from + 0.15)
                    ));
                }
            };
            for (column, &start) in across.iter().enumerate() {
                if !self.shows(start) {
                    flush(&mut run);
                    continue;
                }
                let share = value(column, row).clamp(0.0, 1.0);
                let level = ((share * HEAT_LEVELS as f64) as usize).min(HEAT_LEVELS - 1);
                let from = self.x(start);
                let to = self.x(start + column_width).min(self.right());
                match &mut run {
                    Some((known, _, end)) if *known == level => *end = to,
                    _ => {
                        flush(&mut run);
                        run = Some((level, from, to));
                    }
                }
            }
            flush(&mut run);
        }
        for (level, data) in layers.iter().enumerate() {
            svg.data(&format!("h{level}"), data);
        }
    }

    fn shows(&self, across: f64) -> bool {
        let slack = 1e-9 * (self.across.1 - self.across.0).abs();
        across >= self.across.0 - slack && across <= self.across.1 + slack
    }
}

/// Round numbers between `low` and `high`, about `count` of them.
#[must_use]
pub(crate) fn ticks(low: f64, high: f64, count: usize) -> Vec<f64> {
    let span = high - low;
    if !span.is_finite() || span <= 0.0 || count == 0 {
        return vec![low];
    }
    let rough = span / count as f64;
    let magnitude = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(10.0 * magnitude);
    let first = (low / step - 1e-6).ceil() as i64;
    let last = (high / step + 1e-6).floor() as i64;
    (first..=last).map(|k| k as f64 * step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(ticks(0.0, 6.0, 6), vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(ticks(0.0, 1.0, 4), vec![0.0, 0.5, 1.0]);
        assert_eq!(ticks(-13.0, 13.0, 4), vec![-10.0, 0.0, 10.0]);
        assert_eq!(ticks(2.0, 2.0, 4), vec![2.0]);
    }

    #[test]
    fn a_scale_may_be_upside_down() {
        let panel = Panel {
            corner: (10.0, 20.0),
            size: (100.0, 50.0),
            across: (0.0, 1.0),
            up: (180.0, 0.0),
        };
        assert_eq!(panel.y(0.0), 20.0);
        assert_eq!(panel.y(180.0), 70.0);
        assert_eq!(panel.x(0.5), 60.0);
    }
}
