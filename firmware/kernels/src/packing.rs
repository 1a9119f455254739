//! Kernels that read weights in their own order, and who brings them there.

use crate::portable::Rows;
use crate::{CacheLine, Kernels, Requant, Shape};

/// A linear map that is packed at run time, into lines that the caller lends.
///
/// Packing changes where a weight lies, never its value. A matrix that contradicts itself, and a
/// buffer of another size than asked for, give `None`. Lines are packed once; a view of them is cheap, and
/// asks for the same matrix. Lines that hold anything else give other numbers, never a panic.
pub trait PackedLinear<'a>: Copy {
    /// Lines of a map.
    fn lines(rows: usize, columns: usize) -> usize;
    /// Packs a map into [`PackedLinear::lines`] lines.
    fn pack(map: Rows<'_>, columns: usize, lines: &mut [CacheLine]) -> Option<()>;
    /// The map that [`PackedLinear::pack`] left in these lines.
    fn view(map: Rows<'a>, columns: usize, lines: &'a [CacheLine]) -> Option<Self>;
}

/// The age biases of one layer, packed like a [`PackedLinear`].
pub trait PackedBiases<'a>: Copy {
    /// Lines of the age biases.
    fn lines(shape: Shape) -> usize;
    /// Packs the age biases, `[heads][window]` i32, little endian, or empty.
    fn pack(
        shape: Shape,
        logit: Requant,
        biases: &[[u8; 4]],
        lines: &mut [CacheLine],
    ) -> Option<()>;
    /// The age biases that [`PackedBiases::pack`] left in these lines.
    fn view(
        shape: Shape,
        logit: Requant,
        biases: &'a [[u8; 4]],
        lines: &'a [CacheLine],
    ) -> Option<Self>;
}

/// Kernels whose maps and biases are packed at run time.
pub trait Packing:
    for<'a> Kernels<
        Linear<'a>: PackedLinear<'a>,
        WideLinear<'a>: PackedLinear<'a>,
        Biases<'a>: PackedBiases<'a>,
    >
{
}

impl<K> Packing for K where
    for<'a> K: Kernels<
            Linear<'a>: PackedLinear<'a>,
            WideLinear<'a>: PackedLinear<'a>,
            Biases<'a>: PackedBiases<'a>,
        >
{
}
