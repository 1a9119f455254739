//! One flight of any plant, step by step: what a report draws, whoever flew it.

/// What the other controllers of a comparison are called; whatever else there is, is the policy itself.
pub(crate) mod names {
    /// The same policy, its memory emptied before every step.
    pub(crate) const WIPED: &str = "memory wiped";
    /// A policy that was trained without memory.
    pub(crate) const MEMORYLESS: &str = "memoryless policy";
    /// The pendulum's classical adaptive controller.
    pub(crate) const CLASSICAL: &str = "RLS + LQR";
    /// The quadrotor's classical controller.
    pub(crate) const CASCADE: &str = "classical cascade";
}

/// One flight of one controller, a value per control step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlightTrace {
    /// The controller, in words that fit into a legend.
    pub name: String,
    /// The plant's name.
    pub plant: String,
    /// Control period, s.
    pub period_s: f64,
    /// The hidden task at the start: name, value and unit of each parameter.
    pub task: Vec<(String, f32, String)>,
    /// What was measured.
    pub observation: Signals,
    /// The plant's true state; their names end with their units.
    pub state: Signals,
    /// Commands before the envelope, in the contract's units.
    pub wanted: Signals,
    /// Issued commands, in the contract's units.
    pub issued: Signals,
    /// The reward that each step earned, or, from a log, that the policy was told.
    pub reward: Vec<f32>,
    /// The plant's own metric, one channel; NaN where a step had none. Empty for plants without one, and from logs.
    pub metric: Signals,
    /// Whether the plant has a goal to hold.
    pub has_goal: bool,
    /// The plant's true state met its goal.
    pub holds: Vec<bool>,
    /// Changes of the dynamics, in their order.
    pub changes: Vec<Changed>,
    /// Steps at which an episode began, after the first.
    pub episodes: Vec<usize>,
    /// Where the policy looked.
    pub attention: Option<Attention>,
    /// What its memory held; of f32 transformers alone.
    pub memory: Option<Representations>,
}

/// A change of the dynamics in flight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The first step under the new dynamics.
    pub step: usize,
    /// What changed, in words.
    pub words: String,
}

/// Named signals over the steps of a flight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    /// Name and unit of each channel; an empty unit where the name ends with it.
    pub channels: Vec<(String, String)>,
    /// `[steps][channels]`, row major.
    pub values: Vec<f32>,
}

impl Signals {
    /// No step of these channels yet.
    #[must_use]
    pub fn new<'a>(channels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let owned = |(name, unit): (&str, &str)| (name.to_owned(), unit.to_owned());
        Self {
            channels: channels.into_iter().map(owned).collect(),
            values: Vec::new(),
        }
    }

    /// Appends a step; values that are missing repeat those of the step before, or are NaN at the beginning.
    pub fn push(&mut self, values: impl IntoIterator<Item = f32>) {
        let width = self.channels.len();
        let start = self.values.len();
        self.values.extend(values.into_iter().take(width));
        for at in self.values.len()..start + width {
            let before = at.checked_sub(width).and_then(|at| self.values.get(at));
            self.values.push(before.copied().unwrap_or(f32::NAN));
        }
    }

    /// One channel over the steps; nothing of a channel that is not there.
    pub fn channel(&self, index: usize) -> impl Iterator<Item = f32> + '_ {
        let width = self.channels.len();
        let skip = if index < width {
            index
        } else {
            self.values.len()
        };
        self.values.iter().skip(skip).step_by(width.max(1)).copied()
    }

    /// Place of the channel with this name.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<usize> {
        self.channels.iter().position(|channel| channel.0 == name)
    }

    /// A channel's name with its unit, as a figure writes it.
    #[must_use]
    pub fn label(&self, index: usize) -> String {
        match self.channels.get(index) {
            Some((name, unit)) if unit.is_empty() || unit == "1" => name.clone(),
            Some((name, unit)) => format!("{name}, {unit}"),
            None => String::new(),
        }
    }
}

impl FlightTrace {
    /// Number of control steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.holds.len()
    }

    /// Number of the controller's colour, the same in every figure (classes `s0` to `s3`).
    #[must_use]
    pub fn colour(&self) -> usize {
        match self.name.as_str() {
            names::WIPED => 1,
            names::MEMORYLESS => 2,
            names::CLASSICAL | names::CASCADE => 3,
            _ => 0,
        }
    }

    /// Time of a step, s.
    #[must_use]
    pub fn time_s(&self, step: usize) -> f64 {
        step as f64 * self.period_s
    }

    /// Seconds from the last change until the goal is met for good, if it is and there was a change.
    #[must_use]
    pub fn recovery_s(&self) -> Option<f64> {
        let after = self.holds.get(self.changes.last()?.step..)?;
        let lost = after.iter().rposition(|holds| !holds).map_or(0, |k| k + 1);
        (lost < after.len()).then_some(lost as f64 * self.period_s)
    }

    /// Time of the first change, s.
    #[must_use]
    pub fn change_s(&self) -> Option<f64> {
        self.changes.first().map(|change| self.time_s(change.step))
    }

    /// The quantity that the plant is judged by, with its name: its metric, or else the reward.
    #[must_use]
    pub fn judged(&self) -> (String, Vec<f32>) {
        if self.metric.channels.is_empty() {
            return ("reward".to_owned(), self.reward.clone());
        }
        (self.metric.label(0), self.metric.values.clone())
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

/// What the memory of an f32 transformer held in each step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Representations {
    /// Entries of a token.
    pub model: usize,
    /// Encoder layers.
    pub layers: usize,
    /// The embedded working memory of each step, `[steps][model]`.
    pub embedded: Vec<f32>,
    /// What the encoder made of it, `[steps][model]`.
    pub encoded: Vec<f32>,
    /// How far the memories are from the consensus that each layer forms of them, `[steps][layers]`: the attention-weighted
    /// variance of the values, summed over the entries of all heads (the Bayes risk of the paper).
    pub risk: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_counts_from_the_last_change_to_the_last_step_that_was_not_held() {
        let change = |step| Changed {
            step,
            words: String::new(),
        };
        let mut trace = FlightTrace {
            period_s: 0.02,
            holds: vec![true; 100],
            changes: vec![change(10), change(40)],
            ..FlightTrace::default()
        };
        assert_eq!(trace.recovery_s(), Some(0.0));
        trace.holds[69] = false;
        assert_eq!(trace.recovery_s(), Some(30.0 * 0.02));
        trace.holds[99] = false;
        assert_eq!(trace.recovery_s(), None);
        assert_eq!(trace.change_s(), Some(10.0 * 0.02));
    }

    #[test]
    fn a_step_without_a_sample_repeats_the_one_before() {
        let mut signals = Signals::new([("a", "m"), ("b", "1")]);
        signals.push([]);
        signals.push([1.0, 2.0, 3.0]);
        signals.push([]);
        assert!(signals.values[..2].iter().all(|value| value.is_nan()));
        assert_eq!(signals.values[2..], [1.0, 2.0, 1.0, 2.0]);
        assert_eq!(signals.channel(1).skip(1).collect::<Vec<_>>(), [2.0, 2.0]);
        assert_eq!(signals.channel(2).count(), 0);
        assert_eq!(
            (signals.label(0), signals.label(1)),
            ("a, m".into(), "b".into())
        );
    }
}
