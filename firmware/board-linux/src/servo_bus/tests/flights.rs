//! Whole nodes in real time: a policy flies the arm, the bus fails, and the safe command comes within two periods.

use std::time::{Duration, Instant};

use engram_firmware::fallback::NoFallback;
use engram_firmware::node::ContractSource;
use engram_firmware::policy::random_golden;
use engram_firmware::safety::{Fault as Latched, State};
use engram_image::write::write;
use engram_image::{HeadInput, ModelConfig, Positions, random};
use engram_link::Reason;

use super::simulator::{Fault, Injection, Simulator, table};
use super::*;
use crate::{LinuxNode, Robot, node};

type ArmNode = LinuxNode<BusSensors, BusActuators, NoFallback>;

/// A policy that nobody trained, for [`contract`].
fn image(period: Duration) -> Vec<u8> {
    let config = ModelConfig {
        observations: 12,
        actions: 6,
        layers: 2,
        heads: 2,
        model: 8,
        ff: 8,
        window: 4,
        hidden: [8, 8],
        positions: Positions::Age,
        head_input: HeadInput::Mixed,
    };
    let mut spec = random::spec_for(&config, contract(period), 4);
    spec.golden = random_golden(&spec, 10).expect("a valid image");
    write(&spec).expect("a valid image")
}

struct Arm {
    period: Duration,
    simulator: Simulator,
    health: Health,
    node: ArmNode,
    safe: Vec<i16>,
}

/// One control step.
#[derive(Debug)]
struct Step {
    began: Instant,
    state: State,
    issued: Vec<i16>,
}

impl Arm {
    /// Disarmed, at the safe command, with an image.
    fn new(servo: Servo, period: Duration) -> Self {
        let (simulator, bus) = bus(servo, period, |_| {});
        let contract: &'static Contract<'static> = Box::leak(Box::new(contract(period)));
        let settings = settings(contract.period_us);
        let settings = engram_firmware::safety::Settings {
            link_silence_us: None,
            ..settings
        };
        let robot = Robot {
            contract: ContractSource::Board { contract, settings },
            sensors: bus.sensors,
            actuators: bus.actuators,
            fallback: NoFallback,
        };
        let mut node = node(robot, LINUX, None);
        node.install(&image(period)).expect("an image for this arm");
        let safe = node.control().issued().into();
        let mut arm = Self {
            period,
            simulator,
            health: bus.health,
            node,
            safe,
        };
        for _ in 0..4 {
            arm.step();
        }
        arm
    }

    fn step(&mut self) -> Step {
        while let left @ 1.. = self.node.remaining_us() {
            std::thread::sleep(Duration::from_micros(left));
        }
        let began = Instant::now();
        self.node.step_if_due();
        Step {
            began,
            state: self.node.state(),
            issued: self.node.control().issued().into(),
        }
    }

    /// Arms and flies `steps`, all of them by the policy's newest words.
    fn fly(&mut self, steps: usize) -> Step {
        self.node.arm().expect("it arms");
        let mut last = self.step();
        for _ in 1..steps {
            last = self.step();
        }
        assert_eq!(
            (last.state, self.node.faults()),
            (State::Armed, Default::default()),
            "{:?}",
            self.health
        );
        last
    }

    fn distance(&self, issued: &[i16]) -> i32 {
        let pairs = issued.iter().zip(&self.safe);
        pairs
            .map(|(word, safe)| (i32::from(*word) - i32::from(*safe)).abs())
            .sum()
    }

