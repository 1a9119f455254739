//! The losses of proximal policy optimisation, as candle expressions.

use candle_core::{Result, Tensor};

/// The policy's loss over some rows, and what it tells on the way.
#[derive(Debug)]
pub(crate) struct PolicyLoss {
    /// A scalar; its gradient over all parts of a minibatch adds up to the minibatch's.
    pub loss: Tensor,
    /// Sum over the rows of an estimate of the divergence from the policy that sampled.
    pub kl: f64,
    /// Rows whose probability ratio was clipped.
    pub clipped: f64,
    /// Entropy of one action's distribution.
    pub entropy: f64,
}

/// Logarithmic probabilities `[rows]` of actions `[rows, actions]` under normal distributions with means
/// `[rows, actions]` and a common `log_std` `[actions]`.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn log_probabilities(
    actions: &Tensor,
    means: &Tensor,
    log_std: &Tensor,
) -> Result<Tensor> {
    let half_log_tau = 0.5 * std::f64::consts::TAU.ln() * actions.dim(1)? as f64;
    let distance = (actions - means)?.broadcast_mul(&log_std.neg()?.exp()?)?;
    let exponent = (distance.sqr()?.sum(1)? * -0.5)?;
    exponent.broadcast_sub(&log_std.sum_all()?)? - half_log_tau
}

/// The clipped surrogate with an entropy bonus, as a sum over these rows divided by the `rows` of the whole
/// minibatch. `old` and `advantages` are `[rows]`.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn policy_loss(
    new: &Tensor,
    old: &Tensor,
    advantages: &Tensor,
    log_std: &Tensor,
    clip: f64,
    entropy_weight: f64,
    rows: usize,
) -> Result<PolicyLoss> {
    let share = new.dim(0)? as f64 / rows as f64;
    let difference = (new - old)?;
    let ratio = difference.exp()?;
    let clipped = ratio.clamp(1.0 - clip, 1.0 + clip)?;
    let surrogate = (&ratio * advantages)?
        .minimum(&(clipped * advantages)?)?
        .sum_all()?;
    let entropy = (log_std.sum_all()?
        + 0.5 * (std::f64::consts::TAU.ln() + 1.0) * log_std.elem_count() as f64)?;
    let loss = ((surrogate / -(rows as f64))? - (&entropy * (entropy_weight * share))?)?;
    let differences = difference.detach().to_vec1::<f32>()?;
    let kl = differences
        .iter()
        .map(|d| f64::from(*d).exp() - 1.0 - f64::from(*d))
        .sum();
    let outside = |d: &&f32| (f64::from(**d).exp() - 1.0).abs() > clip;
    let clipped = differences.iter().filter(outside).count() as f64;
    Ok(PolicyLoss {
        loss,
        kl,
        clipped,
        entropy: f64::from(entropy.to_scalar::<f32>()?),
    })
}

/// Half the mean squared error of the critic, as a sum over these rows divided by the `rows` of the whole
/// minibatch.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn value_loss(values: &Tensor, targets: &Tensor, rows: usize) -> Result<Tensor> {
    (values - targets)?.sqr()?.sum_all()? * (0.5 / rows as f64)
}

/// Negative logarithm of a normal density's value at the targets, with the critic's `values` for means and one
/// `log_std` `[1]`, as a sum over these rows divided by the `rows` of the whole minibatch.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn likelihood_loss(
    values: &Tensor,
    targets: &Tensor,
    log_std: &Tensor,
    rows: usize,
) -> Result<Tensor> {
    let half_log_tau = 0.5 * std::f64::consts::TAU.ln();
    let distance = (values - targets)?.broadcast_mul(&log_std.neg()?.exp()?)?;
    let each = (distance.sqr()? * 0.5)?.broadcast_add(log_std)? + half_log_tau;
    each?.sum_all()? * (1.0 / rows as f64)
}

