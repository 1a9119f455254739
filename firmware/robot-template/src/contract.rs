//! What this robot and every policy that may move it agree on.
//!
//! The board refuses an image whose contract differs in any name, unit, order, range or the period.

use engram_image::{ActionChannel, Channel, Contract, List, QuadraticReward, Reward};

/// Largest torque of the motor, Nm: what a duty of 100 % gives.
pub const MAX_TORQUE_NM: f32 = 12.0;

/// Channels, period and reward of the robot.
pub const CONTRACT: Contract<'static> = Contract {
    period_us: 20_000,
    observations: List::from_slice(&[
        Channel::new("cos_angle", "1", [-1.0, 1.0]),
        Channel::new("sin_angle", "1", [-1.0, 1.0]),
        Channel::new("rate", "rad/s", [-30.0, 30.0]),
    ]),
    actions: List::from_slice(&[ActionChannel::new(
        "torque",
        "Nm",
        [-MAX_TORQUE_NM, MAX_TORQUE_NM],
    )
    .with_slew_per_s(600.0)
    .with_safe(0.0)]),
    reward: Reward::Formula(QuadraticReward {
        constant: 0.0,
        linear: List::from_slice(&[1.0, 0.0, 0.0]),
        quadratic: List::from_slice(&[0.0, 0.0, -0.01]),
        action_quadratic: List::from_slice(&[-0.001]),
    }),
};
