//! Whole flights: word-for-word equality, determinism, replay.

use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail, ensure};
use engram_flight::board::{FaultPlan, FaultyTransport, Patience, Transport};
use engram_flight::{
    Asked, BoardPilot, Event, EventKind, Flight, FlightPlan, Header, Order, Outcome, Step, Summary,
    Watcher, shipped_image,
};
use engram_link::State;
use engram_plants::PlantFactory;

use crate::sample_image::{SLOT, USUAL, sample_image};
use crate::{Case, Rig};

pub(super) const CASES: &[Case] = cases![
    every_word_equals_the_hosts_over_a_trial_with_a_change,
    every_word_equals_the_hosts_with_slot_positions,
    a_quadrotor_takes_a_payload_and_a_weak_rotor_in_flight,
    two_flights_are_equal_bit_for_bit,
    a_flight_with_wiped_memory_equals_the_hosts,
    what_a_watcher_asks_for_is_done_and_replays,
    a_flight_over_a_bad_wire_replays_bit_for_bit,
    a_replay_names_the_first_altered_step,
    in_real_time_the_words_still_equal_the_hosts,
];

pub(super) fn plan(plant: &str, steps: u32) -> FlightPlan {
    FlightPlan {
        plant: PlantFactory::open(plant).expect("a plant of this build"),
        task_seed: 11,
        steps,
        episode_steps: None,
        change: None,
        wipe_memory: false,
        real_time: false,
        period_us: None,
        fault: String::new(),
    }
}

/// Flies `plan` over `transport` until it ends or something ends it; returns the outcome and the log.
pub(super) fn fly_over(
    rig: &Rig,
    transport: Box<dyn Transport>,
    patience: Patience,
    plan: &FlightPlan,
    image: &[u8],
    watcher: &mut dyn Watcher,
    stop: &AtomicBool,
) -> Result<(Outcome, Flight)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("flight.mcap");
    let mut pilot = BoardPilot::prepare(
        transport,
        patience,
        image.into(),
        plan.plant.name(),
        &plan.contract(),
        plan.wipe_memory,
        &mut |_, _| {},
    )?;
    let card = pilot.card(&rig.target().to_string(), image);
    let log = Some(&*file);
    let outcome = if plan.real_time {
        engram_flight::fly_real_time(plan, pilot, &card, image, log, watcher, stop)?
    } else {
        engram_flight::fly(plan, &mut pilot, &card, Some(image), log, watcher, stop)?
    };
    Ok((outcome, Flight::read(&file)?))
}

/// Flies `plan` over `transport` and its faults; returns what came of it.
fn flown(
    rig: &Rig,
    mut transport: Box<dyn Transport>,
    plan: &FlightPlan,
    image: &[u8],
) -> Result<(Summary, Flight)> {
    if !plan.fault.is_empty() {
        let faults: FaultPlan = plan.fault.parse()?;
        transport = Box::new(FaultyTransport::new(transport, faults));
    }
    let stop = AtomicBool::new(false);
    let patience = Rig::patience();
    let (outcome, flight) = fly_over(rig, transport, patience, plan, image, &mut (), &stop)?;
    match outcome.error {
        Some(error) => Err(error).with_context(|| format!("at step {}", outcome.summary.steps)),
        None => Ok((outcome.summary, flight)),
    }
}

/// Flies `plan` on a fresh board, and checks what must hold of every undisturbed flight.
pub(super) fn flies(rig: &Rig, plan: &FlightPlan, image: &[u8]) -> Result<(Summary, Flight)> {
    flies_over(rig, rig.transport_for(image)?, plan, image)
}

