//! The quadrotor's hidden parameters: their ranges as a table, how tasks are drawn, the body of a task, named changes.
//!
//! Sizes stand relative to what belongs to the craft's mass, so that any combination of values is a craft that could be
//! built; what could not hover with some thrust left is drawn again.

use rand::RngExt;

use super::dynamics::{Body, GRAVITY_M_PER_S2};
use crate::{Change, Parameter, Random, Task, TaskSet};

/// How a value is drawn from its range.
#[derive(Clone, Copy)]
enum Draw {
    Uniform,
    /// Uniform in the logarithm.
    Log,
    /// Half of the tasks have this value, together with the rest of its group; the others are uniform.
    Often(f32, Group),
}

/// Parameters that are usual or unusual together.
#[derive(Clone, Copy)]
enum Group {
    Rotors,
    Balance,
    Wind,
    Payload,
    Battery,
    Sensors,
    Delay,
}

macro_rules! table {
    ($($index:ident $name:literal $unit:literal $training:tt $wide:tt $draw:expr;)+) => {
        /// Where the values of a task stand.
        #[derive(Clone, Copy)]
        enum Index { $($index),+ }
        use Index::*;
        /// How many there are.
        pub(super) const COUNT: usize = [$($name),+].len();
        /// The hidden parameters in the order of [`Task::values`].
        pub const PARAMETERS: [Parameter; COUNT] = [
            $(Parameter { name: $name, unit: $unit, training: $training, wide: $wide }),+
        ];
        /// How each is drawn.
        const DRAWS: [Draw; COUNT] = [$($draw),+];
    };
}

use Draw::{Log, Often, Uniform};

table! {
    Mass "mass" "kg" (0.02, 5.0) (0.012, 8.0) Log;
    // Relative to `arm_m`.
    Arm "arm" "1" (0.7, 1.5) (0.6, 1.8) Log;
    // Of roll, relative to `ROLL_INERTIA m arm^2`; of pitch, relative to roll; of yaw, relative to both together.
    Inertia "inertia" "1" (0.45, 2.2) (0.35, 2.8) Log;
    Pitch "inertia_pitch" "1" (0.8, 1.3) (0.7, 1.5) Uniform;
    Yaw "inertia_yaw" "1" (0.75, 0.98) (0.7, 1.0) Uniform;
    // With four whole rotors, a full battery and no payload.
    Lift "thrust_to_weight" "1" (1.3, 5.0) (1.25, 6.0) Log;
    // Shares of the full thrust: at u = 0, and of what grows with the square of u.
    Idle "thrust_idle" "1" (0.0, 0.06) (0.0, 0.1) Uniform;
    Square "thrust_square" "1" (0.4, 1.1) (0.2, 1.15) Uniform;
    Rise "rotor_rise" "s" (0.02, 0.14) (0.015, 0.17) Log;
    // Relative to the time constant of rising.
    Fall "rotor_fall" "1" (1.0, 4.5) (1.0, 5.0) Uniform;
    // Yaw torque per thrust, relative to the arm.
    Torque "torque_constant" "1" (0.05, 0.25) (0.035, 0.35) Log;
    FrontRight "efficiency_front_right" "1" (0.8, 1.05) (0.7, 1.1) Often(1.0, Group::Rotors);
    BackRight "efficiency_back_right" "1" (0.8, 1.05) (0.7, 1.1) Often(1.0, Group::Rotors);
    BackLeft "efficiency_back_left" "1" (0.8, 1.05) (0.7, 1.1) Often(1.0, Group::Rotors);
    FrontLeft "efficiency_front_left" "1" (0.8, 1.05) (0.7, 1.1) Often(1.0, Group::Rotors);
    // Of the arm.
    Forward "centre_x" "1" (-0.06, 0.06) (-0.1, 0.1) Often(0.0, Group::Balance);
    Left "centre_y" "1" (-0.06, 0.06) (-0.1, 0.1) Often(0.0, Group::Balance);
    // Of the weight without payload.
    WindX "wind_x" "1" (-0.15, 0.15) (-0.25, 0.25) Often(0.0, Group::Wind);
    WindY "wind_y" "1" (-0.15, 0.15) (-0.25, 0.25) Often(0.0, Group::Wind);
    WindZ "wind_z" "1" (-0.08, 0.08) (-0.12, 0.12) Often(0.0, Group::Wind);
    // Standard deviation on each axis.
    Gust "gust" "1" (0.0, 0.06) (0.0, 0.1) Often(0.0, Group::Wind);
    Payload "payload" "1" (0.0, 0.4) (0.0, 0.6) Often(0.0, Group::Payload);
    // Of the full thrust.
    Battery "battery" "1" (0.75, 1.0) (0.65, 1.05) Often(1.0, Group::Battery);
    GyroX "gyro_bias_x" "rad/s" (-0.05, 0.05) (-0.1, 0.1) Often(0.0, Group::Sensors);
    GyroY "gyro_bias_y" "rad/s" (-0.05, 0.05) (-0.1, 0.1) Often(0.0, Group::Sensors);
    GyroZ "gyro_bias_z" "rad/s" (-0.05, 0.05) (-0.1, 0.1) Often(0.0, Group::Sensors);
    Roll "roll_bias" "rad" (-0.02, 0.02) (-0.04, 0.04) Often(0.0, Group::Sensors);
    PitchBias "pitch_bias" "rad" (-0.02, 0.02) (-0.04, 0.04) Often(0.0, Group::Sensors);
    // 1: what `flight.rs` says.
    Noise "noise" "1" (0.0, 1.0) (0.0, 2.0) Often(0.0, Group::Sensors);
    // Control steps, rounded.
    Delay "delay" "1" (0.0, 2.0) (0.0, 2.0) Often(0.0, Group::Delay);
}

