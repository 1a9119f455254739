//! A robot's own program for Linux: one joint with an AS5600 encoder on an I2C bus, and a motor driver behind a PCA9685, which makes PWM on another.
//!
//! `cargo run --release --example robot -- --port /dev/ttyAMA0 --realtime 80`, or copy the file: yours has another contract and other drivers.

use std::error::Error;
use std::f32::consts::{PI, TAU};
use std::process::ExitCode;

use clap::Parser;
use embedded_hal::i2c::{Error as _, I2c};
use engram_board_linux::{Allocating, End, Linux, Options, Robot, StartUpOnly, exit, node, run};
use engram_firmware::DriverError;
use engram_firmware::actuators::Actuators;
use engram_firmware::fallback::NoFallback;
use engram_firmware::node::ContractSource;
use engram_firmware::platform::Clock as _;
use engram_firmware::safety::Settings;
use engram_firmware::sensors::{Sample, Sensors};
use engram_image::{ActionChannel, Channel, Contract, List, QuadraticReward, Reward};
use linux_embedded_hal::I2cdev;

// Where it aborts: an allocation in flight. Drivers that allocate are wrapped in `Allocating`.
#[global_allocator]
static ALLOCATOR: StartUpOnly = StartUpOnly;

/// What this robot and every policy that may move it agree on.
const CONTRACT: Contract<'static> = Contract {
    period_us: 10_000,
    observations: List::from_slice(&[
        Channel::new("angle", "rad", [-PI, PI]),
        Channel::new("rate", "rad/s", [-50.0, 50.0]),
    ]),
    actions: List::from_slice(&[ActionChannel::new("duty", "1", [-1.0, 1.0])
        .with_slew_per_s(20.0)
        .with_safe(0.0)]),
    reward: Reward::Formula(QuadraticReward {
        constant: 0.0,
        linear: List::from_slice(&[0.0, 0.0]),
        quadratic: List::from_slice(&[-1.0, -0.01]),
        action_quadratic: List::from_slice(&[-0.001]),
    }),
};

/// An AS5600: its raw angle in 12 bits, and the rate as the difference of two angles.
struct Joint<B> {
    bus: B,
    linux: Linux,
    before: Option<(u64, f32)>,
}

impl<B: I2c> Sensors for Joint<B> {
    fn read(&mut self, sample: &mut Sample) -> Result<(), DriverError> {
        let time_us = self.linux.now_us();
        let mut raw = [0; 2];
        (self.bus.write_read(0x36, &[0x0C], &mut raw)).map_err(|error| error.kind())?;
        let angle = f32::from(u16::from_be_bytes(raw) & 0xFFF) * (TAU / 4_096.0) - PI;
        let (before_us, before) = self.before.replace((time_us, angle)).unwrap_or((0, angle));
        let turned = (angle - before + PI).rem_euclid(TAU) - PI;
        let rate = turned / (time_us.saturating_sub(before_us).max(1) as f32 * 1e-6);
        sample.observation.clear();
        (sample.observation.extend_from_slice(&[angle, rate])).map_err(|_| DriverError::Device)?;
        (sample.time_us, sample.done) = (time_us, false);
        Ok(())
    }
}

/// Outputs 0 and 1 of a PCA9685: one for each direction of the motor.
struct Motor<B>(B);

impl<B: I2c> Actuators for Motor<B> {
    fn write(&mut self, command: &[f32]) -> Result<(), DriverError> {
        let [duty] = command else {
            return Err(DriverError::Device);
        };
        let counts = |share: f32| (share.clamp(0.0, 1.0) * 4_095.0) as u16;
        for (register, share) in [(0x06, *duty), (0x0A, -*duty)] {
            let [low, high] = counts(share).to_le_bytes();
            (self.0.write(0x40, &[register, 0, 0, low, high])).map_err(|error| error.kind())?;
        }
        Ok(())
    }
}

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The I2C bus
    #[arg(long, value_name = "DEVICE", default_value = "/dev/i2c-1")]
    i2c: String,
}

fn fly() -> Result<End, Box<dyn Error>> {
    let Arguments { options, i2c } = Arguments::parse();
    let linux = Linux { board: "my-robot" };
    let mut pwm = I2cdev::new(&i2c)?;
    I2c::write(&mut pwm, 0x40_u8, &[0x00, 0x20])?; // awake; registers count up by themselves
    let sensors = Joint {
        bus: I2cdev::new(&i2c)?,
        linux,
        before: None,
    };
    let robot = Robot {
        contract: ContractSource::Board {
            contract: &CONTRACT,
            settings: Settings::for_period(CONTRACT.period_us),
        },
        sensors: Allocating(sensors),
        actuators: Allocating(Motor(pwm)),
        fallback: NoFallback,
    };
    let line = options.open_line()?;
    Ok(run(&mut node(robot, linux, options.key), line, &options)?)
}

fn main() -> ExitCode {
    exit(fly())
}
