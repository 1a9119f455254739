//! Generalised advantage estimation through a whole trial.
//!
//! A trial is one sequence: neither a change of the task nor the start of a new episode ends it, because
//! what the policy remembers from before them is what meta-training is about. Only an episode that ended by itself (the
//! robot fell) does: what comes after a fall is not the fall's merit.

/// Advantages of every step of one trial.
///
/// `values` holds the critic's value of every step's state and, last, of the state after the trial
/// (0 if nothing shall follow), so that it is one longer than `rewards`. Where `ended` is true, the episode
/// ended by itself with that step.
///
/// # Panics
/// When `values` is not one longer than `rewards`, or `ended` is not as long.
#[must_use]
pub(crate) fn advantages(
    rewards: &[f32],
    values: &[f32],
    ended: &[bool],
    gamma: f32,
    lambda: f32,
) -> Vec<f32> {
    assert_eq!(
        values.len(),
        rewards.len() + 1,
        "one value more than rewards"
    );
    assert_eq!(ended.len(), rewards.len(), "one end per reward");
    let mut result = vec![0.0; rewards.len()];
    let mut sum = 0.0;
    let steps = result.iter_mut().zip(rewards).zip(values.windows(2));
    for (((out, reward), pair), ended) in steps.zip(ended).rev() {
        let discount = if *ended { 0.0 } else { gamma };
        sum = reward + discount * pair[1] - pair[0] + discount * lambda * sum;
        *out = sum;
    }
    result
}

/// Discounted sums of the rewards from every step of one trial to its end, or to where the robot fell.
#[must_use]
pub(crate) fn returns(rewards: &[f32], ended: &[bool], gamma: f32) -> Vec<f32> {
    let mut result = rewards.to_vec();
    let mut sum = 0.0;
    for (out, ended) in result.iter_mut().zip(ended).rev() {
        sum = *out + if *ended { 0.0 } else { gamma * sum };
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
        let found = advantages(&rewards, &values, &[false; 5], gamma, lambda);
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
    fn returns_run_to_the_end_or_the_fall() {
        let rewards = [1.0, 2.0, 4.0];
        assert_eq!(returns(&rewards, &[false; 3], 0.5), [3.0, 4.0, 4.0]);
        assert_eq!(
            returns(&rewards, &[false, true, false], 0.5),
            [2.0, 2.0, 4.0]
        );
    }

    #[test]
    fn lambda_one_is_the_return_minus_the_value() {
        let values = [5.0, 6.0, 7.0, 0.0];
        let found = advantages(&[1.0, 1.0, 1.0], &values, &[false; 3], 0.5, 1.0);
        assert!((found[0] - (1.75 - 5.0)).abs() < 1e-6);
    }

    #[test]
    fn nothing_runs_through_a_fall() {
        let (rewards, values) = ([1.0, 2.0, 3.0], [0.5, 0.25, 0.125, 4.0]);
        let found = advantages(&rewards, &values, &[false, true, false], 0.9, 0.8);
        assert!((found[1] - 1.75).abs() < 1e-6, "reward less value");
        let other = advantages(&[1.0, 2.0, -9.0], &values, &[false, true, false], 0.9, 0.8);
        assert_eq!(found[..2], other[..2]);
    }
}
