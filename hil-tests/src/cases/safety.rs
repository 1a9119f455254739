//! The safety ladder by fault injection: one case for each requirement that the link can break, and
//! for what happens afterwards. `docs/src/safety.md` holds the requirements.

use anyhow::{Result, ensure};
use engram_image::random::SplitMix64;
use engram_image::{Contract, Reward};
use engram_link::{CommandSource, Fault, Faults, Reason, Sensors, State};
use engram_plants::pendulum::CONTRACT;

use crate::sample_image::{AGE, USUAL, sample_image_for, strong_image};
use crate::{Case, Flyer, Rig, refusal};

pub(super) const CASES: &[Case] = cases![
    eng_safe_01_a_number_that_is_not_finite,
    eng_safe_02_an_observation_out_of_range,
    eng_safe_03_a_wrong_number_of_observations,
    eng_safe_04_a_repeated_sample,
    eng_safe_05_an_old_sample,
    eng_safe_05_a_sample_from_the_future,
    eng_safe_05_no_sample_for_too_long,
    eng_safe_06_a_missing_external_reward,
    eng_safe_10_a_silent_link,
    eng_safe_11_missed_deadlines,
    eng_safe_12_a_clock_that_runs_backwards,
    a_fault_holds_and_then_stops_safely,
    faults_latch_until_reset_and_arm,
    disarmed_the_safe_command_is_issued,
    the_envelope_holds_against_any_observation,
    a_cleared_memory_is_empty_on_the_board_too,
];

/// Each of these bad samples, sent in flight, makes the board latch exactly `fault`, and is recovered from.
fn stops(rig: &Rig, fault: Fault, spoils: &[fn(&mut Sensors)]) -> Result<()> {
    let mut flyer = rig.cruising(20)?;
    for spoil in spoils {
        stops_flyer(&mut flyer, fault, spoil)?;
    }
    Ok(())
}

/// The same for one bad sample and a board in flight.
fn stops_flyer(flyer: &mut Flyer<'_>, fault: Fault, spoil: impl Fn(&mut Sensors)) -> Result<()> {
    let held = flyer.last.issued.clone();
    flyer.step(spoil)?;
    is_held(flyer, &held, fault)?;
    recovers(flyer)
}

/// The newest step is that of a fault: hold, the last issued command again, the policy kept out.
fn is_held(flyer: &Flyer<'_>, held: &[i16], fault: Fault) -> Result<()> {
    let action = &flyer.last;
    ensure!(
        action.faults == Faults::from(fault),
        "expected {fault}, the board latched {}",
        action.faults
    );
    ensure!(action.state == State::Hold, "the state is {}", action.state);
    ensure!(action.words.is_empty(), "the policy ran on a bad sample");
    ensure!(action.source == CommandSource::Held && action.issued == held);
    Ok(())
}

/// After disarm, reset and arm the policy flies again, from an empty memory.
fn recovers(flyer: &mut Flyer<'_>) -> Result<()> {
    flyer.restart()?;
    flyer.cruise(20)?;
    Ok(())
}

/// A period without a sample that the board tolerates: armed, and the last command again.
fn tolerated(flyer: &mut Flyer<'_>) -> Result<()> {
    let held = flyer.last.issued.clone();
    let action = flyer.tick()?;
    ensure!(action.state == State::Armed, "{action:?}");
    ensure!(action.source == CommandSource::Held && action.issued == held);
    Ok(())
}

fn eng_safe_01_a_number_that_is_not_finite(rig: &Rig) -> Result<()> {
    stops(
        rig,
        Fault::NonFinite,
        &[
            |sample| sample.observation[1] = f32::NAN,
            |sample| sample.observation[1] = f32::INFINITY,
            |sample| sample.observation[1] = f32::NEG_INFINITY,
        ],
    )
}

fn eng_safe_02_an_observation_out_of_range(rig: &Rig) -> Result<()> {
    stops(
        rig,
        Fault::ObservationRange,
        &[
            |sample| sample.observation[0] = 1.5,
            |sample| sample.observation[2] = -1e6,
        ],
    )
}

fn eng_safe_03_a_wrong_number_of_observations(rig: &Rig) -> Result<()> {
    stops(
        rig,
        Fault::ObservationCount,
        &[
            |sample| {
                sample.observation.pop();
            },
            |sample| {
                let _ = sample.observation.push(0.0);
            },
        ],
    )
}

fn eng_safe_04_a_repeated_sample(rig: &Rig) -> Result<()> {
    stops(
        rig,
        Fault::SampleRepeated,
        &[|sample| sample.sample_us -= u64::from(CONTRACT.period_us)],
    )
}

