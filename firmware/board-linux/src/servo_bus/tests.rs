//! Buses of simulated servos on pseudo-terminals: bring-up, exchanges, and whole nodes that fly an arm while the bus fails.

mod bring_up;
mod cost;
mod exchanges;
mod flights;
mod simulator;

use std::time::{Duration, Instant};

use engram_firmware::DriverError;
use engram_firmware::actuators::Actuators as _;
use engram_firmware::sensors::{Sample, Sensors as _};
use engram_image::{ActionChannel, Channel, Contract, List, QuadraticReward, Reward};

use self::simulator::Simulator;
use super::*;

const NAMES: [&str; 6] = ["pan", "lift", "elbow", "flex", "roll", "gripper"];
/// How long a control period is here: other work of the machine may delay a thread by tens of milliseconds, and a question has a fifth of it.
const PERIOD: Duration = Duration::from_millis(200);

/// An arm of six joints that stand a quarter turn or so from the middle, one of them mounted the other way round.
fn joints(servo: Servo) -> Vec<Joint<'static>> {
    let joints = (1..).zip(NAMES).map(|(id, name)| Joint {
        name,
        id,
        servo,
        direction: if id == 2 {
            Direction::Reverse
        } else {
            Direction::Forward
        },
        zero_rad: if id == 3 { 0.5 } else { 0.0 },
        limits_rad: [-2.0, 2.0],
        speed_rad_per_s: 1.0,
    });
    joints.collect()
}

fn config(simulator: &Simulator, servo: Servo) -> BusConfig<'static> {
    BusConfig {
        port: simulator.path,
        baud: 1_000_000,
        torque: true,
        limp_after: None,
        joints: joints(servo).leak(),
    }
}

/// Position and velocity of each joint in, a target each out.
fn contract() -> Contract<'static> {
    let name = |joint: &str, suffix: &str| -> &'static str { format!("{joint}{suffix}").leak() };
    let observations: Vec<_> = NAMES
        .iter()
        .flat_map(|joint| {
            [
                Channel::new(name(joint, "_position"), "rad", [-3.2, 3.2]),
                Channel::new(name(joint, "_velocity"), "rad/s", [-6.0, 6.0]),
            ]
        })
        .collect();
    let actions = NAMES.iter().map(|joint| {
        ActionChannel::new(name(joint, "_target"), "rad", [-1.5, 1.5])
            .with_slew_per_s(1.0)
            .with_safe(0.25)
    });
    Contract {
        period_us: PERIOD.as_micros() as u32,
        observations: List::from_slice(&observations),
        actions: actions.collect(),
        reward: Reward::Formula(QuadraticReward {
            constant: 0.0,
            linear: List::from_slice(&[0.0; 12]),
            quadratic: List::from_slice(&[-0.1; 12]),
            action_quadratic: List::from_slice(&[-0.01; 6]),
        }),
    }
}

/// The clock of control steps, from this moment on.
#[derive(Clone, Copy)]
struct Machine(Instant);

impl Clock for Machine {
    fn now_us(&mut self) -> u64 {
        self.0.elapsed().as_micros() as u64
    }
}

/// A bus of six simulated servos that stand at step 2600.
fn bus(
    servo: Servo,
    change: impl FnOnce(&mut BusConfig<'static>),
) -> (Simulator, ServoBus, Machine) {
    let simulator = Simulator::start(servo, &[2_600; 6]);
    let mut config = config(&simulator, servo);
    change(&mut config);
    let clock = Machine(Instant::now());
    let bus = ServoBus::start(&config, &contract(), clock);
    (simulator, bus.expect("a bus"), clock)
}
