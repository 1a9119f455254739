//! A cache line: the unit in which weights are packed.

/// 64 bytes that start at a multiple of 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct CacheLine(pub [u8; 64]);

// SAFETY: an array of bytes, to which alignment adds no padding: every pattern of bits is a value.
unsafe impl bytemuck::Zeroable for CacheLine {}
// SAFETY: as above.
unsafe impl bytemuck::Pod for CacheLine {}

impl CacheLine {
    /// All zero.
    pub const ZERO: Self = Self([0; 64]);
}
