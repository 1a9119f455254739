//! The pendulum's hidden parameters: their ranges, how tasks are drawn, and the named changes.

use crate::{Change, Parameter, Task};

/// The hidden parameters in the order of [`Task::values`].
///
/// `wide` is the out-of-distribution range: a task of that set has at least one parameter outside `training`.
pub static PARAMETERS: [Parameter; COUNT] = [
    Parameter::new("mass", "kg", (0.7, 1.5), (0.5, 2.0)),
    Parameter::new("length", "m", (0.8, 1.2), (0.65, 1.4)),
    Parameter::new("damping", "Nm s", (0.0, 0.2), (0.0, 0.4)),
    Parameter::new("gain", "1", (0.6, 1.4), (0.5, 1.7)),
    Parameter::new("polarity", "1", (-1.0, 1.0), (-1.0, 1.0)),
];

/// How many there are.
const COUNT: usize = 5;

/// The changes that a flight or an evaluation may apply.
pub static CHANGES: [Change; 7] = [
    Change::new("none", "nothing changes"),
    Change::new("polarity", "the motor turns the other way round"),
    Change::new(
        "polarity-mass",
        "the motor turns the other way round and the mass grows by half",
    ),
    Change::new("mass", "the mass grows by half"),
    Change::new("gain", "the motor loses 40 % of its torque"),
    Change::new("length", "the rod grows by a quarter"),
    Change::new("damping", "the bearing's damping grows by 0.3 Nm s"),
];

/// The hidden parameters of one task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hidden {
    /// Mass at the end of the rod, in kg.
    pub mass_kg: f32,
    /// Length of the rod, in m.
    pub length_m: f32,
    /// Viscous damping of the bearing, in Nm s.
    pub damping: f32,
    /// Torque at the rod per commanded torque.
    pub gain: f32,
    /// +1, or -1 when the motor is wired the other way round.
    pub polarity: f32,
}

impl Hidden {
    /// The middle of the training ranges, polarity +1.
    #[must_use]
    pub fn middle() -> Self {
        let middle =
            |index: usize| 0.5 * (PARAMETERS[index].training.0 + PARAMETERS[index].training.1);
        Self {
            mass_kg: middle(0),
            length_m: middle(1),
            damping: middle(2),
            gain: middle(3),
            polarity: 1.0,
        }
    }

    /// The parameters after a named change, or nothing if there is no such change.
    #[must_use]
    pub fn changed(self, change: &str) -> Option<Self> {
        Some(match change {
            "none" => self,
            "polarity" => Self {
                polarity: -self.polarity,
                ..self
            },
            "polarity-mass" => Self {
                polarity: -self.polarity,
                mass_kg: 1.5 * self.mass_kg,
                ..self
            },
            "mass" => Self {
                mass_kg: 1.5 * self.mass_kg,
                ..self
            },
            "gain" => Self {
                gain: 0.6 * self.gain,
                ..self
            },
            "length" => Self {
                length_m: 1.25 * self.length_m,
                ..self
            },
            "damping" => Self {
                damping: self.damping + 0.3,
                ..self
            },
            _ => return None,
        })
    }

    /// The parameters, moved and scaled so that the training range becomes [-1, 1].
    #[must_use]
    pub fn centred(self) -> [f32; COUNT] {
        let mut values = self.values();
        for (value, parameter) in values.iter_mut().zip(&PARAMETERS) {
            let (low, high) = parameter.training;
            *value = (2.0 * *value - low - high) / (high - low);
        }
        values
    }

    fn values(self) -> [f32; COUNT] {
        [
            self.mass_kg,
            self.length_m,
            self.damping,
            self.gain,
            self.polarity,
        ]
    }

    fn from_values(values: [f32; COUNT]) -> Self {
        let [mass_kg, length_m, damping, gain, polarity] = values;
        Self {
            mass_kg,
            length_m,
            damping,
            gain,
            polarity,
        }
    }
}

impl From<Hidden> for Task {
    fn from(hidden: Hidden) -> Self {
        Self {
            values: hidden.values().to_vec(),
        }
    }
}

/// Values that a task lacks are those of the middle of the ranges.
impl From<&Task> for Hidden {
    fn from(task: &Task) -> Self {
        let mut values = Self::middle().values();
        for (value, given) in values.iter_mut().zip(&task.values) {
            *value = *given;
        }
        Self::from_values(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_and_its_parameters_are_the_same_thing() {
        let hidden = Hidden {
            mass_kg: 1.0,
            length_m: 0.9,
            damping: 0.1,
            gain: 1.2,
            polarity: -1.0,
        };
        assert_eq!(Hidden::from(&Task::from(hidden)), hidden);
    }
}
