//! Flights of robots that fall, that have no goal, and whose simulation diverges.

use std::sync::atomic::AtomicBool;

use engram_link::{CommandSource, State};

use super::log::Flight;
use super::pilot::{Decision, Pilot};
use super::record::EventKind;
use super::{Ending, FlightError, FlightPlan, PilotCard, SampleRecord, Summary, fly};

const ROBOT: &str = include_str!("../../../examples/robots/balancer.toml");
const MODEL: &str = include_str!("../../../examples/robots/balancer.xml");
const STEPS: u32 = 200;

/// Commands the same words in every step.
struct Stubborn(i16);

impl Pilot for Stubborn {
    fn decide(&mut self, _: u64, _: &SampleRecord) -> Result<Decision, FlightError> {
        Ok(Decision {
            orders: Vec::new(),
            words: vec![self.0; 2],
            expected: Vec::new(),
            issued: vec![self.0; 2],
            source: CommandSource::Policy,
            reward: 0.0,
            state: State::Armed,
            faults: 0,
            attention: Vec::new(),
        })
    }

    fn end(&mut self) -> Ending {
        Ending::default()
    }
}

/// Flies the example robot with its files altered.
fn flown(word: i16, robot: &str, model: &str) -> (Summary, Flight) {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, log) = (
        folder.path().join("robot.toml"),
        folder.path().join("log.mcap"),
    );
    std::fs::write(&file, robot).expect("written");
    std::fs::write(folder.path().join("balancer.xml"), model).expect("written");
    let plan = FlightPlan {
        plant: engram_plants::PlantFactory::open(&file.display().to_string()).unwrap(),
        task_seed: 1,
        steps: STEPS,
        episode_steps: None,
        change: None,
        wipe_memory: false,
        real_time: false,
        period_us: None,
        fault: String::new(),
    };
    let stop = AtomicBool::new(false);
    let (mut pilot, card) = (Stubborn(word), PilotCard::default());
    let outcome = fly(&plan, &mut pilot, &card, None, Some(&log), &mut (), &stop);
    let outcome = outcome.expect("it begins");
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    (outcome.summary, Flight::read(&log).expect("it reads"))
}

fn events(flight: &Flight, kind: EventKind) -> Vec<u32> {
    let events = flight.events.iter().filter(|event| event.kind == kind);
    events.map(|event| event.step).collect()
}

#[test]
fn falls_in_mujoco_are_counted_and_the_goal_is_not_held_in_them() {
    let (summary, flight) = flown(0, ROBOT, MODEL);
    let fallen: Vec<u32> = flight
        .steps
        .iter()
        .filter(|step| step.ended && step.fallen && !step.holds && !step.diverged)
        .map(|step| step.step)
        .collect();
    assert!(summary.falls >= 2, "a robot without control stands");
    assert_eq!(fallen.len(), summary.falls as usize);
    assert_eq!(events(&flight, EventKind::Fall), fallen);
    assert_eq!(summary.diverged_steps, 0);
    let held = flight.steps.iter().filter(|step| step.holds).count();
    assert_eq!(summary.held_share, Some(held as f64 / f64::from(STEPS)));
    assert!(flight.complete && flight.header.has_goal);
}

#[test]
fn a_fall_in_the_last_second_in_mujoco_is_no_goal_held_to_the_end() {
    // Held always, but for the steps in which the robot falls.
    let goal = ROBOT.find("[goal]").expect("a goal");
    let robot = format!(
        "{}[goal]\nheight = {{ body = \"chassis\", height_m = -1.0 }}\ndefault_change = \"polarity\"\n",
        &ROBOT[..goal]
    );
    let (summary, _) = flown(0, &robot, MODEL);
    let falls = f64::from(summary.falls);
    assert_eq!(summary.held_share, Some(1.0 - falls / f64::from(STEPS)));
    assert_eq!(summary.holds_at_end, Some(false));
}

#[test]
fn a_robot_in_mujoco_without_a_goal_gets_no_share_of_it() {
    let goal = ROBOT.find("[goal]").expect("a goal");
    let (summary, flight) = flown(0, &ROBOT[..goal], MODEL);
    let told = (summary.held_share, summary.holds_at_end, summary.recovery_s);
    assert_eq!(told, (None, None, None));
    assert!(summary.falls >= 2 && !flight.header.has_goal);
}

#[test]
fn diverged_steps_in_mujoco_are_counted_and_are_no_falls() {
    let model = MODEL.replace("gear=\"1\"", "gear=\"1e12\"");
    let (summary, flight) = flown(20_000, ROBOT, &model);
    let diverged: Vec<u32> = flight
        .steps
        .iter()
        .filter(|step| step.diverged)
        .map(|step| step.step)
        .collect();
    assert!(!diverged.is_empty(), "such motors break no simulation");
    assert_eq!(events(&flight, EventKind::Diverged), diverged);
    assert_eq!(summary.diverged_steps as usize, diverged.len());
    let ended = flight.steps.iter().filter(|step| step.ended).count();
    assert_eq!(ended, (summary.falls + summary.diverged_steps) as usize);
    assert!(
        flight
            .steps
            .iter()
            .all(|step| !(step.diverged && step.holds))
    );
}
