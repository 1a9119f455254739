//! One working memory on the keys and values of earlier ones: the function of a policy with `age` positions.
//!
//! Every layer has three inputs: keys and values of the `window - 1` memories before, and the bias of every
//! place, which masks the places that are still empty. Keys lie as `[heads, width, places]` and values as
//! `[heads, places, width]`, so that no node transposes; [`Style::Fused`] wants `[1, heads, places, width]` for both.

use engram_export::{Calibration, Parameters};
use engram_image::ModelConfig;

use super::attention::Source;
use super::builder::{Builder, Name, int};
use super::{INPUT, Precision, Style};

/// How the cache gets the new keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cache {
    /// The oldest place falls out and the graph gives the whole cache back: the next step's inputs.
    Shift,
    /// The graph gives the new keys and values; the caller writes them over the oldest ones.
    Ring,
}

/// The output behind the mean with [`Cache::Ring`]: the mean, then keys and values of every layer.
pub(crate) const CACHE_OUT: &str = "all";

/// The input `keys` or `values` of `layer`; with `next`, the output.
pub(crate) fn cache_name(kind: &str, layer: usize, next: bool) -> String {
    format!("{}{kind}.{layer}", if next { "next." } else { "" })
}

/// The input that holds the biases of `layer`.
pub(crate) fn bias_name(layer: usize) -> String {
    format!("bias.{layer}")
}

/// The caches of one layer, by kind.
pub(crate) fn cache_shapes(config: &ModelConfig, style: Style) -> Vec<(&'static str, Vec<usize>)> {
    let (heads, width, past) = (config.heads, config.head_dim(), config.window - 1);
    match style {
        Style::Plain => vec![
            ("keys", vec![heads, width, past]),
            ("values", vec![heads, past, width]),
        ],
        Style::Fused => ["keys", "values"]
            .map(|kind| (kind, vec![1, heads, past, width]))
            .into(),
    }
}

/// The biases of one layer.
pub(crate) fn bias_shape(config: &ModelConfig, style: Style) -> Vec<usize> {
    let shape = vec![config.heads, 1, config.window];
    match style {
        Style::Plain => shape,
        Style::Fused => [vec![1], shape].concat(),
    }
}

/// A graph from `[1, inputs]` and the cache to `[1, actions]` and what the cache needs.
pub(crate) fn token(
    parameters: &Parameters,
    calibration: &Calibration,
    precision: Precision,
    style: Style,
    cache: Cache,
) -> Vec<u8> {
    let source = Source {
        parameters,
        calibration,
        precision,
        style,
    };
    let config = source.config();
    let mut builder = Builder::default();
    let input = builder.input(INPUT, &[1, config.inputs()]);
    let mut token = source.embed(&mut builder, &input);
    let mut fresh = Vec::new();
    for layer in 0..config.layers {
        let qkv = source.project(&mut builder, layer, &token);
        fresh.extend_from_slice(&qkv[1..]);
        let mixed = match (style, cache) {
            (Style::Plain, Cache::Ring) => ring(&mut builder, &source, layer, &qkv),
            (Style::Plain, Cache::Shift) => shift(&mut builder, &source, layer, &qkv),
            (Style::Fused, _) => fused(&mut builder, &source, layer, &qkv),
        };
        token = source.finish(&mut builder, layer, &token, &mixed);
    }
    let mean = source.head(&mut builder, &token);
    if cache == Cache::Ring {
        let mut all = vec![mean.as_str()];
        all.extend(fresh.iter().map(String::as_str));
        let length = config.actions + 2 * config.layers * config.model;
        let all = builder.node("Concat", &all, vec![int("axis", 1)]);
        builder.output(&all, CACHE_OUT, &[1, length]);
    } else {
        source.output(&mut builder, &mean);
    }
    builder.finish()
}

/// Queries, keys and values by head.
fn by_head(builder: &mut Builder, source: &Source<'_>, [q, k, v]: &[Name; 3]) -> [Name; 3] {
    let (heads, width) = (source.config().heads, source.config().head_dim());
    [
        builder.reshape(q, &[heads, 1, width]),
        builder.reshape(k, &[heads, width, 1]),
        builder.reshape(v, &[heads, 1, width]),
    ]
}

