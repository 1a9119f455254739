//! AdamW on one flat vector of parameters.
//!
//! candle's optimisers launch a dozen small operations per tensor; the networks here are so small that one
//! loop over all parameters is faster, and its state is three vectors.

/// The optimiser's state. Betas and epsilon are the usual 0.9, 0.999, 1e-8.
#[derive(Clone, Debug, PartialEq)]
pub struct AdamW {
    /// Running mean of the gradient.
    pub mean: Vec<f32>,
    /// Running mean of its square.
    pub square: Vec<f32>,
    /// Updates done.
    pub updates: u64,
}

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

impl AdamW {
    /// For `count` parameters.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self {
            mean: vec![0.0; count],
            square: vec![0.0; count],
            updates: 0,
        }
    }

    /// One update. The gradient is first scaled down to the norm `max_norm` if it exceeds it (0: never);
    /// returns its norm before that.
    pub fn update(
        &mut self,
        parameters: &mut [f32],
        gradient: &[f32],
        learning_rate: f64,
        weight_decay: f64,
        max_norm: f64,
    ) -> f64 {
        let norm = square_sum(gradient).sqrt();
        let scale = if max_norm > 0.0 && norm > max_norm {
            (max_norm / norm) as f32
        } else {
            1.0
        };
        self.updates += 1;
        let exponent = i32::try_from(self.updates).unwrap_or(i32::MAX);
        let correction_1 = 1.0 - f64::from(BETA_1).powi(exponent);
        let correction_2 = 1.0 - f64::from(BETA_2).powi(exponent);
        let step = (learning_rate / correction_1) as f32;
        let root = (1.0 / correction_2).sqrt() as f32;
        let keep = (1.0 - learning_rate * weight_decay) as f32;
        let state = self.mean.iter_mut().zip(&mut self.square);
        for ((parameter, gradient), (mean, square)) in
            parameters.iter_mut().zip(gradient).zip(state)
        {
            let gradient = gradient * scale;
            *mean = BETA_1 * *mean + (1.0 - BETA_1) * gradient;
            *square = BETA_2 * *square + (1.0 - BETA_2) * gradient * gradient;
            *parameter = keep * *parameter - step * *mean / (square.sqrt() * root + EPSILON);
        }
        norm
    }
}

/// Sum of squares. In eight sums side by side: one alone would wait for every addition.
fn square_sum(values: &[f32]) -> f64 {
    let (pieces, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for piece in pieces {
        for (sum, value) in sums.iter_mut().zip(piece) {
            *sum += f64::from(*value) * f64::from(*value);
        }
    }
    let rest = rest.iter().map(|value| f64::from(*value).powi(2));
    sums.iter().sum::<f64>() + rest.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_bottom_of_a_bowl() {
        let mut adam = AdamW::new(2);
        let mut x = [3.0f32, -2.0];
        for _ in 0..2000 {
            let gradient = [2.0 * (x[0] - 1.0), 8.0 * (x[1] - 0.5)];
            adam.update(&mut x, &gradient, 0.02, 0.0, 0.0);
        }
        assert!(
            (x[0] - 1.0).abs() < 1e-2 && (x[1] - 0.5).abs() < 1e-2,
            "{x:?}"
        );
    }

    #[test]
    fn the_first_step_is_the_learning_rate() {
        let mut adam = AdamW::new(1);
        let mut x = [1.0f32];
        let norm = adam.update(&mut x, &[-30.0], 0.1, 0.0, 1.0);
        assert!(
            (norm - 30.0).abs() < 1e-9 && (x[0] - 1.1).abs() < 1e-5,
            "{x:?}"
        );
    }

    #[test]
    fn decay_shrinks_without_gradient() {
        let mut adam = AdamW::new(1);
        let mut x = [1.0f32];
        adam.update(&mut x, &[0.0], 0.1, 0.5, 1.0);
        assert!((x[0] - 0.95).abs() < 1e-6);
    }
}
