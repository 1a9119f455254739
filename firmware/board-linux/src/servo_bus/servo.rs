//! The kinds of servo: where their registers lie, and what their numbers mean in SI units.

use std::f32::consts::TAU;

use rustypot::servo::dynamixel::{xl330, xl430};
use rustypot::servo::feetech::sts3215;
use rustypot::servo::{RegisterInfo, ServoDefinition};

/// Steps of a turn, of every kind here.
const STEPS: f32 = 4_096.0;
/// The step in the middle of a turn, angle 0 of the servo.
const MIDDLE: f32 = 2_048.0;
/// Dynamixel: velocities are counted in 0.229 revolutions a minute.
const X_VELOCITY_RAD_PER_S: f32 = 0.229 * TAU / 60.0;
/// Shares of the largest drive are counted in 0.1 %.
const PER_MILLE: f32 = 1e-3;

/// A kind of servo. All are driven in their position mode, within one turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Servo {
    /// Feetech STS3215 and what shares its registers: position, velocity, load.
    Sts3215,
    /// Dynamixel XL330 (protocol 2): position, velocity, current.
    Xl330,
    /// Dynamixel XL430 (protocol 2): position, velocity, load.
    Xl430,
}

/// Registers that are read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) address: u8,
    pub(super) length: u8,
}

/// Three blocks that hold the same numbers and differ in length. Questions take them in turn: the answer to another question than the last one shows by its
/// length, for which the protocols have no sign of their own.
pub(super) type Blocks = [Block; 3];

const fn block(address: u8, length: u8) -> Block {
    Block { address, length }
}
const FEETECH: Blocks = [block(56, 6), block(56, 7), block(56, 8)];
const DYNAMIXEL: Blocks = [block(126, 10), block(124, 12), block(123, 13)];

/// A quantity that a servo measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    Position,
    Velocity,
    /// How hard it drives, as a share of the most it can.
    Load,
    Current,
}

impl Quantity {
    /// Behind the joint's name, in a channel's name.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Self::Position => "_position",
            Self::Velocity => "_velocity",
            Self::Load => "_load",
            Self::Current => "_current",
        }
    }

    pub(super) const fn unit(self) -> &'static str {
        match self {
            Self::Position => "rad",
            Self::Velocity => "rad/s",
            Self::Load => "1",
            Self::Current => "A",
        }
    }
}

impl Servo {
    pub(super) const fn definition(self) -> ServoDefinition {
        match self {
            Self::Sts3215 => sts3215::DEFINITION,
            Self::Xl330 => xl330::DEFINITION,
            Self::Xl430 => xl430::DEFINITION,
        }
    }

    /// What it measures.
    pub(super) const fn quantities(self) -> [Quantity; 3] {
        let third = match self {
            Self::Sts3215 | Self::Xl430 => Quantity::Load,
            Self::Xl330 => Quantity::Current,
        };
        [Quantity::Position, Quantity::Velocity, third]
    }

    pub(super) const fn blocks(self) -> Blocks {
        match self {
            Self::Sts3215 => FEETECH,
            Self::Xl330 | Self::Xl430 => DYNAMIXEL,
        }
    }

    /// Value of the register `operating_mode` in which goals are positions within a turn.
    pub(super) const fn position_mode(self) -> i64 {
        match self {
            Self::Sts3215 => 0,
            Self::Xl330 | Self::Xl430 => 3,
        }
    }

