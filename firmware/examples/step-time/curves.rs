//! The shapes of the curves: windows from 8 to 512 and widths from 32 to 128.

use engram_image::ModelConfig;
use engram_image::shapes::SMALL;

/// One point of a curve.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Which curve.
    pub(crate) series: &'static str,
    pub(crate) config: ModelConfig,
}

impl Shape {
    /// Layers, heads, width, feed-forward width, window and multiply-accumulates.
    pub(crate) fn numbers(&self, between: &str) -> String {
        let ModelConfig {
            layers,
            heads,
            model,
            ff,
            window,
            ..
        } = self.config;
        let numbers = [layers, heads, model, ff, window].map(|number| number.to_string());
        let macs = self.config.macs_per_step();
        numbers.join(between) + between + &macs.to_string()
    }
}

/// All points, curve by curve. An image's rings hold `layers * window * model` up to 65,536: the window of a
/// wide model reaches 512 with one layer, that of a narrow one with four.
pub(crate) fn shapes() -> Vec<Shape> {
    let wide = ModelConfig {
        layers: 1,
        heads: 8,
        model: 128,
        ff: 512,
        ..SMALL
    };
    let mut shapes = Vec::new();
    for (series, config) in [("window-d32", SMALL), ("window-d128", wide)] {
        for window in [8, 16, 32, 64, 128, 256, 512] {
            let config = ModelConfig { window, ..config };
            shapes.push(Shape { series, config });
        }
    }
    // Heads of eight channels at every width, so that one routine computes all.
    for model in [32, 64, 96, 128] {
        let config = ModelConfig {
            heads: model / 8,
            model,
            ff: 4 * model,
            window: 32,
            ..SMALL
        };
        shapes.push(Shape {
            series: "width",
            config,
        });
    }
    shapes
}
