//! Running statistics: of working memories (they become the policy's normalizer) and of returns.
//!
//! They change between iterations only, so that they are frozen through every trial, and rollout and
//! learner see the same numbers.

use engram_export::Normalizer;

use super::config::NormalizerSettings;

/// Running mean and variance of every entry of a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Vectors seen.
    pub count: f64,
    /// Their mean.
    pub mean: Vec<f64>,
    /// Sum of squared distances from the mean.
    pub square: Vec<f64>,
}

impl Statistics {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(entries: usize) -> Self {
        Self {
            count: 0.0,
            mean: vec![0.0; entries],
            square: vec![0.0; entries],
        }
    }

    /// Takes in rows of vectors, laid out one after the other.
    pub fn add(&mut self, rows: &[f32]) {
        for row in rows.chunks_exact(self.mean.len()) {
            self.count += 1.0;
            for ((mean, square), value) in self.mean.iter_mut().zip(&mut self.square).zip(row) {
                let before = f64::from(*value) - *mean;
                *mean += before / self.count;
                *square += before * (f64::from(*value) - *mean);
            }
        }
    }

    /// Standard deviation of every entry, at least `floor`.
    #[must_use]
    pub fn std(&self, floor: f64) -> Vec<f32> {
        self.square
            .iter()
            .map(|square| (square / self.count.max(1.0)).sqrt().max(floor) as f32)
            .collect()
    }

    /// The normalizer of working memories `[observation, action, reward, done]`.
    ///
    /// Observations and the reward get the running mean and deviation. Actions and `done` pass unchanged:
    /// they are of order one by definition, and `done` is so rare that its deviation would blow it up. What
    /// the settings do not scale passes too, and so does everything before anything was seen.
    #[must_use]
    pub fn normalizer(&self, observations: usize, settings: &NormalizerSettings) -> Normalizer {
        let inputs = self.mean.len();
        let mut normalizer = Normalizer::identity(inputs, settings.clip);
        if self.count == 0.0 {
            return normalizer;
        }
        let std = self.std(1e-3);
        let scaled = if settings.observations {
            observations
        } else {
            0
        };
        for index in (0..scaled).chain(settings.rewards.then_some(inputs - 2)) {
            normalizer.mean[index] = self.mean[index] as f32;
            normalizer.std[index] = std[index];
        }
        normalizer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_two_passes() {
        let rows: Vec<f32> = (0..300)
            .map(|i| ((i * 37) % 101) as f32 * if i % 3 == 0 { 1.0 } else { 0.1 })
            .collect();
        let mut statistics = Statistics::new(3);
        statistics.add(&rows[..120]);
        statistics.add(&rows[120..]);
        for entry in 0..3 {
            let column: Vec<f64> = rows
                .iter()
                .skip(entry)
                .step_by(3)
                .map(|x| f64::from(*x))
                .collect();
            let mean = column.iter().sum::<f64>() / 100.0;
            let variance = column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 100.0;
            assert!((statistics.mean[entry] - mean).abs() < 1e-9);
            assert!((f64::from(statistics.std(0.0)[entry]) - variance.sqrt()).abs() < 1e-5);
        }
    }

    #[test]
    fn actions_and_done_pass_unchanged() {
        let mut statistics = Statistics::new(5);
        let mut settings = NormalizerSettings {
            clip: 10.0,
            observations: true,
            rewards: true,
        };
        assert_eq!(
            statistics.normalizer(2, &settings),
            Normalizer::identity(5, 10.0),
            "nothing was seen yet"
        );
        statistics.add(&[5.0, 6.0, 0.3, 2.0, 0.0, 7.0, 8.0, 0.1, 4.0, 1.0]);
        let normalizer = statistics.normalizer(2, &settings);
        assert_eq!(normalizer.mean, [6.0, 7.0, 0.0, 3.0, 0.0]);
        assert_eq!(normalizer.std, [1.0, 1.0, 1.0, 1.0, 1.0]);
        settings.rewards = false;
        let normalizer = statistics.normalizer(2, &settings);
        assert_eq!(normalizer.mean, [6.0, 7.0, 0.0, 0.0, 0.0]);
        settings.observations = false;
        let normalizer = statistics.normalizer(2, &settings);
        assert_eq!(normalizer, Normalizer::identity(5, 10.0));
    }
}