/// The inputs of the caches, and the biases.
fn inputs<const N: usize>(
    builder: &mut Builder,
    source: &Source<'_>,
    layer: usize,
) -> ([Name; N], Name) {
    let mut shapes = cache_shapes(source.config(), source.style).into_iter();
    let caches = std::array::from_fn(|_| {
        let (kind, shape) = shapes.next().unwrap_or_default();
        builder.input(&cache_name(kind, layer, false), &shape)
    });
    let bias = bias_shape(source.config(), source.style);
    (caches, builder.input(&bias_name(layer), &bias))
}

/// Attention over the cache with the new token behind it; the cache without its oldest place goes out.
fn shift(builder: &mut Builder, source: &Source<'_>, layer: usize, qkv: &[Name; 3]) -> Name {
    let config = source.config();
    let (heads, width, window) = (config.heads, config.head_dim(), config.window);
    let ([keys, values], bias) = inputs(builder, source, layer);
    let [q, k, v] = by_head(builder, source, qkv);
    let keys = builder.node("Concat", &[&keys, &k], vec![int("axis", 2)]);
    let values = builder.node("Concat", &[&values, &v], vec![int("axis", 1)]);
    let logits = builder.node("MatMul", &[&q, &keys], vec![]);
    let logits = builder.node("Add", &[&logits, &bias], vec![]);
    let weights = builder.node("Softmax", &[&logits], vec![int("axis", -1)]);
    let mixed = builder.node("MatMul", &[&weights, &values], vec![]);
    let mixed = builder.reshape(&mixed, &[1, config.model]);
    let keys = builder.slice(&keys, 2, 1, window);
    let values = builder.slice(&values, 1, 1, window);
    let names = ["keys", "values"].map(|kind| cache_name(kind, layer, true));
    builder.output(&keys, &names[0], &[heads, width, window - 1]);
    builder.output(&values, &names[1], &[heads, window - 1, width]);
    mixed
}

/// Attention over the cache and the new token side by side: nothing of the cache is copied.
fn ring(builder: &mut Builder, source: &Source<'_>, layer: usize, qkv: &[Name; 3]) -> Name {
    let config = source.config();
    let ([keys, values], bias) = inputs(builder, source, layer);
    let [q, k, v] = by_head(builder, source, qkv);
    let before = builder.node("MatMul", &[&q, &keys], vec![]);
    let own = builder.node("MatMul", &[&q, &k], vec![]);
    let logits = builder.node("Concat", &[&before, &own], vec![int("axis", 2)]);
    let logits = builder.node("Add", &[&logits, &bias], vec![]);
    let weights = builder.node("Softmax", &[&logits], vec![int("axis", -1)]);
    let lengths = builder.integers(&[config.window as i64 - 1, 1]);
    let [before, own] = builder.nodes("", "Split", &[&weights, &lengths], vec![int("axis", 2)]);
    let before = builder.node("MatMul", &[&before, &values], vec![]);
    let own = builder.node("Mul", &[&own, &v], vec![]);
    let mixed = builder.node("Add", &[&before, &own], vec![]);
    builder.reshape(&mixed, &[1, config.model])
}

/// [`shift`] by ONNX Runtime's attention.
fn fused(builder: &mut Builder, source: &Source<'_>, layer: usize, qkv: &[Name; 3]) -> Name {
    let config = source.config();
    let (heads, width, window) = (config.heads, config.head_dim(), config.window);
    let ([keys, values], bias) = inputs(builder, source, layer);
    let [q, k, v] = qkv;
    let tokens = [(q.as_str(), 1), (k, 1), (v, 1)];
    let [mixed, keys, values] = source.fused(builder, tokens, &bias, &[&keys, &values]);
    for (kind, value) in [("keys", keys), ("values", values)] {
        let value = builder.slice(&value, 2, 1, window);
        let shape = [1, heads, window - 1, width];
        builder.output(&value, &cache_name(kind, layer, true), &shape);
    }
    mixed
}
