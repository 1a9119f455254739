//! What the drivers cost a control step.

use super::*;

#[test]
fn reading_and_writing_take_nothing_from_the_heap_and_never_wait() {
    in_time(cost);
}

fn cost(period: Duration) {
    let (_simulator, mut bus) = bus(Servo::Sts3215, period, |_| {});
    let mut sample = Sample::new();
    let mut took = Vec::new();
    for step in 0..40 {
        let began = Instant::now();
        let counted = allocation_counter::measure(|| {
            let read = bus.sensors.read(&mut sample);
            assert!(
                step < 2 || matches!(read, Ok(()) | Err(DriverError::NotReady)),
                "{read:?}"
            );
            bus.actuators.write(&[0.0; 6]).expect("it is taken");
        });
        took.push(began.elapsed());
        assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
        std::thread::sleep(period / 3);
    }
    took.sort();
    println!(
        "read and write: median {:?}, longest {:?}",
        took[took.len() / 2],
        took[took.len() - 1]
    );
    assert!(took[took.len() / 2] < Duration::from_millis(1));
}

#[test]
fn a_control_loop_that_died_moves_nothing_and_the_torque_goes_off_in_time() {
    in_time(dead_loop);
}

fn dead_loop(period: Duration) {
    let table = simulator::table(Servo::Sts3215);
    let limp_after = 10 * period;
    let (simulator, mut bus) = bus(Servo::Sts3215, period, |config| {
        config.limp_after = Some(limp_after)
    });
    for _ in 0..4 {
        bus.actuators.write(&[0.3; 6]).expect("it is taken");
        std::thread::sleep(period);
    }
    let written = simulator.state().goals.len();
    assert_eq!(written, 4);
    std::thread::sleep(5 * period);
    let torque = || {
        simulator
            .state()
            .servos
            .iter()
            .all(|model| model.torque(&table))
    };
    assert_eq!(simulator.state().goals.len(), written, "goals of nobody");
    assert!(torque());
    std::thread::sleep(7 * period);
    assert!(
        simulator
            .state()
            .servos
            .iter()
            .all(|model| !model.torque(&table))
    );
    // For good: what would a loop that comes back know?
    let gone = DriverError::Io(embedded_io::ErrorKind::NotConnected);
    assert_eq!(bus.actuators.write(&[0.3; 6]), Err(gone));
    let mut sample = Sample::new();
    let _newest = bus.sensors.read(&mut sample);
    assert_eq!(bus.sensors.read(&mut sample), Err(gone));
}
