//! What a report shows of one flight; whoever flew fills it in.

/// What the other controllers of a comparison are called; whatever else there is, is the policy itself.
pub(crate) mod names {
    /// The same policy, its memory emptied before every step.
    pub(crate) const WIPED: &str = "memory wiped";
    /// A policy that was trained without memory.
    pub(crate) const MEMORYLESS: &str = "memoryless policy";
    /// The classical adaptive controller.
    pub(crate) const CLASSICAL: &str = "RLS + LQR";
}

/// One flight of one controller, a value per control step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlightTrace {
    /// The controller, in words that fit into a legend.
    pub name: String,
    /// Control period, s.
    pub period_s: f64,
    /// True angle from upright, rad; as measured when the flight knows no better.
    pub angle_rad: Vec<f32>,
    /// Measured angle from upright, rad.
    pub angle_measured_rad: Vec<f32>,
    /// Measured rate, rad/s.
    pub rate_rad_per_s: Vec<f32>,
    /// Command before the envelope, Nm.
    pub command_nm: Vec<f32>,
    /// Issued command, Nm.
    pub issued_nm: Vec<f32>,
    /// The plant's true state met its goal.
    pub upright: Vec<bool>,
    /// Step at which the dynamics changed.
    pub change_step: Option<usize>,
    /// What changed, in words.
    pub change: String,
    /// Steps at which an episode began, after the first.
    pub episodes: Vec<usize>,
    /// Where the policy looked.
    pub attention: Option<Attention>,
}

impl FlightTrace {
    /// Number of control steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.angle_rad.len()
    }

    /// Number of the controller's colour, the same in every figure (classes `s0` to `s3`).
    #[must_use]
    pub fn colour(&self) -> usize {
        match self.name.as_str() {
            names::WIPED => 1,
            names::MEMORYLESS => 2,
            names::CLASSICAL => 3,
            _ => 0,
        }
    }

    /// Time of a step, s.
    #[must_use]
    pub fn time_s(&self, step: usize) -> f64 {
        step as f64 * self.period_s
    }

    /// Seconds from the change until the goal is met for good, if it is and there was a change.
    #[must_use]
    pub fn recovery_s(&self) -> Option<f64> {
        let change = self.change_step?;
        let after = self.upright.get(change..)?;
        let lost = after
            .iter()
            .rposition(|upright| !upright)
            .map_or(0, |k| k + 1);
        (lost < after.len()).then_some(lost as f64 * self.period_s)
    }

    /// Time of the change, s.
    #[must_use]
    pub fn change_s(&self) -> Option<f64> {
        self.change_step.map(|step| self.time_s(step))
    }
}

/// Attention of the newest working memory, averaged over heads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attention {
    /// Encoder layers.
    pub layers: usize,
    /// Working memories that a layer attends to; age 0 is the newest.
    pub window: usize,
    /// Weights, `[steps][layers][window]` row major; each row of `window` sums to 1 or, empty, to 0.
    pub weight: Vec<f32>,
}

impl Attention {
    /// Weight of one layer at one step on the working memory of the given age; 0 outside.
    #[must_use]
    pub fn at(&self, step: usize, layer: usize, age: usize) -> f32 {
        if layer >= self.layers || age >= self.window {
            return 0.0;
        }
        self.weight
            .get((step * self.layers + layer) * self.window + age)
            .copied()
            .unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_counts_to_the_last_step_that_was_not_upright() {
        let mut trace = FlightTrace {
            period_s: 0.02,
            upright: vec![true; 100],
            change_step: Some(40),
            ..FlightTrace::default()
        };
        assert_eq!(trace.recovery_s(), Some(0.0));
        trace.upright[69] = false;
        assert_eq!(trace.recovery_s(), Some(30.0 * 0.02));
        trace.upright[99] = false;
        assert_eq!(trace.recovery_s(), None);
    }
}
