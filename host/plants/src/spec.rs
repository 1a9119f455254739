//! What a plant is, as data: channels, hidden parameters, changes, and how its policies are judged.

use std::borrow::Cow;

use engram_image::{Contract, ContractError, OwnedContract};
use rand::RngExt;

use crate::{Plant, Random, Task, TaskSet};

/// A name or a few words: of the program, or from a file.
pub type Text = Cow<'static, str>;

/// All that is fixed about a plant; every plant of a kind shares one.
#[derive(Clone, Debug, PartialEq)]
pub struct PlantSpec {
    /// The plant's name, as `engram train` takes it.
    pub name: Text,
    /// Channels, period and reward; [`PlantSpec::contract`] is how boards know them.
    pub channels: OwnedContract,
    /// How policies are judged on this plant.
    pub protocol: Protocol,
    /// The hidden parameters, in the order of [`Task::values`](crate::Task::values).
    pub parameters: Vec<Parameter>,
    /// The changes that [`apply`](crate::Plant::apply) knows.
    pub changes: Vec<Change>,
    /// Names with units of [`state`](crate::Plant::state).
    pub state_names: Vec<Text>,
    /// Whether there is a goal to hold. Without one [`judge`](crate::Plant::judge) knows falls alone, and no share of steps in
    /// which the goal was held means anything.
    pub has_goal: bool,
    /// What [`metric`](crate::Plant::metric) is, with its unit, for plants that have one.
    pub metric_name: Option<Text>,
}

impl PlantSpec {
    /// Channels, period and reward, as the boards know them.
    #[must_use]
    pub fn contract(&self) -> Contract<'_> {
        self.channels.contract()
    }

    /// Control period, in s.
    #[must_use]
    pub fn period_s(&self) -> f64 {
        f64::from(self.channels.period_us) * 1e-6
    }

    /// What a change does, in words; of several (`payload+rotor`), what each does.
    #[must_use]
    pub fn change_in_words(&self, change: &str) -> String {
        let known = |name: &str| self.changes.iter().find(|change| change.name == name);
        let one = |name: &str| match known(name) {
            Some(known) => known.summary.to_string(),
            None => name.to_owned(),
        };
        match known(change) {
            Some(known) => known.summary.to_string(),
            None => change.split('+').map(one).collect::<Vec<_>>().join(", "),
        }
    }

    /// Draws a task whose parameters are uniform and independent. One of the out-of-distribution set is drawn from the wider
    /// ranges until a parameter lies outside its training range; where no range is wider, it is like the others.
    #[must_use]
    pub fn sample(&self, set: TaskSet, random: &mut Random) -> Task {
        let outside = set == TaskSet::OutOfDistribution
            && (self.parameters.iter()).any(|parameter| parameter.wide != parameter.training);
        loop {
            let draw = |parameter: &Parameter| {
                let range = if outside {
                    parameter.wide
                } else {
                    parameter.training
                };
                random.random_range(range.0..range.1)
            };
            let values: Vec<f32> = self.parameters.iter().map(draw).collect();
            let mut each = values.iter().zip(&self.parameters);
            let inside = each.all(|(value, Parameter { training, .. })| {
                (training.0..=training.1).contains(value)
            });
            if !(outside && inside) {
                return Task { values };
            }
        }
    }

    /// Whether commands can work with this spec, and whether `plant`, which has it, does what it says.
    ///
    /// # Errors
    /// [`UnfitSpec`] names the entry, what it is and what it must be.
    pub fn check(&self, plant: &dyn Plant) -> Result<(), UnfitSpec> {
        self.contract().validate()?;
        let must = |good: bool, what: String, must: &'static str| {
            if good {
                Ok(())
            } else {
                Err(UnfitSpec::Value { what, must })
            }
        };
        for Parameter {
            name,
            training: (low, high),
            wide,
            ..
        } in &self.parameters
        {
            must(
                (high - low).is_finite() && low < high,
                format!("parameter '{name}': training is ({low}, {high})"),
                "two finite numbers, the smaller one first",
            )?;
            must(
                (wide.1 - wide.0).is_finite() && wide.0 <= *low && wide.1 >= *high,
                format!("parameter '{name}': wide is {wide:?}"),
                "two finite numbers that hold all of training",
            )?;
        }
        let known = |name: &str| self.changes.iter().any(|change| change.name == name);
        for (what, name) in [
            ("changes lack", Change::NONE.name),
            (
                "changes lack protocol.default_change",
                self.protocol.default_change.clone(),
            ),
        ] {
            let must_be = "among them: every evaluation asks for it";
            must(known(&name), format!("{what} '{name}'"), must_be)?;
        }
        let Protocol {
            episode_steps: steps,
            episodes,
            hold_steps,
            change_steps: (first, last),
            recovery_steps,
            ..
        } = self.protocol;
        for (name, value, good, must_be) in [
            ("episode_steps", steps, steps > 0, "at least 1"),
            ("episodes", episodes, episodes > 0, "at least 1"),
            (
                "hold_steps",
                hold_steps,
                hold_steps <= steps,
                "at most episode_steps",
            ),
            (
                "change_steps.1",
                last,
                first <= last && last < steps,
                "from change_steps.0 to below episode_steps",
            ),
            (
                "recovery_steps",
                recovery_steps,
                last < steps && recovery_steps <= steps - last,
                "at most what is left of an episode after the last of change_steps",
            ),
        ] {
            must(good, format!("protocol.{name} is {value}"), must_be)?;
        }
        for (what, count, expected) in [
            (
                "observe()",
                plant.observe().len(),
                self.channels.observations.len(),
            ),
            ("state()", plant.state().len(), self.state_names.len()),
            (
                "task().values",
                plant.task().values.len(),
                self.parameters.len(),
            ),
        ] {
            if count != expected {
                return Err(UnfitSpec::Count {
                    what,
                    count,
                    expected,
                });
            }
        }
        Ok(())
    }

    /// The error for a change that this plant does not know.
    #[must_use]
    pub fn unknown_change(&self, name: &str) -> UnknownChange {
        let known: Vec<_> = self.changes.iter().map(|change| &*change.name).collect();
        UnknownChange {
            plant: self.name.clone(),
            name: name.to_owned(),
            known: known.join(", "),
        }
    }
}