/// Inertia of roll over mass times arm squared: the Crazyflie's.
const ROLL_INERTIA: f32 = 0.196;
/// The share of each rotor's full thrust that hovering must leave, or nobody could steer.
const RESERVE: f32 = 0.15;
/// Slowest rotors, by the time constant of falling, in s: of training and of the out-of-distribution set.
const SLOWEST_S: [f32; 2] = [0.4, 0.55];
/// Smallest and largest angular acceleration about roll that two rotors at full thrust give a craft as it was built, in
/// rad/s^2: what is slower or quicker is not built either. Of training and of the out-of-distribution set.
const AGILITY: [(f32, f32); 2] = [(40.0, 1600.0), (30.0, 2200.0)];

/// Distance in m between centre and rotors that belongs to a mass: through the Crazyflie's 40 mm at 30.6 g, and 0.3 m at 5 kg.
fn arm_m(mass_kg: f32) -> f32 {
    0.0396 * libm::powf(mass_kg / 0.0306, 0.4)
}

/// The hidden parameters of one task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hidden {
    values: [f32; COUNT],
}

/// What the sensors of a task do to an observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SensorErrors {
    /// Bias of the angular velocity, in rad/s.
    pub(super) gyro_rad_per_s: [f32; 3],
    /// Bias of the attitude about body x and y, in rad.
    pub(super) tilt_rad: [f32; 2],
    /// Noise, relative to what `flight.rs` says.
    pub(super) noise: f32,
}

impl Hidden {
    /// An ordinary craft: the middle of the ranges (of the logarithm where they are drawn so), with nothing unusual.
    #[must_use]
    pub fn middle() -> Self {
        Self {
            values: std::array::from_fn(|index| {
                let (low, high) = PARAMETERS[index].training;
                match DRAWS[index] {
                    Uniform => 0.5 * (low + high),
                    Log => (low * high).sqrt(),
                    Often(usual, _) => usual,
                }
            }),
        }
    }

    /// This craft as it was built: whole rotors, balanced, full battery, nothing to carry, in still air.
    #[must_use]
    pub fn nominal(mut self) -> Self {
        for (value, draw) in self.values.iter_mut().zip(DRAWS) {
            if let Often(usual, _) = draw {
                *value = usual;
            }
        }
        self
    }

    /// Draws a task of a set.
    #[must_use]
    pub fn sample(set: TaskSet, random: &mut Random) -> Self {
        loop {
            let unusual: u32 = random.random();
            let values = std::array::from_fn(|index| {
                let (low, high) = match set {
                    TaskSet::Training | TaskSet::HeldOut => PARAMETERS[index].training,
                    TaskSet::OutOfDistribution => PARAMETERS[index].wide,
                };
                let share = random.random_range(0.0..1.0f32);
                match DRAWS[index] {
                    Often(usual, group) if (unusual >> group as u32) & 1 == 0 => usual,
                    Uniform | Often(..) => low + share * (high - low),
                    Log => low * libm::powf(high / low, share),
                }
            });
            let hidden = Self { values };
            let belongs = match set {
                TaskSet::Training | TaskSet::HeldOut => hidden.is_built(0),
                TaskSet::OutOfDistribution => hidden.is_built(1) && !hidden.is_inside(),
            };
            if belongs && hidden.hovers() {
                return hidden;
            }
        }
    }

