//! An SO-101 arm: six Feetech STS3215 servos on one USB adapter. docs/src/servo-buses.md goes through it; yours has other angles.
//!
//! `cargo run --release -p engram-board-linux --features servo-bus --example so101 -- --pty --look` prints angles and moves nothing. Without `--look` it drives.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use engram_board_linux::real_time::RealTime;
use engram_board_linux::servo_bus::{BusConfig, Direction, Joint, Servo, ServoBus, settings};
use engram_board_linux::watchdog::WatchdogError;
use engram_board_linux::{End, Failure, Linux, Options, Robot, StartUpOnly, exit, node, run};
use engram_firmware::DriverError;
use engram_firmware::actuators::Actuators as _;
use engram_firmware::fallback::NoFallback;
use engram_firmware::injected::{InjectedSensors, ReportedActuators};
use engram_firmware::node::ContractSource;
use engram_firmware::sensors::{Sample, Sensors as _};
use engram_image::{ActionChannel, Channel, Contract, List, QuadraticReward, Reward};

#[global_allocator]
static ALLOCATOR: StartUpOnly = StartUpOnly;

const fn joint(name: &'static str, id: u8, limits_rad: [f32; 2]) -> Joint<'static> {
    Joint {
        name,
        id,
        servo: Servo::Sts3215,
        direction: Direction::Forward,
        zero_rad: 0.0,
        limits_rad,
        speed_rad_per_s: 1.5,
    }
}

const fn angle(name: &str) -> Channel<'_> {
    Channel::new(name, "rad", [-3.1, 3.1])
}

const fn rate(name: &str) -> Channel<'_> {
    Channel::new(name, "rad/s", [-6.0, 6.0])
}

const fn target(name: &str, range: [f32; 2], safe: f32) -> ActionChannel<'_> {
    ActionChannel::new(name, "rad", range)
        .with_slew_per_s(1.5)
        .with_safe(safe)
}

const JOINTS: [Joint<'static>; 6] = [
    joint("shoulder_pan", 1, [-1.9, 1.9]),
    joint("shoulder_lift", 2, [-1.7, 1.7]),
    joint("elbow_flex", 3, [-1.6, 1.6]),
    joint("wrist_flex", 4, [-1.6, 1.6]),
    joint("wrist_roll", 5, [-2.7, 2.7]),
    joint("gripper", 6, [-0.1, 1.7]),
];

/// Its safe command is the pose in which the arm lies folded on its base.
const CONTRACT: Contract<'static> = Contract {
    period_us: 20_000,
    observations: List::from_slice(&[
        angle("shoulder_pan_position"),
        angle("shoulder_lift_position"),
        angle("elbow_flex_position"),
        angle("wrist_flex_position"),
        angle("wrist_roll_position"),
        angle("gripper_position"),
        rate("shoulder_pan_velocity"),
        rate("shoulder_lift_velocity"),
        rate("elbow_flex_velocity"),
        rate("wrist_flex_velocity"),
        rate("wrist_roll_velocity"),
        rate("gripper_velocity"),
    ]),
    actions: List::from_slice(&[
        target("shoulder_pan_target", [-1.8, 1.8], 0.0),
        target("shoulder_lift_target", [-1.7, 1.6], -1.7),
        target("elbow_flex_target", [-1.5, 1.6], 1.6),
        target("wrist_flex_target", [-1.6, 1.6], 1.2),
        target("wrist_roll_target", [-2.6, 2.6], 0.0),
        target("gripper_target", [0.0, 1.6], 0.0),
    ]),
    reward: Reward::Formula(QuadraticReward {
        constant: 0.0,
        linear: List::from_slice(&[0.0; 12]),
        quadratic: List::from_slice(&[0.0; 12]),
        action_quadratic: List::from_slice(&[0.0; 6]),
    }),
};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Serial device of the servos
    #[arg(long, value_name = "DEVICE", default_value = "/dev/ttyACM0")]
    servos: String,
    /// Print the joints' angles without torque, until it is stopped
    #[arg(long)]
    look: bool,
}

/// What the servos say, five times a second.
fn look(mut bus: ServoBus) -> Result<End, Box<dyn Error>> {
    let mut sample = Sample::new();
    loop {
        for _ in 0..10 {
            bus.actuators.write(&[0.0; JOINTS.len()])?;
            std::thread::sleep(std::time::Duration::from_micros(CONTRACT.period_us.into()));
        }
        match bus.sensors.read(&mut sample) {
            Ok(()) | Err(DriverError::NotReady) => {}
            error => error?,
        }
        let angles = JOINTS.iter().zip(&sample.observation);
        let angles: Vec<_> = angles
            .map(|(joint, rad)| format!("{} {rad:.3}", joint.name))
            .collect();
        println!("{} {:?}", angles.join(", "), bus.health.counts());
    }
}

/// What an image must have been made for.
const SOURCE: ContractSource = ContractSource::Board {
    contract: &CONTRACT,
    settings: settings(CONTRACT.period_us),
};

/// Whether `run` will find what `options` ask for, seen before any joint has torque. A watchdog is not opened, for that starts it.
fn check(options: &Options, linux: Linux) -> Result<(), Failure> {
    if let Some(image) = options.read_image()? {
        let robot = Robot {
            contract: SOURCE,
            sensors: InjectedSensors::default(),
            actuators: ReportedActuators,
            fallback: NoFallback,
        };
        let mut node = node(robot, linux, options.key);
        node.install(&image).map_err(Failure::Image)?;
    }
    if let Some(path) = &options.watchdog {
        std::fs::metadata(path).map_err(|cause| WatchdogError::Open {
            path: path.clone(),
            cause,
        })?;
    }
    Ok(())
}

fn fly() -> Result<End, Box<dyn Error>> {
    let Arguments {
        options,
        servos,
        look: only_look,
    } = Arguments::parse();
    let linux = Linux { board: "so101" };
    let config = BusConfig {
        port: servos.leak(),
        baud: 1_000_000,
        torque: !only_look,
        limp_after: None,
        // The bus may have the CPU before all else, but for the control loop.
        real_time: RealTime {
            priority: options
                .realtime
                .map(|priority| priority.saturating_sub(1).max(1)),
            cpu: None,
        },
        joints: &JOINTS,
    };
    if only_look {
        return look(ServoBus::start(&config, &CONTRACT, linux)?);
    }
    // All that can be wrong without the arm comes before it: a start that fails leaves nothing stiff.
    let line = options.open_line()?;
    check(&options, linux)?;
    let bus = ServoBus::start(&config, &CONTRACT, linux)?;
    let robot = Robot {
        contract: SOURCE,
        sensors: bus.sensors,
        actuators: bus.actuators,
        fallback: NoFallback,
    };
    Ok(run(&mut node(robot, linux, options.key), line, &options)?)
}

fn main() -> ExitCode {
    exit(fly())
}
