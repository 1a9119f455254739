//! The kernels that pack at run time.

use super::mismatch::Mismatch;
use super::room::Room;
use super::subject::Subject;
use crate::portable::Rows;
use crate::simd::Simd;
use crate::simd::packed::{PackedLayout, QUAD};
use crate::{PackedBiases, PackedMap, Requant, Shape};

/// [`Subject::map`] and [`Subject::wide_map`].
fn pack<'a, M: PackedMap<'a>>(
    plain: Rows<'a>,
    columns: usize,
    room: &mut Room<'a>,
) -> Result<Option<M>, Mismatch> {
    let lines = room.lines(M::lines(plain.rows, columns))?;
    let packed = M::pack(plain, columns, lines);
    Ok(packed.and_then(|()| M::view(plain, columns, lines)))
}

/// [`Subject::biases`].
fn pack_biases<'a, B: PackedBiases<'a>>(
    shape: Shape,
    logit: Requant,
    plain: &'a [[u8; 4]],
    room: &mut Room<'a>,
) -> Result<Option<B>, Mismatch> {
    let lines = room.lines(B::lines(shape))?;
    let packed = B::pack(shape, logit, plain, lines);
    Ok(packed.and_then(|()| B::view(shape, logit, plain, lines)))
}

impl<S: Simd> Subject for S {
    const FLIP: i8 = <S as PackedLayout<QUAD>>::INPUT_OFFSET as i8;

    fn map<'a>(
        self,
        plain: Rows<'a>,
        columns: usize,
        room: &mut Room<'a>,
    ) -> Result<Option<Self::Map<'a>>, Mismatch> {
        pack(plain, columns, room)
    }

    fn wide_map<'a>(
        self,
        plain: Rows<'a>,
        columns: usize,
        room: &mut Room<'a>,
    ) -> Result<Option<Self::WideMap<'a>>, Mismatch> {
        pack(plain, columns, room)
    }

    fn biases<'a>(
        self,
        shape: Shape,
        logit: Requant,
        plain: &'a [[u8; 4]],
        room: &mut Room<'a>,
    ) -> Result<Option<<S as Simd>::Biases<'a>>, Mismatch> {
        pack_biases(shape, logit, plain, room)
    }
}
