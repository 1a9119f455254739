//! What a plant is, as data: channels, hidden parameters, changes, and how its policies are judged.

use std::borrow::Cow;

use engram_image::{Contract, OwnedContract};

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

/// A change's name that the plant does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("plant '{plant}' knows no change '{name}'; it knows: {known}")]
pub struct UnknownChange {
    plant: Text,
    name: String,
    known: String,
}
