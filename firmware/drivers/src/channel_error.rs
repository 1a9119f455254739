//! Why the drivers of a robot do not fit its contract.

use engram_firmware::DriverError;
use engram_image::{ChannelKind, Number};
use thiserror::Error;

/// What is wrong between the drivers and the contract, found at the start, before anything moves.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ChannelError<'a> {
    /// Nobody measures, or drives, what the contract names.
    #[error(
        "{kind} {name} in {unit}: no driver has a channel of this name. Add one, or take it out of the contract"
    )]
    Missing {
        /// Kind of the channel.
        kind: ChannelKind,
        /// Its name in the contract.
        name: &'a str,
        /// Its unit in the contract.
        unit: &'a str,
    },
    /// Two channels of the drivers share a name.
    #[error("{kind} {name}: two drivers have a channel of this name. Rename one")]
    Duplicate {
        /// Kind of the channels.
        kind: ChannelKind,
        /// The name.
        name: &'a str,
    },
    /// An output that no action of the contract drives. Something that is measured and not asked for is no error.
    #[error(
        "output {name}: the contract has no action of this name. Add it, or take the output out"
    )]
    Unused {
        /// Name of the output.
        name: &'a str,
    },
    /// The units differ.
    #[error(
        "{kind} {name}: the contract wants {wants}, the driver gives {gives}. Convert it in the driver, or change the contract and train anew"
    )]
    Unit {
        /// Kind of the channel.
        kind: ChannelKind,
        /// Its name.
        name: &'a str,
        /// Unit in the contract.
        wants: &'a str,
        /// Unit of the driver.
        gives: &'a str,
    },
    /// The range of the contract goes beyond what the device can measure or do.
    #[error(
        "{kind} {name}: the contract wants {} to {} {unit}, the device has {} to {}. Set a wider range of the device, or narrow the contract's",
        Number(wants[0]), Number(wants[1]), Number(has[0]), Number(has[1])
    )]
    Range {
        /// Kind of the channel.
        kind: ChannelKind,
        /// Its name.
        name: &'a str,
        /// Its unit.
        unit: &'a str,
        /// Smallest and largest value of the contract.
        wants: [f32; 2],
        /// Smallest and largest value of the device.
        has: [f32; 2],
    },
    /// A PWM signal cannot be: its pulse is longer than its period, negative, or no number.
    #[error(
        "output {name}: the signal would be high for {} of its period, which must be 0 to 1. Check pulse width and frequency",
        Number(*share)
    )]
    Signal {
        /// Name of the output.
        name: &'a str,
        /// The share that is out of bounds.
        share: f32,
    },
    /// A PWM output is too coarse for its signal.
    #[error(
        "output {name}: its PWM has {steps} steps between the ends of the signal, at least {at_least} are needed. Choose a smaller prescaler, or a higher frequency"
    )]
    Resolution {
        /// Name of the output.
        name: &'a str,
        /// Steps of the duty cycle between both ends.
        steps: u16,
        /// Fewest that are accepted.
        at_least: u16,
    },
    /// A device failed at the start.
    #[error("{name}: {error}. Check its wiring, its address and its supply")]
    Device {
        /// Name of the channel that it measures or drives.
        name: &'a str,
        /// What the driver said.
        error: DriverError,
    },
}

impl<'a> ChannelError<'a> {
    /// [`ChannelError::Device`] of the channel `name`.
    #[must_use]
    pub const fn device(name: &'a str, error: DriverError) -> Self {
        Self::Device { name, error }
    }
}
