//! What an inertial measurement unit says, in the robot's body frame: x forward, y left, z up.

use core::f32::consts::PI;

/// Standard gravity, m/s^2: what data sheets call 1 g.
pub const GRAVITY: f32 = 9.806_65;

/// Radians per second of one degree per second.
pub const RADIANS_PER_DEGREE: f32 = PI / 180.0;

/// Angular rate and acceleration at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Motion {
    /// Angular rate about x, y, z of the body, right-handed, rad/s.
    pub rate: [f32; 3],
    /// Acceleration along x, y, z of the body, as the sensor feels it, m/s^2: at rest and level it is `[0, 0, GRAVITY]`.
    pub acceleration: [f32; 3],
    /// Time since the sample before, by the sensor's own clock where it has one, seconds.
    pub period_s: f32,
}

/// [`Motion`] with the moment at which it was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reading {
    /// On the clock of the control steps, microseconds.
    pub time_us: u64,
    /// What was measured.
    pub motion: Motion,
}

/// An axis of the sensor, as printed on it or drawn in its data sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Axis {
    /// Along x.
    X,
    /// Along y.
    Y,
    /// Along z.
    Z,
    /// Against x.
    MinusX,
    /// Against y.
    MinusY,
    /// Against z.
    MinusZ,
}

impl Axis {
    const fn direction(self) -> [i8; 3] {
        match self {
            Self::X => [1, 0, 0],
            Self::Y => [0, 1, 0],
            Self::Z => [0, 0, 1],
            Self::MinusX => [-1, 0, 0],
            Self::MinusY => [0, -1, 0],
            Self::MinusZ => [0, 0, -1],
        }
    }
}

/// How the sensor lies in the body.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mounting {
    /// Forward, left and up in the sensor's axes.
    rows: [[f32; 3]; 3],
}

impl Mounting {
    /// The sensor's axes are those of the body.
    pub const ALIGNED: Self = Self::new(Axis::X, Axis::Y);

    /// Which axis of the sensor points forward, and which to the left. Up follows: both are right-handed.
    ///
    /// # Panics
    /// When both are the same line. Meant for constants, where this is an error of the compiler.
    #[must_use]
    pub const fn new(forward: Axis, left: Axis) -> Self {
        let [a, b, c] = forward.direction();
        let [d, e, f] = left.direction();
        let up = [b * f - c * e, c * d - a * f, a * e - b * d];
        assert!(
            up[0] != 0 || up[1] != 0 || up[2] != 0,
            "forward and left are the same line"
        );
        const fn row([x, y, z]: [i8; 3]) -> [f32; 3] {
            [x as f32, y as f32, z as f32]
        }
        Self {
            rows: [row([a, b, c]), row([d, e, f]), row(up)],
        }
    }

    /// A vector in the sensor's axes, in those of the body.
    #[must_use]
    pub fn body(&self, [x, y, z]: [f32; 3]) -> [f32; 3] {
        self.rows.map(|[a, b, c]| a * x + b * y + c * z)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_turned_and_never_mirrored() {
        use Axis::{MinusX, MinusY, MinusZ, X, Y, Z};
        for (forward, left, body) in [
            (X, Y, [1.0, 2.0, 3.0]),
            // Turned by 90 degrees to the left: its x points left, its y back.
            (MinusY, X, [-2.0, 1.0, 3.0]),
            // On its back, x forward.
            (X, MinusY, [1.0, -2.0, -3.0]),
            // On its side, x up.
            (Z, Y, [3.0, 2.0, -1.0]),
            (MinusZ, MinusX, [-3.0, -1.0, 2.0]),
        ] {
            let mounting = Mounting::new(forward, left);
            assert_eq!(mounting.body([1.0, 2.0, 3.0]), body, "{forward:?} {left:?}");
        }
        let all = [X, Y, Z, MinusX, MinusY, MinusZ];
        let pairs = all.iter().flat_map(|a| all.iter().map(move |b| (*a, *b)));
        let mut tried = 0;
        for (forward, left) in pairs {
            let [a, b] = [forward, left].map(|axis| axis.direction().map(i8::unsigned_abs));
            if a == b {
                continue;
            }
            let [x, y, z] = Mounting::new(forward, left).rows;
            let cross = [
                x[1] * y[2] - x[2] * y[1],
                x[2] * y[0] - x[0] * y[2],
                x[0] * y[1] - x[1] * y[0],
            ];
            assert_eq!(cross, z);
            tried += 1;
        }
        assert_eq!(tried, 24);
    }

    #[test]
    #[should_panic(expected = "the same line")]
    fn forward_and_left_on_one_line_are_refused() {
        let _ = Mounting::new(Axis::Y, Axis::MinusY);
    }
}