    /// Draws what may become of this craft in flight: one or more of the groups change, the rest stays. A craft that no such
    /// change would leave able to hover stays as it is.
    #[must_use]
    pub fn sample_change(&self, random: &mut Random) -> Self {
        for _ in 0..100 {
            let other = Self::sample(TaskSet::Training, random);
            let changes: u32 = random.random();
            let mut changed = *self;
            let values = changed.values.iter_mut().zip(other.values);
            for ((value, other), draw) in values.zip(DRAWS) {
                match draw {
                    Often(_, group) if (changes >> group as u32) & 1 == 1 => *value = other,
                    _ => {}
                }
            }
            if changes >> 30 == 0 {
                // Rotors get slower, and seldom faster.
                let (low, high) = PARAMETERS[Rise as usize].wide;
                let rise = &mut changed.values[Rise as usize];
                *rise = (*rise * random.random_range(0.7..1.8f32)).clamp(low, high);
            }
            if changed != *self && changed.hovers() {
                return changed;
            }
        }
        *self
    }

    /// The parameters after a named change, or nothing if there is no such change. Names may be joined: `payload+rotor`.
    #[must_use]
    pub fn changed(self, changes: &str) -> Option<Self> {
        changes.split('+').try_fold(self, |mut hidden, change| {
            let v = &mut hidden.values;
            match change {
                "none" => {}
                "payload" => v[Payload as usize] += 0.35,
                "rotor" => v[FrontRight as usize] *= 0.8,
                "sag" => v[Battery as usize] *= 0.75,
                "lag" => v[Rise as usize] *= 1.6,
                "wind" => {
                    v[WindX as usize] += 0.15;
                    v[WindY as usize] -= 0.1;
                    v[Gust as usize] += 0.05;
                }
                "imu" => {
                    v[GyroX as usize] += 0.05;
                    v[GyroY as usize] -= 0.05;
                    v[Roll as usize] += 0.02;
                    v[PitchBias as usize] -= 0.02;
                    v[Noise as usize] = 1.0;
                }
                "delay" => v[Delay as usize] = 2.0,
                _ => return None,
            }
            Some(hidden)
        })
    }

    /// The craft.
    #[must_use]
    pub fn body(&self) -> Body {
        let v = |index: Index| self.values[index as usize];
        let mass_kg = v(Mass);
        let weight_n = mass_kg * GRAVITY_M_PER_S2;
        let arm_m = v(Arm) * arm_m(mass_kg);
        let roll = ROLL_INERTIA * v(Inertia) * mass_kg * arm_m * arm_m;
        let side = arm_m * std::f32::consts::FRAC_1_SQRT_2;
        let (x, y) = (v(Forward) * arm_m, v(Left) * arm_m);
        let full_n = v(Lift) * v(Battery) * weight_n / 4.0;
        let efficiency = [v(FrontRight), v(BackRight), v(BackLeft), v(FrontLeft)];
        let moving = 1.0 - v(Idle);
        let curve = [v(Idle), moving * (1.0 - v(Square)), moving * v(Square)];
        Body {
            mass_kg: mass_kg * (1.0 + v(Payload)),
            inertia_kg_m2: [
                [roll, 0.0, 0.0],
                [0.0, roll * v(Pitch), 0.0],
                [0.0, 0.0, (roll + roll * v(Pitch)) * v(Yaw)],
            ],
            rotor_positions_m: [
                [side - x, -side - y, 0.0],
                [-side - x, -side - y, 0.0],
                [-side - x, side - y, 0.0],
                [side - x, side - y, 0.0],
            ],
            thrust_n: efficiency.map(|efficiency| curve.map(|share| share * full_n * efficiency)),
            torque_constant_m: [v(Torque) * arm_m; 4],
            rise_s: [v(Rise); 4],
            fall_s: [v(Rise) * v(Fall); 4],
            force_n: [v(WindX), v(WindY), v(WindZ)].map(|share| share * weight_n),
            delay_steps: v(Delay).round().clamp(0.0, 2.0) as u8,
        }
    }

