//! Turns noisy samples of angle and rate into one noise-robust regression equation per step.
//!
//! Differentiating a 0.02 rad encoder at 50 Hz gives an acceleration with more than 100 rad/s² of
//! noise. So nothing is differentiated: the equation of motion is multiplied by a smooth weight
//! `φ(t) = (2/T) sin²(πt/T)` that vanishes with its slope at both ends of a window of length `T`, and
//! the derivatives are moved onto `φ` by partial integration (modulating functions):
//! `∫φ θ'' = ∫φ'' θ = -∫φ' ω`. Angle and rate give two such estimates of the mean acceleration; they
//! are mixed by their variances.

use std::f64::consts::PI;

/// One equation `acceleration = a·sine + b·rate + c·command` of weighted means over a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Equation {
    /// Weighted mean of the angular acceleration, rad/s².
    pub acceleration: f64,
    /// Weighted means of `sin(angle)` (1), rate (rad/s) and command (the contract's unit).
    pub regressor: [f64; 3],
    /// Variance of the noise in `acceleration`, (rad/s²)².
    pub variance: f64,
}

/// The weights of one window and the samples it currently holds.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    intervals: usize,
    /// Weights of the samples `0..=intervals` in each mean.
    mean: Vec<f64>,
    acceleration_of_angle: Vec<f64>,
    acceleration_of_rate: Vec<f64>,
    rate_of_angle: Vec<f64>,
    /// Weights of the commands held over the intervals `0..intervals`.
    command: Vec<f64>,
    variance: f64,
    /// Share of the angle in the acceleration and in the rate.
    angle_share: [f64; 2],
    samples: std::collections::VecDeque<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Unwrapped, rad.
    angle: f64,
    rate: f64,
    /// Command held over the interval that ends with this sample.
    command: f64,
}

impl Window {
    /// A window over `intervals` control periods of `period_s` seconds, for sensors with the given
    /// standard deviations (rad, rad/s).
    ///
    /// # Panics
    /// When `intervals` is below 4: the weight needs room to vanish at both ends.
    #[must_use]
    pub(crate) fn new(intervals: usize, period_s: f64, angle_std: f64, rate_std: f64) -> Self {
        assert!(
            intervals >= 4,
            "a window of {intervals} intervals is too short"
        );
        let length = intervals as f64 * period_s;
        let times: Vec<f64> = (0..=intervals).map(|k| k as f64 * period_s).collect();
        let phase = |t: f64| 2.0 * PI * t / length;
        let mut mean: Vec<f64> = times.iter().map(|&t| 1.0 - phase(t).cos()).collect();
        let mut slope: Vec<f64> = times.iter().map(|&t| -phase(t).sin()).collect();
        let mut curvature: Vec<f64> = times.iter().map(|&t| phase(t).cos()).collect();
        // Trapezoid rule: the end samples count half (it matters for the curvature only).
        for weights in [&mut mean, &mut slope, &mut curvature] {
            weights[0] *= 0.5;
            weights[intervals] *= 0.5;
        }
        // The weights are scaled so that they are exact on polynomials, not only in the limit.
        scale_to_one(&mut mean, |_| 1.0);
        let mut of_angle = slope.clone();
        scale_to_one(&mut of_angle, |k| times[k]);
        let of_rate = of_angle.clone();
        scale_to_one(&mut curvature, |k| 0.5 * times[k] * times[k]);
        // Exact integral of φ over each interval, in which the command is constant.
        let antiderivative = |t: f64| t / length - phase(t).sin() / (2.0 * PI);
        let command = times
            .windows(2)
            .map(|pair| antiderivative(pair[1]) - antiderivative(pair[0]))
            .collect();

        let energy = |weights: &[f64]| weights.iter().map(|w| w * w).sum::<f64>();
        let angle_variance = angle_std * angle_std;
        let rate_variance = rate_std * rate_std;
        let mix = |of_angle: f64, of_rate: f64| {
            (
                of_rate / (of_angle + of_rate),
                of_angle * of_rate / (of_angle + of_rate),
            )
        };
        let (acceleration_share, variance) = mix(
            angle_variance * energy(&curvature),
            rate_variance * energy(&of_rate),
        );
        let (rate_share, _) = mix(
            angle_variance * energy(&of_angle),
            rate_variance * energy(&mean),
        );
        Self {
            intervals,
            mean,
            acceleration_of_angle: curvature,
            acceleration_of_rate: of_rate,
            rate_of_angle: of_angle,
            command,
            variance,
            angle_share: [acceleration_share, rate_share],
            samples: std::collections::VecDeque::with_capacity(intervals + 1),
        }
    }

