//! Recursive least squares with forgetting, for a scalar equation with `N` unknowns.
//!
//! Nothing here knows what is identified; the prior and the forgetting are the caller's.

/// The running estimate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RecursiveLeastSquares<const N: usize> {
    /// Estimated coefficients.
    pub estimate: [f64; N],
    /// Covariance of the estimate, row major; in the units of the coefficients squared.
    pub covariance: [[f64; N]; N],
    forgetting: f64,
    ceiling: [f64; N],
}

impl<const N: usize> RecursiveLeastSquares<N> {
    /// Starts from `mean` with independent standard deviations `std`; information fades by the factor
    /// `forgetting` (in `(0, 1]`) per update, but never so far that a standard deviation exceeds its
    /// first value.
    #[must_use]
    pub(crate) fn new(mean: [f64; N], std: [f64; N], forgetting: f64) -> Self {
        let ceiling = std.map(|s| s * s);
        Self {
            estimate: mean,
            covariance: diagonal(&ceiling),
            forgetting,
            ceiling,
        }
    }

    /// Prediction error of `value = regressor · estimate`, and its variance when the equation's own
    /// noise has variance `noise`.
    #[must_use]
    pub(crate) fn innovation(&self, regressor: &[f64; N], value: f64, noise: f64) -> (f64, f64) {
        let error = value - dot(regressor, &self.estimate);
        let spread = self.covariance.map(|row| dot(&row, regressor));
        (error, noise + dot(&spread, regressor))
    }

    /// Takes in one equation `value = regressor · coefficients + noise`.
    pub(crate) fn update(&mut self, regressor: &[f64; N], value: f64, noise: f64) {
        // Forgetting before the update, and only where there is room below the ceiling: without
        // excitation the covariance would grow without bound ("wind-up").
        for i in 0..N {
            for j in 0..N {
                let room = |k: usize| {
                    (self.ceiling[k] / self.covariance[k][k])
                        .min(1.0 / self.forgetting)
                        .max(1.0)
                };
                self.covariance[i][j] *= if i == j {
                    room(i)
                } else {
                    (room(i) * room(j)).sqrt()
                };
            }
        }
        let spread = self.covariance.map(|row| dot(&row, regressor));
        let (error, variance) = self.innovation(regressor, value, noise);
        for i in 0..N {
            self.estimate[i] += spread[i] / variance * error;
            for j in 0..N {
                self.covariance[i][j] -= spread[i] * spread[j] / variance;
            }
        }
        for i in 0..N {
            for j in 0..i {
                let mean = 0.5 * (self.covariance[i][j] + self.covariance[j][i]);
                self.covariance[i][j] = mean;
                self.covariance[j][i] = mean;
            }
            self.covariance[i][i] = self.covariance[i][i].max(1e-9);
        }
    }

    /// Gives up what was known about coefficient `index`: its variance returns to the first value and
    /// its correlations vanish. The estimate stays.
    pub(crate) fn doubt(&mut self, index: usize) {
        for k in 0..N {
            self.covariance[index][k] = 0.0;
            self.covariance[k][index] = 0.0;
        }
        self.covariance[index][index] = self.ceiling[index];
    }

    /// Standard deviation of coefficient `index`.
    #[must_use]
    pub(crate) fn std(&self, index: usize) -> f64 {
        self.covariance[index][index].sqrt()
    }
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn diagonal<const N: usize>(values: &[f64; N]) -> [[f64; N]; N] {
    std::array::from_fn(|i| std::array::from_fn(|j| if i == j { values[i] } else { 0.0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converges_on_noise_free_equations() {
        let truth = [9.0, -0.2, -11.0];
        let mut rls = RecursiveLeastSquares::new([10.0, 0.0, 0.0], [5.0, 1.0, 20.0], 0.98);
        for k in 0..200 {
            let t = f64::from(k) * 0.1;
            let regressor = [t.sin(), (1.7 * t).cos(), (0.6 * t).sin().signum()];
            rls.update(&regressor, dot(&regressor, &truth), 1e-6);
        }
        for (estimate, truth) in rls.estimate.iter().zip(truth) {
            assert!((estimate - truth).abs() < 1e-3, "{:?}", rls.estimate);
        }
        assert!(rls.std(2) < 0.01);
    }

    #[test]
    fn without_excitation_the_covariance_stays_bounded() {
        let mut rls = RecursiveLeastSquares::new([0.0, 0.0], [1.0, 3.0], 0.9);
        for _ in 0..10_000 {
            rls.update(&[1.0, 0.0], 2.0, 0.1);
        }
        assert!((rls.estimate[0] - 2.0).abs() < 0.1);
        assert!((rls.std(1) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_doubted_coefficient_is_learned_anew() {
        let mut rls = RecursiveLeastSquares::new([0.0], [10.0], 1.0);
        for _ in 0..1_000 {
            rls.update(&[1.0], 5.0, 1.0);
        }
        rls.doubt(0);
        for _ in 0..5 {
            rls.update(&[1.0], -5.0, 1.0);
        }
        assert!((rls.estimate[0] + 5.0).abs() < 0.1, "{:?}", rls.estimate);
    }
}
