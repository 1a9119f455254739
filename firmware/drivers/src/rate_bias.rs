//! What a gyro says when nothing turns, found and taken off while the robot stands still: the filter of `fusion-ahrs` in Engram's units.

use fusion_ahrs::{Bias, BiasSettings};

use crate::imu::{Motion, RADIANS_PER_DEGREE};

/// The bias of a gyro, three axes. Temperature changes it, so it is followed whenever the robot stands still.
#[derive(Debug, Clone, Copy)]
pub struct RateBias {
    filter: Bias,
}

impl RateBias {
    /// No bias, until the robot stood still. That it does is seen by rates below `still_rate`, rad/s, on all axes for 3 s: more than the bias of the part (20 degrees
    /// per second for an MPU-6050, 1 for better ones) and less than any turn that it may make for so long, which would be taken for bias. `period_s` is the nominal time between two samples.
    #[must_use]
    pub fn new(period_s: f32, still_rate: f32) -> Self {
        Self {
            filter: Bias::with_settings(BiasSettings {
                // A sample rate of 0 or less, or no number, would not be one.
                sample_rate: (1.0 / period_s).max(1.0),
                stationary_threshold: still_rate / RADIANS_PER_DEGREE,
                ..BiasSettings::default()
            }),
        }
    }

    /// Takes the bias off a sample. Every sample of the IMU belongs here, in its order.
    pub fn take_off(&mut self, motion: &mut Motion) {
        let rate = motion.rate.map(|rate| rate / RADIANS_PER_DEGREE);
        let rate = self.filter.update(rate);
        motion.rate = [rate.x, rate.y, rate.z].map(|rate| rate * RADIANS_PER_DEGREE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD_S: f32 = 0.005;
    const BIAS: [f32; 3] = [0.1, -0.02, 0.005];

    /// What comes of a rate on top of the bias at the end of some seconds.
    fn after(bias: &mut RateBias, rate: [f32; 3], seconds: f32) -> [f32; 3] {
        let [x, y, z] = BIAS;
        let motion = Motion {
            rate: [rate[0] + x, rate[1] + y, rate[2] + z],
            acceleration: [0.0; 3],
            period_s: PERIOD_S,
        };
        let mut last = motion;
        for _ in 0..(seconds / PERIOD_S) as u32 {
            last = motion;
            bias.take_off(&mut last);
        }
        last.rate
    }

    fn assert_close(found: [f32; 3], expected: [f32; 3], within: f32) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < within, "{found} {expected}");
        }
    }

    #[test]
    fn a_bias_is_found_at_rest_and_kept_in_motion() {
        let mut bias = RateBias::new(PERIOD_S, 0.2);
        // Not before it stood still for 3 s.
        assert_close(after(&mut bias, [0.0; 3], 2.9), BIAS, 1e-6);
        assert_close(after(&mut bias, [0.0; 3], 60.0), [0.0; 3], 2e-3);
        // A turn is no bias, however long.
        let turn = [0.0, 0.0, 1.0];
        assert_close(after(&mut bias, turn, 60.0), turn, 2e-3);
    }

    #[test]
    fn a_bias_above_what_counts_as_still_is_left() {
        let mut bias = RateBias::new(PERIOD_S, 0.05);
        assert_close(after(&mut bias, [0.0; 3], 60.0), BIAS, 1e-6);
    }
}
