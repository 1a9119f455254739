//! What the suite has to know of kernels besides what they are.

use super::mismatch::Mismatch;
use super::room::Room;
use crate::portable::Rows;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
use crate::simd::packed::{PackedLayout, QUAD};
use crate::{PackedBiases, PackedLinear, Packing, Requant, Shape};

/// What kernels ask of the maps of int8 inputs.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Smallest shift of a row.
    pub shift: u8,
    /// `127 * sum |weight| + |bias|` of a row is below this.
    pub sum: u64,
}

impl Limits {
    /// Whatever an image may hold.
    pub const NONE: Self = Self {
        shift: 1,
        sum: u64::MAX,
    };
}

/// Kernels that the suite tests.
///
/// `None` where a map that keeps to the limits was refused: that is a mismatch.
pub trait Subject: Packing {
    /// By what an int8 input of a map differs from its number (exclusive or).
    const FLIP: i8 = 0;
    /// What maps must keep to.
    const LIMITS: Limits = Limits::NONE;

    /// A map of an int8 input.
    ///
    /// # Errors
    /// There is too little room.
    fn map<'a>(
        self,
        plain: Rows<'a>,
        columns: usize,
        room: &mut Room<'a>,
    ) -> Result<Option<Self::Linear<'a>>, Mismatch> {
        pack(plain, columns, room)
    }

    /// A map of an int16 input.
    ///
    /// # Errors
    /// There is too little room.
    fn wide_map<'a>(
        self,
        plain: Rows<'a>,
        columns: usize,
        room: &mut Room<'a>,
    ) -> Result<Option<Self::WideLinear<'a>>, Mismatch> {
        pack(plain, columns, room)
    }

    /// Age biases.
    ///
    /// # Errors
    /// There is too little room.
    fn biases<'a>(
        self,
        shape: Shape,
        logit: Requant,
        plain: &'a [[u8; 4]],
        room: &mut Room<'a>,
    ) -> Result<Option<Self::Biases<'a>>, Mismatch> {
        let lines = room.lines(Self::Biases::lines(shape))?;
        let packed = Self::Biases::pack(shape, logit, plain, lines);
        Ok(packed.and_then(|()| Self::Biases::view(shape, logit, plain, lines)))
    }
}

/// A map as some kernels pack it.
fn pack<'a, M: PackedLinear<'a>>(
    plain: Rows<'a>,
    columns: usize,
    room: &mut Room<'a>,
) -> Result<Option<M>, Mismatch> {
    let lines = room.lines(M::lines(plain.rows, columns))?;
    let packed = M::pack(plain, columns, lines);
    Ok(packed.and_then(|()| M::view(plain, columns, lines)))
}

#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
impl<S: crate::simd::Simd> Subject for S {
    const FLIP: i8 = <S as PackedLayout<QUAD>>::INPUT_OFFSET as i8;
}