    /// Standard deviation in N of the gusts on each axis.
    #[must_use]
    pub(super) fn gust_n(&self) -> f32 {
        self.values[Gust as usize] * self.values[Mass as usize] * GRAVITY_M_PER_S2
    }

    /// The errors of the sensors.
    #[must_use]
    pub(super) fn sensor_errors(&self) -> SensorErrors {
        let v = |index: Index| self.values[index as usize];
        SensorErrors {
            gyro_rad_per_s: [v(GyroX), v(GyroY), v(GyroZ)],
            tilt_rad: [v(Roll), v(PitchBias)],
            noise: v(Noise),
        }
    }

    /// Whether every value lies in its training range, and so does what they make together.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.is_built(0) && self.centred().iter().all(|value| value.abs() <= 1.0 + 1e-5)
    }

    /// Whether agility and rotors are those of a craft of training (0) or of the out-of-distribution set (1).
    fn is_built(&self, wide: usize) -> bool {
        let (low, high) = AGILITY[wide];
        let fall_s = self.values[Rise as usize] * self.values[Fall as usize];
        (low..=high).contains(&self.agility()) && fall_s <= SLOWEST_S[wide]
    }

    /// Angular acceleration about roll of the craft as it was built when the rotors of one side are off, in rad/s^2.
    fn agility(&self) -> f32 {
        let body = self.nominal().body();
        let [[_, y, _], ..] = body.rotor_positions_m;
        let full: f32 = body.thrust_n[0].iter().sum();
        2.0 * y.abs() * full / body.inertia_kg_m2[0][0]
    }

    /// Whether the craft can hang in its wind with no torque left over and [`RESERVE`] of every rotor's range to either side.
    fn hovers(&self) -> bool {
        let body = self.body();
        let [x, y, z] = body.force_n;
        let down = body.mass_kg * GRAVITY_M_PER_S2 - z;
        let thrust = (x * x + y * y + down * down).sqrt();
        // Rotors of one diagonal share what the other diagonal gives (no yaw), and the four balance the centre of mass:
        // thrust i = T/4 (1 + s_x c_x + s_y c_y), from the two equations of torque and the signs s of the rotor's place.
        let v = |index: Index| self.values[index as usize];
        let (c_x, c_y) = (v(Forward), v(Left));
        let root = std::f32::consts::SQRT_2;
        [(1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)]
            .iter()
            .zip(&body.thrust_n)
            .all(|((s_x, s_y), [c0, c1, c2])| {
                let need = 0.25 * thrust * (1.0 + root * (s_x * c_x + s_y * c_y));
                let range = c1 + c2;
                need < c0 + (1.0 - RESERVE) * range && need > c0 + RESERVE * range
            })
    }

    /// The parameters, moved and scaled so that the training range becomes [-1, 1], in the logarithm where it is drawn so.
    #[must_use]
    pub fn centred(&self) -> [f32; COUNT] {
        let mut values = self.values;
        for ((value, parameter), draw) in values.iter_mut().zip(&PARAMETERS).zip(DRAWS) {
            let (mut low, mut high) = parameter.training;
            if matches!(draw, Log) {
                (low, high, *value) = (libm::logf(low), libm::logf(high), libm::logf(*value));
            }
            *value = (2.0 * *value - low - high) / (high - low);
        }
        values
    }
}

impl From<Hidden> for Task {
    fn from(hidden: Hidden) -> Self {
        Self {
            values: hidden.values.to_vec(),
        }
    }
}

/// Values that a task lacks are those of the ordinary craft.
impl From<&Task> for Hidden {
    fn from(task: &Task) -> Self {
        let mut hidden = Self::middle();
        for (value, given) in hidden.values.iter_mut().zip(&task.values) {
            *value = *given;
        }
        hidden
    }
}

/// The change that is drawn.
pub const ANY: &str = "any";

