//! Which servo each channel of a contract is, checked by name and unit before anything is sent.

use std::time::Duration;

use engram_image::{Contract, Reward};

use super::config::{BusConfig, BusError, Joint};
use super::servo::{Quantity, Servo};

const TARGET: &str = "_target";
/// Periods that `limp_after` must be at least.
const LIMP_PERIODS: u32 = 10;

/// An observation channel: a quantity of a joint, by its place in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Observed {
    pub(super) joint: usize,
    pub(super) quantity: Quantity,
}

/// A contract's channels on a bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Channels {
    pub(super) observed: Vec<Observed>,
    /// Joints that have a target, by their place in the configuration, in the order of the actions.
    pub(super) driven: Vec<usize>,
}

impl Channels {
    /// Finds every channel of `contract`.
    ///
    /// # Errors
    /// [`BusError`], where the configuration is wrong in itself, or does not have what the contract asks for.
    pub(super) fn bind(config: &BusConfig<'_>, contract: &Contract<'_>) -> Result<Self, BusError> {
        check(config)?;
        let least = LIMP_PERIODS * Duration::from_micros(contract.period_us.into());
        if let Some(limp_after) = config.limp_after.filter(|after| *after < least) {
            return Err(BusError::LimpAfter { limp_after, least });
        }
        if contract.reward == Reward::External {
            return Err(BusError::Reward);
        }
        let mut observed = Vec::new();
        for channel in &contract.observations {
            let found = observations(config).find(|(name, quantity, _)| {
                name == channel.name && quantity.unit() == channel.unit
            });
            let (_, quantity, joint) = found.ok_or_else(|| BusError::Channel {
                kind: "observation",
                name: channel.name.into(),
                unit: channel.unit.into(),
                offered: list(
                    observations(config).map(|(name, quantity, _)| (name, quantity.unit())),
                ),
            })?;
            observed.push(Observed { joint, quantity });
        }
        let mut driven = Vec::new();
        for action in &contract.actions {
            let name = action.name.strip_suffix(TARGET);
            let found = config.joints.iter().enumerate();
            let (place, joint) = found
                .filter(|_| action.unit == Quantity::Position.unit())
                .find(|(_, joint)| Some(joint.name) == name)
                .ok_or_else(|| BusError::Channel {
                    kind: "action",
                    name: action.name.into(),
                    unit: action.unit.into(),
                    offered: list(targets(config)),
                })?;
            let (asked, limits) = ([action.min, action.max], joint.limits_rad);
            if asked[0] < limits[0] || asked[1] > limits[1] {
                return Err(BusError::Range {
                    action: action.name.into(),
                    asked,
                    limits,
                });
            }
            if action.slew_per_s > joint.speed_rad_per_s {
                return Err(BusError::Slew {
                    action: action.name.into(),
                    slew: action.slew_per_s,
                    speed: joint.speed_rad_per_s,
                });
            }
            driven.push(place);
        }
        Ok(Self { observed, driven })
    }

    /// The joints that have a target, in the order of the actions.
    pub(super) fn driven_of<'j, 'n>(
        &self,
        joints: &'j [Joint<'n>],
    ) -> impl Iterator<Item = &'j Joint<'n>> + Clone {
        self.driven.iter().filter_map(|place| joints.get(*place))
    }
}

/// All observations that the bus has: name, quantity, place of the joint.
fn observations<'a>(
    config: &'a BusConfig<'_>,
) -> impl Iterator<Item = (String, Quantity, usize)> + 'a {
    let joints = config.joints.iter().enumerate();
    joints.flat_map(|(place, joint)| {
        let quantities = joint.servo.quantities().into_iter();
        quantities.map(move |quantity| {
            let name = format!("{}{}", joint.name, quantity.suffix());
            (name, quantity, place)
        })
    })
}

fn targets<'a>(config: &'a BusConfig<'_>) -> impl Iterator<Item = (String, &'static str)> + 'a {
    let names = config
        .joints
        .iter()
        .map(|joint| format!("{}{TARGET}", joint.name));
    names.map(|name| (name, Quantity::Position.unit()))
}

fn list(channels: impl Iterator<Item = (String, &'static str)>) -> String {
    let channels: Vec<_> = channels
        .map(|(name, unit)| format!("{name} in {unit}"))
        .collect();
    channels.join(", ")
}

/// What can be wrong with a configuration in itself.
fn check(config: &BusConfig<'_>) -> Result<(), BusError> {
    let first = config.joints.first().ok_or(BusError::NoJoints)?;
    let definition = first.servo.definition();
    for (place, joint) in config.joints.iter().enumerate() {
        let name = || String::from(joint.name);
        for other in config.joints.iter().take(place) {
            let shared = if other.name == joint.name {
                "their name".into()
            } else if other.id == joint.id {
                format!("the id {}", joint.id)
            } else {
                continue;
            };
            return Err(BusError::Shared {
                first: other.name.into(),
                second: name(),
                what: shared,
            });
        }
        let protocol = joint.servo.definition().protocol;
        if protocol != definition.protocol {
            return Err(BusError::Protocols {
                first: first.name.into(),
                second: name(),
            });
        }
        let largest = if protocol == 1 { 253 } else { 252 };
        if joint.id > largest {
            return Err(BusError::Id {
                joint: name(),
                id: joint.id,
                largest,
            });
        }
        check_baud(joint.servo, config.baud)?;
        check_numbers(joint)?;
    }
    Ok(())
}

fn check_baud(servo: Servo, baud: u32) -> Result<(), BusError> {
    let definition = servo.definition();
    let known: Vec<u32> = definition
        .info
        .baudrates
        .iter()
        .map(|(baud, _)| *baud)
        .collect();
    if known.contains(&baud) {
        return Ok(());
    }
    Err(BusError::Baud {
        servo: definition.name,
        baud,
        known,
    })
}

fn check_numbers(joint: &Joint<'_>) -> Result<(), BusError> {
    let [least, most] = joint.limits_rad;
    let speed = joint.speed_rad_per_s;
    for (what, value, good, bound) in [
        (
            "zero_rad",
            joint.zero_rad,
            joint.zero_rad.is_finite(),
            "a finite number",
        ),
        ("limits_rad[0]", least, least.is_finite(), "a finite number"),
        (
            "limits_rad[1]",
            most,
            most.is_finite() && most > least,
            "a finite number above limits_rad[0]",
        ),
        (
            "speed_rad_per_s",
            speed,
            speed.is_finite() && speed > 0.0,
            "a finite number above 0",
        ),
    ] {
        if !good {
            return Err(BusError::Number {
                joint: joint.name.into(),
                what,
                value,
                bound,
            });
        }
    }
    for limit_rad in joint.limits_rad {
        let servo_rad = joint.servo_angle(limit_rad);
        if !Servo::reaches(servo_rad) {
            return Err(BusError::Turn {
                joint: joint.name.into(),
                limit_rad,
                servo_rad,
            });
        }
    }
    Ok(())
}
