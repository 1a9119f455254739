//! The whole window from nothing, the newest action out.
//!
//! With `slot` positions this is the policy's own function. With `age` positions it is that only as long as
//! nothing has left the window: afterwards, Engram's upper layers remember further back.

use engram_export::{Calibration, Parameters, slot_positions};
use engram_image::Positions;

use super::attention::{MASKED, Source};
use super::builder::{Builder, Name, ints};
use super::{INPUT, Precision, Style};

/// A graph from `[window, inputs]` to `[1, actions]`. The last layer computes the newest token alone, for
/// nothing else reads the others.
pub(crate) fn window(
    parameters: &Parameters,
    calibration: &Calibration,
    precision: Precision,
    style: Style,
) -> Vec<u8> {
    let source = Source {
        parameters,
        calibration,
        precision,
        style,
    };
    let config = source.config();
    let (window, d) = (config.window, config.model);
    let mut builder = Builder::default();
    let input = builder.input(INPUT, &[window, config.inputs()]);
    let mut tokens = source.embed(&mut builder, &input);
    if config.positions == Positions::Slot {
        let table = builder.floats(&[window, d], &slot_positions(window, d));
        tokens = builder.node("Add", &[&tokens, &table], vec![]);
    }
    for layer in 0..config.layers {
        let newest = layer + 1 == config.layers;
        tokens = encoder(&mut builder, &source, layer, &tokens, newest);
    }
    let mean = source.head(&mut builder, &tokens);
    source.output(&mut builder, &mean);
    builder.finish()
}

/// One layer over all tokens; of the last one, the newest token's output.
fn encoder(
    builder: &mut Builder,
    source: &Source<'_>,
    layer: usize,
    tokens: &str,
    newest: bool,
) -> Name {
    let (window, heads) = (source.config().window, source.config().heads);
    let (residual, qkv, queries) = if newest {
        let last = builder.slice(tokens, 0, window - 1, window);
        let qkv = source.project_newest(builder, layer, tokens, &last);
        (last, qkv, 1)
    } else {
        let qkv = source.project(builder, layer, tokens);
        (tokens.to_owned(), qkv, window)
    };
    let biases = window_biases(source.parameters, layer, window - queries);
    let mixed = match source.style {
        Style::Plain => {
            let biases = builder.floats(&[heads, queries, window], &biases);
            plain(builder, source, &qkv, &biases, queries)
        }
        Style::Fused => {
            let biases = builder.floats(&[1, heads, queries, window], &biases);
            let [q, k, v] = &qkv;
            let lengths = [(q.as_str(), queries), (k, window), (v, window)];
            let [mixed] = source.fused(builder, lengths, &biases, &[]);
            mixed
        }
    };
    source.finish(builder, layer, &residual, &mixed)
}

/// `[heads][token][earlier token]` for the tokens from `first` on; the later ones are masked.
pub(crate) fn window_biases(parameters: &Parameters, layer: usize, first: usize) -> Vec<f32> {
    let (window, heads) = (parameters.config.window, parameters.config.heads);
    let ages = &parameters.layers[layer].age_bias;
    let mut biases = Vec::with_capacity(heads * window * window);
    for head in 0..heads {
        for token in first..window {
            biases.extend((0..window).map(|other| match token.checked_sub(other) {
                Some(age) => ages.get(head * window + age).copied().unwrap_or(0.0),
                None => MASKED,
            }));
        }
    }
    biases
}

/// Attention in ONNX's own operators: `[queries, d]`.
fn plain(
    builder: &mut Builder,
    source: &Source<'_>,
    [q, k, v]: &[Name; 3],
    biases: &str,
    queries: usize,
) -> Name {
    let config = source.config();
    let (window, heads, width) = (config.window, config.heads, config.head_dim());
    let mut by_head = |name: &str, tokens: usize, order: &[i64]| {
        let split = builder.reshape(name, &[tokens, heads, width]);
        builder.node("Transpose", &[&split], vec![ints("perm", order)])
    };
    let q = by_head(q, queries, &[1, 0, 2]);
    let k = by_head(k, window, &[1, 2, 0]);
    let v = by_head(v, window, &[1, 0, 2]);
    let logits = builder.node("MatMul", &[&q, &k], vec![]);
    let logits = builder.node("Add", &[&logits, biases], vec![]);
    let weights = builder.node("Softmax", &[&logits], vec![super::builder::int("axis", -1)]);
    let mixed = builder.node("MatMul", &[&weights, &v], vec![]);
    let mixed = builder.node("Transpose", &[&mixed], vec![ints("perm", &[1, 0, 2])]);
    builder.reshape(&mixed, &[queries, config.model])
}
