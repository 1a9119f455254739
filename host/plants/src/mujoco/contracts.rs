//! The legged robots of the locomotion plants. Their reward is external: it needs the task, which no robot knows.

use engram_image::{ActionChannel, Channel, Contract, List, Reward};

/// The half-cheetah: a planar runner with six motors, at 20 Hz. Positions without x, velocities, the torso's place.
pub(super) const HALF_CHEETAH: Contract<'static> = contract(
    50_000,
    &[
        channel("z", "m", 4.0),
        channel("pitch", "rad", 30.0),
        channel("back_thigh", "rad", 3.0),
        channel("back_shin", "rad", 3.0),
        channel("back_foot", "rad", 3.0),
        channel("front_thigh", "rad", 3.0),
        channel("front_shin", "rad", 3.0),
        channel("front_foot", "rad", 3.0),
        channel("x_rate", "m/s", 20.0),
        channel("z_rate", "m/s", 20.0),
        channel("pitch_rate", "rad/s", 30.0),
        channel("back_thigh_rate", "rad/s", 60.0),
        channel("back_shin_rate", "rad/s", 60.0),
        channel("back_foot_rate", "rad/s", 60.0),
        channel("front_thigh_rate", "rad/s", 60.0),
        channel("front_shin_rate", "rad/s", 60.0),
        channel("front_foot_rate", "rad/s", 60.0),
        channel("torso_x", "m", 100.0),
        channel("torso_y", "m", 1.0),
        channel("torso_z", "m", 4.0),
    ],
    &[
        action("back_thigh"),
        action("back_shin"),
        action("back_foot"),
        action("front_thigh"),
        action("front_shin"),
        action("front_foot"),
    ],
);

/// The ant: four legs with eight motors, at 20 Hz. Positions without x and y, then velocities.
pub(super) const ANT: Contract<'static> = contract(
    50_000,
    &[
        channel("z", "m", 10.0),
        channel("quaternion_w", "1", 1.5),
        channel("quaternion_x", "1", 1.5),
        channel("quaternion_y", "1", 1.5),
        channel("quaternion_z", "1", 1.5),
        channel("hip_1", "rad", 2.0),
        channel("ankle_1", "rad", 2.5),
        channel("hip_2", "rad", 2.0),
        channel("ankle_2", "rad", 2.5),
        channel("hip_3", "rad", 2.0),
        channel("ankle_3", "rad", 2.5),
        channel("hip_4", "rad", 2.0),
        channel("ankle_4", "rad", 2.5),
        channel("x_rate", "m/s", 20.0),
        channel("y_rate", "m/s", 20.0),
        channel("z_rate", "m/s", 20.0),
        channel("roll_rate", "rad/s", 30.0),
        channel("pitch_rate", "rad/s", 30.0),
        channel("yaw_rate", "rad/s", 30.0),
        channel("hip_1_rate", "rad/s", 40.0),
        channel("ankle_1_rate", "rad/s", 40.0),
        channel("hip_2_rate", "rad/s", 40.0),
        channel("ankle_2_rate", "rad/s", 40.0),
        channel("hip_3_rate", "rad/s", 40.0),
        channel("ankle_3_rate", "rad/s", 40.0),
        channel("hip_4_rate", "rad/s", 40.0),
        channel("ankle_4_rate", "rad/s", 40.0),
    ],
    // The model's own order.
    &[
        action("hip_4"),
        action("ankle_4"),
        action("hip_1"),
        action("ankle_1"),
        action("hip_2"),
        action("ankle_2"),
        action("hip_3"),
        action("ankle_3"),
    ],
);

/// The walker: two planar legs with six motors, at 125 Hz. Positions without x, then velocities.
pub(super) const WALKER: Contract<'static> = contract(
    8_000,
    &[
        channel("z", "m", 3.0),
        channel("pitch", "rad", 4.0),
        channel("right_thigh", "rad", 4.0),
        channel("right_leg", "rad", 4.0),
        channel("right_foot", "rad", 4.0),
        channel("left_thigh", "rad", 4.0),
        channel("left_leg", "rad", 4.0),
        channel("left_foot", "rad", 4.0),
        channel("x_rate", "m/s", 10.0),
        channel("z_rate", "m/s", 10.0),
        channel("pitch_rate", "rad/s", 10.0),
        channel("right_thigh_rate", "rad/s", 10.0),
        channel("right_leg_rate", "rad/s", 10.0),
        channel("right_foot_rate", "rad/s", 10.0),
        channel("left_thigh_rate", "rad/s", 10.0),
        channel("left_leg_rate", "rad/s", 10.0),
        channel("left_foot_rate", "rad/s", 10.0),
    ],
    &[
        action("right_thigh"),
        action("right_leg"),
        action("right_foot"),
        action("left_thigh"),
        action("left_leg"),
        action("left_foot"),
    ],
);

/// The hopper: one planar leg with three motors, at 125 Hz. Positions without x, then velocities.
pub(super) const HOPPER: Contract<'static> = contract(
    8_000,
    &[
        channel("z", "m", 4.0),
        channel("pitch", "rad", 4.0),
        channel("thigh", "rad", 4.0),
        channel("leg", "rad", 4.0),
        channel("foot", "rad", 4.0),
        channel("x_rate", "m/s", 10.0),
        channel("z_rate", "m/s", 10.0),
        channel("pitch_rate", "rad/s", 10.0),
        channel("thigh_rate", "rad/s", 10.0),
        channel("leg_rate", "rad/s", 10.0),
        channel("foot_rate", "rad/s", 10.0),
    ],
    &[action("thigh"), action("leg"), action("foot")],
);

/// An observation channel on [-limit, limit].
const fn channel(name: &'static str, unit: &'static str, limit: f32) -> Channel<'static> {
    Channel::new(name, unit, [-limit, limit])
}

/// An action channel on [-1, 1] that may jump from end to end within one period.
const fn action(name: &'static str) -> ActionChannel<'static> {
    ActionChannel::new(name, "1", [-1.0, 1.0])
        .with_slew_per_s(1000.0)
        .with_safe(0.0)
}

/// A contract whose reward travels in the sensor frame.
const fn contract(
    period_us: u32,
    observations: &[Channel<'static>],
    actions: &[ActionChannel<'static>],
) -> Contract<'static> {
    Contract {
        period_us,
        observations: List::from_slice(observations),
        actions: List::from_slice(actions),
        reward: Reward::External,
    }
}