/// Half the mean squared error of the belief `[rows, privileged]` against the truth, averaged over the
/// entries, as a sum over these rows divided by the `rows` of the whole minibatch.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn belief_loss(belief: &Tensor, truth: &Tensor, rows: usize) -> Result<Tensor> {
    let entries = truth.dim(1)? as f64;
    (belief - truth)?.sqr()?.sum_all()? * (0.5 / (rows as f64 * entries))
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn log_probabilities_are_those_of_the_normal_distribution() {
        let tensor = |values: &[f32]| Tensor::from_slice(values, (1, 2), &Device::Cpu).unwrap();
        let log_std = Tensor::new(&[0.5f32, -1.0], &Device::Cpu).unwrap();
        let found =
            log_probabilities(&tensor(&[0.3, -0.2]), &tensor(&[0.1, 0.4]), &log_std).unwrap();
        let density = |x: f64, std: f64| {
            (-0.5 * (x / std).powi(2)).exp() / (std * std::f64::consts::TAU.sqrt())
        };
        let expected = (density(0.2, 0.5f64.exp()) * density(-0.6, (-1.0f64).exp())).ln();
        assert!((f64::from(found.to_vec1::<f32>().unwrap()[0]) - expected).abs() < 1e-5);
    }

    #[test]
    fn the_gradient_stops_where_the_ratio_is_clipped() {
        let device = Device::Cpu;
        let new = Var::new(&[0.5f32, -0.5, 0.5, -0.5, 0.0], &device).unwrap();
        let old = Tensor::zeros(5, candle_core::DType::F32, &device).unwrap();
        let advantages = Tensor::new(&[1.0f32, 1.0, -1.0, -1.0, 1.0], &device).unwrap();
        let log_std = Var::new(&[0.0f32], &device).unwrap();
        let result = policy_loss(&new, &old, &advantages, &log_std, 0.2, 0.1, 10).unwrap();
        assert!((result.clipped - 4.0).abs() < 1e-9);
        let gradients = result.loss.backward().unwrap();
        let found: Vec<f32> = gradients.get(&new).unwrap().to_vec1().unwrap();
        // Going further out is worth nothing, coming back counts in full.
        let expected = [0.0, -(-0.5f32).exp() / 10.0, 0.5f32.exp() / 10.0, 0.0, -0.1];
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-6,
                "{found} instead of {expected}"
            );
        }
        let entropy: Vec<f32> = gradients.get(&log_std).unwrap().to_vec1().unwrap();
        assert!(
            (entropy[0] + 0.1 * 0.5).abs() < 1e-6,
            "half of the minibatch, weight 0.1"
        );
    }

    #[test]
    fn the_likelihoods_gradient_is_its_slope() {
        let device = Device::Cpu;
        let values = Var::new(&[0.5f32, -1.0, 2.0], &device).unwrap();
        let log_std = Var::new(&[-0.3f32], &device).unwrap();
        let targets = Tensor::new(&[0.1f32, 0.4, 3.0], &device).unwrap();
        let loss = |values: &Tensor, log_std: &Tensor| {
            likelihood_loss(values, &targets, log_std, 6).unwrap()
        };
        let value = |values: [f64; 3], log_std: f64| {
            let sum: f64 = values
                .iter()
                .zip([0.1, 0.4, 3.0])
                .map(|(value, target)| {
                    0.5 * ((value - target) / log_std.exp()).powi(2)
                        + log_std
                        + 0.5 * std::f64::consts::TAU.ln()
                })
                .sum();
            sum / 6.0
        };
        let point = [0.5, -1.0, 2.0];
        let found = loss(&values, &log_std);
        assert!((f64::from(found.to_scalar::<f32>().unwrap()) - value(point, -0.3)).abs() < 1e-6);
        let gradients = found.backward().unwrap();
        let close = |found: f32, plus: f64, minus: f64| {
            let slope = (plus - minus) / 2e-5;
            assert!((f64::from(found) - slope).abs() < 1e-5, "{found}, {slope}");
        };
        let gradient: Vec<f32> = gradients.get(&values).unwrap().to_vec1().unwrap();
        for (index, found) in gradient.into_iter().enumerate() {
            let moved = |step: f64| {
                let mut point = point;
                point[index] += step;
                value(point, -0.3)
            };
            close(found, moved(1e-5), moved(-1e-5));
        }
        let gradient: Vec<f32> = gradients.get(&log_std).unwrap().to_vec1().unwrap();
        close(
            gradient[0],
            value(point, -0.3 + 1e-5),
            value(point, -0.3 - 1e-5),
        );
    }

    #[test]
    fn parts_of_a_minibatch_add_up() {
        let device = Device::Cpu;
        let tensor = |values: &[f32], columns: usize| {
            Tensor::from_slice(values, (values.len() / columns, columns), &device).unwrap()
        };
        let scalar = |loss: Result<Tensor>| loss.unwrap().to_scalar::<f32>().unwrap();
        let (belief, truth) = (
            [1.0, 2.0, 3.0, 4.0, 0.0, 1.0],
            [0.0, 2.0, 1.0, 4.0, 3.0, 1.0],
        );
        let whole = scalar(belief_loss(&tensor(&belief, 2), &tensor(&truth, 2), 3));
        // Squares 1 + 4 + 9, half of their mean over 6 entries.
        assert!((whole - 14.0 / 12.0).abs() < 1e-6);
        let first = scalar(belief_loss(
            &tensor(&belief[..4], 2),
            &tensor(&truth[..4], 2),
            3,
        ));
        let second = scalar(belief_loss(
            &tensor(&belief[4..], 2),
            &tensor(&truth[4..], 2),
            3,
        ));
        assert!((first + second - whole).abs() < 1e-6);
        let value = |from: usize, to: usize| {
            let flat =
                |values: &[f32]| Tensor::from_slice(&values[from..to], to - from, &device).unwrap();
            scalar(value_loss(&flat(&belief), &flat(&truth), 6))
        };
        assert!((value(0, 4) + value(4, 6) - value(0, 6)).abs() < 1e-6);
    }
}
