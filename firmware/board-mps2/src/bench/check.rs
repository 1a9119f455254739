//! The board's kernels against plain Rust, bit for bit, on generated and on extreme numbers.

#![expect(
    unsafe_code,
    reason = "static room for numbers that the stack is too small for"
)]

use engram_kernels::portable::{Portable, Rows};
use engram_kernels::{Attention, Kernels, Place, Requant, Shape};

use crate::board::{Board, MIN_SHIFT, board, pack};
use crate::console::say;

type Map<'a> = <Board as Kernels>::Map<'a>;

const MAPS: u32 = 250;
const ATTENTIONS: u32 = 60;
/// Largest rows, columns, window of a case.
const ROWS: usize = 48;
const COLUMNS: usize = 512;
const WINDOW: usize = 48;
const MODEL: usize = 64;

/// Aligned, as the policy's own buffers are.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Aligned<T>(T);

/// Says how many cases agree, or which one does not.
pub(crate) fn all() {
    let mut random = Random(0x1234_5678);
    let agree = (0..MAPS).all(|case| {
        map(&mut random, case) || {
            say(format_args!(
                "error map case {case} differs from plain Rust"
            ));
            false
        }
    });
    let agree = agree
        && (0..ATTENTIONS).all(|case| {
            attention(&mut random, case) || {
                say(format_args!(
                    "error attention case {case} differs from plain Rust"
                ));
                false
            }
        });
    if agree {
        say(format_args!("fact cases_checked {}", MAPS + ATTENTIONS));
    }
}

/// A generator of numbers, the same in every run.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        // xorshift32
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    /// In `[-127, 127]`, often at the ends.
    fn narrow(&mut self) -> i8 {
        match self.below(5) {
            0 => 127,
            1 => -127,
            2 => (self.below(3) as i8) - 1,
            _ => (self.below(255) as i32 - 127) as i8,
        }
    }

    /// In `[-32767, 32767]`, often at the ends.
    fn wide(&mut self) -> i16 {
        match self.below(5) {
            0 => i16::MAX,
            1 => -i16::MAX,
            _ => (self.below(65_535) as i32 - 32_767) as i16,
        }
    }

    fn factor(&mut self, shifts: core::ops::RangeInclusive<u8>) -> Requant {
        let span = usize::from(shifts.end() - shifts.start()) + 1;
        Requant {
            multiplier: ((1 << 30) | (self.next() >> 2)) as i32,
            shift: shifts.start() + self.below(span) as u8,
        }
    }
}

fn map(random: &mut Random, case: u32) -> bool {
    static mut ROOM: (Aligned<[i8; ROWS * COLUMNS]>, Aligned<[i8; ROWS * COLUMNS]>) =
        (Aligned([0; ROWS * COLUMNS]), Aligned([0; ROWS * COLUMNS]));
    let room = &raw mut ROOM;
    // SAFETY: nothing else names it, and this function does not call itself.
    let (plain, packed) = unsafe { &mut *room };
    let rows = 1 + random.below(ROWS);
    // Some kernels are for one number of columns only.
    let columns = match case % 4 {
        0 => 1 + random.below(COLUMNS),
        1 => 16 << random.below(6),
        _ => 1 + random.below(70),
    };
    let wide = case.is_multiple_of(5);
    for index in 0..rows * columns {
        plain.0[index] = random.narrow();
    }
    // A single small shift sends the whole map another way.
    let shifts = match case % 3 {
        0 if wide => 1..=62,
        0 => MIN_SHIFT..=62,
        1 => 33..=62,
        _ => 33..=40,
    };
    let mut bias = Aligned([[0; 4]; ROWS]);
    let mut multiplier = Aligned([[0; 4]; ROWS]);
    let mut shift = Aligned([0; ROWS]);
    for row in 0..rows {
        let factor = random.factor(shifts.clone());
        bias.0[row] = (random.below(200_001) as i32 - 100_000).to_le_bytes();
        multiplier.0[row] = factor.multiplier.to_le_bytes();
        shift.0[row] = factor.shift;
    }
    let bias = if wide { &[][..] } else { &bias.0[..rows] };
    let (multiplier, shift) = (&multiplier.0[..rows], &shift.0[..rows]);
    let plain = Rows {
        rows,
        weight: &plain.0[..rows * columns],
        bias,
        multiplier,
        shift,
    };
    let packed = pack(plain, columns, wide, &mut packed.0);
    if wide {
        wide_map(random, plain, packed, columns)
    } else {
        narrow_map(random, plain, packed, columns)
    }
}

fn wide_map(random: &mut Random, plain: Rows<'_>, packed: Map<'_>, columns: usize) -> bool {
    let input: Aligned<[i16; COLUMNS]> = Aligned(core::array::from_fn(|_| random.wide()));
    let mut sums = Aligned([0; ROWS]);
    let mut outs = [Aligned([0_i16; ROWS]); 2];
    let [expected, got] = &mut outs;
    Portable.embed(
        plain,
        &input.0[..columns],
        &mut sums.0,
        &mut expected.0[..plain.rows],
    );
    let padded = Board::padded(columns);
    board().embed(packed, &input.0[..padded], &mut sums.0, &mut got.0);
    expected.0[..plain.rows] == got.0[..plain.rows]
}

