//! Single exchanges: no damaged, foreign or late answer becomes a sample.

use super::simulator::{Fault, Injection, Simulator};
use super::*;
use crate::servo_bus::servo::Quantity;

/// Questions straight to the wire of a bus of servos that stand at these steps.
fn wire(servo: Servo, positions: &[u16]) -> (Simulator, Wire) {
    let simulator = Simulator::start(servo, positions);
    let port = serialport::new(simulator.path, 1_000_000).open_native();
    let joints = joints(servo);
    let joints = &joints[..positions.len()];
    (
        simulator,
        Wire::new(port.expect("it opens"), joints, &joints[0]),
    )
}

fn once(fault: Fault, id: u8) -> Injection {
    Injection {
        fault,
        id: Some(id),
        questions: 1,
    }
}

#[test]
fn answers_are_what_the_servos_say() {
    in_time(answers);
}

fn answers(period: Duration) {
    for servo in [Servo::Sts3215, Servo::Xl330] {
        let (simulator, mut wire) = wire(servo, &[0, 253, 2_048, 4_095]);
        if servo == Servo::Xl330 {
            // Behind this velocity and before the position 253 lies the pattern of a header, which must be stuffed.
            simulator.state().servos[1].registers[128..132].fill(0xFF);
        }
        for _ in 0..6 {
            let answers = wire
                .ask(Instant::now() + period / 2)
                .expect("intact answers");
            for (bytes, steps) in answers.bytes.iter().zip([0.0, 253.0, 2_048.0, 4_095.0]) {
                let angle = servo.measured(Quantity::Position, answers.first, bytes);
                let expected = (steps - 2_048.0) * std::f32::consts::TAU / 4_096.0;
                assert!(
                    (angle.expect("there") - expected).abs() < 1e-4,
                    "{servo:?} {steps}"
                );
            }
        }
    }
}

#[test]
fn no_single_flipped_bit_gets_through() {
    for servo in [Servo::Sts3215, Servo::Xl330] {
        let (simulator, mut wire) = wire(servo, &[1_000, 2_000, 3_000]);
        let mut bit = 0;
        loop {
            simulator.inject(once(Fault::Flip(bit), 2));
            let began = Instant::now();
            let spoiled = wire.ask(began + Duration::from_millis(10)).err();
            let spoiled = (spoiled, began.elapsed());
            assert!(
                spoiled.0.is_some(),
                "{servo:?}: bit {bit} of {}",
                simulator.state().answer_bits
            );
            // What is left of it is thrown away before the next question.
            let again = (0..5).any(|tries| {
                std::thread::sleep(Duration::from_millis(20 * tries));
                wire.ask(Instant::now() + PERIOD / 2).is_ok()
            });
            assert!(again, "{servo:?}: after bit {bit}");
            bit += 1;
            // All three lengths of an answer have seen it.
            if bit >= 3 * simulator.state().answer_bits {
                break;
            }
        }
    }
}

#[test]
fn each_failure_has_its_name() {
    in_time(failures_have_names);
}

fn failures_have_names(period: Duration) {
    for (servo, fault, expected) in [
        (Servo::Sts3215, Fault::Lost, Failure::Lost { id: 2 }),
        (Servo::Sts3215, Fault::WrongId, Failure::Damaged { id: 2 }),
        (Servo::Sts3215, Fault::Flip(50), Failure::Damaged { id: 2 }),
        (
            Servo::Sts3215,
            Fault::Alarm(0x20),
            Failure::Alarm {
                id: 2,
                status: 0x20,
            },
        ),
        (Servo::Xl330, Fault::Lost, Failure::Lost { id: 2 }),
        (Servo::Xl330, Fault::WrongId, Failure::Damaged { id: 2 }),
        (Servo::Xl330, Fault::Flip(90), Failure::Damaged { id: 2 }),
        (
            Servo::Xl330,
            Fault::Alarm(0x80),
            Failure::Alarm {
                id: 2,
                status: 0x80,
            },
        ),
    ] {
        // The last servo of the bus: behind a lost answer another one would come in its place.
        let (simulator, mut wire) = wire(servo, &[1_000, 2_000]);
        simulator.inject(once(fault, 2));
        let failure = wire.ask(Instant::now() + period / 2).err();
        assert_eq!(failure, Some(expected), "{servo:?} {fault:?}");
    }
}

