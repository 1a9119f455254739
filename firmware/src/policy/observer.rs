//! Looking on while the policy attends: for plots and for context health.

use engram_kernels::HeadView;

/// Receives what the newest token attends to. `()` watches nothing and costs nothing.
///
/// An observer sees, it cannot change: words do not depend on it.
pub trait Observer {
    /// Whether to report at all; asked once per step.
    fn watches(&self) -> bool {
        true
    }

    /// Attention of one head of one layer to the memory of `age` (0 is the newest) is
    /// `weight / total`. Called for every age of the window, empty places included (weight 0).
    fn attention(&mut self, layer: usize, head: usize, age: usize, weight: u32, total: u32) {
        let _ = (layer, head, age, weight, total);
    }

    /// The weights of one head of one layer together with its values.
    fn values(&mut self, layer: usize, head: usize, values: &HeadView<'_>) {
        let _ = (layer, head, values);
    }
}

impl Observer for () {
    fn watches(&self) -> bool {
        false
    }
}

/// Attention-weighted variance of the values of one head, summed over its channels, in squared units
/// of a value: `sum_i (E[v_i^2] - E[v_i]^2)`.
///
/// It is the risk that the consensus of the head leaves: 0 when all memories that it attends to agree.
#[must_use]
pub fn variance(values: &HeadView<'_>) -> f32 {
    let total = values.total.max(1);
    let channels = 0..values.width;
    channels
        .map(|channel| {
            // At most 2^24 * 127^2 < 2^38, and its product with the total < 2^62.
            let (mut first, mut second) = (0_i64, 0_i64);
            for (place, &weight) in values.weights.iter().enumerate() {
                let value = i64::from(values.value(channel, place));
                let weighted = i64::from(weight).wrapping_mul(value);
                first = first.wrapping_add(weighted);
                second = second.wrapping_add(weighted.wrapping_mul(value));
            }
            let spread = second
                .wrapping_mul(i64::from(total))
                .wrapping_sub(first.wrapping_mul(first));
            spread as f32 / (total as f32 * total as f32)
        })
        .sum()
}
