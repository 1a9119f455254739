//! The numbers of a case, random ones and those that go wrong.

use super::draw::Draw;
use crate::Requant;

/// How the numbers of a vector are chosen.
#[derive(Clone, Copy)]
enum Temper {
    Any,
    /// Both ends, at random.
    Ends,
    Highest,
    Lowest,
    /// Both ends by turns.
    Alternating,
    /// Zeros, and a few ends.
    Rare,
    /// -1, 0 and 1.
    Small,
    Zero,
}

const TEMPERS: [Temper; 12] = [
    Temper::Any,
    Temper::Any,
    Temper::Any,
    Temper::Any,
    Temper::Any,
    Temper::Ends,
    Temper::Ends,
    Temper::Highest,
    Temper::Lowest,
    Temper::Alternating,
    Temper::Rare,
    Temper::Small,
];

/// A number of a vector.
pub(super) trait Number: Copy {
    /// Largest magnitude.
    const LIMIT: u32;
    /// What no activation is.
    const LEAST: Self;
    fn of(x: i32) -> Self;
}

impl Number for i8 {
    const LIMIT: u32 = 127;
    const LEAST: Self = Self::MIN;
    fn of(x: i32) -> Self {
        x as Self
    }
}

impl Number for i16 {
    const LIMIT: u32 = 32_767;
    const LEAST: Self = Self::MIN;
    fn of(x: i32) -> Self {
        x as Self
    }
}

/// Fills a vector, all of it in one manner.
pub(super) fn fill<T: Number>(draw: &mut Draw, out: &mut [T]) {
    let temper = if draw.once_in(24) {
        Temper::Zero
    } else {
        draw.one_of(&TEMPERS)
    };
    let end = T::LIMIT as i32;
    let turn = draw.below(2);
    for (index, out) in out.iter_mut().enumerate() {
        *out = T::of(match temper {
            Temper::Any => draw.integer(T::LIMIT),
            Temper::Ends => draw.one_of(&[-end, end]),
            Temper::Highest => end,
            Temper::Lowest => -end,
            Temper::Alternating if index % 2 == turn => end,
            Temper::Alternating => -end,
            Temper::Rare if draw.once_in(9) => draw.one_of(&[-end, end]),
            Temper::Rare | Temper::Zero => 0,
            Temper::Small => draw.integer(1),
        });
    }
}

/// Fills the rows of a matrix, all in one manner or each in its own.
pub(super) fn fill_rows<T: Number>(draw: &mut Draw, columns: usize, out: &mut [T]) {
    if draw.once_in(2) {
        fill(draw, out);
    } else {
        for row in out.chunks_mut(columns) {
            fill(draw, row);
        }
    }
}

/// In `[2^30, 2^31)`, often at an end of it or of its halves.
fn multiplier(draw: &mut Draw) -> i32 {
    const LOWEST: i32 = 1 << 30;
    let near = draw.below(4) as i32;
    match draw.below(8) {
        0 => LOWEST + near,
        1 => i32::MAX - near,
        2 => (LOWEST | 0x8000) - 2 + near,
        3 => i32::MAX - 0x8001 + near,
        _ => LOWEST | (draw.next() >> 2) as i32,
    }
}

/// How the shifts of a map are chosen.
#[derive(Clone, Copy)]
pub(super) enum Shifts {
    /// So that results are of their type's size.
    Fitting,
    Any,
    /// Where the upper half of a product begins to be enough.
    Edge,
    High,
    Low,
}

pub(super) const SHIFTS: [Shifts; 10] = [
    Shifts::Fitting,
    Shifts::Fitting,
    Shifts::Fitting,
    Shifts::Fitting,
    Shifts::Fitting,
    Shifts::Fitting,
    Shifts::Any,
    Shifts::Edge,
    Shifts::High,
    Shifts::Low,
];

/// A factor of at least the shift `least`; where it fits, `typical` becomes a number of some `bits`.
pub(super) fn factor(
    draw: &mut Draw,
    shifts: Shifts,
    least: u8,
    (typical, bits): (u32, u32),
) -> Requant {
    let shift = match shifts {
        Shifts::Fitting => {
            let size = 32 - typical.leading_zeros();
            (30 + size + draw.below(5) as u32).saturating_sub(bits + 1) as u8
        }
        Shifts::Any => 1 + draw.below(62) as u8,
        Shifts::Edge => 31 + draw.below(4) as u8,
        Shifts::High => 33 + draw.below(30) as u8,
        Shifts::Low => 1 + draw.below(32) as u8,
    };
    Requant {
        multiplier: multiplier(draw),
        shift: shift.clamp(least, 62),
    }
}

/// A bias; sums of `typical` size are what it is added to.
pub(super) fn bias(draw: &mut Draw, kind: usize, typical: u32) -> i32 {
    match kind {
        0 => 0,
        1 => draw.integer(100),
        2 => draw.integer(u32::MAX >> 1),
        3 => draw.one_of(&[i32::MIN, i32::MIN + 1, i32::MAX, i32::MAX - 1]),
        _ => draw.integer(typical),
    }
}
