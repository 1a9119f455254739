//! The attention hook: what the newest token attends to, for plots.

/// Receives what the newest token attends to. `()` watches nothing and costs nothing.
///
/// A hook sees, it cannot change: words do not depend on it.
pub trait AttentionHook {
    /// Whether to report at all; asked once per step.
    fn enabled(&self) -> bool {
        true
    }

    /// Attention of one head of one layer to the memory of `age` (0 is the newest) is
    /// `probability / total`. Called for every age of the window, empty positions included (probability 0).
    fn attention(&mut self, layer: usize, head: usize, age: usize, probability: u32, total: u32) {
        let _ = (layer, head, age, probability, total);
    }
}

impl AttentionHook for () {
    fn enabled(&self) -> bool {
        false
    }
}
