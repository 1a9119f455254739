//! A robot's outputs as its `Actuators`, by the names, units and ranges of the contract's actions.

use engram_firmware::DriverError;
use engram_firmware::actuators::Actuators;
use engram_image::limits::MAX_ACTIONS;
use engram_image::{Channel, ChannelKind, Contract};
use heapless::Vec;

use crate::ChannelError;
use crate::order::order;

/// A device that one action drives.
pub trait Output {
    /// The name of its action, its unit and the commands that it can carry out.
    fn channel(&self) -> Channel<'static>;

    /// Carries `command` out, which is in the unit and range of its channel. Must return at once.
    ///
    /// # Errors
    /// What the device says.
    fn drive(&mut self, command: f32) -> Result<(), DriverError>;
}

/// Several outputs: one, an array of one type, or a pair of sets (which nests), where devices differ in their types.
pub trait OutputSet {
    /// How many there are.
    const COUNT: u8;

    /// The channel of an output, [`Output::channel`]; `None` behind the last one.
    fn channel(&self, number: u8) -> Option<Channel<'static>>;

    /// [`Output::drive`] of one of them.
    ///
    /// # Errors
    /// What the device says; [`DriverError::Device`] behind the last one.
    fn drive(&mut self, number: u8, command: f32) -> Result<(), DriverError>;
}

impl<O: Output> OutputSet for O {
    const COUNT: u8 = 1;

    fn channel(&self, number: u8) -> Option<Channel<'static>> {
        (number == 0).then(|| Output::channel(self))
    }

    fn drive(&mut self, _: u8, command: f32) -> Result<(), DriverError> {
        Output::drive(self, command)
    }
}

impl<O: Output, const N: usize> OutputSet for [O; N] {
    const COUNT: u8 = {
        assert!(N <= MAX_ACTIONS, "more outputs than a contract has actions");
        N as u8
    };

    fn channel(&self, number: u8) -> Option<Channel<'static>> {
        self.get(usize::from(number)).map(Output::channel)
    }

    fn drive(&mut self, number: u8, command: f32) -> Result<(), DriverError> {
        let output = self.get_mut(usize::from(number));
        output.ok_or(DriverError::Device)?.drive(command)
    }
}

impl<A: OutputSet, B: OutputSet> OutputSet for (A, B) {
    const COUNT: u8 = A::COUNT + B::COUNT;

    fn channel(&self, number: u8) -> Option<Channel<'static>> {
        match number.checked_sub(A::COUNT) {
            None => self.0.channel(number),
            Some(of_the_second) => self.1.channel(of_the_second),
        }
    }

    fn drive(&mut self, number: u8, command: f32) -> Result<(), DriverError> {
        match number.checked_sub(A::COUNT) {
            None => self.0.drive(number, command),
            Some(of_the_second) => self.1.drive(of_the_second, command),
        }
    }
}

/// A robot's actuators: each action of the contract drives the output of its name.
#[derive(Debug)]
pub struct Outputs<S> {
    set: S,
    /// For each action, which output it drives.
    order: Vec<u8, MAX_ACTIONS>,
}

impl<S: OutputSet> Outputs<S> {
    /// Checks the outputs against the contract, and drives each with its safe command.
    ///
    /// # Errors
    /// [`ChannelError`] if an action has no output or an output no action, if they differ in their units, if the action's range goes beyond what the output
    /// can do, or if an output fails.
    pub fn new<'a>(contract: &Contract<'a>, set: S) -> Result<Self, ChannelError<'a>> {
        let actions = contract.actions.iter();
        let channels =
            actions.map(|action| Channel::new(action.name, action.unit, [action.min, action.max]));
        let order = order(ChannelKind::Action, channels, |number| set.channel(number))?;
        let unused = (0..S::COUNT).find(|number| !order.contains(number));
        if let Some(output) = unused.and_then(|number| set.channel(number)) {
            return Err(ChannelError::Unused { name: output.name });
        }
        let mut outputs = Self { set, order };
        for (action, number) in contract.actions.iter().zip(&outputs.order) {
            let name = action.name;
            let driven = outputs.set.drive(*number, action.safe);
            driven.map_err(|error| ChannelError::device(name, error))?;
        }
        Ok(outputs)
    }
}

impl<S: OutputSet> Actuators for Outputs<S> {
    /// Drives all outputs, also behind one that fails; says the first error.
    fn write(&mut self, command: &[f32]) -> Result<(), DriverError> {
        if command.len() != self.order.len() {
            return Err(DriverError::Device);
        }
        let mut result = Ok(());
        for (number, command) in self.order.iter().zip(command) {
            result = result.and(self.set.drive(*number, *command));
        }
        result
    }
}

