//! A robot's hidden parameters: how tasks are drawn, changed, and shown to a critic.

use rand::RngExt;

use super::{Draw, Robot};
use crate::{Parameter, Random, TaskSet};

impl Robot {
    /// Draws a task of a set.
    ///
    /// A task outside the training ranges is drawn from the wide ones; where chance put all of it inside, one of the
    /// parameters with a wider range is drawn again from the part outside. Without any wider range it is like the others.
    #[must_use]
    pub fn draw(&self, set: TaskSet, random: &mut Random) -> Vec<f32> {
        let outside = set == TaskSet::OutOfDistribution;
        let range = |parameter: &Parameter| {
            if outside {
                parameter.wide
            } else {
                parameter.training
            }
        };
        let all = || self.spec.parameters.iter().zip(&self.draws);
        let mut values: Vec<f32> = all()
            .map(|(parameter, draw)| draw.from(range(parameter), random))
            .collect();
        if !outside {
            return values;
        }
        let is_outside = |(value, parameter): (&f32, &Parameter)| {
            *value < parameter.training.0 || *value > parameter.training.1
        };
        let wider: Vec<usize> = (0..values.len())
            .filter(|index| {
                self.spec.parameters[*index].wide != self.spec.parameters[*index].training
            })
            .collect();
        if !wider.is_empty() && !values.iter().zip(&self.spec.parameters).any(is_outside) {
            let index = wider[random.random_range(0..wider.len())];
            values[index] = self.draws[index].outside(&self.spec.parameters[index], random);
        }
        values
    }

    /// The task of middling values.
    #[must_use]
    pub fn middle(&self) -> Vec<f32> {
        self.spec
            .parameters
            .iter()
            .zip(&self.draws)
            .map(|(parameter, draw)| {
                let (low, high) = parameter.training;
                match draw {
                    Draw::Uniform => 0.5 * (low + high),
                    Draw::LogUniform => (low * high).sqrt(),
                    Draw::Either => high,
                }
            })
            .collect()
    }

    /// A parameter's value, moved and scaled so that its training range becomes [-1, 1].
    #[must_use]
    pub fn centred(&self, index: usize, value: f32) -> f32 {
        let (Some(parameter), Some(draw)) =
            (self.spec.parameters.get(index), self.draws.get(index))
        else {
            return 0.0;
        };
        let (low, high) = parameter.training;
        match draw {
            // A change may bring a value to or below 0, where a logarithm has nothing to say.
            Draw::LogUniform if value > 0.0 => {
                libm::logf((value * value) / (low * high)) / libm::logf(high / low)
            }
            _ => (2.0 * value - low - high) / (high - low),
        }
    }

    /// Multiplies the values as the change of this name says; false if there is none.
    #[must_use]
    pub fn change(&self, name: &str, values: &mut [f32]) -> bool {
        let Some(index) = self
            .spec
            .changes
            .iter()
            .position(|change| change.name == name)
        else {
            return false;
        };
        for (parameter, factor) in self.factors.get(index).into_iter().flatten() {
            if let Some(value) = values.get_mut(*parameter) {
                *value *= factor;
            }
        }
        true
    }
}

impl Draw {
    fn from(self, (low, high): (f32, f32), random: &mut Random) -> f32 {
        match self {
            Self::Uniform => random.random_range(low..=high),
            Self::LogUniform => {
                libm::expf(random.random_range(libm::logf(low)..=libm::logf(high))).clamp(low, high)
            }
            Self::Either => {
                if random.random::<bool>() {
                    high
                } else {
                    low
                }
            }
        }
    }

    /// From the part of the wide range that lies outside the training range, which must be narrower.
    fn outside(self, parameter: &Parameter, random: &mut Random) -> f32 {
        let (inner_low, inner_high) = parameter.training;
        let (low, high) = parameter.wide;
        let length = |from: f32, to: f32| match self {
            Self::LogUniform => libm::logf(to) - libm::logf(from),
            _ => to - from,
        };
        let (below, above) = (length(low, inner_low), length(inner_high, high));
        // Numbers next to each other may have the same logarithm.
        let is_below = below + above > 0.0 && random.random_range(0.0..below + above) < below;
        match (self, is_below) {
            (Self::Either, true) => low,
            (Self::Either, false) => high,
            (_, true) => self.from((low, inner_low), random),
            (_, false) => self.from((inner_high, high), random),
        }
    }
}