    /// The register that holds `quantity`, by the name that rustypot's table has for it.
    const fn register_name(self, quantity: Quantity) -> &'static str {
        match (self, quantity) {
            (_, Quantity::Position) => "present_position",
            (_, Quantity::Velocity) => "present_velocity",
            (Self::Sts3215, _) => "present_load",
            // The table is that of the XM430, where this register holds a current; on an XL430 it holds the load.
            (Self::Xl330 | Self::Xl430, _) => "present_current",
        }
    }

    pub(super) fn register(self, quantity: Quantity) -> Option<RegisterInfo> {
        self.definition().register(self.register_name(quantity))
    }

    /// A quantity of the servo in its unit, from `bytes`, which begin at the register `first`; `None` if it does not lie in them.
    pub(super) fn measured(self, quantity: Quantity, first: u8, bytes: &[u8]) -> Option<f32> {
        let register = self.register(quantity)?;
        let at = usize::from(register.addr.checked_sub(first)?);
        let bytes = bytes.get(at..at + usize::from(register.size))?;
        let raw = self.definition().info.word_order.from_bytes(bytes);
        let raw = register.encoding.decode(raw, register.size);
        // At most 32 bits: f32 rounds what no servo says.
        let count = raw as f32;
        Some(match (quantity, self) {
            (Quantity::Position, _) => Self::angle(raw),
            (Quantity::Velocity, Self::Sts3215) => count * (TAU / STEPS),
            (Quantity::Velocity, _) => count * X_VELOCITY_RAD_PER_S,
            // Both count in thousandths: of the largest drive, and of an ampere.
            (Quantity::Load | Quantity::Current, _) => count * PER_MILLE,
        })
    }

    /// The last step of its one turn.
    pub(super) const LAST_STEP: i64 = 4_095;

    /// Angle of the servo at a step, rad.
    pub(super) fn angle(step: i64) -> f32 {
        (step as f32 - MIDDLE) * (TAU / STEPS)
    }

    /// The goal for an angle of the servo, in steps of one turn.
    pub(super) fn goal_steps(angle_rad: f32) -> i64 {
        let steps = (MIDDLE + angle_rad * (STEPS / TAU)).round();
        steps.clamp(0.0, STEPS - 1.0) as i64
    }

    /// Whether `angle_rad` of the servo can be a goal.
    pub(super) fn reaches(angle_rad: f32) -> bool {
        let steps = MIDDLE + angle_rad * (STEPS / TAU);
        (0.0..=STEPS - 1.0).contains(&steps)
    }

    /// How long the wire is busy with one question to `servos` servos and all of their answers, bits: the longest block.
    pub(super) fn wire_bits(self, servos: usize) -> usize {
        let length = self.blocks().map(|block| usize::from(block.length));
        let longest = length.into_iter().max().unwrap_or(0);
        let (question, answer) = match self.definition().protocol {
            1 => (8, 6),
            _ => (14, 11),
        };
        10 * (question + servos + servos * (answer + longest))
    }
}

#[cfg(test)]
mod tests {
    use std::f32::consts::{FRAC_PI_2, PI};

    use super::*;

    const ALL: [Servo; 3] = [Servo::Sts3215, Servo::Xl330, Servo::Xl430];

    #[test]
    fn every_block_holds_every_quantity_and_has_a_length_of_its_own() {
        for servo in ALL {
            let blocks = servo.blocks();
            for (index, block) in blocks.iter().enumerate() {
                let zeros = vec![0; block.length.into()];
                for quantity in servo.quantities() {
                    let value = servo.measured(quantity, block.address, &zeros);
                    assert!(value.is_some(), "{servo:?} {quantity:?} {block:?}");
                }
                let others = blocks.iter().skip(index + 1);
                assert!(others.into_iter().all(|other| other.length != block.length));
            }
        }
    }

    #[test]
    fn registers_become_si_units() {
        // Position and velocity are sign and magnitude on the STS3215, two's complement on Dynamixels.
        let sts: &[u8] = &[0x00, 0x0C, 0x00, 0x84, 0xF4, 0x05];
        let (current, velocity, position) = (-250_i16, -100_i32, 3_072_i32);
        let mut xl = current.to_le_bytes().to_vec();
        xl.extend([velocity.to_le_bytes(), position.to_le_bytes()].as_flattened());
        for (servo, first, bytes, expected) in [
            (Servo::Sts3215, 56, sts, [FRAC_PI_2, -FRAC_PI_2, -0.5]),
            (Servo::Xl330, 126, &xl, [FRAC_PI_2, -2.398_1, -0.25]),
            (Servo::Xl430, 126, &xl, [FRAC_PI_2, -2.398_1, -0.25]),
        ] {
            for (quantity, expected) in servo.quantities().into_iter().zip(expected) {
                let value = servo.measured(quantity, first, bytes).expect("it is there");
                assert!(
                    (value - expected).abs() < 1e-3,
                    "{servo:?} {quantity:?}: {value}"
                );
            }
            assert_eq!(servo.measured(Quantity::Position, first, &bytes[..1]), None);
        }
    }

    #[test]
    fn goals_are_steps_of_one_turn() {
        for (angle_rad, steps, reaches) in [
            (0.0, 2_048, true),
            (FRAC_PI_2, 3_072, true),
            (-PI, 0, true),
            (PI, 4_095, false),
            (-9.0, 0, false),
        ] {
            assert_eq!(Servo::goal_steps(angle_rad), steps, "{angle_rad}");
            assert_eq!(Servo::reaches(angle_rad), reaches, "{angle_rad}");
        }
    }
}