/// The envelope keeps commands within the contract's range already; rounding may not lead out of the device's. What is no number becomes 0.
#[expect(clippy::manual_clamp, reason = "clamp leaves NaN as it is")]
pub(crate) fn within_0_and_1(share: f32) -> f32 {
    share.max(0.0).min(1.0)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::vec::Vec;

    use engram_image::{ActionChannel, List, Reward};

    use super::*;

    const CONTRACT: Contract<'static> = Contract {
        period_us: 10_000,
        observations: List::from_slice(&[Channel::new("angle", "rad", [-1.0, 1.0])]),
        actions: List::from_slice(&[
            ActionChannel::new("steering", "rad", [-0.5, 0.5])
                .with_slew_per_s(1.0)
                .with_safe(0.1),
            ActionChannel::new("left", "Nm", [-1.0, 1.0])
                .with_slew_per_s(1.0)
                .with_safe(0.0),
            ActionChannel::new("right", "Nm", [-1.0, 1.0])
                .with_slew_per_s(1.0)
                .with_safe(0.0),
        ]),
        reward: Reward::External,
    };

    /// What was driven: name and command.
    type Log = Rc<RefCell<Vec<(&'static str, f32)>>>;

    #[derive(Debug)]
    struct Fake {
        channel: Channel<'static>,
        log: Log,
        result: Result<(), DriverError>,
    }

    impl Output for Fake {
        fn channel(&self) -> Channel<'static> {
            self.channel
        }

        fn drive(&mut self, command: f32) -> Result<(), DriverError> {
            self.log.borrow_mut().push((self.channel.name, command));
            self.result
        }
    }

    /// A servo beside two motors of another type, wired in another order than the contract's.
    fn rover(log: &Log) -> ([Fake; 2], Fake) {
        let fake = |channel| Fake {
            channel,
            log: log.clone(),
            result: Ok(()),
        };
        (
            [
                fake(Channel::new("right", "Nm", [-2.0, 2.0])),
                fake(Channel::new("left", "Nm", [-1.0, 1.0])),
            ],
            fake(Channel::new("steering", "rad", [-0.5, 0.5])),
        )
    }

    #[test]
    fn each_action_drives_the_output_of_its_name_the_safe_command_first() {
        let log = Log::default();
        let mut outputs = Outputs::new(&CONTRACT, rover(&log)).expect("fits");
        let safe = [("steering", 0.1), ("left", 0.0), ("right", 0.0)];
        assert_eq!(log.take(), safe);
        assert_eq!(outputs.write(&[0.5, -1.0, 1.0]), Ok(()));
        let driven = [("steering", 0.5), ("left", -1.0), ("right", 1.0)];
        assert_eq!(log.take(), driven);
    }

    #[test]
    fn an_output_that_fails_keeps_no_other_from_its_command() {
        let log = Log::default();
        let mut outputs = Outputs::new(&CONTRACT, rover(&log)).expect("fits");
        outputs.set.0[1].result = Err(DriverError::Device);
        log.take();
        assert_eq!(outputs.write(&[0.0; 3]), Err(DriverError::Device));
        assert_eq!(log.take().len(), 3);
        for width in [2, 4] {
            let error = outputs.write(&[0.0; 4][..width]);
            assert_eq!((error, log.take().len()), (Err(DriverError::Device), 0));
        }
    }

    #[test]
    fn outputs_that_do_not_fit_are_refused_with_the_name_before_anything_moves() {
        type Change = fn(&mut ([Fake; 2], Fake));
        let cases: &[(Change, ChannelError<'_>, &str)] = &[
            (
                |outputs| outputs.1.channel.name = "rudder",
                ChannelError::Missing {
                    kind: ChannelKind::Action,
                    name: "steering",
                    unit: "rad",
                },
                "action steering in rad",
            ),
            (
                |outputs| outputs.1.channel.unit = "deg",
                ChannelError::Unit {
                    kind: ChannelKind::Action,
                    name: "steering",
                    wants: "rad",
                    gives: "deg",
                },
                "wants rad, the driver gives deg",
            ),
            (
                |outputs| outputs.0[1].channel.max = 0.75,
                ChannelError::Range {
                    kind: ChannelKind::Action,
                    name: "left",
                    unit: "Nm",
                    wants: [-1.0, 1.0],
                    has: [-1.0, 0.75],
                },
                "wants -1 to 1 Nm, the device has -1 to 0.75",
            ),
            (
                |outputs| outputs.0[0].channel.name = "left",
                ChannelError::Duplicate {
                    kind: ChannelKind::Action,
                    name: "left",
                },
                "two drivers",
            ),
        ];
        for (change, error, text) in cases {
            let log = Log::default();
            let mut outputs = rover(&log);
            change(&mut outputs);
            let refused = Outputs::new(&CONTRACT, outputs).expect_err("does not fit");
            assert_eq!(refused, *error);
            let words = std::string::ToString::to_string(&refused);
            assert!(words.contains(text), "{words}");
            assert_eq!(log.take(), []);
        }
    }

    #[test]
    fn an_output_that_no_action_drives_is_refused_and_so_is_one_that_fails() {
        let log = Log::default();
        let (motors, servo) = rover(&log);
        let spare = Fake {
            channel: Channel::new("gripper", "N", [0.0, 1.0]),
            log: log.clone(),
            result: Ok(()),
        };
        let unused = Outputs::new(&CONTRACT, (motors, (servo, spare)));
        let name = "gripper";
        assert_eq!(unused.err(), Some(ChannelError::Unused { name }));
        assert_eq!(log.take(), []);

        let (motors, mut servo) = rover(&log);
        servo.result = Err(DriverError::Device);
        let failed = Outputs::new(&CONTRACT, (motors, servo));
        let error = ChannelError::device("steering", DriverError::Device);
        assert_eq!(failed.err(), Some(error));
    }
}
