//! What an author says of a servo bus, and every way in which it can be wrong.

use std::time::Duration;

use super::servo::{Quantity, Servo};
use crate::real_time::{RealTime, RealTimeError};

/// A bus of servos on one serial port.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BusConfig<'a> {
    /// Serial device, e.g. `/dev/ttyACM0`.
    pub port: &'a str,
    /// Bits per second; all servos must be set to it.
    pub baud: u32,
    /// Whether servos may drive. `false` reads and moves nothing: for the first checks.
    pub torque: bool,
    /// How long after the last command (the control loop is dead) the torque is turned off, for good; it is turned off then at the end of the bus, too. `None`: servos hold
    /// their last goal, then and after the end. At least ten control periods.
    pub limp_after: Option<Duration>,
    /// What to ask the kernel for, for the thread of the bus: less than for the control loop, more than for everything else. A thread that gets no time brings no samples.
    pub real_time: RealTime,
    /// The joints, in any order.
    pub joints: &'a [Joint<'a>],
}

/// A joint and its servo.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Joint<'a> {
    /// Its channels are this name with `_position`, `_velocity`, `_load` or `_current`, and for actions `_target`.
    pub name: &'a str,
    /// Id of the servo on the bus.
    pub id: u8,
    /// Kind of the servo.
    pub servo: Servo,
    /// Whether the joint turns as its servo does.
    pub direction: Direction,
    /// Angle of the servo, rad, at which the joint's angle is 0. A servo's own 0 is the middle of its turn (step 2048).
    pub zero_rad: f32,
    /// Smallest and largest angle of the joint, rad, that may be its goal.
    pub limits_rad: [f32; 2],
    /// How fast a goal may move, rad/s. It bounds the way from where the joint stands at the start to the first command; the contract's slew limit must not be larger.
    pub speed_rad_per_s: f32,
}

/// Which way a joint turns when its servo's position grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The same.
    Forward,
    /// The other.
    Reverse,
}

impl Joint<'_> {
    /// 1 or -1.
    pub(super) const fn sign(&self) -> f32 {
        match self.direction {
            Direction::Forward => 1.0,
            Direction::Reverse => -1.0,
        }
    }

    /// Angle of the servo when that of the joint is `angle_rad`.
    pub(super) const fn servo_angle(&self, angle_rad: f32) -> f32 {
        self.sign() * angle_rad + self.zero_rad
    }

    /// Angle of the joint when that of the servo is `angle_rad`.
    pub(super) const fn joint_angle(&self, angle_rad: f32) -> f32 {
        self.sign() * (angle_rad - self.zero_rad)
    }

    /// What a servo measured, in the joint's direction.
    pub(super) const fn in_joint(&self, quantity: Quantity, value: f32) -> f32 {
        match quantity {
            Quantity::Position => self.joint_angle(value),
            Quantity::Velocity | Quantity::Load | Quantity::Current => self.sign() * value,
        }
    }
}