fn eng_safe_05_an_old_sample(rig: &Rig) -> Result<()> {
    // A fresh time stamp that is too old: after periods without a sample.
    let mut flyer = rig.cruising(20)?;
    let last_sample_us = flyer.last.now_us;
    tolerated(&mut flyer)?;
    tolerated(&mut flyer)?;
    stops_flyer(&mut flyer, Fault::SampleAge, |sample| {
        sample.sample_us = last_sample_us + 1;
    })
}

fn eng_safe_05_a_sample_from_the_future(rig: &Rig) -> Result<()> {
    stops(rig, Fault::SampleAge, &[|sample| sample.sample_us += 1])
}

fn eng_safe_05_no_sample_for_too_long(rig: &Rig) -> Result<()> {
    let mut flyer = rig.cruising(20)?;
    let missing = flyer.client.telemetry()?.missing_samples;
    tolerated(&mut flyer)?;
    flyer.cruise(3)?;
    tolerated(&mut flyer)?;
    tolerated(&mut flyer)?;
    let held = flyer.last.issued.clone();
    flyer.tick()?;
    is_held(&flyer, &held, Fault::SampleAge)?;
    let counted = flyer.client.telemetry()?.missing_samples;
    let counted = counted.wrapping_sub(missing);
    ensure!(counted == 4, "{counted} missing samples counted");
    recovers(&mut flyer)
}

fn eng_safe_06_a_missing_external_reward(rig: &Rig) -> Result<()> {
    let external = Contract {
        reward: Reward::External,
        ..CONTRACT
    };
    let image = sample_image_for(1, &AGE, &external)?;
    let mut flyer = rig.armed(&image)?;
    for (step, sent) in [7.0, 0.25, -0.5].into_iter().cycle().take(20).enumerate() {
        let action = flyer.step(|sample| sample.reward = Some(sent))?;
        let expected = if step == 0 { 0.0 } else { sent };
        ensure!(
            action.reward == expected,
            "the reward of step {step} is {}",
            action.reward
        );
    }
    stops_flyer(&mut flyer, Fault::RewardMissing, |sample| {
        sample.reward = None;
    })?;
    stops_flyer(&mut flyer, Fault::NonFinite, |sample| {
        sample.reward = Some(f32::NAN);
    })
}

fn eng_safe_10_a_silent_link(rig: &Rig) -> Result<()> {
    // Nothing comes for longer than ten periods; the next frame finds the silence.
    stops(
        rig,
        Fault::LinkLoss,
        &[|sample| {
            sample.now_us += 11 * u64::from(CONTRACT.period_us);
            sample.sample_us = sample.now_us;
        }],
    )
}

fn eng_safe_11_missed_deadlines(rig: &Rig) -> Result<()> {
    let mut flyer = rig.cruising(20)?;
    let misses = flyer.client.telemetry()?.deadline_misses;
    let late = |sample: &mut Sensors| {
        sample.now_us += u64::from(CONTRACT.period_us);
        sample.sample_us = sample.now_us;
    };
    for number in 1..4 {
        let action = flyer.step(late)?;
        ensure!(
            action.state == State::Armed && action.faults.is_empty(),
            "{action:?} after {number} late steps"
        );
    }
    stops_flyer(&mut flyer, Fault::DeadlineMisses, late)?;
    let counted = flyer.client.telemetry()?.deadline_misses;
    let counted = counted.wrapping_sub(misses);
    ensure!(counted == 4, "{counted} misses counted");
    Ok(())
}

fn eng_safe_12_a_clock_that_runs_backwards(rig: &Rig) -> Result<()> {
    let mut flyer = rig.cruising(20)?;
    let before = flyer.last.clone();
    // In lock-step a message of the past makes no step at all; the flight goes on.
    for earlier_us in [0, 1, flyer.period_us()] {
        let (newest_us, got_us) = (before.now_us, before.now_us - earlier_us);
        let expected = Reason::OutOfOrder { newest_us, got_us };
        let mut sample = flyer.good_sample();
        (sample.now_us, sample.sample_us) = (got_us, got_us);
        ensure!(refusal(flyer.client.step(sample))? == expected);
        ensure!(refusal(flyer.client.tick(got_us))? == expected);
    }
    let after = flyer.cruise(10)?;
    ensure!(
        after.step.wrapping_sub(before.step) == 10,
        "a refused message made a step"
    );
    Ok(())
}