    /// Flies, fails, and returns after the safe command was reached: which fault latched.
    fn fails_by(&mut self, name: &str, expected: Latched, fail: impl FnOnce(&mut Simulator)) {
        let period = self.period;
        let flown = self.fly(5);
        assert!(
            self.distance(&flown.issued) > 2_000,
            "{name}: nothing to lead back"
        );
        fail(&mut self.simulator);
        let failed = Instant::now();
        let mut steps = vec![flown];
        while steps
            .last()
            .is_none_or(|step| step.state != State::SafeStop)
        {
            steps.push(self.step());
            assert!(
                steps.len() < 9,
                "{name}: {:?} {:?}",
                self.node.faults(),
                self.health
            );
        }
        let bad = self.simulator.state().first_bad.unwrap_or(failed);
        let [.., last, hold, safe] = steps.as_slice() else {
            panic!("{name}: {steps:?}")
        };
        // The first step after the bad exchange holds the command, the second is the first on the way to the safe one.
        assert!(last.began < bad + period / 5, "{name}: a step went by");
        assert_eq!(
            (last.state, hold.state),
            (State::Armed, State::Hold),
            "{name}"
        );
        assert_eq!(hold.issued, last.issued, "{name}: held");
        assert!(
            self.distance(&safe.issued) < self.distance(&hold.issued),
            "{name}"
        );
        let took = safe.began - bad;
        // The steps themselves may be late by a little.
        let slack = period / 5;
        println!(
            "{name}: {:.2} periods to the first safe step",
            took.as_secs_f32() / period.as_secs_f32()
        );
        assert!(took <= 2 * period + slack, "{name}: {took:?}");
        assert!(
            self.node.faults().contains(expected),
            "{name}: {:?}",
            self.node.faults()
        );

        self.settles(name, State::SafeStop);
        // It latches.
        assert_eq!(
            self.node.arm(),
            Err(Reason::NotDisarmed(State::SafeStop)),
            "{name}"
        );
        self.node.disarm();
        assert!(
            matches!(self.node.arm(), Err(Reason::FaultsLatched(_))),
            "{name}"
        );
    }

    /// The bus is well again: after an explicit reset it flies.
    fn recovers(&mut self, name: &str) {
        self.simulator.state().injection = None;
        self.node.control().reset_faults().expect("disarmed");
        for _ in 0..8 {
            self.step();
        }
        self.fly(3);
        self.node.disarm();
        self.settles(name, State::Disarmed);
    }

    /// The safe command is reached, and `state` stays.
    fn settles(&mut self, name: &str, state: State) {
        for _ in 0..20 {
            assert_eq!(self.step().state, state, "{name}");
            if self.node.is_settled() {
                return;
            }
        }
        panic!("{name}: the safe command is not reached");
    }
}

/// The answers to all questions from now on.
fn always(fault: Fault, id: Option<u8>) -> impl FnOnce(&mut Simulator) {
    move |simulator| {
        simulator.inject(Injection {
            fault,
            id,
            questions: usize::MAX,
        });
    }
}

/// One arm for each kind of failure, all at once.
fn every_failure_leads_to_the_safe_command(servo: Servo, alarm: u8, period: Duration) {
    let late = |hundredths| Fault::Late(period * hundredths / 100);
    let faults = [
        ("every answer lost", Fault::Lost, None),
        ("one servo of six silent", Fault::Lost, Some(4)),
        ("one bit flipped", Fault::Flip(45), Some(2)),
        ("another servo's id", Fault::WrongId, Some(3)),
        ("late by a period and a half", late(150), None),
        ("late by a quarter of a period", late(25), None),
        ("one servo late by three periods", late(300), Some(6)),
        ("an alarm", Fault::Alarm(alarm), Some(5)),
    ];
    std::thread::scope(|scope| {
        for (name, fault, id) in faults {
            scope.spawn(move || {
                let expected = match fault {
                    Fault::Alarm(_) => Latched::SensorFailure,
                    _ => Latched::SampleAge,
                };
                let mut arm = Arm::new(servo, period);
                arm.fails_by(name, expected, always(fault, id));
                arm.recovers(name);
            });
        }
        scope.spawn(|| {
            let mut arm = Arm::new(servo, period);
            arm.fails_by("unplugged", Latched::SensorFailure, Simulator::unplug);
            // It is not looked for again: flying without it is a fault at once.
            arm.node.control().reset_faults().expect("disarmed");
            arm.node.arm().expect("no step has looked");
            assert_eq!(arm.step().state, State::Hold);
        });
    });
}

#[test]
fn a_feetech_bus_that_fails_leads_to_the_safe_command_within_two_periods() {
    in_time(|period| every_failure_leads_to_the_safe_command(Servo::Sts3215, 0x20, period));
}

