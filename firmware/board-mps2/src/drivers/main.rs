//! What `engram-drivers` costs, and that no panic is in it: `scripts/build-boards proof` links it, `scripts/count-drivers` runs it in QEMU.
//!
//! Its devices are made up: each answers with what `wires` holds, of which the compiler knows nothing.
#![no_std]
#![no_main]

#[cfg(not(target_os = "none"))]
compile_error!("this is a firmware: scripts/build-boards builds it");

#[path = "../bench/console.rs"]
mod console;
mod wires;

use core::hint::black_box;

use cortex_m_rt::entry;
use engram_drivers::ChannelError;
use engram_drivers::as5600::As5600;
use engram_drivers::attitude::{Attitude, AttitudeSettings};
use engram_drivers::bmi088::Bmi088;
use engram_drivers::channels::{Alignment, Channels};
use engram_drivers::dc_motor::DcMotor;
use engram_drivers::icm426xx::{self, Icm426xx, OutputDataRate};
use engram_drivers::imu::{Axis, Motion, Mounting};
use engram_drivers::mpu6050::{Address, Mpu6050};
use engram_drivers::outputs::Outputs;
use engram_drivers::pwm::{PwmOutput, Signal};
use engram_drivers::rate_bias::RateBias;
use engram_firmware::DriverError;
use engram_firmware::actuators::Actuators;
use engram_firmware::policy::BenchProgram as _;
use engram_firmware::sensors::Sample;
use engram_image::{ActionChannel, Channel, Contract, List, Reward};

use crate::console::{Console, exit};
use crate::wires::Wires;

/// What a quadrotor's inner loop sees, and its four motors.
const CONTRACT: Contract<'static> = Contract {
    period_us: 10_000,
    observations: List::from_slice(&[
        Channel::new("rate_x", "rad/s", [-30.0, 30.0]),
        Channel::new("rate_y", "rad/s", [-30.0, 30.0]),
        Channel::new("rate_z", "rad/s", [-30.0, 30.0]),
        Channel::new("up_x", "1", [-1.0, 1.0]),
        Channel::new("up_y", "1", [-1.0, 1.0]),
        Channel::new("up_z", "1", [-1.0, 1.0]),
    ]),
    actions: List::from_slice(&[
        motor("front_right"),
        motor("back_right"),
        motor("back_left"),
        motor("front_left"),
        motor("gimbal"),
    ]),
    reward: Reward::External,
};

const fn motor(name: &'static str) -> ActionChannel<'static> {
    ActionChannel::new(name, "1", [-1.0, 1.0])
        .with_slew_per_s(100.0)
        .with_safe(-1.0)
}

const RATE_X: Channel<'static> = rate("rate_x");
const MEASURED: [Channel<'static>; 6] = [
    RATE_X,
    rate("rate_y"),
    rate("rate_z"),
    Channel::new("up_x", "1", [-1.0, 1.0]),
    Channel::new("up_y", "1", [-1.0, 1.0]),
    Channel::new("up_z", "1", [-1.0, 1.0]),
];

const fn rate(name: &'static str) -> Channel<'static> {
    Channel::new(name, "rad/s", [-icm426xx::RATE_RANGE, icm426xx::RATE_RANGE])
}

const MOUNTED: Mounting = Mounting::new(Axis::Y, Axis::MinusX);

type Motors = Outputs<([PwmOutput<Wires>; 4], DcMotor<Wires, Wires>)>;

fn motors() -> Result<Motors, ChannelError<'static>> {
    let output = |name| {
        let channel = Channel::new(name, "1", [-1.0, 1.0]);
        PwmOutput::new(channel, Signal::one_shot_125(2_000.0), Wires)
    };
    let motors = [
        output("front_left")?,
        output("front_right")?,
        output("back_left")?,
        output("back_right")?,
    ];
    let gimbal = DcMotor::new("gimbal", "1", 1.0, Wires, Wires)?;
    Outputs::new(&CONTRACT, (motors, gimbal))
}

/// Each part once between two marks.
fn count() -> Result<(), ChannelError<'static>> {
    let failed = |error| ChannelError::device("imu", error);
    let channels = Channels::new(&CONTRACT, &MEASURED)?;
    let mut motors = motors()?;
    let rate = OutputDataRate::Hz1000;
    let mut icm = Icm426xx::new(Wires, Wires, MOUNTED, rate, CONTRACT.period_us).map_err(failed)?;
    let mut bmi = Bmi088::new(Wires, Wires, [0x18, 0x69], MOUNTED).map_err(failed)?;
    let mut mpu = Mpu6050::new(Wires, Address(0x68), MOUNTED).map_err(failed)?;
    let mut encoder = As5600::new(Wires, 0.0);
    let mut attitude = Attitude::new(AttitudeSettings::new(0.001, icm426xx::RATE_RANGE));
    let mut bias = RateBias::new(0.001, 0.05);
    let mut alignment = Alignment::new(15_000);
    let mut sample = Sample::new();

    Console.region("nothing", 0, || {});
    Console.region("spi_of_24_bytes", 0, || {
        black_box(Wires.burst());
    });
    let mut motion = None;
    // The second one counts: the first aligns the clock.
    for now_us in [1_000, 2_000] {
        wires::count_on(62);
        Console.region("icm426xx_read", 0, || {
            let read = icm.read(black_box(now_us), |seen| motion = Some(*seen));
            black_box(read.is_ok());
        });
    }
    Console.region("bmi088_read", 0, || {
        black_box(bmi.read(black_box(2_000)).is_ok());
    });
    Console.region("mpu6050_read", 0, || {
        black_box(mpu.read(black_box(2_000)).is_ok());
    });
    Console.region("as5600_read", 0, || {
        black_box(encoder.read().is_ok());
    });
    let motion = motion.ok_or(failed(DriverError::NotReady))?;
    for _ in 0..4_000 {
        attitude.update(black_box(&motion));
    }
    Console.region("rate_bias", 0, || {
        let mut motion = motion;
        bias.take_off(black_box(&mut motion));
    });
    Console.region("attitude_update", 0, || {
        attitude.update(black_box(&motion));
    });
    Console.region("attitude_rotation", 0, || {
        black_box(black_box(&attitude).rotation());
    });
    black_box((attitude.quaternion(), attitude.is_settled()));
    Console.region("channels_write", 0, || {
        let written = write(&channels, &mut alignment, &attitude, &motion, &mut sample);
        black_box(written.is_ok());
    });
    black_box(&sample);
    Console.region("outputs_write_5", 0, || {
        black_box(
            motors
                .write(black_box(&[0.1, -0.2, 0.3, -0.4, 0.5]))
                .is_ok(),
        );
    });
    Ok(())
}

fn write(
    channels: &Channels<6>,
    alignment: &mut Alignment,
    attitude: &Attitude,
    motion: &Motion,
    sample: &mut Sample,
) -> Result<(), DriverError> {
    let time_us = alignment.time_us(black_box(2_100), &[black_box(2_000), black_box(1_900)])?;
    let [rate_x, rate_y, rate_z] = motion.rate;
    let [up_x, up_y, up_z] = attitude.up();
    let values = [rate_x, rate_y, rate_z, up_x, up_y, up_z];
    channels.write(sample, time_us, &values)
}

#[entry]
fn main() -> ! {
    match count() {
        Ok(()) => console::say(format_args!("end")),
        Err(_) => console::say(format_args!("error a device does not answer as it should")),
    }
    #[cfg(feature = "inject-panic")]
    black_box(None::<u8>).unwrap();
    exit()
}
