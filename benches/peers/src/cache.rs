//! Where memories stand in the caches of the one-token graphs, told to the graph by biases alone.

/// A logit that no softmax sees.
const MASKED: f32 = -1e9;

/// How many of the last working memories lie in a window.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Filled(pub(crate) usize);

impl Filled {
    /// Takes one more in; whether the number changed.
    pub(crate) fn grow(&mut self, window: usize) -> bool {
        let grows = self.0 < window;
        self.0 += usize::from(grows);
        grows
    }
}

/// Biases `[heads][window]` by age to biases by place, the oldest first; ages from `filled` on are masked.
pub(crate) fn oldest_first(ages: &[f32], window: usize, filled: Filled, out: &mut [f32]) {
    let heads = out.chunks_exact_mut(window).zip(ages.chunks_exact(window));
    for (row, ages) in heads {
        for (age, (bias, own)) in row.iter_mut().rev().zip(ages).enumerate() {
            *bias = if age < filled.0 { *own } else { MASKED };
        }
    }
}

/// A ring of `window - 1` places before the newest token.
///
/// `sorted` is what [`oldest_first`] gives. The memory before the newest lies at `last`.
pub(crate) fn around(sorted: &[f32], window: usize, last: usize, out: &mut [f32]) {
    for (row, sorted) in out
        .chunks_exact_mut(window)
        .zip(sorted.chunks_exact(window))
    {
        let (before, newest) = sorted.split_at(window - 1);
        let (old, recent) = before.split_at(window - 2 - last);
        let (first, rest) = row.split_at_mut(last + 1);
        first.copy_from_slice(recent);
        let (places, own) = rest.split_at_mut(old.len());
        places.copy_from_slice(old);
        own.copy_from_slice(newest);
    }
}

/// Biases `[heads][window]` by age to `[heads][2 * window]`, where entry `k` is that of age `-k mod window`: for a ring
/// of `window` places, the newest at `next`, the `window` entries from `window - next` on.
pub(crate) fn doubled(ages: &[f32], window: usize, filled: Filled) -> Vec<f32> {
    let heads = ages.chunks_exact(window);
    heads
        .flat_map(|ages| {
            (0..2 * window).map(move |k| {
                let age = (window - k % window) % window;
                if age < filled.0 { ages[age] } else { MASKED }
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_gets_the_bias_of_its_age() {
        let ages = [0.0, 1.0, 2.0, 3.0, 4.0];
        let mut sorted = [0.0; 5];
        oldest_first(&ages, 5, Filled(4), &mut sorted);
        assert_eq!(sorted, [MASKED, 3.0, 2.0, 1.0, 0.0]);
        let mut ring = [0.0; 5];
        around(&sorted, 5, 1, &mut ring);
        assert_eq!(ring, [2.0, 1.0, MASKED, 3.0, 0.0]);
        around(&sorted, 5, 3, &mut ring);
        assert_eq!(ring, [MASKED, 3.0, 2.0, 1.0, 0.0]);
    }

    #[test]
    fn a_ring_of_the_whole_window_reads_one_table() {
        let table = doubled(&[0.0, 1.0, 2.0], 3, Filled(2));
        assert_eq!(table, [0.0, MASKED, 1.0, 0.0, MASKED, 1.0]);
        // The newest at place 1: place 0 is one older, place 2 is still empty.
        assert_eq!(table[3 - 1..][..3], [1.0, 0.0, MASKED]);
    }
}
