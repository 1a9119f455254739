//! Looking on while the policy attends: for plots.

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
}

impl Observer for () {
    fn watches(&self) -> bool {
        false
    }
}
