//! The kernels one by one, on inputs that leave no product zero.

use core::hint::black_box;

use engram_kernels::{Requant, attention_probabilities, matvec, tanh_q12};

use crate::region;

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
    region("matrix_i8_128x128", ROWS * COLUMNS, || {
        matvec(
            black_box(&WEIGHTS),
            black_box(&narrow),
            black_box(&mut sums),
        );
    });
    let wide = [7_777_i16; COLUMNS];
    region("matrix_i16_128x128", ROWS * COLUMNS, || {
        matvec(black_box(&WEIGHTS), black_box(&wide), black_box(&mut sums));
    });
    let mut logits = [0; LOGITS];
    for (index, logit) in logits.iter_mut().enumerate() {
        *logit = (index as i32 * 1_237) % 16_384;
    }
    let mut weights = [0; LOGITS];
    region("softmax_row_32", 0, || {
        black_box(attention_probabilities(
            black_box(&logits),
            black_box(&mut weights),
        ));
    });
    let mut hidden = [0_i8; 64];
    region("tanh_64", 0, || {
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
    region("requant_i8_128", 0, || {
        let rows = black_box(&sums).iter().zip(black_box(&factors));
        for (narrow, (&sum, factor)) in black_box(&mut narrow).iter_mut().zip(rows) {
            *narrow = factor.to_i8(sum);
        }
    });
}