/// One hidden parameter of a plant's tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// What it is called in flight logs and reports.
    pub name: Text,
    /// Its unit; "1" for none.
    pub unit: Text,
    /// Smallest and largest value in training and in the held-out set.
    pub training: (f32, f32),
    /// Smallest and largest value in the out-of-distribution set.
    pub wide: (f32, f32),
}

impl Parameter {
    /// A parameter of the program's own plants.
    #[must_use]
    pub const fn new(
        name: &'static str,
        unit: &'static str,
        training: (f32, f32),
        wide: (f32, f32),
    ) -> Self {
        Self {
            name: Cow::Borrowed(name),
            unit: Cow::Borrowed(unit),
            training,
            wide,
        }
    }
}

/// A named change of the dynamics that may be applied in the middle of an episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The name that `--change` takes.
    pub name: Text,
    /// What it does, in one line.
    pub summary: Text,
}

impl Change {
    /// No change at all.
    pub const NONE: Self = Self::new("none", "nothing changes");

    /// A change of the program's own plants.
    #[must_use]
    pub const fn new(name: &'static str, summary: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            summary: Cow::Borrowed(summary),
        }
    }
}

/// How a plant's policies are judged; times count control steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Protocol {
    /// Steps of one episode.
    pub episode_steps: usize,
    /// Episodes of one trial; the memory persists between them.
    pub episodes: usize,
    /// The first episode succeeds if the goal is held throughout its last `hold_steps` steps.
    pub hold_steps: usize,
    /// The change comes in the last episode at a uniformly drawn step of this inclusive range.
    pub change_steps: (usize, usize),
    /// Recovered: the goal is held at every step from this many after the change to the end.
    pub recovery_steps: usize,
    /// The change that is applied when none is named.
    pub default_change: Text,
}

/// What is wrong with a [`PlantSpec`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UnfitSpec {
    /// A channel, the period or the reward.
    #[error("its contract is not valid: {0}")]
    Contract(#[from] ContractError),
    /// A number or a name.
    #[error("{what}; it must be {must}")]
    Value {
        /// Which, and what it is.
        what: String,
        /// The bound.
        must: &'static str,
    },
    /// The plant does not do what its spec says.
    #[error("{what} has {count} entries; its spec names {expected}")]
    Count {
        /// What of the plant.
        what: &'static str,
        /// Its length.
        count: usize,
        /// What the spec says.
        expected: usize,
    },
}

impl Protocol {
    /// Two episodes: the goal is to be held in the last sixth of the first; the change comes between a third and a half of the
    /// second, which leaves a third of an episode to recover in.
    #[must_use]
    pub fn usual(episode_steps: usize, default_change: Text) -> Self {
        let last = episode_steps / 2;
        Self {
            episode_steps,
            episodes: 2,
            hold_steps: episode_steps.div_ceil(6),
            change_steps: (episode_steps / 3, last),
            recovery_steps: (episode_steps / 3).clamp(1, (episode_steps - last).max(1)),
            default_change,
        }
    }
}

/// A change's name that the plant does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("plant '{plant}' knows no change '{name}'; it knows: {known}")]
pub struct UnknownChange {
    plant: Text,
    name: String,
    known: String,
}