/// Why a bus does not start.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// No joints.
    #[error("the bus has no joints")]
    NoJoints,
    /// Two joints share a name or an id.
    #[error("joints {first} and {second} share {what}; give each its own")]
    Shared {
        /// One joint.
        first: String,
        /// The other.
        second: String,
        /// `their name` or `the id N`.
        what: String,
    },
    /// An id that no servo can have.
    #[error("joint {joint}: no servo of its kind has the id {id}; 0 to {largest} are possible")]
    Id {
        /// The joint.
        joint: String,
        /// Its id.
        id: u8,
        /// The largest.
        largest: u8,
    },
    /// Feetech and Dynamixel servos on one bus.
    #[error(
        "joints {first} and {second} speak different protocols; give each kind a bus of its own"
    )]
    Protocols {
        /// One joint.
        first: String,
        /// The other.
        second: String,
    },
    /// A speed that the servos cannot be set to.
    #[error("{servo} cannot be set to {baud} baud; it knows {known:?}")]
    Baud {
        /// Kind of servo.
        servo: &'static str,
        /// The speed.
        baud: u32,
        /// Those that it knows.
        known: Vec<u32>,
    },
    /// A number of a joint that is not finite, or limits the wrong way round, or a speed that is not positive.
    #[error("joint {joint}: {what} is {value}, which is not {bound}")]
    Number {
        /// The joint.
        joint: String,
        /// Which number.
        what: &'static str,
        /// The number.
        value: f32,
        /// What it must be.
        bound: &'static str,
    },
    /// Torque that would be off after a stall that does no harm.
    #[error(
        "limp_after is {limp_after:?}; give it ten control periods, {least:?}, at least, or None: a control loop that stalls for a moment must not drop the arm"
    )]
    LimpAfter {
        /// The configuration's.
        limp_after: Duration,
        /// The shortest possible.
        least: Duration,
    },
    /// A limit outside of the turn of the servo.
    #[error(
        "joint {joint}: {limit_rad} rad is {servo_rad} rad of its servo, outside of its one turn from -3.1416 to 3.1400 rad; mend zero_rad or limits_rad"
    )]
    Turn {
        /// The joint.
        joint: String,
        /// The limit.
        limit_rad: f32,
        /// The same for the servo.
        servo_rad: f32,
    },
    /// The contract asks for what the bus does not have.
    #[error("the contract's {kind} {name} in {unit} is not on the bus; it has {offered}")]
    Channel {
        /// `observation` or `action`.
        kind: &'static str,
        /// The channel.
        name: String,
        /// Its unit.
        unit: String,
        /// What the bus has, with units.
        offered: String,
    },
    /// The contract's reward comes from outside.
    #[error(
        "the contract's reward is external, and no servo brings one; use a formula, or none (reward_input in the robot's file)"
    )]
    Reward,
    /// An action that may go further than its joint.
    #[error(
        "the contract's action {action} goes from {} to {} rad, its joint from {} to {} rad; narrow the action or widen limits_rad",
        asked[0], asked[1], limits[0], limits[1]
    )]
    Range {
        /// The action.
        action: String,
        /// Its range, rad.
        asked: [f32; 2],
        /// The joint's, rad.
        limits: [f32; 2],
    },
    /// An action that may go faster than its joint.
    #[error(
        "the contract lets action {action} change by {slew} rad/s, its joint's goal by {speed}; lower slew_per_s or raise speed_rad_per_s"
    )]
    Slew {
        /// The action.
        action: String,
        /// The contract's slew limit, rad/s.
        slew: f32,
        /// The joint's, rad/s.
        speed: f32,
    },
    /// Questions and answers take too long.
    #[error(
        "reading {servos} servos takes {took_us} us ({wire_us} at {baud} baud, the rest is their return delay), and a control period of {period_us} us has {room_us} for it; raise the baud, lower the register return_delay_time or take a longer period"
    )]
    Slow {
        /// How many are read.
        servos: usize,
        /// How long that takes.
        took_us: u64,
        /// The wire's part of it.
        wire_us: u64,
        /// Bits per second.
        baud: u32,
        /// The contract's period.
        period_us: u32,
        /// How long it may take.
        room_us: u64,
    },
    /// The device cannot be opened.
    #[error(
        "cannot open {port}: {source}; is it the right device, free, and may this user open it?"
    )]
    Open {
        /// The device.
        port: String,
        /// What the operating system said.
        source: serialport::Error,
    },
    /// A servo is not as it must be.
    #[error("joint {joint}: servo {id} {fault}")]
    Servo {
        /// The joint.
        joint: String,
        /// Its servo.
        id: u8,
        /// What is wrong with it.
        fault: ServoFault,
    },
    /// A servo that does not go as far as its joint.
    #[error(
        "joint {joint}: limits_rad is from step {} to {} of servo {id}, whose own limits are {} and {}; narrow limits_rad, or widen its registers min_position_limit and max_position_limit",
        wanted[0], wanted[1], own[0], own[1]
    )]
    OwnLimits {
        /// The joint.
        joint: String,
        /// Its servo.
        id: u8,
        /// The joint's smallest and largest goal, steps.
        wanted: [i64; 2],
        /// The servo's, steps.
        own: [i64; 2],
    },
    /// The kernel did not give what the thread of the bus asks for.
    #[error(transparent)]
    RealTime(#[from] RealTimeError),
    /// No thread.
    #[error("cannot start the thread of the bus: {0}")]
    Thread(std::io::Error),
}

/// Why a servo is not driven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServoFault {
    /// No intact answer; what came instead.
    #[error("gives no intact answer ({0}); look at its id, baud, cable and supply")]
    Silent(String),
    /// It is of another kind.
    #[error("says that it is model {model}, which is no {servo}")]
    Model {
        /// Its model number.
        model: i64,
        /// The kind that it should be.
        servo: &'static str,
    },
    /// It is not in its position mode.
    #[error(
        "is in operating mode {mode}, not in position mode {wanted}; set it with the maker's tool"
    )]
    Mode {
        /// Its mode.
        mode: i64,
        /// The right one.
        wanted: i64,
    },
    /// It stands outside of its own limits, or of its one turn: with torque it would drive back at once.
    #[error(
        "stands at step {position}, outside of its own limits from {} to {}, and would drive there as soon as it has torque; turn it by hand, or mend its registers min_position_limit and max_position_limit",
        own[0], own[1]
    )]
    Stands {
        /// Where it stands, steps.
        position: i64,
        /// Its smallest and largest goal, steps.
        own: [i64; 2],
    },
    /// It reports an alarm: the status byte of its answer.
    #[error("reports an alarm, status {0:#04x}; look at its supply, temperature and load")]
    Alarm(u8),
}

impl Joint<'_> {
    /// That its servo has `fault`.
    pub(super) fn at_fault(&self, fault: ServoFault) -> BusError {
        BusError::Servo {
            joint: self.name.into(),
            id: self.id,
            fault,
        }
    }
}