/// The same on a board that may have flown before.
pub(super) fn flies_over(
    rig: &Rig,
    transport: Box<dyn Transport>,
    plan: &FlightPlan,
    image: &[u8],
) -> Result<(Summary, Flight)> {
    let (summary, flight) = flown(rig, transport, plan, image)?;
    if let Some(difference) = &summary.first_difference {
        bail!("{difference}");
    }
    ensure!(
        [summary.steps, summary.words_compared] == [plan.steps; 2]
            && summary.words_equal == Some(true)
            && summary.envelope_violations == 0
            && summary.faults.is_empty(),
        "{summary:?}"
    );
    ensure!(
        !summary.weights_sha256_before.is_empty()
            && summary.weights_sha256_before == summary.weights_sha256_after,
        "the weights changed in flight"
    );
    ensure!(flight.complete && flight.steps.len() == plan.steps as usize);
    ensure!(
        flight.image.as_deref() == Some(image),
        "the log holds another image"
    );
    let replay = engram_flight::replay(&flight)?;
    ensure!(replay.equal, "replay: {:?}", replay.first_difference);
    Ok((summary, flight))
}

/// The policy that ships, a receptive field before and after the change.
fn a_quadrotor_takes_a_payload_and_a_weak_rotor_in_flight(rig: &Rig) -> Result<()> {
    let image = shipped_image("quadrotor").context("a quadrotor's policy ships")?;
    let plan = FlightPlan {
        change: Some(("payload+rotor".to_owned(), 100)),
        ..plan("quadrotor", 200)
    };
    let (summary, _) = flies(rig, &plan, image)?;
    ensure!(summary.falls == 0, "{summary:?}");
    Ok(())
}

fn every_word_equals_the_hosts_over_a_trial_with_a_change(rig: &Rig) -> Result<()> {
    // Two episodes; windows wrap many times; the dynamics change in the second.
    let plan = FlightPlan {
        episode_steps: Some(200),
        change: Some(("polarity-mass".to_owned(), 270)),
        ..plan("pendulum", 400)
    };
    let (_, flight) = flies(rig, &plan, &USUAL)?;
    ensure!(flight.steps.iter().filter(|step| step.episode == 1).count() == 200);
    ensure!(
        flight.events.iter().any(|event| event.step == 270),
        "{:?}",
        flight.events
    );
    Ok(())
}

fn every_word_equals_the_hosts_with_slot_positions(rig: &Rig) -> Result<()> {
    flies(rig, &plan("pendulum", 40), &sample_image(2, &SLOT)?)?;
    Ok(())
}

fn two_flights_are_equal_bit_for_bit(rig: &Rig) -> Result<()> {
    let plan = FlightPlan {
        change: Some(("polarity".to_owned(), 60)),
        ..plan("pendulum", 120)
    };
    let (_, first) = flies(rig, &plan, &USUAL)?;
    let (_, second) = flies(rig, &plan, &USUAL)?;
    for (one, two) in first.steps.iter().zip(&second.steps) {
        ensure!(one == two, "step {}: {one:?} and {two:?}", one.step);
    }
    ensure!(first.events == second.events);
    Ok(())
}

fn a_flight_with_wiped_memory_equals_the_hosts(rig: &Rig) -> Result<()> {
    let plan = FlightPlan {
        wipe_memory: true,
        episode_steps: Some(30),
        ..plan("pendulum", 60)
    };
    let (_, flight) = flies(rig, &plan, &USUAL)?;
    ensure!(flight.header.wiped);
    Ok(())
}

/// Asks for a change, a wiped memory for some steps, and the end.
struct Hands {
    step: u32,
}

impl Watcher for Hands {
    fn step(&mut self, _: &Header, step: &Step, _: &[Vec<f32>], _: f64) {
        self.step = step.step + 1;
    }

    fn event(&mut self, _: &Event) {}

    fn asked(&mut self) -> Asked {
        Asked {
            changes: (self.step == 20)
                .then(|| "polarity".to_owned())
                .into_iter()
                .collect(),
            wipe_memory: match self.step {
                30 => Some(true),
                40 => Some(false),
                _ => None,
            },
            stop: self.step == 60,
        }
    }
}

