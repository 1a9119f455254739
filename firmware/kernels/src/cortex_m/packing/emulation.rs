//! The packed sums computed by an emulation of the DSP instructions, against plain sums.

use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::{COLUMNS, GROUP, fits, pack, packed_bytes, weight, weights, word};

/// The two halfwords, low first.
fn halves(word: u32) -> [i32; 2] {
    [i32::from(word as i16), i32::from((word >> 16) as i16)]
}

fn word_of_halves([low, high]: [i32; 2]) -> u32 {
    (low as u32 & 0xffff) | ((high as u32) << 16)
}

/// SMLAD: both products and the sum, modulo 2^32.
fn smlad(a: u32, b: u32, sum: i32) -> i32 {
    let ([a0, a1], [b0, b1]) = (halves(a), halves(b));
    sum.wrapping_add(a0.wrapping_mul(b0))
        .wrapping_add(a1.wrapping_mul(b1))
}

/// SXTB16 of `word` rotated right by `rotation`.
fn sxtb16(word: u32, rotation: u32) -> u32 {
    let [b0, _, b2, _] = word.rotate_right(rotation).to_le_bytes();
    word_of_halves([i32::from(b0 as i8), i32::from(b2 as i8)])
}

/// SSUB16: halfword differences, modulo 2^16.
fn ssub16(a: u32, b: u32) -> u32 {
    let ([a0, a1], [b0, b1]) = (halves(a), halves(b));
    word_of_halves([a0 - b0, a1 - b1])
}

/// The odd inputs of a group, and `256 * even - odd`, as the kernel makes them.
fn prepare([x0, x1, x2, x3]: [i8; GROUP]) -> [u32; 2] {
    let word = u32::from_le_bytes([x0, x1, x2, x3].map(|x| x as u8));
    let odd = sxtb16(word, 8);
    [odd, ssub16((word << 8) & 0xff00_ff00, odd)]
}

/// All rows of a packed map, to which `add` adds the products of a word and the four inputs of its group.
fn sums<T: Copy>(
    packed: &[i8],
    rows: usize,
    (input, behind): (&[T], T),
    add: impl Fn(i32, u32, [T; GROUP]) -> i32,
) -> Vec<i32> {
    let mut input = input.to_vec();
    input.resize(input.len().next_multiple_of(COLUMNS), behind);
    let (groups, _) = input.as_chunks::<GROUP>();
    let mut acc = vec![0_i32; packed.len() / input.len()];
    let blocks = packed.chunks(input.len() * GROUP);
    for (block, acc) in blocks.zip(acc.chunks_mut(GROUP)) {
        for (words, &group) in block.chunks(16).zip(groups) {
            for (word, sum) in words.chunks(4).zip(&mut *acc) {
                let word = u32::from_le_bytes(bytemuck::cast_slice(word).try_into().unwrap());
                *sum = add(*sum, word, group);
            }
        }
    }
    acc.truncate(rows);
    acc
}

/// As the kernel of int8 maps adds them.
fn sums_i8(packed: &[i8], rows: usize, input: &[i8]) -> Vec<i32> {
    sums(packed, rows, (input, 55), |sum, word, group| {
        let [odd, even] = prepare(group);
        smlad(sxtb16(word, 0), even, smlad(word, odd, sum))
    })
}

/// As the kernel of int16 maps adds them.
fn sums_i16(packed: &[i8], rows: usize, input: &[i16]) -> Vec<i32> {
    sums(
        packed,
        rows,
        (input, 5_555),
        |sum, word, [x0, x1, x2, x3]| {
            let [low, high] = [[x0, x1], [x2, x3]].map(|pair| word_of_halves(pair.map(i32::from)));
            smlad(sxtb16(word, 8), high, smlad(sxtb16(word, 0), low, sum))
        },
    )
}

/// Packs a map and compares the emulation's sums, `scale` times the plain ones, and every weight.
fn check<T: Copy + Into<i64>>(
    weights: &[i8],
    input: &[T],
    (wide, scale): (bool, i64),
    sums: fn(&[i8], usize, &[T]) -> Vec<i32>,
) {
    let (rows, columns) = (weights.len() / input.len(), input.len());
    let mut packed = vec![0x55; packed_bytes(rows, columns)];
    pack(weights, columns, wide, &mut packed).unwrap();
    let exact = weights.chunks(columns).map(|row| {
        let products = row
            .iter()
            .zip(input)
            .map(|(&w, &x)| i64::from(w) * x.into());
        i32::try_from(scale * products.sum::<i64>()).unwrap()
    });
    assert_eq!(sums(&packed, rows, input), exact.collect::<Vec<_>>());
    for (index, &expected) in weights.iter().enumerate() {
        let place = (index / columns, index % columns);
        assert_eq!(weight(&packed, columns, wide, place), expected);
    }
}

fn check_i8(weights: &[i8], input: &[i8]) {
    check(weights, input, (false, 256), sums_i8);
}

/// Numbers that borrow, saturate or vanish.
fn edge() -> impl Strategy<Value = i8> {
    prop_oneof![
        Just(-127_i8),
        Just(127),
        Just(-128 + 1),
        Just(-1),
        Just(0),
        Just(1),
        -127_i8..=127
    ]
}

/// Weights of some rows, and as many inputs as columns.
fn maps<T: Strategy>(input: impl Fn() -> T) -> impl Strategy<Value = (Vec<i8>, Vec<T::Value>)> {
    (1_usize..10, 1_usize..70).prop_flat_map(move |(rows, columns)| {
        let weights = proptest::collection::vec(edge(), rows * columns);
        (weights, proptest::collection::vec(input(), columns))
    })
}

#[test]
fn packed_i8_sums_are_256_times_the_sums() {
    proptest!(|((weights, input) in maps(edge))| check_i8(&weights, &input));
}

#[test]
fn packed_i16_sums_are_the_sums() {
    let input = || prop_oneof![Just(-32_767_i16), Just(32_767), any::<i16>()];
    proptest!(|((weights, input) in maps(input))| check(&weights, &input, (true, 1), sums_i16));
}

#[test]
fn the_largest_rows_fit() {
    for weight in [-127, 127] {
        for x in [-127, 127] {
            check_i8(&[weight; 512], &[x; 512]);
        }
        assert!(fits(&[weight; 512], 100_000, 25));
        assert!(!fits(&[weight; 521], 0, 25));
        assert!(!fits(&[weight; 8], 1 << 23, 25));
        assert!(!fits(&[weight; 8], 0, 24));
    }
    // Signs that alternate reach the extremes of the halfwords.
    let alternating: Vec<i8> = (0..512)
        .map(|k| if k % 2 == 0 { -127 } else { 127 })
        .collect();
    check_i8(&alternating, &alternating);
    check_i8(
        &[alternating.clone(), vec![127; 512]].concat(),
        &alternating,
    );
}

#[test]
fn every_pair_of_weights_survives() {
    for (low, high) in (-127..=127).flat_map(|low| (-127..=127).map(move |high| (low, high))) {
        let four = [low, high, high, low];
        for wide in [false, true] {
            assert_eq!(weights(word(four, wide), wide), four);
        }
    }
}

#[test]
fn a_wrong_shape_is_not_packed() {
    assert!(pack(&[1; 7], 3, false, &mut [0; 32]).is_none());
    assert!(pack(&[1; 6], 0, false, &mut [0; 32]).is_none());
    assert!(pack(&[1; 33], 33, false, &mut [0; 64]).is_none());
    assert!(pack(&[1; 6], 3, false, &mut [0; 32]).is_some());
}
