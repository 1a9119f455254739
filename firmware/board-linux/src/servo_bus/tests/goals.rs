//! Which goals go out, and how far from the last one, after servos or the thread of the bus were away.

use super::simulator::{Simulator, table};
use super::*;

/// What every test commands, rad, and the steps of each servo then.
const COMMAND: [f32; 6] = [0.25; 6];
const STEPS: [u16; 6] = [2_211, 1_885, 2_537, 2_211, 2_211, 2_211];
/// Where servos without a supply fall to.
const FALLEN: u16 = 3_200;

/// Farthest that a goal may move in one period, steps.
fn most(period: Duration) -> u16 {
    (652.0 * period.as_secs_f32()) as u16 + 1
}

fn goals(simulator: &Simulator) -> [u16; 6] {
    let state = simulator.state();
    std::array::from_fn(|place| state.servos[place].goal(&table(Servo::Sts3215)))
}

/// A bus whose joints have come to [`COMMAND`].
fn at_command(period: Duration) -> (Simulator, ServoBus) {
    let (simulator, mut bus) = bus(Servo::Sts3215, period, |_| {});
    // 1.1 rad at most, at 1 rad/s.
    for _ in 0..=(1.2 / period.as_secs_f32()) as usize {
        bus.actuators.write(&COMMAND).expect("it is taken");
        std::thread::sleep(period);
    }
    assert_eq!(goals(&simulator), STEPS);
    (simulator, bus)
}

/// Commands until all servos have the goal of [`COMMAND`]. Those at `fallen` have a supply again, and lie at [`FALLEN`].
fn all_come_back(period: Duration, simulator: &Simulator, bus: &mut ServoBus, fallen: &[usize]) {
    let table = table(Servo::Sts3215);
    let mut last = goals(simulator);
    for place in fallen {
        simulator.state().servos[*place].regains_supply(&table, FALLEN);
        last[*place] = FALLEN;
    }
    for step in 0.. {
        if last == STEPS {
            break;
        }
        assert!(step < 40, "{last:?}");
        bus.actuators.write(&COMMAND).expect("it is taken");
        std::thread::sleep(period);
        let now = goals(simulator);
        for (place, last) in last.iter_mut().enumerate() {
            if !simulator.state().servos[place].torque(&table) {
                continue; // no goal yet
            }
            let goal = now[place];
            assert!(
                last.abs_diff(goal) <= most(period),
                "{fallen:?}: servo {} from {last} to {goal}",
                place + 1
            );
            *last = goal;
        }
    }
}

#[test]
fn servos_whose_supply_comes_back_approach_the_command_from_where_they_fell() {
    in_time(|period| {
        for fallen in [0..6, 2..6, 3..4] {
            let (simulator, mut bus) = at_command(period);
            let fallen: Vec<_> = fallen.collect();
            for place in &fallen {
                simulator.state().servos[*place].loses_supply();
            }
            for _ in 0..5 {
                bus.actuators.write(&COMMAND).expect("it is taken");
                std::thread::sleep(period);
            }
            all_come_back(period, &simulator, &mut bus, &fallen);
        }
    });
}

#[test]
fn after_a_stall_goals_approach_the_command_from_the_last_ones() {
    in_time(|period| {
        let (simulator, mut bus) = at_command(period);
        // As if neither commands nor the thread of the bus had had time.
        std::thread::sleep(period * 5 / 2);
        let mut last = goals(&simulator);
        for _ in 0..=(0.8 / period.as_secs_f32()) as usize {
            bus.actuators.write(&[-0.5; 6]).expect("it is taken");
            std::thread::sleep(period);
            let now = goals(&simulator);
            for (last, goal) in last.iter().zip(now) {
                assert!(last.abs_diff(goal) <= most(period), "{last} to {goal}");
            }
            last = now;
        }
        assert_eq!(last[0], 1_722);
    });
}

#[test]
fn servos_that_are_missing_in_different_questions_are_all_remembered() {
    in_time(|period| {
        let (simulator, mut bus) = at_command(period);
        simulator.state().servos[4].loses_supply();
        let before = simulator.state().questions.len();
        bus.actuators.write(&COMMAND).expect("it is taken");
        let began = Instant::now();
        while simulator.state().questions.len() == before && began.elapsed() < period {
            std::thread::sleep(period / 200);
        }
        simulator.state().servos[1].loses_supply();
        std::thread::sleep(period.saturating_sub(began.elapsed()));
        assert_eq!(simulator.state().questions.len(), before + 2);
        all_come_back(period, &simulator, &mut bus, &[1, 4]);
    });
}
