//! Buses of serial servos: `Sensors` and `Actuators` of an arm on Feetech STS3215 or Dynamixel XL330 and XL430 servos.
//!
//! Half-duplex buses take milliseconds for a sample and must be waited for, which a control step may not do. A thread of the bus
//! does the waiting (`cycle.rs` says when), and hands over through wait-free queues. Packets are rustypot's business.
//!
//! A bus that loses, damages or delays answers, or says that a servo is in trouble, leads to the safe command within two control periods
//! of the first bad exchange, if its second try fails too; for that the node must fly by [`settings`].

mod bring_up;
mod channels;
mod config;
mod cycle;
mod drivers;
mod health;
mod port;
mod servo;
mod wire;

#[cfg(test)]
mod tests;

use std::sync::mpsc;

use engram_firmware::platform::Clock;
use engram_firmware::safety::Settings;
use engram_image::Contract;
use rtrb::RingBuffer;

pub use config::{BusConfig, BusError, Direction, Joint, ServoFault};
pub use drivers::{BusActuators, BusSensors};
pub use health::{Counts, Health};
pub use servo::Servo;
pub use wire::Failure;

use channels::Channels;
use cycle::{Cycle, Ends};
use drivers::{COMMANDS, REPORTS};

/// Bounds of the safety ladder for a robot whose samples come from a servo bus: the defaults, but a sample may be 1.25 periods old. A sample is 0.6 periods old
/// when a step takes it, 0.4 after a second try; when the next step finds none, it is 1.4 at least.
#[must_use]
pub const fn settings(period_us: u32) -> Settings {
    let mut settings = Settings::for_period(period_us);
    settings.sample_age_us = period_us.saturating_add(period_us / 4);
    settings
}

/// A bus that runs.
#[derive(Debug)]
pub struct ServoBus {
    /// Sensors of the node.
    pub sensors: BusSensors,
    /// Actuators of the node.
    pub actuators: BusActuators,
    /// How the bus is.
    pub health: Health,
}

impl ServoBus {
    /// Finds the channels of `contract` on the bus, looks at every servo, turns torque on where each joint stands (unless
    /// [`BusConfig::torque`] is false), and starts the thread. `clock` is a copy of the
    /// clock of the control steps, by which samples are stamped.
    ///
    /// Joints without an action stay as they are. From the first command on, all others approach it at no more than their speed.
    ///
    /// # Errors
    /// [`BusError`]; no joint has torque then that had none before.
    pub fn start(
        config: &BusConfig<'static>,
        contract: &Contract<'_>,
        clock: impl Clock + Send + 'static,
    ) -> Result<Self, BusError> {
        let channels = Channels::bind(config, contract)?;
        let actions = channels.driven.len();
        let period_us = contract.period_us;
        let health = Health::default();
        let (commands, from_steps) = RingBuffer::new(COMMANDS);
        let (to_steps, reports) = RingBuffer::new(REPORTS);
        let ends = Ends {
            clock,
            commands: from_steps,
            reports: to_steps,
            counters: health.0.clone(),
        };
        let config = *config;
        let (says, hears) = mpsc::channel();
        crate::news::start().map_err(BusError::Thread)?;
        let thread = std::thread::Builder::new().name("servo-bus".into());
        let thread = thread.spawn(move || {
            let (begun, cycle) = match Cycle::begin(config, channels, period_us, ends) {
                Ok(cycle) => (Ok(()), Some(cycle)),
                Err(error) => (Err(error), None),
            };
            let _ = says.send(begun); // it is waited for
            if let Some(cycle) = cycle {
                cycle.run();
            }
        });
        let thread = thread.map_err(BusError::Thread)?;
        let begun = hears.recv();
        begun.unwrap_or_else(|_| Err(BusError::Thread(std::io::Error::other("it panicked"))))?;
        Ok(Self {
            sensors: BusSensors { reports },
            actuators: BusActuators {
                commands: Some(commands),
                actions,
                thread: Some(thread),
            },
            health,
        })
    }
}
