//! What a configuration, a contract and servos can have wrong before anything moves.

use super::simulator::{Simulator, State, table};
use super::*;

/// What a test may change.
struct Given<'s> {
    joints: Vec<Joint<'static>>,
    config: BusConfig<'static>,
    contract: Contract<'static>,
    state: &'s mut State,
}

/// The error of a bus with something wrong.
fn refused(change: impl FnOnce(&mut Given<'_>)) -> String {
    let simulator = Simulator::start(Servo::Sts3215, &[2_600; 6]);
    let mut state = simulator.state();
    let mut given = Given {
        joints: joints(Servo::Sts3215),
        config: config(&simulator, Servo::Sts3215),
        contract: contract(PERIOD),
        state: &mut state,
    };
    change(&mut given);
    let Given {
        joints,
        mut config,
        contract,
        ..
    } = given;
    drop(state);
    config.joints = joints.leak();
    let error = ServoBus::start(&config, &contract, LINUX).expect_err("it is wrong");
    let table = table(Servo::Sts3215);
    let state = simulator.state();
    let torque = state.servos.iter().any(|servo| servo.torque(&table));
    assert!(!torque, "{error}");
    error.to_string()
}

#[test]
fn what_is_wrong_is_named_and_no_joint_gets_torque() {
    let observed = |channel: Channel<'static>| {
        refused(move |given| given.contract.observations = List::from_slice(&[channel]))
    };
    let acted = |name, unit, range, slew| {
        let action = ActionChannel::new(name, unit, range)
            .with_slew_per_s(slew)
            .with_safe(0.0);
        refused(move |given| given.contract.actions = List::from_slice(&[action]))
    };
    let range = [-1.0, 1.0];
    for (error, expected) in [
        (
            observed(Channel::new("pan_position", "deg", range)),
            "observation pan_position in deg is not on the bus; it has pan_position in rad, pan_velocity in rad/s, pan_load in 1, lift_position in rad",
        ),
        (
            observed(Channel::new("pan_current", "A", range)),
            "observation pan_current in A is not on the bus",
        ),
        (
            acted("wrist_target", "rad", range, 1.0),
            "action wrist_target in rad is not on the bus; it has pan_target in rad, lift_target in rad",
        ),
        (
            acted("pan_target", "Nm", range, 1.0),
            "action pan_target in Nm is not on the bus",
        ),
        (
            acted("pan", "rad", range, 1.0),
            "action pan in rad is not on the bus",
        ),
        (
            acted("pan_target", "rad", [-2.5, 1.0], 1.0),
            "goes from -2.5 to 1 rad, its joint from -2 to 2 rad",
        ),
        (
            acted("pan_target", "rad", range, 4.0),
            "change by 4 rad/s, its joint's goal by 1;",
        ),
        (
            refused(|given| given.contract.reward = Reward::External),
            "the contract's reward is external",
        ),
        (
            refused(|given| given.joints.clear()),
            "the bus has no joints",
        ),
        (
            refused(|given| given.joints[1].id = 1),
            "joints pan and lift share the id 1",
        ),
        (
            refused(|given| given.joints[1].name = "pan"),
            "joints pan and pan share their name",
        ),
        (
            refused(|given| given.joints[4].id = 254),
            "joint roll: no servo of its kind has the id 254",
        ),
        (
            refused(|given| given.joints[4].servo = Servo::Xl330),
            "joints pan and roll speak different protocols",
        ),
        (
            refused(|given| given.config.baud = 9_600),
            "STS3215 cannot be set to 9600 baud; it knows [1000000,",
        ),
        (
            refused(|given| {
                given.contract.period_us = 20_000;
                given.config.baud = 57_600;
            }),
            "and a control period of 20000 us has 3000 for it",
        ),
        (
            refused(|given| given.joints[0].zero_rad = f32::NAN),
            "joint pan: zero_rad is NaN",
        ),
        (
            refused(|given| given.joints[0].limits_rad = [1.0, 1.0]),
            "joint pan: limits_rad[1] is 1",
        ),
        (
            refused(|given| given.joints[0].speed_rad_per_s = 0.0),
            "joint pan: speed_rad_per_s is 0",
        ),
        (
            refused(|given| given.joints[0].zero_rad = 2.0),
            "joint pan: 2 rad is 4 rad of its servo, outside of its one turn",
        ),
        (
            refused(|given| given.config.limp_after = Some(Duration::from_millis(1_999))),
            "limp_after is 1.999s; give it ten control periods, 2s, at least",
        ),
        (
            refused(|given| given.config.port = "/dev/no-such-bus"),
            "cannot open /dev/no-such-bus",
        ),
        (
            refused(|given| given.config.real_time.cpu = Some(1_000)),
            "cannot run on CPU 1000 alone",
        ),
        (
            refused(|given| given.joints[5].id = 9),
            "joint gripper: servo 9 gives no intact answer",
        ),
        (
            // At most step 2559.
            refused(|given| given.state.servos[3].registers[11..13].copy_from_slice(&[255, 9])),
            "joint flex: servo 4 stands at step 2600, outside of its own limits from 0 to 2559",
        ),
        (
            // At least step 1024.
            refused(|given| given.state.servos[3].registers[10] = 4),
            "joint flex: limits_rad is from step 744 to 3352 of servo 4, whose own limits are 1024 and 4095",
        ),
        (
            refused(|given| given.state.servos[3].registers[3] = 4),
            "joint flex: servo 4 says that it is model 772, which is no STS3215",
        ),
        (
            refused(|given| given.state.servos[3].registers[33] = 1),
            "joint flex: servo 4 is in operating mode 1, not in position mode 0",
        ),
        (
            refused(|given| {
                given.contract.period_us = 20_000;
                for servo in &mut given.state.servos {
                    servo.registers[7] = 250;
                }
            }),
            "reading 6 servos takes 3980 us (980 at 1000000 baud, the rest is their return delay)",
        ),
    ] {
        assert!(error.contains(expected), "{error}\nlacks\n{expected}");
    }
}

