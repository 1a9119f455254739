//! Which way is up, from rates and accelerations: crate `fusion-ahrs` in Engram's units and frames.
//!
//! The body's axes are x forward, y left, z up; the world's z is up, and its x is where the body pointed at the start. Nothing here knows north: the
//! heading drifts by what the gyro is wrong.

use fusion_ahrs::{Ahrs, AhrsSettings, Convention};

use crate::imu::{GRAVITY, Motion, RADIANS_PER_DEGREE};

/// How gyro and accelerometer are weighed.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AttitudeSettings {
    /// Nominal time between two samples, seconds. Each sample brings its own.
    pub period_s: f32,
    /// Full scale of the gyro, rad/s: beyond 98 % of it the filter begins anew from where it is.
    pub rate_range: f32,
    /// How fast the accelerometer corrects tilt, 1/s.
    pub gain: f32,
    /// An acceleration that points further away from where up is thought to be, degrees, is left out: the robot is speeding up.
    pub rejection_degrees: f32,
    /// For at most so long, seconds.
    pub rejection_s: f32,
}

impl AttitudeSettings {
    /// For an IMU with this output period and full scale, [`AttitudeSettings::period_s`] and [`AttitudeSettings::rate_range`]; a gain of 0.5/s, accelerations
    /// of more than 10 degrees left out for at most 5 s.
    #[must_use]
    pub const fn new(period_s: f32, rate_range: f32) -> Self {
        Self {
            period_s,
            rate_range,
            gain: 0.5,
            rejection_degrees: 10.0,
            rejection_s: 5.0,
        }
    }
}

/// An attitude that is kept up to date.
#[derive(Debug, Clone)]
pub struct Attitude {
    filter: Ahrs,
}

impl Attitude {
    /// Level, until samples say otherwise.
    #[must_use]
    pub fn new(settings: AttitudeSettings) -> Self {
        // A sample rate of 0 or less, or no number, would not be one.
        let sample_rate = (1.0 / settings.period_s).max(1.0);
        Self {
            filter: Ahrs::with_settings(AhrsSettings {
                sample_rate,
                convention: Convention::Nwu,
                gain: settings.gain,
                gyroscope_range: settings.rate_range / RADIANS_PER_DEGREE,
                acceleration_rejection: settings.rejection_degrees,
                magnetic_rejection: 0.0,
                rejection_timeout: settings.rejection_s,
            }),
        }
    }

    /// Takes one sample. Every sample of the IMU belongs here, in its order, and not only the one that a control step takes.
    pub fn update(&mut self, motion: &Motion) {
        self.filter.set_sample_period(motion.period_s);
        let degrees_per_s = motion.rate.map(|rate| rate / RADIANS_PER_DEGREE);
        let g = motion
            .acceleration
            .map(|acceleration| acceleration / GRAVITY);
        self.filter.update_no_magnetometer(degrees_per_s, g);
    }