    /// Forgets every sample: the next ones belong to another motion.
    pub(crate) fn clear(&mut self) {
        self.samples.clear();
    }

    /// Adds a sample: the measured angle (rad, wrapped or not), the measured rate (rad/s) and the command
    /// that was held since the sample before.
    ///
    /// Returns the window's equation once the window is full.
    pub(crate) fn push(&mut self, angle: f64, rate: f64, command: f64) -> Option<Equation> {
        let angle = match self.samples.back() {
            Some(last) => last.angle + super::wrap(angle - last.angle),
            None => angle,
        };
        if self.samples.len() > self.intervals {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample {
            angle,
            rate,
            command,
        });
        (self.samples.len() > self.intervals).then(|| self.equation())
    }

    fn equation(&self) -> Equation {
        let [of_acceleration, of_rate] = self.angle_share;
        let reference = self.samples.front().map_or(0.0, |sample| sample.angle);
        let mut acceleration = 0.0;
        let mut regressor = [0.0; 3];
        for (k, sample) in self.samples.iter().enumerate() {
            // Weights of a derivative sum to zero: only differences of the angle count.
            let angle = sample.angle - reference;
            acceleration += of_acceleration * self.acceleration_of_angle[k] * angle
                + (1.0 - of_acceleration) * self.acceleration_of_rate[k] * sample.rate;
            regressor[0] += self.mean[k] * sample.angle.sin();
            regressor[1] += of_rate * self.rate_of_angle[k] * angle
                + (1.0 - of_rate) * self.mean[k] * sample.rate;
            if k > 0 {
                regressor[2] += self.command[k - 1] * sample.command;
            }
        }
        Equation {
            acceleration,
            regressor,
            variance: self.variance,
        }
    }
}

/// Scales `weights` so that their weighted sum over `of` is one.
fn scale_to_one(weights: &mut [f64], of: impl Fn(usize) -> f64) {
    let sum: f64 = weights.iter().enumerate().map(|(k, w)| w * of(k)).sum();
    for weight in weights {
        *weight /= sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_acceleration_is_read_exactly() {
        let mut window = Window::new(12, 0.02, 0.02, 0.6);
        let mut equation = None;
        for k in 0..20 {
            let t = f64::from(k) * 0.02;
            equation = window.push(0.3 + 2.0 * t + 0.5 * 7.0 * t * t, 2.0 + 7.0 * t, 3.0);
            assert_eq!(equation.is_some(), k >= 12);
        }
        let equation = equation.unwrap();
        assert!((equation.acceleration - 7.0).abs() < 1e-9, "{equation:?}");
        assert!((equation.regressor[2] - 3.0).abs() < 1e-12);
        // The mean rate belongs to the middle of the window, 13 samples ending at t = 0.38 s.
        let middle = 2.0 + 7.0 * (0.38 - 0.12);
        assert!((equation.regressor[1] - middle).abs() < 1e-9);
    }

    #[test]
    fn a_wrapped_angle_makes_no_jump() {
        let mut window = Window::new(8, 0.02, 0.02, 0.6);
        let mut equation = None;
        for k in 0..12 {
            let angle = super::super::wrap(3.0 + 0.05 * f64::from(k));
            equation = window.push(angle, 2.5, 0.0);
        }
        assert!(equation.unwrap().acceleration.abs() < 1e-6);
    }

    #[test]
    fn the_stated_variance_is_the_variance() {
        use rand::{RngExt, SeedableRng};
        let mut random = rand_xoshiro::Xoshiro256PlusPlus::seed_from_u64(1);
        let mut window = Window::new(12, 0.02, 0.02, 0.6);
        let normal = |random: &mut rand_xoshiro::Xoshiro256PlusPlus, std: f64| {
            std * (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0 * std
        };
        let mut sum = 0.0;
        let mut count = 0.0;
        let mut stated = 0.0;
        for _ in 0..20_000 {
            let (angle, rate) = (normal(&mut random, 0.02), normal(&mut random, 0.6));
            if let Some(equation) = window.push(angle, rate, 0.0) {
                sum += equation.acceleration.powi(2);
                count += 1.0;
                stated = equation.variance;
            }
        }
        assert!(
            (sum / count / stated - 1.0).abs() < 0.1,
            "{}",
            sum / count / stated
        );
    }
}
