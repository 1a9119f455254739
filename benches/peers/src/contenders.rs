//! Who takes part at a shape.

use std::path::Path as FilePath;

use engram_firmware::policy::{Backend, Policy};
use engram_image::{Image, Positions};
use engram_kernels::CacheLine;

use crate::engine::engram::{Float, Integer};
use crate::engine::{Engine, Function};
use crate::graph::{Cache, Precision};
use crate::reference::Reference;

/// An engine with what it computes, and how.
pub(crate) struct Contender<'a> {
    /// `engram`, `onnxruntime`, `tract`, `candle`, `burn`.
    pub(crate) engine: &'static str,
    pub(crate) function: Function,
    /// The precision, and what else tells it from others of the engine.
    pub(crate) variant: String,
    /// Whether its matrices are int8.
    pub(crate) is_integer: bool,
    /// Whether it computes what Engram computes at every step, not only until the window is full.
    pub(crate) is_equal: bool,
    pub(crate) policy: Box<dyn Engine + 'a>,
}

/// The functions of a shape: one token where that is the same, the window always.
pub(crate) fn functions(positions: Positions) -> &'static [Function] {
    match positions {
        Positions::Age => &[
            Function::Token(Cache::Ring),
            Function::Token(Cache::Shift),
            Function::Window,
        ],
        Positions::Slot => &[Function::Window],
    }
}

/// Engram's own: the integers on the fastest path of the machine, and f32.
pub(crate) fn engram<'a>(
    reference: &'a Reference,
    image: &'a Image<'a>,
    lines: &'a mut [CacheLine],
) -> [Contender<'a>; 2] {
    let function = match reference.config.positions {
        Positions::Age => Function::Token(Cache::Ring),
        Positions::Slot => Function::Window,
    };
    let policy = Policy::new(Backend::best(), image, lines);
    let integer = Contender {
        engine: "engram",
        function,
        variant: format!("int8, {}", policy.backend()),
        is_integer: true,
        is_equal: true,
        policy: Box::new(Integer::new(policy)),
    };
    let float = Contender {
        engine: "engram",
        function,
        variant: Precision::Float.name().into(),
        is_integer: false,
        is_equal: true,
        policy: Box::new(Float::new(&reference.policy)),
    };
    [integer, float]
}

/// The peers that this program was built with.
pub(crate) fn peers<'a>(
    reference: &'a Reference,
    library: &FilePath,
) -> anyhow::Result<Vec<Contender<'a>>> {
    let mut found = Vec::new();
    onnxruntime(reference, library, &mut found)?;
    tract(reference, &mut found)?;
    candle(reference, &mut found)?;
    burn(reference, &mut found);
    Ok(found)
}

#[cfg(any(
    feature = "burn",
    feature = "candle",
    feature = "onnxruntime",
    feature = "tract"
))]
fn is_equal(reference: &Reference, function: Function) -> bool {
    reference.config.positions == Positions::Slot || function != Function::Window
}

#[cfg(feature = "onnxruntime")]
fn onnxruntime(
    reference: &Reference,
    library: &FilePath,
    found: &mut Vec<Contender<'_>>,
) -> anyhow::Result<()> {
    use crate::engine::onnxruntime::{OnnxRuntime, load};
    use crate::graph::Style;

    let environment = load(library)?;
    for &function in functions(reference.config.positions) {
        for style in [Style::Plain, Style::Fused] {
            // Its operator gives the whole cache back.
            if (style, function) == (Style::Fused, Function::Token(Cache::Ring)) {
                continue;
            }
            for precision in [Precision::Float, Precision::Dynamic, Precision::Static] {
                let policy = OnnxRuntime::new(environment, reference, function, precision, style)?;
                found.push(Contender {
                    engine: "onnxruntime",
                    function,
                    variant: format!("{}{}", precision.name(), style.name()),
                    is_integer: precision != Precision::Float,
                    is_equal: is_equal(reference, function),
                    policy: Box::new(policy),
                });
            }
        }
    }
    Ok(())
}

#[cfg(not(feature = "onnxruntime"))]
fn onnxruntime(_: &Reference, _: &FilePath, _: &mut Vec<Contender<'_>>) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(feature = "tract")]
fn tract(reference: &Reference, found: &mut Vec<Contender<'_>>) -> anyhow::Result<()> {
    use crate::engine::tract::Tract;

    for &function in functions(reference.config.positions) {
        if function == Function::Token(Cache::Ring) {
            continue;
        }
        for precision in [
            Precision::Float,
            Precision::StandardDynamic,
            Precision::StandardStatic,
        ] {
            let policy = Tract::new(reference, function, precision)?;
            found.push(Contender {
                engine: "tract",
                function,
                variant: precision.name().into(),
                is_integer: precision != Precision::Float,
                is_equal: is_equal(reference, function),
                policy: Box::new(policy),
            });
        }
    }
    Ok(())
}

#[cfg(not(feature = "tract"))]
fn tract(_: &Reference, _: &mut Vec<Contender<'_>>) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(feature = "candle")]
fn candle(reference: &Reference, found: &mut Vec<Contender<'_>>) -> anyhow::Result<()> {
    use crate::engine::candle::{Candle, Weights};

    for &function in functions(reference.config.positions) {
        if function == Function::Token(Cache::Shift) {
            continue;
        }
        for (weights, variant) in [
            (Weights::Float, Precision::Float.name()),
            (Weights::Blocks, "int8 in blocks of 32"),
        ] {
            found.push(Contender {
                engine: "candle",
                function,
                variant: variant.into(),
                is_integer: weights != Weights::Float,
                is_equal: is_equal(reference, function),
                policy: Box::new(Candle::new(reference, function, weights)?),
            });
        }
    }
    Ok(())
}

#[cfg(not(feature = "candle"))]
fn candle(_: &Reference, _: &mut Vec<Contender<'_>>) -> anyhow::Result<()> {
    Ok(())
}

#[cfg(feature = "burn")]
fn burn(reference: &Reference, found: &mut Vec<Contender<'_>>) {
    for &function in functions(reference.config.positions) {
        if function == Function::Token(Cache::Shift) {
            continue;
        }
        found.push(Contender {
            engine: "burn",
            function,
            variant: Precision::Float.name().into(),
            is_integer: false,
            is_equal: is_equal(reference, function),
            policy: Box::new(crate::engine::burn::Burn::new(reference, function)),
        });
    }
}

#[cfg(not(feature = "burn"))]
fn burn(_: &Reference, _: &mut Vec<Contender<'_>>) {}
