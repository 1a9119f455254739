//! Kernels that read weights in their own order, and who brings them there.

use crate::portable::Rows;
use crate::{Kernels, Line, Requant, Shape};

/// A linear map that is packed at run time, into lines that the caller lends.
///
/// Packing changes where a weight lies, never its value. A matrix that contradicts itself, and a
/// buffer of another size than asked for, give `None`. Lines are packed once; a view of them is cheap, and
/// asks for the same matrix. Lines that hold anything else give other numbers, never a panic.
pub trait PackedMap<'a>: Copy {
    /// Lines of a map.
    fn lines(rows: usize, columns: usize) -> usize;
    /// Packs a map into [`PackedMap::lines`] lines.
    fn pack(map: Rows<'_>, columns: usize, lines: &mut [Line]) -> Option<()>;
    /// The map that [`PackedMap::pack`] left in these lines.
    fn view(map: Rows<'a>, columns: usize, lines: &'a [Line]) -> Option<Self>;
}

/// The age biases of one layer, packed like a [`PackedMap`].
pub trait PackedBiases<'a>: Copy {
    /// Lines of the age biases.
    fn lines(shape: Shape) -> usize;
    /// Packs the age biases, `[heads][window]` i32, little endian, or empty.
    fn pack(shape: Shape, logit: Requant, biases: &[[u8; 4]], lines: &mut [Line]) -> Option<()>;
    /// The age biases that [`PackedBiases::pack`] left in these lines.
    fn view(shape: Shape, logit: Requant, biases: &'a [[u8; 4]], lines: &'a [Line])
    -> Option<Self>;
}

/// Kernels whose maps and biases are packed at run time.
pub trait Packing:
    for<'a> Kernels<Map<'a>: PackedMap<'a>, WideMap<'a>: PackedMap<'a>, Biases<'a>: PackedBiases<'a>>
{
}

impl<K> Packing for K where
    for<'a> K:
        Kernels<Map<'a>: PackedMap<'a>, WideMap<'a>: PackedMap<'a>, Biases<'a>: PackedBiases<'a>>
{
}
