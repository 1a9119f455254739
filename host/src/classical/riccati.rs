//! The discrete algebraic Riccati equation for one input, by fixed-point iteration.
//!
//! Only small dense matrices and no allocation; nothing here knows what the state means.

/// Iterations after which [`solve`] gives up.
const MAX_ITERATIONS: usize = 5_000;
/// Largest relative change of an entry of `P` at which the iteration counts as converged.
const TOLERANCE: f64 = 1e-9;

/// The infinite-horizon optimal feedback `u = -gain · x` of `x' = a·x + b·u`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Feedback<const N: usize> {
    /// Row vector `K` of the optimal `u = -K·x`.
    pub gain: [f64; N],
    /// The stabilising solution `P`, row major; the cost to go is `xᵀ·P·x`.
    pub cost: [[f64; N]; N],
}

/// Solves `P = Q + aᵀPa - aᵀPb (r + bᵀPb)⁻¹ bᵀPa` for the cost `Σ xᵀ·diag(q)·x + r·u²`.
///
/// `start` warm-starts the iteration with an earlier `P` of a similar system; any symmetric
/// positive semidefinite matrix is allowed, zeros included.
/// Returns `None` when `r` is not positive or the iteration does not converge, as for a system that
/// the input cannot stabilise.
#[must_use]
pub(crate) fn solve<const N: usize>(
    a: &[[f64; N]; N],
    b: &[f64; N],
    q: &[f64; N],
    r: f64,
    start: &[[f64; N]; N],
) -> Option<Feedback<N>> {
    if r.is_nan() || r <= 0.0 {
        return None;
    }
    let mut cost = *start;
    for _ in 0..MAX_ITERATIONS {
        // pa = P·a, pb = P·b, then the update in terms of them.
        let pa: [[f64; N]; N] = product(&cost, a);
        let pb: [f64; N] = std::array::from_fn(|i| dot(&cost[i], b));
        let scale = r + dot(b, &pb);
        let gain: [f64; N] = std::array::from_fn(|j| column_dot(b, &pa, j) / scale);
        let mut change: f64 = 0.0;
        let mut finite = true;
        let mut next = [[0.0; N]; N];
        for i in 0..N {
            for j in 0..N {
                // aᵀPb = (bᵀPa)ᵀ because P is symmetric.
                let value = column_of(a, i, |k| pa[k][j]) - gain[i] * scale * gain[j]
                    + if i == j { q[i] } else { 0.0 };
                next[i][j] = value;
            }
        }
        for i in 0..N {
            for j in 0..N {
                let value = 0.5 * (next[i][j] + next[j][i]);
                finite &= value.is_finite();
                change = change.max((value - cost[i][j]).abs() / (1.0 + value.abs()));
                cost[i][j] = value;
            }
        }
        if !finite {
            return None;
        }
        if change < TOLERANCE {
            return Some(Feedback { gain, cost });
        }
    }
    None
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn column_dot<const N: usize>(v: &[f64; N], m: &[[f64; N]; N], column: usize) -> f64 {
    v.iter().zip(m).map(|(x, row)| x * row[column]).sum()
}

fn column_of<const N: usize>(m: &[[f64; N]; N], column: usize, f: impl Fn(usize) -> f64) -> f64 {
    m.iter()
        .enumerate()
        .map(|(k, row)| row[column] * f(k))
        .sum()
}

fn product<const N: usize>(x: &[[f64; N]; N], y: &[[f64; N]; N]) -> [[f64; N]; N] {
    std::array::from_fn(|i| std::array::from_fn(|j| column_dot(&x[i], y, j)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalar_systems_have_the_closed_form_solution() {
        // p = q + a²p r / (r + p) for b = 1; with a = 1, q = 1, r = 1: p is the golden ratio.
        let feedback = solve(&[[1.0]], &[1.0], &[1.0], 1.0, &[[0.0]]).unwrap();
        let golden = 0.5 * (1.0 + 5f64.sqrt());
        assert!((feedback.cost[0][0] - golden).abs() < 1e-6);
        assert!((feedback.gain[0] - golden / (1.0 + golden)).abs() < 1e-6);
    }

    #[test]
    fn the_double_integrator_has_the_published_gain() {
        // A unit double integrator with Q = I, R = 1; scipy 1.17's solve_discrete_are gives
        // K = [0.43448324, 1.02846593] and P = [[2.36710149, 1.11803399], [., 2.58748293]].
        let feedback = solve(
            &[[1.0, 1.0], [0.0, 1.0]],
            &[0.5, 1.0],
            &[1.0, 1.0],
            1.0,
            &[[0.0; 2]; 2],
        )
        .unwrap();
        assert!((feedback.gain[0] - 0.43448324).abs() < 1e-6, "{feedback:?}");
        assert!((feedback.gain[1] - 1.02846593).abs() < 1e-6, "{feedback:?}");
        assert!(
            (feedback.cost[0][1] - 1.11803399).abs() < 1e-6,
            "{feedback:?}"
        );
    }

    #[test]
    fn an_uncontrollable_unstable_system_has_no_solution() {
        assert_eq!(solve(&[[1.5]], &[0.0], &[1.0], 1.0, &[[0.0]]), None);
        assert_eq!(solve(&[[1.5]], &[1.0], &[1.0], 0.0, &[[0.0]]), None);
    }
}
