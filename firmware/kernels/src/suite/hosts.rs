//! The kernels that pack at run time.

use super::mismatch::Mismatch;
use super::room::Room;
use super::subject::Subject;
use crate::portable::Rows;
use crate::{Packing, Requant, Shape};

/// [`Subject::map`] of kernels that pack at run time.
fn pack<'a, K: Packing>(
    kernels: K,
    plain: Rows<'a>,
    columns: usize,
    room: &mut Room<'a>,
) -> Result<Option<K::Map<'a>>, Mismatch> {
    let lines = room.lines(K::lines(plain.rows, columns))?;
    let packed = kernels.pack(plain, columns, lines);
    Ok(packed.and_then(|()| kernels.view(plain, columns, lines)))
}

/// [`Subject::wide_map`] of kernels that pack at run time.
fn pack_wide<'a, K: Packing>(
    kernels: K,
    plain: Rows<'a>,
    columns: usize,
    room: &mut Room<'a>,
) -> Result<Option<K::WideMap<'a>>, Mismatch> {
    let lines = room.lines(K::wide_lines(plain.rows, columns))?;
    let packed = kernels.pack_wide(plain, columns, lines);
    Ok(packed.and_then(|()| kernels.view_wide(plain, columns, lines)))
}

/// [`Subject::biases`] of kernels that pack at run time.
fn pack_biases<'a, K: Packing>(
    kernels: K,
    shape: Shape,
    logit: Requant,
    plain: &'a [[u8; 4]],
    room: &mut Room<'a>,
) -> Result<Option<K::Biases<'a>>, Mismatch> {
    let lines = room.lines(K::bias_lines(shape))?;
    let packed = kernels.pack_biases(shape, logit, plain, lines);
    Ok(packed.and_then(|()| kernels.view_biases(shape, logit, plain, lines)))
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
                pack(self, plain, columns, room)
            }

            fn wide_map<'a>(
                self,
                plain: Rows<'a>,
                columns: usize,
                room: &mut Room<'a>,
            ) -> Result<Option<Self::WideMap<'a>>, Mismatch> {
                pack_wide(self, plain, columns, room)
            }

            fn biases<'a>(
                self,
                shape: Shape,
                logit: Requant,
                plain: &'a [[u8; 4]],
                room: &mut Room<'a>,
            ) -> Result<Option<Self::Biases<'a>>, Mismatch> {
                pack_biases(self, shape, logit, plain, room)
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
