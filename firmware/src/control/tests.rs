//! Fault injection on the control step: each requirement once, through the whole loop.

extern crate std;

use super::*;
use crate::DriverError;
use crate::fallback::NoFallback;
use crate::policy::LargestMemory;
use crate::tests_support::{CONTRACT, image, sample};
use engram_image::Image;
use std::boxed::Box;
use std::vec::Vec as StdVec;

const PERIOD_US: u64 = 20_000;
/// A hold that is long enough to be watched.
const SETTINGS: Settings = Settings {
    hold_us: 100_000,
    ..Settings::for_period(20_000)
};

/// Gives the sample that the test put there.
struct ScriptedSensors(Result<Sample, DriverError>);

impl Sensors for ScriptedSensors {
    fn read(&mut self, sample: &mut Sample) -> Result<(), DriverError> {
        *sample = self.0.clone()?;
        Ok(())
    }
}

/// Keeps every command; fails on demand.
#[derive(Default)]
struct RecordingActuators {
    commands: StdVec<f32>,
    broken: bool,
}

impl Actuators for RecordingActuators {
    fn write(&mut self, command: &[f32]) -> Result<(), DriverError> {
        self.commands.extend_from_slice(command);
        if self.broken {
            Err(DriverError::Device)
        } else {
            Ok(())
        }
    }
}

/// A loop with image and memory that steps in virtual time.
struct Rig<F> {
    control: ControlLoop<ScriptedSensors, RecordingActuators, F>,
    image: StdVec<u8>,
    memory: Box<Memory>,
    now_us: u64,
    heard: bool,
}

impl Rig<NoFallback> {
    fn new() -> Self {
        Self::with(NoFallback)
    }

    /// Armed, and three good steps old.
    fn flying() -> Self {
        let mut rig = Self::new();
        rig.control.arm().expect("arms");
        rig.good_steps(3);
        assert_eq!(rig.control.state(), State::Armed);
        rig
    }
}

impl<F: Fallback> Rig<F> {
    fn with(fallback: F) -> Self {
        Self {
            control: ControlLoop::new(
                Terms::of(&CONTRACT, SETTINGS),
                ScriptedSensors(Err(DriverError::NotReady)),
                RecordingActuators::default(),
                fallback,
            ),
            image: image(1),
            memory: Box::<LargestMemory>::default(),
            now_us: 1_000_000,
            heard: true,
        }
    }

    /// A step one period later, with this reading.
    fn step(&mut self, reading: Result<Sample, DriverError>) -> StepReport {
        self.step_after(PERIOD_US, |_| reading)
    }

    /// A step `us` later; the reading may depend on its time.
    fn step_after(
        &mut self,
        us: u64,
        reading: impl FnOnce(u64) -> Result<Sample, DriverError>,
    ) -> StepReport {
        self.now_us += us;
        *self.control.sensors() = ScriptedSensors(reading(self.now_us));
        let image = Image::read(&self.image).expect("valid");
        self.control.step(
            self.now_us,
            self.heard,
            Some((&Policy::from(&image), &mut self.memory)),
        )
    }

    fn good(&mut self) -> StepReport {
        self.step_after(PERIOD_US, |now| Ok(sample(now)))
    }

    fn good_steps(&mut self, n: usize) {
        for _ in 0..n {
            self.good();
        }
    }

    fn changed(&mut self, change: impl FnOnce(&mut Sample)) -> StepReport {
        self.step_after(PERIOD_US, |now| {
            let mut sample = sample(now);
            change(&mut sample);
            Ok(sample)
        })
    }

    /// After the step that found `fault`: held, latched, and safely stopped in time.
    fn expect_hold_then_safe_stop(&mut self, fault: Fault, report: &StepReport) {
        assert_eq!(self.control.state(), State::Hold);
        assert_eq!(self.control.faults(), fault.into());
        assert_eq!(report.source, CommandSource::Held);
        let held = self.control.issued().to_vec();
        self.control.actuators().broken = false;
        self.heard = true;
        for _ in 0..4 {
            let report = self.good();
            assert_eq!(report.source, CommandSource::Held);
            assert_eq!(self.control.issued(), held);
        }
        for _ in 0..4 {
            assert_eq!(self.good().source, CommandSource::Safe);
            assert_eq!(self.control.state(), State::SafeStop);
        }
        assert_eq!(self.control.issued(), [0]);
        assert_eq!(self.control.faults(), fault.into());
    }
}

#[test]
fn eng_safe_07_sensor_failure() {
    let mut rig = Rig::flying();
    let report = rig.step(Err(DriverError::Device));
    rig.expect_hold_then_safe_stop(Fault::SensorFailure, &report);
}

