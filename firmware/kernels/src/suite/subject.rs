//! What the suite has to know of kernels besides what they are.

use super::mismatch::Mismatch;
use super::room::Room;
use crate::portable::Rows;
use crate::{Kernels, Requant, Shape};

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
pub trait Subject: Kernels {
    /// By what an int8 input of a map differs from its number (exclusive or).
    const FLIP: i8;
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
    ) -> Result<Option<Self::Map<'a>>, Mismatch>;

    /// A map of an int16 input.
    ///
    /// # Errors
    /// There is too little room.
    fn wide_map<'a>(
        self,
        plain: Rows<'a>,
        columns: usize,
        room: &mut Room<'a>,
    ) -> Result<Option<Self::WideMap<'a>>, Mismatch>;

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
    ) -> Result<Option<Self::Biases<'a>>, Mismatch>;
}
