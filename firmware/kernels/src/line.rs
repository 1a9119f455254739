//! A cache line: the unit in which weights are packed.

/// 64 bytes that start at a multiple of 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Line(pub [u8; 64]);

// SAFETY: an array of bytes, to which alignment adds no padding: every pattern of bits is a value.
unsafe impl bytemuck::Zeroable for Line {}
// SAFETY: as above.
unsafe impl bytemuck::Pod for Line {}

impl Line {
    /// All zero.
    pub const ZERO: Self = Self([0; 64]);

    /// Puts `values` where the line has its i32 number `first`; what does not fit is dropped.
    #[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
    #[inline]
    pub(crate) fn put_i32(&mut self, first: usize, values: impl Iterator<Item = i32>) {
        let (places, _) = self.0.as_chunks_mut::<4>();
        for (place, value) in places.iter_mut().skip(first).zip(values) {
            *place = value.to_le_bytes();
        }
    }
}