#[test]
fn eng_safe_08_no_policy() {
    let mut rig = Rig::flying();
    rig.now_us += PERIOD_US;
    *rig.control.sensors() = ScriptedSensors(Ok(sample(rig.now_us)));
    let report = rig.control.step(rig.now_us, true, None);
    rig.expect_hold_then_safe_stop(Fault::PolicyOutput, &report);
}

#[test]
fn eng_safe_09_actuator_failure() {
    let mut rig = Rig::flying();
    rig.control.actuators().broken = true;
    rig.good();
    assert_eq!(rig.control.state(), State::Hold);
    assert_eq!(rig.control.faults(), Fault::ActuatorFailure.into());
}

#[test]
fn eng_safe_10_link_loss() {
    let mut rig = Rig::flying();
    rig.heard = false;
    rig.good_steps(10);
    assert_eq!(rig.control.state(), State::Armed);
    let report = rig.good();
    rig.expect_hold_then_safe_stop(Fault::LinkLoss, &report);
}

#[test]
fn eng_safe_12_clock_backwards() {
    let mut rig = Rig::flying();
    rig.now_us -= 2 * PERIOD_US;
    let report = rig.good();
    assert_eq!(rig.control.state(), State::Hold);
    assert!(rig.control.faults().contains(Fault::ClockBackwards));
    assert_eq!(report.source, CommandSource::Held);
}

/// Wants full torque; counts its calls; gives up on demand.
struct FullTorque {
    calls: u32,
    gives_up: bool,
}

impl Fallback for FullTorque {
    const AVAILABLE: bool = true;

    fn command(&mut self, _: &Sample, _: &[f32], command: &mut [f32]) -> bool {
        self.calls += 1;
        command.fill(if self.gives_up { f32::NAN } else { 12.0 });
        true
    }
}

fn fallback_rig(gives_up: bool) -> Rig<FullTorque> {
    let fallback = FullTorque { calls: 0, gives_up };
    let mut rig = Rig::with(fallback);
    rig.control.arm().expect("arms");
    rig.good_steps(3);
    rig.heard = false;
    rig.good_steps(11);
    assert_eq!(rig.control.state(), State::Hold);
    rig.good_steps(4);
    assert_eq!(rig.control.state(), State::Hold);
    rig
}

#[test]
fn the_fallback_flies_inside_the_envelope_although_the_link_is_lost() {
    let mut rig = fallback_rig(false);
    for _ in 0..20 {
        let last = i32::from(rig.control.issued()[0]);
        assert_eq!(rig.good().source, CommandSource::Fallback);
        let new = i32::from(rig.control.issued()[0]);
        assert!(new - last <= 13_106);
    }
    assert_eq!(rig.control.issued(), [32_767]);
    assert_eq!(rig.control.fallback.calls, 20);
    rig.good_steps(100);
    assert_eq!(rig.control.state(), State::SafeStop);
    assert_eq!(rig.control.issued(), [0]);
}

#[test]
fn the_fallback_does_not_see_bad_samples() {
    let mut rig = fallback_rig(false);
    rig.good();
    let calls = rig.control.fallback.calls;
    assert_eq!(
        rig.step(Err(DriverError::NotReady)).source,
        CommandSource::Held
    );
    rig.changed(|s| s.observation[0] = f32::NAN);
    assert_eq!(rig.control.state(), State::SafeStop);
    assert_eq!(rig.control.fallback.calls, calls);
}

#[test]
fn a_fallback_that_gives_up_ends_in_safe_stop() {
    let mut rig = fallback_rig(true);
    assert_eq!(rig.good().source, CommandSource::Safe);
    assert_eq!(rig.control.state(), State::SafeStop);
}

#[test]
fn every_issued_command_is_inside_range_and_slew_whatever_happens() {
    let mut rig = Rig::flying();
    let mut seed = 1_u32;
    for _ in 0..2000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match seed >> 28 {
            0 => drop(rig.step(Err(DriverError::NotReady))),
            1 => drop(rig.changed(|s| s.observation[0] = f32::INFINITY)),
            2 => rig.control.disarm(),
            3 => rig.control.reset_faults().unwrap_or(()),
            4 => rig.control.arm().unwrap_or(()),
            _ => drop(rig.changed(|s| s.observation[2] = (seed >> 20) as f32 / 102.4 - 20.0)),
        }
    }
    let commands = &rig.control.actuators().commands;
    assert!(commands.iter().all(|c| c.abs() <= 12.0));
    assert!(commands.windows(2).all(|w| (w[1] - w[0]).abs() <= 4.801));
}
