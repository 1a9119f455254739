//! What the quadrotor and its policies agree on.

use engram_image::{ActionChannel, Channel, Contract, List, QuadraticReward, Reward};

use super::OBSERVATION;

/// A position error is seen up to here, in m: a flight is lost at [`super::LOST_M`].
const POSITION_M: [f32; 2] = [-4.0, 4.0];
const VELOCITY_M_PER_S: [f32; 2] = [-20.0, 20.0];
/// 2300 degrees per second, a little more than inertial sensors see.
const RATE_RAD_PER_S: [f32; 2] = [-40.0, 40.0];
/// A share of an axis, or of a command; biased and noisy sensors see a little more than a whole.
const SHARE: [f32; 2] = [-1.25, 1.25];
const NOTHING: [f32; OBSERVATION] = [0.0; OBSERVATION];

const fn motor(name: &'static str) -> ActionChannel<'static> {
    // From end to end within one period: the rotors themselves are the limit.
    ActionChannel::new(name, "1", [-1.0, 1.0])
        .with_slew_per_s(400.0)
        .with_safe(-1.0)
}

/// Any craft with four rotors, at 100 Hz: where it is from its set point (world: x forward, y left, z up), how it lies (the
/// matrix from body to world, row by row), how it moves, and what it was told last. Commands run from off to full.
///
/// The policy is told no reward: what it is trained by ([`super::Craft`] pays it) stays on the host.
pub const CONTRACT: Contract<'static> = Contract {
    period_us: 10_000,
    observations: List::from_slice(&[
        Channel::new("x", "m", POSITION_M),
        Channel::new("y", "m", POSITION_M),
        Channel::new("z", "m", POSITION_M),
        Channel::new("r_xx", "1", SHARE),
        Channel::new("r_xy", "1", SHARE),
        Channel::new("r_xz", "1", SHARE),
        Channel::new("r_yx", "1", SHARE),
        Channel::new("r_yy", "1", SHARE),
        Channel::new("r_yz", "1", SHARE),
        Channel::new("r_zx", "1", SHARE),
        Channel::new("r_zy", "1", SHARE),
        Channel::new("r_zz", "1", SHARE),
        Channel::new("v_x", "m/s", VELOCITY_M_PER_S),
        Channel::new("v_y", "m/s", VELOCITY_M_PER_S),
        Channel::new("v_z", "m/s", VELOCITY_M_PER_S),
        Channel::new("roll_rate", "rad/s", RATE_RAD_PER_S),
        Channel::new("pitch_rate", "rad/s", RATE_RAD_PER_S),
        Channel::new("yaw_rate", "rad/s", RATE_RAD_PER_S),
        Channel::new("last_front_right", "1", SHARE),
        Channel::new("last_back_right", "1", SHARE),
        Channel::new("last_back_left", "1", SHARE),
        Channel::new("last_front_left", "1", SHARE),
    ]),
    actions: List::from_slice(&[
        motor("front_right"),
        motor("back_right"),
        motor("back_left"),
        motor("front_left"),
    ]),
    reward: Reward::Formula(QuadraticReward {
        constant: 0.0,
        linear: List::from_slice(&NOTHING),
        quadratic: List::from_slice(&NOTHING),
        action_quadratic: List::from_slice(&[0.0; 4]),
    }),
};
