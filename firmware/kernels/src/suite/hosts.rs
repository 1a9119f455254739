//! The kernels that pack at run time.

use super::mismatch::Mismatch;
use super::room::Room;
use super::subject::Subject;
use crate::portable::Rows;
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

/// Kernels that pack at run time, and how an int8 input of theirs differs from its number.
macro_rules! packing {
    ($($kernels:ty: $flip:literal;)+) => {$(
        impl Subject for $kernels {
            const FLIP: i8 = $flip;

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
            ) -> Result<Option<Self::Biases<'a>>, Mismatch> {
                pack_biases(shape, logit, plain, room)
            }
        }
    )+};
}

#[cfg(target_arch = "x86_64")]
packing! {
    crate::Avx512Vnni: -128;
    crate::Avx2: 0;
    crate::AvxVnni: 0;
}
#[cfg(all(test, target_arch = "x86_64"))]
packing! {
    crate::x86::Avx512Half: 0;
}
#[cfg(target_arch = "aarch64")]
packing! {
    crate::Sdot: 0;
    crate::Neon: 0;
}
