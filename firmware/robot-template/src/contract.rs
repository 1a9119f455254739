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
        Channel {
            name: "cos_angle",
            unit: "1",
            min: -1.0,
            max: 1.0,
        },
        Channel {
            name: "sin_angle",
            unit: "1",
            min: -1.0,
            max: 1.0,
        },
        Channel {
            name: "rate",
            unit: "rad/s",
            min: -30.0,
            max: 30.0,
        },
    ]),
    actions: List::from_slice(&[ActionChannel {
        name: "torque",
        unit: "Nm",
        min: -MAX_TORQUE_NM,
        max: MAX_TORQUE_NM,
        slew_per_s: 600.0,
        safe: 0.0,
    }]),
    reward: Reward::Formula(QuadraticReward {
        constant: 0.0,
        linear: List::from_slice(&[1.0, 0.0, 0.0]),
        quadratic: List::from_slice(&[0.0, 0.0, -0.01]),
        action_quadratic: List::from_slice(&[-0.001]),
    }),
};