fn narrow_map(random: &mut Random, plain: Rows<'_>, packed: Map<'_>, columns: usize) -> bool {
    let board = board();
    let input: Aligned<[i8; COLUMNS]> = Aligned(core::array::from_fn(|_| random.narrow()));
    let (exact, filled) = (&input.0[..columns], &input.0[..Board::padded(columns)]);
    let rows = plain.rows;
    let mut sums = Aligned([0; ROWS]);
    let mut spare = Aligned([0; ROWS]);
    let mut bytes = [Aligned([0_i8; ROWS]); 2];
    let mut words = [Aligned([0_i16; ROWS]); 2];
    let mut same = true;

    Portable.project(plain, exact, &mut sums.0, &mut bytes[0].0);
    board.project(packed, filled, &mut sums.0, &mut bytes[1].0);
    same &= bytes[0].0[..rows] == bytes[1].0[..rows];
    Portable.rectify(plain, exact, &mut sums.0, &mut bytes[0].0);
    board.rectify(packed, filled, &mut sums.0, &mut bytes[1].0);
    same &= bytes[0].0[..rows] == bytes[1].0[..rows];
    Portable.hidden(
        plain,
        exact,
        None,
        (&mut sums.0, &mut spare.0),
        &mut bytes[0].0,
    );
    board.hidden(
        packed,
        filled,
        None,
        (&mut sums.0, &mut spare.0),
        &mut bytes[1].0,
    );
    same &= bytes[0].0[..rows] == bytes[1].0[..rows];
    Portable.words(plain, exact, &mut sums.0, &mut words[0].0);
    board.words(packed, filled, &mut sums.0, &mut words[1].0);
    same &= words[0].0[..rows] == words[1].0[..rows];

    let residual: [i16; ROWS] = core::array::from_fn(|_| random.wide());
    words = [Aligned(residual); 2];
    let next = random.factor(1..=62);
    Portable.add(
        plain,
        exact,
        &mut sums.0,
        &mut words[0].0[..rows],
        (next, &mut bytes[0].0),
    );
    board.add(
        packed,
        filled,
        &mut sums.0,
        &mut words[1].0[..rows],
        (next, &mut bytes[1].0),
    );
    same & (words[0].0 == words[1].0) & (bytes[0].0[..rows] == bytes[1].0[..rows])
}

fn attention(random: &mut Random, case: u32) -> bool {
    const RING: usize = MODEL * (WINDOW + 4) * 2;
    static mut RINGS: [Aligned<[i8; RING]>; 4] = [Aligned([0; RING]); 4];
    let rings = &raw mut RINGS;
    // SAFETY: nothing else names it, and this function does not call itself.
    let [plain_keys, plain_values, keys, values] = unsafe { &mut *rings };
    let (heads, width) = [(1, 8), (4, 16), (8, 8), (2, 32), (1, 64), (4, 6)][random.below(6)];
    let shape = Shape {
        heads,
        width,
        window: 1 + random.below(WINDOW),
    };
    let model = heads * width;
    // Where it is extreme, logits leave their range and the kernels must notice.
    let extreme = case.is_multiple_of(4);
    let logit = random.factor(match case % 12 {
        0 => 1..=33,
        _ if extreme => 33..=40,
        _ => 25..=40,
    });
    let output = random.factor(if extreme { 30..=50 } else { 44..=47 });
    let mut biases = Aligned([[0; 4]; 8 * WINDOW]);
    for bias in &mut biases.0 {
        let value = random.next() as i32;
        let near = value >> 17;
        *bias = match case % 8 {
            0 => value,
            // Sums that would wrap, below a maximum that counts.
            4 if value % 2 == 0 => i32::MIN + (near & 255),
            _ => near,
        }
        .to_le_bytes();
    }
    let biases = match case % 7 {
        0 => &[][..],
        _ => &biases.0[..heads * shape.window],
    };
    let board = board();
    let mut place = Place {
        index: random.below(shape.window),
        filled: 0,
    };
    for _ in 0..shape.window + 5 {
        place.index = (place.index + 1) % shape.window;
        place.filled = (place.filled + 1).min(shape.window);
        let qkv: Aligned<[i8; 3 * MODEL]> = Aligned(core::array::from_fn(|_| random.narrow()));
        let mut sums = [Aligned([0; 64]); 2];
        let [plain_sums, board_sums] = &mut sums;
        let mut weights = [Aligned([0; 64]); 2];
        let mut means = [Aligned([0; MODEL]); 2];
        let [plain_weights, board_weights] = &mut weights;
        let [plain_means, board_means] = &mut means;
        let with = |keys, values, sums, weights, means| Attention {
            shape,
            place,
            logit,
            output,
            biases,
            qkv: &qkv.0,
            keys,
            values,
            sums,
            weights,
            means,
        };
        let (key_bytes, value_bytes) = (Portable.key_bytes(shape), Portable.value_bytes(shape));
        Portable.attend(
            with(
                &mut plain_keys.0[..key_bytes],
                &mut plain_values.0[..value_bytes],
                &mut plain_sums.0,
                &mut plain_weights.0,
                &mut plain_means.0[..model],
            ),
            None,
        );
        board.attend(
            with(
                &mut keys.0[..board.key_bytes(shape)],
                &mut values.0[..board.value_bytes(shape)],
                &mut board_sums.0,
                &mut board_weights.0,
                &mut board_means.0[..model],
            ),
            None,
        );
        let window = shape.window;
        if plain_means.0 != board_means.0 || plain_weights.0[..window] != board_weights.0[..window]
        {
            return false;
        }
    }
    true
}
