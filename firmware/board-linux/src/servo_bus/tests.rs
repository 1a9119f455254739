//! Buses of simulated servos on pseudo-terminals: bring-up, exchanges, and whole nodes that fly an arm while the bus fails.

mod bring_up;
mod cost;
mod exchanges;
mod flights;
mod goals;
mod simulator;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engram_firmware::DriverError;
use engram_firmware::actuators::Actuators as _;
use engram_firmware::sensors::{Sample, Sensors as _};
use engram_image::{ActionChannel, Channel, Contract, List, QuadraticReward, Reward};

use self::simulator::Simulator;
use super::wire::Wire;
use super::*;
use crate::linux::Linux;
use crate::real_time::RealTime;

const NAMES: [&str; 6] = ["pan", "lift", "elbow", "flex", "roll", "gripper"];
/// How long a control period is here, where the machine has time; a question has a fifth of it.
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
        real_time: RealTime::default(),
        joints: joints(servo).leak(),
    }
}

/// Position and velocity of each joint in, a target each out.
fn contract(period: Duration) -> Contract<'static> {
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
        period_us: period.as_micros() as u32,
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

/// Board and clock.
const LINUX: Linux = Linux { board: "test" };

/// Runs a test that rests on time, with a control period. It may fail where the machine did other things meanwhile, and is repeated then with twice the period;
/// a failure on a machine that had time counts.
fn in_time(test: impl Fn(Duration) + Sync) {
    for period in [1, 2, 4, 8, 16].map(|times| times * PERIOD) {
        let done = AtomicBool::new(false);
        let (result, stall) = std::thread::scope(|scope| {
            // What brings the bytes of a pseudo-terminal in the kernel has no priority either.
            let cpus = std::thread::available_parallelism().map_or(1, usize::from);
            let watches: Vec<_> = (0..cpus)
                .map(|_| scope.spawn(|| longest_stall(&done)))
                .collect();
            let result = scope.spawn(|| {
                // Where that is allowed, all threads of the test come before what else is done; threads inherit it.
                let _ = crate::system::set_fifo(10);
                test(period);
            });
            let result = result.join();
            done.store(true, Ordering::Relaxed);
            let stalls = watches.into_iter().map(|watch| watch.join());
            (result, stalls.flatten().max().unwrap_or_default())
        });
        match result {
            Ok(()) => return,
            Err(_) if stall > PERIOD / 20 => {
                println!("the machine stalled for {stall:?}: again");
                std::thread::sleep(10 * PERIOD);
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    panic!("the machine has no time for this test");
}

/// By how much a thread slept longer than it wanted to, until `done`.
fn longest_stall(done: &AtomicBool) -> Duration {
    let (nap, mut longest) = (Duration::from_millis(2), Duration::ZERO);
    while !done.load(Ordering::Relaxed) {
        let began = Instant::now();
        std::thread::sleep(nap);
        longest = longest.max(began.elapsed() - nap);
    }
    longest
}

/// A bus of six simulated servos that stand at step 2600.
fn bus(
    servo: Servo,
    period: Duration,
    change: impl FnOnce(&mut BusConfig<'static>),
) -> (Simulator, ServoBus) {
    let simulator = Simulator::start(servo, &[2_600; 6]);
    let mut config = config(&simulator, servo);
    change(&mut config);
    let bus = ServoBus::start(&config, &contract(period), LINUX);
    (simulator, bus.expect("a bus"))
}
