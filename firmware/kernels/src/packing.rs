//! Kernels that read weights in their own order, and who brings them there.

use crate::portable::Rows;
use crate::{Kernels, Line, Requant, Shape};

/// Kernels whose maps are packed at run time, into lines that the caller lends.
///
/// Packing changes where a weight lies, never its value. A matrix that contradicts itself, and a
/// buffer of another size than asked for, give `None`. Lines are packed once; a view of them is cheap, and
/// asks for the same matrix. Lines that hold anything else give other numbers, never a panic.
pub trait Packing: Kernels {
    /// Lines of a map of an int8 input.
    fn lines(rows: usize, columns: usize) -> usize;
    /// Packs a map of an int8 input into [`Packing::lines`] lines.
    fn pack(self, map: Rows<'_>, columns: usize, lines: &mut [Line]) -> Option<()>;
    /// The map that [`Packing::pack`] left in these lines.
    fn view<'a>(self, map: Rows<'a>, columns: usize, lines: &'a [Line]) -> Option<Self::Map<'a>>;
    /// Lines of a map of an int16 input.
    fn wide_lines(rows: usize, columns: usize) -> usize;
    /// Packs a map of an int16 input into [`Packing::wide_lines`] lines.
    fn pack_wide(self, map: Rows<'_>, columns: usize, lines: &mut [Line]) -> Option<()>;
    /// The map that [`Packing::pack_wide`] left in these lines.
    fn view_wide<'a>(
        self,
        map: Rows<'a>,
        columns: usize,
        lines: &'a [Line],
    ) -> Option<Self::WideMap<'a>>;
    /// Lines of the age biases of one layer.
    fn bias_lines(shape: Shape) -> usize;
    /// Packs the age biases of one layer, `[heads][window]` i32, little endian, or empty.
    fn pack_biases(
        self,
        shape: Shape,
        logit: Requant,
        biases: &[[u8; 4]],
        lines: &mut [Line],
    ) -> Option<()>;
    /// The age biases that [`Packing::pack_biases`] left in these lines.
    fn view_biases<'a>(
        self,
        shape: Shape,
        logit: Requant,
        biases: &'a [[u8; 4]],
        lines: &'a [Line],
    ) -> Option<Self::Biases<'a>>;
    /// Reads every line once: no product over as many weights can be faster. What comes back depends on
    /// all bits.
    fn read(self, lines: &[Line]) -> u64;
}