fn a_fault_holds_and_then_stops_safely(rig: &Rig) -> Result<()> {
    let image = strong_image(1)?;
    let mut flyer = rig.armed(&image)?;
    // Fault at a moment when the command is far from safe, so that the way back shows.
    let far = |flyer: &Flyer<'_>| flyer.last.issued[0].unsigned_abs() > 27_000;
    for _ in 0..400 {
        if far(&flyer) {
            break;
        }
        flyer.good_step()?;
    }
    let held = flyer.last.issued.clone();
    ensure!(
        far(&flyer),
        "the sample policy never commands much: {held:?}"
    );
    flyer.step(|sample| sample.observation[0] = f32::NAN)?;
    is_held(&flyer, &held, Fault::NonFinite)?;
    // Hold lasts one step; then the command moves.
    let mut action = flyer.good_step()?;
    let mut stop_steps = 0;
    while action.issued[0] != 0 {
        ensure!(
            action.state == State::SafeStop && action.source == CommandSource::Safe,
            "{action:?}"
        );
        ensure!(action.words.is_empty() && action.issued != held);
        stop_steps += 1;
        ensure!(stop_steps < 10, "the safe command is never reached");
        action = flyer.good_step()?;
    }
    for _ in 0..20 {
        let action = flyer.good_step()?;
        ensure!(action.state == State::SafeStop && action.issued[0] == 0);
    }
    Ok(())
}

fn faults_latch_until_reset_and_arm(rig: &Rig) -> Result<()> {
    let mut flyer = rig.cruising(10)?;
    flyer.step(|sample| sample.observation[2] = f32::NAN)?;
    ensure!(refusal(flyer.client.reset_faults())? == Reason::NotStopped(State::Hold));
    // Good samples do not bring the policy back.
    for _ in 0..30 {
        let action = flyer.good_step()?;
        ensure!(action.words.is_empty() && action.faults == Faults::from(Fault::NonFinite));
    }
    ensure!(refusal(flyer.client.arm())? == Reason::NotDisarmed(State::SafeStop));
    flyer.client.disarm()?;
    ensure!(refusal(flyer.client.arm())? == Reason::FaultsLatched(Fault::NonFinite.into()));
    flyer.client.reset_faults()?;
    let action = flyer.good_step()?;
    ensure!(action.state == State::Disarmed && action.faults.is_empty() && action.words.is_empty());
    flyer.rearm()?;
    flyer.cruise(10)?;
    Ok(())
}

fn disarmed_the_safe_command_is_issued(rig: &Rig) -> Result<()> {
    let mut flyer = rig.cruising(30)?;
    flyer.client.disarm()?;
    for step in 0..20 {
        let action = flyer.good_step()?;
        ensure!(action.state == State::Disarmed && action.words.is_empty());
        ensure!(action.source == CommandSource::Safe);
        ensure!(
            step < 5 || action.issued[0] == 0,
            "{:?} is not the safe command",
            action.issued
        );
    }
    // Faults do not latch while disarmed.
    let action = flyer.step(|sample| sample.observation[0] = f32::NAN)?;
    ensure!(
        action.state == State::Disarmed && action.faults.is_empty(),
        "{}",
        action.faults
    );
    Ok(())
}

fn the_envelope_holds_against_any_observation(rig: &Rig) -> Result<()> {
    let mut flyer = rig.armed(&USUAL)?;
    let mut random = SplitMix64::new(1);
    let mut faults = 0;
    for _ in 0..300 {
        // Every step of a flyer is checked against the envelope.
        let action = flyer.step(|sample| {
            let channels = CONTRACT.observations.iter();
            for (value, channel) in sample.observation.iter_mut().zip(channels) {
                *value = match random.below(8) {
                    0 | 1 => channel.min,
                    2 | 3 => channel.max,
                    4 => 0.0,
                    5 => f32::MIN_POSITIVE,
                    6 => -0.0,
                    _ => f32::midpoint(channel.min, channel.max) + random.real() * channel.max,
                };
            }
            if random.below(37) == 0 {
                sample.observation[2] = f32::MAX;
            }
            sample.done = random.below(11) == 0;
        })?;
        if action.state == State::SafeStop {
            faults += 1;
            flyer.client.reset_faults()?;
            flyer.rearm()?;
        }
    }
    ensure!(
        faults > 0,
        "the adversary never broke through the range check"
    );
    Ok(())
}

fn a_cleared_memory_is_empty_on_the_board_too(rig: &Rig) -> Result<()> {
    let mut flyer = rig.cruising(40)?;
    // From here on the words are compared with those of an empty memory on the host.
    flyer.clear_memory()?;
    flyer.cruise(40)?;
    // Cleared before every step it sees one working memory at a time, and says something else.
    let mut wiped = rig.armed(&USUAL)?;
    for _ in 0..39 {
        wiped.cruise(1)?;
        wiped.clear_memory()?;
    }
    let alone = wiped.cruise(1)?;
    let remembered = rig.cruising(40)?.last;
    ensure!(
        alone.words != remembered.words,
        "the memory makes no difference to {:?}",
        alone.words
    );
    Ok(())
}
