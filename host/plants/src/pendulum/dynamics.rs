//! The pendulum's equation of motion and its integration.
//!
//! Point mass `m` at the end of a massless rod `l`:
//! `m l^2 angle'' = m g l sin(angle) - damping rate + polarity gain command`.
//! One classical Runge-Kutta step per control period, in f32 with `libm`'s sine, so that every
//! machine computes the same bits.

use super::tasks::Hidden;

/// Gravity, in m/s^2.
const GRAVITY_M_PER_S2: f32 = 9.81;
/// The motor's end of speed: the rate is held within this, in rad/s.
pub const RATE_LIMIT_RAD_PER_S: f32 = 35.0;
/// One control period, in s.
const PERIOD_S: f32 = 0.02;

/// The true state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct State {
    /// Angle from upright in rad, in [-pi, pi].
    pub angle: f32,
    /// Angular rate, in rad/s.
    pub rate: f32,
}

/// The equation's coefficients, made once per task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dynamics {
    /// `g / l`, in 1/s^2.
    gravity: f32,
    /// `damping / (m l^2)`, in 1/s.
    damping: f32,
    /// `polarity * gain / (m l^2)`, in 1/(kg m^2).
    torque: f32,
}

impl Dynamics {
    /// The coefficients of a task.
    #[must_use]
    pub fn new(hidden: &Hidden) -> Self {
        let inertia = hidden.mass_kg * hidden.length_m * hidden.length_m;
        Self {
            gravity: GRAVITY_M_PER_S2 / hidden.length_m,
            damping: hidden.damping / inertia,
            torque: hidden.polarity * hidden.gain / inertia,
        }
    }

    /// Angular acceleration, in rad/s^2, at `push` = torque coefficient times command.
    #[inline]
    fn acceleration(&self, angle: f32, rate: f32, push: f32) -> f32 {
        self.gravity * libm::sinf(angle) - self.damping * rate + push
    }

    /// The state one control period later, under a constant torque command in Nm.
    #[inline]
    #[must_use]
    pub fn advance(&self, state: State, torque_nm: f32) -> State {
        let push = self.torque * torque_nm;
        let State { angle, rate } = state;
        let half = 0.5 * PERIOD_S;
        let acceleration_1 = self.acceleration(angle, rate, push);
        let rate_2 = rate + half * acceleration_1;
        let acceleration_2 = self.acceleration(angle + half * rate, rate_2, push);
        let rate_3 = rate + half * acceleration_2;
        let acceleration_3 = self.acceleration(angle + half * rate_2, rate_3, push);
        let rate_4 = rate + PERIOD_S * acceleration_3;
        let acceleration_4 = self.acceleration(angle + PERIOD_S * rate_3, rate_4, push);
        let sixth = PERIOD_S / 6.0;
        let next_angle = angle + sixth * (rate + 2.0 * (rate_2 + rate_3) + rate_4);
        let next_rate = rate
            + sixth * (acceleration_1 + 2.0 * (acceleration_2 + acceleration_3) + acceleration_4);
        State {
            angle: wrap(next_angle),
            rate: next_rate.clamp(-RATE_LIMIT_RAD_PER_S, RATE_LIMIT_RAD_PER_S),
        }
    }

    /// Energy per unit of inertia, in rad^2/s^2, zero at rest upright.
    #[cfg(test)]
    fn energy(&self, state: State) -> f32 {
        0.5 * state.rate * state.rate + self.gravity * (libm::cosf(state.angle) - 1.0)
    }
}

/// Brings an angle that left [-pi, pi] by less than a turn back into it.
#[inline]
#[must_use]
pub(super) fn wrap(angle: f32) -> f32 {
    use std::f32::consts::{PI, TAU};
    if angle > PI {
        angle - TAU
    } else if angle < -PI {
        angle + TAU
    } else {
        angle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(damping: f32) -> Dynamics {
        Dynamics::new(&Hidden {
            damping,
            ..Hidden::middle()
        })
    }

    #[test]
    fn energy_is_kept_without_damping() {
        let dynamics = free(0.0);
        for rate in [0.0, 2.0, 9.0] {
            let mut state = State { angle: 2.0, rate };
            let start = dynamics.energy(state);
            for _ in 0..3000 {
                state = dynamics.advance(state, 0.0);
            }
            let drift = (dynamics.energy(state) - start).abs() / (start.abs() + 10.0);
            assert!(
                drift < 0.01,
                "a minute changed the energy by {drift} of itself at {rate} rad/s"
            );
        }
    }

    #[test]
    fn damping_only_takes_energy() {
        let dynamics = free(0.2);
        let mut state = State {
            angle: 0.2,
            rate: 1.0,
        };
        let mut before = dynamics.energy(state);
        for _ in 0..500 {
            state = dynamics.advance(state, 0.0);
            let now = dynamics.energy(state);
            assert!(now <= before + 1e-3);
            before = now;
        }
        assert!(state.angle.abs() > 2.0, "it hangs in the end");
    }

    #[test]
    fn one_step_agrees_with_many_small_ones() {
        let dynamics = free(0.1);
        let coarse = dynamics.advance(
            State {
                angle: 0.7,
                rate: 3.0,
            },
            8.0,
        );
        // Semi-implicit Euler in f64 at a ten-thousandth of the step.
        let (mut angle, mut rate) = (0.7f64, 3.0f64);
        let steps = 10_000;
        let period = f64::from(PERIOD_S) / f64::from(steps);
        for _ in 0..steps {
            let acceleration = f64::from(dynamics.gravity) * angle.sin()
                - f64::from(dynamics.damping) * rate
                + f64::from(dynamics.torque) * 8.0;
            rate += period * acceleration;
            angle += period * rate;
        }
        assert!((f64::from(coarse.angle) - angle).abs() < 1e-4);
        assert!((f64::from(coarse.rate) - rate).abs() < 1e-3);
    }

    #[test]
    fn polarity_turns_the_torque_round() {
        let task = Hidden::middle();
        let flipped = Hidden {
            polarity: -task.polarity,
            ..task
        };
        let rest = State {
            angle: 0.0,
            rate: 0.0,
        };
        let a = Dynamics::new(&task).advance(rest, 5.0);
        let b = Dynamics::new(&flipped).advance(rest, 5.0);
        assert!(a.rate > 0.0 && (a.rate + b.rate).abs() < 1e-6);
    }
}
