//! What the pendulum and its policies agree on.

use engram_image::{ActionChannel, Channel, Contract, List, QuadraticReward, Reward};

/// The pendulum: an encoder, a gyro and one torque motor, at 50 Hz. Angle 0 is upright.
///
/// The reward is `((1 + cos) / 2)^2` less a little for speed and torque: 1 at rest upright, 0 hanging. The square
/// makes it steep near the top, and makes leaning on the motor half-way up worth next to nothing.
pub const CONTRACT: Contract<'static> = Contract {
    period_us: 20_000,
    observations: List::from_slice(&[
        Channel::new("cos_angle", "1", [-1.0, 1.0]),
        Channel::new("sin_angle", "1", [-1.0, 1.0]),
        // The rod never turns faster than 35 rad/s, and the gyro's noise adds at most 2.1 rad/s.
        Channel::new("rate", "rad/s", [-40.0, 40.0]),
    ]),
    actions: List::from_slice(&[ActionChannel::new("torque", "Nm", [-12.0, 12.0])
        // From end to end in two and a half periods.
        .with_slew_per_s(480.0)
        .with_safe(0.0)]),
    reward: Reward::Formula(QuadraticReward {
        constant: 0.25,
        linear: List::from_slice(&[0.5, 0.0, 0.0]),
        quadratic: List::from_slice(&[0.25, 0.0, -0.004]),
        action_quadratic: List::from_slice(&[-0.000_5]),
    }),
};