#[test]
fn a_start_that_fails_lets_go_of_no_joint_that_was_held() {
    in_time(|_| {
        for servo in [Servo::Sts3215, Servo::Xl330] {
            let table = table(servo);
            let simulator = Simulator::start(servo, &[2_600; 6]);
            for (model, held) in simulator.state().servos.iter_mut().zip([1, 0, 1, 0, 1, 1]) {
                model.registers[table.torque] = held;
                model.registers[table.goal..][..2].copy_from_slice(&2_600_u16.to_le_bytes());
            }
            simulator.state().servos[4].write_status = 0x20;
            let config = config(&simulator, servo);
            let error = ServoBus::start(&config, &contract(PERIOD), LINUX).expect_err("an alarm");
            assert!(error.to_string().contains("servo 5 reports an alarm"));
            // Told to let go; nobody answers that.
            std::thread::sleep(PERIOD);
            let torque: Vec<_> = simulator
                .state()
                .servos
                .iter()
                .map(|model| model.torque(&table))
                .collect();
            assert_eq!(torque, [true, false, true, false, true, true], "{servo:?}");
        }
    });
}

#[test]
fn torque_begins_where_each_joint_stands() {
    in_time(torque_begins);
}

fn torque_begins(period: Duration) {
    for servo in [Servo::Sts3215, Servo::Xl330, Servo::Xl430] {
        let table = table(servo);
        let (simulator, bus) = bus(servo, period, |_| {});
        for model in &simulator.state().servos {
            assert!(model.torque(&table), "{servo:?}");
            assert_eq!(model.goal(&table), 2_600, "{servo:?} {}", model.id);
        }
        assert_eq!(simulator.state().damaged, 0);
        drop(bus);
        assert!(
            simulator
                .state()
                .servos
                .iter()
                .all(|model| model.torque(&table))
        );
    }
}

#[test]
fn without_torque_nothing_is_written() {
    in_time(without_torque);
}

fn without_torque(period: Duration) {
    let table = table(Servo::Sts3215);
    let (simulator, mut bus) = bus(Servo::Sts3215, period, |config| config.torque = false);
    for _ in 0..5 {
        bus.actuators.write(&[0.0; 6]).expect("it is taken");
        std::thread::sleep(period);
    }
    assert_eq!(bus.sensors.read(&mut Sample::new()), Ok(()));
    let state = simulator.state();
    assert!(state.goals.is_empty());
    assert!(
        state
            .servos
            .iter()
            .all(|model| !model.torque(&table) && model.goal(&table) == 0)
    );
}

#[test]
fn joints_without_an_action_stay_as_they_are() {
    in_time(joints_without);
}

fn joints_without(period: Duration) {
    let table = table(Servo::Sts3215);
    let simulator = Simulator::start(Servo::Sts3215, &[2_600; 6]);
    let mut contract = contract(period);
    contract.actions = List::from_slice(&contract.actions[1..2]);
    let config = BusConfig {
        limp_after: Some(Duration::from_secs(9)),
        ..config(&simulator, Servo::Sts3215)
    };
    let mut bus = ServoBus::start(&config, &contract, LINUX).expect("a bus");
    let torque = || {
        simulator
            .state()
            .servos
            .iter()
            .map(|model| model.torque(&table))
            .collect::<Vec<_>>()
    };
    assert_eq!(torque(), [false, true, false, false, false, false]);
    bus.actuators.write(&[0.1]).expect("it is taken");
    drop(bus);
    // Told to let go of the joints at the end.
    std::thread::sleep(period / 2);
    assert_eq!(torque(), [false; 6]);
}
