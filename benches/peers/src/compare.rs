//! Outputs first: no engine is timed that computes something else.

use anyhow::bail;
use engram_image::Positions;

use crate::contenders::Contender;
use crate::engine::{Engine, Function, engram::Float};
use crate::reference::{Moment, Random, Reference};

/// Largest difference between two f32 engines, relative to the largest action mean.
pub(crate) const FLOAT_TOLERANCE: f64 = 1e-4;
/// Largest root mean square of the differences between int8 and f32, relative to that of the action mean.
pub(crate) const INTEGER_TOLERANCE: f64 = 0.15;
/// Trials compared.
const TRIALS: usize = 8;

/// Differences from the f32 policy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Difference {
    /// The largest one, relative to the largest action mean.
    pub(crate) largest: f64,
    /// Root mean square, relative to that of the action means.
    pub(crate) rms: f64,
    /// Steps compared.
    pub(crate) steps: usize,
}

/// Which steps of a trial compare, out of how many.
fn compared(reference: &Reference, function: Function) -> (usize, std::ops::Range<usize>) {
    let window = reference.config.window;
    match (reference.config.positions, function) {
        // Beyond the window, this is another function.
        (Positions::Age, Function::Window) => (window, window - 1..window),
        (Positions::Slot, Function::Window) => (4 * window, window - 1..4 * window),
        (_, Function::Token(_)) => (4 * window, 0..4 * window),
    }
}

/// Runs `contender` and the f32 policy over the same trials.
///
/// # Errors
/// An output that differs by more than its tolerance, by contender.
pub(crate) fn compare(
    reference: &Reference,
    contender: &mut Contender<'_>,
) -> anyhow::Result<Difference> {
    let (steps, range) = compared(reference, contender.function);
    let mut expected = Float::new(&reference.policy);
    let mut random = Random::new(1);
    let mut sums = Sums::default();
    for _ in 0..TRIALS {
        let trial: Vec<Moment> = random.trial(&reference.config, steps);
        contender.policy.clear()?;
        expected.clear()?;
        let actions = reference.config.actions;
        let (mut found, mut wanted) = (vec![0.0; actions], vec![0.0; actions]);
        for (step, moment) in trial.iter().enumerate() {
            contender.policy.step(moment, &mut found)?;
            expected.step(moment, &mut wanted)?;
            if range.contains(&step) {
                sums.add(&found, &wanted);
            }
        }
    }
    let difference = sums.difference();
    let (value, limit) = if contender.is_integer {
        (difference.rms, INTEGER_TOLERANCE)
    } else {
        (difference.largest, FLOAT_TOLERANCE)
    };
    // A NaN is in no order.
    if value.is_nan() || value > limit {
        let Contender {
            engine, variant, ..
        } = contender;
        let function = contender.function.name();
        bail!("{engine}, {function}, {variant}: differs by {value:.2e}, more than {limit:.2e}");
    }
    Ok(difference)
}

#[derive(Default)]
struct Sums {
    largest: f64,
    largest_mean: f64,
    squares: f64,
    squared_means: f64,
    steps: usize,
}

impl Sums {
    fn add(&mut self, found: &[f32], wanted: &[f32]) {
        self.steps += 1;
        for (found, wanted) in found.iter().zip(wanted) {
            // Command words end at 1, so that everybody's means do here.
            let [found, wanted] = [found, wanted].map(|mean| f64::from(mean.clamp(-1.0, 1.0)));
            let difference = (found - wanted).abs();
            // Unlike max(), this lets a NaN through.
            if difference.is_nan() || difference > self.largest {
                self.largest = difference;
            }
            self.largest_mean = self.largest_mean.max(wanted.abs());
            self.squares += difference * difference;
            self.squared_means += wanted * wanted;
        }
    }

    fn difference(&self) -> Difference {
        Difference {
            largest: self.largest / self.largest_mean,
            rms: (self.squares / self.squared_means).sqrt(),
            steps: self.steps,
        }
    }
}