#[test]
fn a_babbling_servo_keeps_nobody_beyond_the_deadline() {
    in_time(babble);
}

fn babble(period: Duration) {
    use std::io::Write as _;
    let (mut far_end, port) = serialport::TTYPort::pair().expect("a pseudo-terminal");
    let joints = joints(Servo::Xl330);
    let mut wire = Wire::new(port, &joints, &joints[0]);
    let babble = std::thread::spawn(move || {
        // A header that announces 65,535 bytes, and then some of them.
        let mut bytes = vec![0xFF, 0xFF, 0xFD, 0x00, 0x01, 0xFF, 0xFF];
        for _ in 0..100 {
            bytes.push(0x55);
            let _ = far_end.write_all(&bytes);
            bytes.clear();
            std::thread::sleep(Duration::from_millis(1));
        }
        far_end
    });
    for _ in 0..2 {
        let began = Instant::now();
        let failure = wire.ask(began + period / 5).err();
        assert!(
            matches!(
                failure,
                Some(Failure::Lost { id: 1 } | Failure::Damaged { id: 1 })
            ),
            "{failure:?}"
        );
        assert!(began.elapsed() < period / 2, "{:?}", began.elapsed());
    }
    babble.join().expect("no panic");
}

#[test]
fn no_late_answer_of_a_feetech_servo_is_taken_for_a_new_one() {
    in_time(|period| no_late_answer_is_taken_for_a_new_one(Servo::Sts3215, period));
}

#[test]
fn no_late_answer_of_a_dynamixel_is_taken_for_a_new_one() {
    in_time(|period| no_late_answer_is_taken_for_a_new_one(Servo::Xl330, period));
}

#[test]
fn nobody_is_asked_until_the_bus_was_silent_for_two_periods() {
    in_time(|period| {
        // When late answers come, in hundredths of a period after their questions, which go out at 40 and 60.
        for (late, torque) in [(130, false), (130, true), (230, true)] {
            let (simulator, mut bus) = bus(Servo::Sts3215, period, |config| config.torque = torque);
            simulator.inject(Injection {
                fault: Fault::Late(period * late / 100),
                id: Some(6), // the others are still told
                questions: 2,
            });
            for _ in 0..8 {
                bus.actuators.write(&[0.0; 6]).expect("it is taken");
                std::thread::sleep(period);
            }
            let questions = simulator.state().questions.clone();
            let silent = questions[2] - (questions[1] + period * late / 100);
            assert!(
                silent >= 2 * period,
                "{late}, torque {torque}: asked after {silent:?}"
            );
        }
    });
}

fn no_late_answer_is_taken_for_a_new_one(servo: Servo, period: Duration) {
    let (simulator, mut bus) = bus(servo, period, |_| {});
    simulator.state().counting = true;
    // When the clock of the samples was 0.
    let zero = Instant::now() - Duration::from_micros({ LINUX }.now_us());
    let (mut samples, mut sample) = (0, Sample::new());
    // In hundredths of a period.
    let delays = [
        0, 10, 25, 0, 25, 50, 0, 75, 100, 0, 0, 25, 25, 130, 0, 0, 200, 310, 0, 0, 0, 0, 25, 0,
    ];
    for delay in delays {
        simulator.inject(Injection {
            fault: Fault::Late(period * delay / 100),
            id: None,
            // The second question, too, in every other case.
            questions: 1 + usize::from(delay % 20 > 0),
        });
        bus.actuators.write(&[0.0; 6]).expect("it is taken");
        std::thread::sleep(period);
        if bus.sensors.read(&mut sample).is_err() {
            continue;
        }
        samples += 1;
        let steps = sample.observation[0] / std::f32::consts::TAU * 4_096.0 + 2_048.0;
        let asked = simulator.state().questions[steps.round() as usize - 1] - zero;
        let stamp = Duration::from_micros(sample.time_us);
        assert!(
            asked >= stamp && asked - stamp < period / 5,
            "asked {asked:?}, stamped {stamp:?}"
        );
    }
    let counts = bus.health.counts();
    println!("{servo:?}: {samples} samples, {counts:?}");
    assert!(samples >= 5, "{samples}");
    assert!(counts.late > 0 && counts.stray > 0, "{counts:?}");
}