    /// Whether the first 3 s are over, in which the accelerometer alone says what up is: a robot that moves before has a wrong idea of it.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        !self.filter.flags().startup
    }

    /// Up, as a vector of length 1 in the body's axes: `[0, 0, 1]` when level. Gravity points the other way.
    #[must_use]
    pub fn up(&self) -> [f32; 3] {
        let up = self.filter.gravity();
        [up.x, up.y, up.z]
    }

    /// The rotation from body to world as a unit quaternion `[w, x, y, z]`.
    #[must_use]
    pub fn quaternion(&self) -> [f32; 4] {
        let q = self.filter.quaternion();
        [q.w, q.x, q.y, q.z]
    }

    /// The rotation from body to world as a matrix, row by row: its columns are forward, left and up of the body in the world's axes.
    #[must_use]
    pub fn rotation(&self) -> [f32; 9] {
        let [[a, b, c], [d, e, f], [g, h, i]] = self.filter.quaternion().to_matrix().to_rows();
        [a, b, c, d, e, f, g, h, i]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD_S: f32 = 0.001;

    /// After the first three seconds at rest, `up` being where gravity is felt to come from.
    fn settled(up: [f32; 3]) -> Attitude {
        let mut attitude = Attitude::new(AttitudeSettings::new(PERIOD_S, 35.0));
        assert!(!attitude.is_settled());
        turn(&mut attitude, [0.0; 3], |_| up, 4.0);
        assert!(attitude.is_settled());
        attitude
    }

    /// `up(t)` is in the body's axes, `rate` in rad/s.
    fn turn(attitude: &mut Attitude, rate: [f32; 3], up: impl Fn(f32) -> [f32; 3], seconds: f32) {
        for step in 1..=(seconds / PERIOD_S).round() as u32 {
            let acceleration = up(step as f32 * PERIOD_S).map(|share| share * GRAVITY);
            attitude.update(&Motion {
                rate,
                acceleration,
                period_s: PERIOD_S,
            });
        }
    }

    fn assert_close<const N: usize>(found: [f32; N], expected: [f32; N], within: f32) {
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < within, "{found:?} instead of {expected:?}");
        }
    }

    #[test]
    fn a_tilt_at_rest_is_found_from_gravity() {
        let (sin, cos) = 30.0_f32.to_radians().sin_cos();
        for up in [
            [0.0, 0.0, 1.0],
            [sin, 0.0, cos], // nose up: forward is where gravity is felt to come from
            [0.0, sin, cos], // left side up
            [-sin, 0.0, cos], // nose down
            [0.0, 1.0, 0.0],
            [0.6, -0.64, 0.48],
        ] {
            assert_close(settled(up).up(), up, 2e-3);
        }
    }

    #[test]
    fn turning_about_the_bodys_axes_goes_the_right_way_round() {
        let quarter = core::f32::consts::FRAC_PI_2;
        let level = [0.0, 0.0, 1.0];
        let half_root = 0.5_f32.sqrt();
        // About z to the left: forward becomes the world's y. About y: the nose goes down. About x: the left side goes up.
        let cases = [
            (
                [0.0, 0.0, quarter],
                level,
                [0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0],
            ),
            (
                [0.0, quarter, 0.0],
                [-1.0, 0.0, 0.0],
                [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, -1.0, 0.0, 0.0],
            ),
            (
                [quarter, 0.0, 0.0],
                [0.0, 1.0, 0.0],
                [1.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, 1.0, 0.0],
            ),
        ];
        for (rate, up_at_the_end, rotation) in cases {
            let mut attitude = settled(level);
            // Where gravity is felt to come from turns with it.
            let up = |t: f32| {
                let (sin, cos) = (quarter * t).sin_cos();
                let [x, y, z] = up_at_the_end;
                [sin * x, sin * y, if z == 1.0 { 1.0 } else { cos }]
            };
            turn(&mut attitude, rate, up, 1.0);
            assert_close(attitude.up(), up_at_the_end, 5e-3);
            assert_close(attitude.rotation(), rotation, 5e-3);
            let [x, y, z] = rate.map(|rate| rate / quarter * half_root);
            assert_close(attitude.quaternion(), [half_root, x, y, z], 5e-3);
        }
    }

    #[test]
    fn speeding_up_is_not_taken_for_a_tilt() {
        let mut attitude = settled([0.0, 0.0, 1.0]);
        // 0.5 g forward for 2 s, level all the time.
        turn(&mut attitude, [0.0; 3], |_| [0.5, 0.0, 1.0], 2.0);
        assert_close(attitude.up(), [0.0, 0.0, 1.0], 1e-3);
        // It never stops: after the 5 s it is taken for one.
        turn(&mut attitude, [0.0; 3], |_| [0.5, 0.0, 1.0], 30.0);
        assert!(attitude.up()[0] > 0.3, "{:?}", attitude.up());
    }

    #[test]
    fn the_time_of_each_sample_counts() {
        let mut attitude = settled([0.0, 0.0, 1.0]);
        let motion = |period_s| Motion {
            rate: [0.0, 0.0, 1.0],
            acceleration: [0.0, 0.0, GRAVITY],
            period_s,
        };
        for step in 0..1_000 {
            attitude.update(&motion(if step % 2 == 0 { 0.0005 } else { 0.0015 }));
        }
        let [w, _, _, z] = attitude.quaternion();
        assert!((2.0 * z.atan2(w) - 1.0).abs() < 2e-3);
    }

    #[test]
    fn a_degree_per_second_of_bias_tilts_by_some_two_degrees() {
        let mut attitude = settled([0.0, 0.0, 1.0]);
        let bias = [RADIANS_PER_DEGREE, 0.0, 0.0];
        turn(&mut attitude, bias, |_| [0.0, 0.0, 1.0], 60.0);
        let [_, y, z] = attitude.up();
        let degrees = y.atan2(z) / RADIANS_PER_DEGREE;
        assert!((1.5..2.5).contains(&degrees), "{degrees}");
    }
}
