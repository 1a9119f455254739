//! Generalised advantage estimation through a whole trial.
//!
//! A trial is one sequence: neither a change of the task nor the start of a new episode ends it, because
//! what the policy remembers from before them is what meta-training is about.

/// Advantages of every step of one trial.
///
/// `values` holds the critic's value of every step's state and, last, of the state after the trial
/// (0 if nothing shall follow), so that it is one longer than `rewards`.
///
/// # Panics
/// When `values` is not one longer than `rewards`.
#[must_use]
pub fn advantages(rewards: &[f32], values: &[f32], gamma: f32, lambda: f32) -> Vec<f32> {
    assert_eq!(
        values.len(),
        rewards.len() + 1,
        "one value more than rewards"
    );
    let mut result = vec![0.0; rewards.len()];
    let mut sum = 0.0;
    for ((out, reward), pair) in result.iter_mut().zip(rewards).zip(values.windows(2)).rev() {
        sum = reward + gamma * pair[1] - pair[0] + gamma * lambda * sum;
        *out = sum;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition() {
        let rewards = [1.0, -0.5, 2.0, 0.25, 0.0];
        let values = [0.3, 0.1, -0.2, 0.9, 0.4, 1.5];
        let (gamma, lambda) = (0.9f32, 0.8f32);
        let found = advantages(&rewards, &values, gamma, lambda);
        for (t, found) in found.iter().enumerate() {
            let naive: f32 = (t..rewards.len())
                .map(|k| {
                    (gamma * lambda).powi((k - t) as i32)
                        * (rewards[k] + gamma * values[k + 1] - values[k])
                })
                .sum();
            assert!((found - naive).abs() < 1e-5);
        }
    }

    #[test]
    fn lambda_one_is_the_return_minus_the_value() {
        let found = advantages(&[1.0, 1.0, 1.0], &[5.0, 6.0, 7.0, 0.0], 0.5, 1.0);
        assert!((found[0] - (1.75 - 5.0)).abs() < 1e-6);
    }
}