/// The changes that a flight or an evaluation may apply.
pub const CHANGES: [Change; 9] = [
    Change {
        name: "none",
        summary: "nothing changes",
    },
    Change {
        name: "payload",
        summary: "35 % of the mass is hung under the centre",
    },
    Change {
        name: "rotor",
        summary: "the front right rotor loses 20 % of its thrust",
    },
    Change {
        name: "sag",
        summary: "all rotors lose 25 % of their thrust",
    },
    Change {
        name: "lag",
        summary: "the rotors take 60 % longer",
    },
    Change {
        name: "wind",
        summary: "wind of 18 % of the weight rises, with gusts",
    },
    Change {
        name: "imu",
        summary: "gyroscope and attitude become biased and noisy",
    },
    Change {
        name: "delay",
        summary: "commands arrive two steps late",
    },
    Change {
        name: ANY,
        summary: "some of these by chance, as in training",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Stream, random_stream};

    #[test]
    fn tasks_lie_where_their_set_says_and_can_hover() {
        let mut random = random_stream(0, Stream::Training, 0);
        let mut usual = [0u32; COUNT];
        for _ in 0..2000 {
            let inside = Hidden::sample(TaskSet::HeldOut, &mut random);
            assert!(inside.hovers() && inside.is_inside());
            for (index, (centred, row)) in inside.centred().iter().zip(&PARAMETERS).enumerate() {
                assert!(centred.abs() <= 1.0 + 1e-5, "{} of {inside:?}", row.name);
                if matches!(DRAWS[index], Often(usual, _) if inside.values[index] == usual) {
                    usual[index] += 1;
                }
            }
            let outside = Hidden::sample(TaskSet::OutOfDistribution, &mut random);
            assert!(outside.hovers() && !outside.is_inside(), "{outside:?}");
            let changed = inside.sample_change(&mut random);
            assert!(changed != inside && changed.hovers());
            assert_eq!(changed.values[Mass as usize], inside.values[Mass as usize]);
        }
        for (usual, (parameter, draw)) in usual.iter().zip(PARAMETERS.iter().zip(DRAWS)) {
            // What tasks can seldom carry is usual more often.
            let expected = matches!(draw, Often(..));
            let name = parameter.name;
            assert_eq!(
                expected,
                (800..1600).contains(usual),
                "{name}: {usual} of 2000"
            );
        }
    }

    #[test]
    fn a_task_and_its_parameters_are_the_same_thing() {
        let mut random = random_stream(0, Stream::HeldOut, 1);
        let hidden = Hidden::sample(TaskSet::HeldOut, &mut random);
        assert_eq!(Hidden::from(&Task::from(hidden)), hidden);
        let Task { mut values } = hidden.into();
        values.truncate(1);
        let mass = values[0];
        let filled = Hidden::from(&Task { values });
        assert_eq!(filled.values[0], mass);
        assert_eq!(filled.values[1..], Hidden::middle().values[1..]);
    }

    #[test]
    fn a_crafts_body_belongs_to_its_mass() {
        let mut random = random_stream(0, Stream::HeldOut, 2);
        for _ in 0..500 {
            let hidden = Hidden::sample(TaskSet::HeldOut, &mut random);
            let body = hidden.body();
            let [[x, ..], [_, y, _], [.., z]] = body.inertia_kg_m2;
            // A flat thing: about z nearly as much as about x and y together, and never more.
            assert!(z < x + y && x < y + z && y < x + z, "{body:?}");
            let full: f32 = body.thrust_n.iter().flatten().sum();
            let ratio = full / (body.mass_kg * GRAVITY_M_PER_S2);
            assert!((1.1..6.0).contains(&ratio), "{ratio} of {hidden:?}");
            let [[front, right, _], _, [back, left, _], _] = body.rotor_positions_m;
            let arm = 0.5 * ((front - back).powi(2) + (right - left).powi(2)).sqrt();
            assert!((0.02..0.5).contains(&arm), "{arm} of {hidden:?}");
        }
        let crazyflie = arm_m(0.0306);
        assert!((crazyflie - 0.0396).abs() < 1e-6);
    }

    #[test]
    fn changes_do_what_they_say_and_add_up() {
        let middle = Hidden::middle();
        for change in CHANGES.iter().filter(|change| change.name != ANY) {
            let changed = middle.changed(change.name).unwrap();
            assert_eq!(changed == middle, change.name == "none", "{}", change.name);
        }
        let both = middle.changed("payload+rotor").unwrap();
        assert_eq!(both.values[Payload as usize], 0.35);
        assert_eq!(both.values[FrontRight as usize], 0.8);
        assert!(middle.changed("payload+colour").is_none());
        let mass = both.body().mass_kg / middle.body().mass_kg;
        assert!((mass - 1.35).abs() < 1e-5, "{mass}");
    }
}