#[test]
fn a_dynamixel_bus_that_fails_leads_to_the_safe_command_within_two_periods() {
    in_time(|period| every_failure_leads_to_the_safe_command(Servo::Xl330, 0x80, period));
}

#[test]
fn single_bad_exchanges_do_not_stop_the_flight() {
    in_time(single_bad_exchanges);
}

fn single_bad_exchanges(period: Duration) {
    let mut arm = Arm::new(Servo::Sts3215, period);
    arm.fly(3);
    for (fault, id) in [
        (Fault::Lost, None),
        (Fault::Lost, Some(6)),
        (Fault::Flip(60), Some(3)),
        (Fault::WrongId, Some(1)),
        (Fault::Late(2 * period), Some(2)),
    ] {
        arm.simulator.inject(Injection {
            fault,
            id,
            questions: 1,
        });
        for _ in 0..4 {
            let step = arm.step();
            assert_eq!(
                step.state,
                State::Armed,
                "{fault:?} {:?} {:?}",
                arm.node.faults(),
                arm.health
            );
        }
    }
    let counts = arm.health.counts();
    assert!(counts.lost + counts.damaged >= 5, "{counts:?}");
    assert!(
        arm.node.control().counters().missing_samples <= 1,
        "{counts:?}"
    );
}

#[test]
fn a_silent_servo_gets_no_goals_until_it_answers() {
    in_time(silent_servo);
}

fn silent_servo(period: Duration) {
    let table = table(Servo::Sts3215);
    let mut arm = Arm::new(Servo::Sts3215, period);
    arm.fly(5);
    always(Fault::Lost, Some(4))(&mut arm.simulator);
    while arm.node.state() != State::SafeStop {
        arm.step();
    }
    let goals = |arm: &Arm| -> Vec<u16> {
        let state = arm.simulator.state();
        state
            .servos
            .iter()
            .map(|model| model.goal(&table))
            .collect()
    };
    let before = goals(&arm);
    // That one is not at the safe command, 0.25 rad.
    assert_ne!(before[3], 2_211);
    arm.settles("one silent", State::SafeStop);
    arm.step();
    std::thread::sleep(period / 10);
    let safe = [2_211, 1_885, 2_537, 2_211, 2_211, 2_211];
    let mut expected = safe;
    expected[3] = before[3];
    assert_eq!(goals(&arm), expected);
    // It had lost its supply, fell to another angle, and answers again: the safe command is approached from there.
    let mut state = arm.simulator.state();
    state.servos[3].registers[table.torque] = 0;
    state.servos[3].put(3_200);
    state.injection = None;
    drop(state);
    let mut last = 3_200;
    for step in 0.. {
        if last == safe[3] {
            break;
        }
        assert!(step < 30, "{last}");
        arm.step();
        std::thread::sleep(period / 10);
        let goal = goals(&arm)[3];
        if goal == before[3] && last == 3_200 {
            continue; // not asked yet
        }
        let most = (652.0 * period.as_secs_f32()) as u16 + 1;
        assert!(last.abs_diff(goal) <= most, "{last} to {goal}");
        last = goal;
    }
}

#[test]
fn the_arm_goes_from_where_it_stood_to_the_command_no_faster_than_its_joints_may() {
    in_time(approach);
}

fn approach(period: Duration) {
    let servo = Servo::Sts3215;
    let table = table(servo);
    let mut arm = Arm::new(servo, period);
    // The safe command, 0.25 rad. One joint is mounted the other way round, one has its zero elsewhere.
    let safe = [2_048 + 163, 2_048 - 163, 2_048 + 489, 2_211, 2_211, 2_211];
    // Four commands came before the first look.
    let (mut last, mut periods) = ([2_600_u16; 6], 6);
    for _ in 0..8 {
        arm.step();
        std::thread::sleep(period / 10);
        let state = arm.simulator.state();
        let goals: [u16; 6] = std::array::from_fn(|joint| state.servos[joint].goal(&table));
        for (goal, last) in goals.iter().zip(last) {
            // 1 rad/s.
            assert!(last.abs_diff(*goal) <= 131 * periods, "{last} to {goal}");
        }
        (last, periods) = (goals, 1);
    }
    assert_eq!(last, safe);
    arm.fly(2);
}