/// As the page of `engram fly --live` does.
fn what_a_watcher_asks_for_is_done_and_replays(rig: &Rig) -> Result<()> {
    let plan = plan("pendulum", u32::MAX);
    let image = shipped_image("pendulum").context("an image")?;
    let transport = rig.transport_for(image)?;
    let (stop, mut hands) = (AtomicBool::new(false), Hands { step: 0 });
    let patience = Rig::patience();
    let (outcome, flight) = fly_over(rig, transport, patience, &plan, image, &mut hands, &stop)?;
    let summary = outcome.summary;
    ensure!(outcome.error.is_none() && summary.ended_early.is_none());
    ensure!(
        summary.steps == 60 && summary.words_equal == Some(true),
        "{summary:?}"
    );
    let wiped = |step: &&Step| step.orders == [Order::ClearMemory];
    let wiped: Vec<u32> = flight
        .steps
        .iter()
        .filter(wiped)
        .map(|step| step.step)
        .collect();
    ensure!(wiped.into_iter().eq(30..40));
    let told = |event: &&Event| [EventKind::Change, EventKind::Asked].contains(&event.kind);
    let told: Vec<u32> = flight
        .events
        .iter()
        .filter(told)
        .map(|event| event.step)
        .collect();
    ensure!(told == [20, 30, 40, 60], "{told:?}");
    ensure!(flight.complete && engram_flight::replay(&flight)?.equal);
    Ok(())
}

fn a_flight_over_a_bad_wire_replays_bit_for_bit(rig: &Rig) -> Result<()> {
    let fault = "drop=0.02,duplicate=0.02,reorder=0.02,corrupt=0.02,delay=0.02,seed=8";
    let plan = FlightPlan {
        fault: fault.to_owned(),
        ..plan("pendulum", 100)
    };
    let (summary, _) = flies(rig, &plan, &USUAL)?;
    ensure!(summary.faults_injected > 0 && summary.retransmissions > 0);
    Ok(())
}

fn a_replay_names_the_first_altered_step(rig: &Rig) -> Result<()> {
    let (_, flight) = flies(rig, &plan("pendulum", 60), &USUAL)?;
    type Alteration = (&'static str, fn(&mut Step));
    let alterations: [Alteration; 6] = [
        ("words[0]", |step| step.words[0] ^= 1),
        ("issued[0]", |step| step.issued[0] ^= 1),
        ("reward", |step| {
            step.reward = f32::from_bits(step.reward.to_bits() ^ 1);
        }),
        ("faults", |step| step.faults = 1),
        ("state", |step| step.state = State::Hold),
        // An altered input shows in what is made of it.
        ("", |step| {
            if let Some(sample) = &mut step.sample {
                sample.observation[2] += 1.0;
            }
        }),
    ];
    for (field, alter) in alterations {
        let mut altered = flight.clone();
        alter(&mut altered.steps[37]);
        let difference = engram_flight::replay(&altered)?.first_difference;
        let difference = difference.context("the alteration went unnoticed")?;
        ensure!(
            difference.step == 37 && (field.is_empty() || difference.field == field),
            "{field} of step 37 was altered, the replay names {difference}"
        );
    }
    Ok(())
}

fn in_real_time_the_words_still_equal_the_hosts(rig: &Rig) -> Result<()> {
    let plan = FlightPlan {
        real_time: true,
        ..plan("pendulum", 50)
    };
    // How many steps a board's clock makes in a given time, and whether a busy machine lets an
    // emulated one keep its deadlines, is not for this case to say: it may try again.
    let mut seen = String::new();
    for _ in 0..5 {
        let (summary, flight) = flown(rig, rig.transport()?, &plan, &USUAL)?;
        if let Some(difference) = &summary.first_difference {
            bail!("{difference}");
        }
        ensure!(summary.envelope_violations == 0);
        ensure!(
            flight.complete == (summary.steps_lost == 0),
            "{:?}",
            flight.flaws
        );
        // Whether a step took too long, a log cannot tell a replay; every other fault it can.
        let mut faults = summary.faults.iter();
        let too_long = faults.any(|fault| fault.contains("ENG-SAFE-11"));
        if summary.words_compared > 5 && !too_long && flight.complete {
            // The log has the step before the flight, too: from that time on the slew limit counts.
            let replay = engram_flight::replay(&flight)?;
            ensure!(replay.equal, "replay: {:?}", replay.first_difference);
            return Ok(());
        }
        seen = format!(
            "only {} of {} steps compared, {} did not arrive; faults: {:?}",
            summary.words_compared, summary.steps, summary.steps_lost, summary.faults
        );
    }
    bail!(seen)
}
