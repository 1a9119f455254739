//! The kernels one by one: what they cost, on inputs that leave no product zero, and whether they are right.

use core::hint::black_box;

use engram_firmware::policy::BenchProgram as _;
use engram_firmware::signature::PublicKey;
use engram_image::header::{HEADER_BYTES, Header, MAGIC};
use engram_kernels::suite::{SWEEP, check_all};
use engram_kernels::{CacheLine, Requant, attention_probabilities, matvec, tanh_q12};

use crate::console::{Console, say};
use crate::machine::{Kernels, MACHINE};

/// Lines for the suite: half a MiB, maps of 512 columns.
pub(crate) const ROOM_LINES: usize = (512 << 10) / size_of::<CacheLine>();

const ROWS: usize = 128;
const COLUMNS: usize = 128;
/// Logits of the row of softmax: as many as CMSIS-NN's figures are for.
const LOGITS: usize = 32;

static WEIGHTS: [i8; ROWS * COLUMNS] = {
    let mut weights = [0; ROWS * COLUMNS];
    let mut i = 0;
    while i < ROWS * COLUMNS {
        weights[i] = (i % 251) as i8;
        if weights[i] == i8::MIN {
            weights[i] = 1;
        }
        i += 1;
    }
    weights
};

/// Counts each kernel once.
pub(crate) fn count() {
    let mut sums = [0; ROWS];
    let narrow = [77_i8; COLUMNS];
    Console.region("matrix_i8_128x128", ROWS * COLUMNS, || {
        matvec(
            black_box(&WEIGHTS),
            black_box(&narrow),
            black_box(&mut sums),
        );
    });
    let wide = [7_777_i16; COLUMNS];
    Console.region("matrix_i16_128x128", ROWS * COLUMNS, || {
        matvec(black_box(&WEIGHTS), black_box(&wide), black_box(&mut sums));
    });
    let mut logits = [0; LOGITS];
    for (index, logit) in logits.iter_mut().enumerate() {
        *logit = (index as i32 * 1_237) % 16_384;
    }
    let mut weights = [0; LOGITS];
    Console.region("softmax_row_32", 0, || {
        black_box(attention_probabilities(
            black_box(&logits),
            black_box(&mut weights),
        ));
    });
    let mut hidden = [0_i8; 64];
    Console.region("tanh_64", 0, || {
        for (hidden, &sum) in black_box(&mut hidden).iter_mut().zip(black_box(&sums)) {
            *hidden = tanh_q12(sum);
        }
    });
    let mut narrow = [0_i8; ROWS];
    let factor = Requant {
        multiplier: 1_518_500_250,
        shift: 40,
    };
    let factors = [factor; ROWS];
    Console.region("requant_i8_128", 0, || {
        requantize(&mut narrow, &sums, &factors);
    });
}

/// Counts the whole check of an image's signature: of a wrong one, which costs as much.
pub(crate) fn count_signature() {
    // A point that is a key and, here, the point of a signature too.
    let point = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    let Some(key) = PublicKey::of_build(Some(point)) else {
        return;
    };
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    (bytes[8], bytes[10], bytes[12]) = (2, 1, 129);
    bytes[48..80].copy_from_slice(&key.0);
    bytes[80] = 1;
    match Header::read(&bytes) {
        Ok(header) => Console.region("signature", 0, || {
            let _ = black_box(black_box(&key).verify(black_box(&header)));
        }),
        Err(error) => say(format_args!("error {error}")),
    }
}

/// Not inlined: what the function around it keeps in registers must not count.
#[inline(never)]
fn requantize(narrow: &mut [i8; ROWS], sums: &[i32; ROWS], factors: &[Requant; ROWS]) {
    let rows = black_box(sums).iter().zip(black_box(factors));
    for (narrow, (&sum, factor)) in black_box(narrow).iter_mut().zip(rows) {
        *narrow = factor.to_i8(sum);
    }
}

/// The board's kernels against plain Rust, bit for bit: the suite of all kernels, for so many seeds. Says how many cases agree, or
/// which one does not.
pub(crate) fn check(room: &mut [CacheLine]) {
    let (stride, others) = MACHINE.suite;
    let seeds = (0..SWEEP).step_by(stride).chain(SWEEP..SWEEP + others);
    match check_all(Kernels::default(), seeds, room) {
        Ok(cases) => say(format_args!("fact cases_checked {cases}")),
        Err((seed, mismatch)) => say(format_args!("error seed {seed}: {mismatch}")),
    }
}
