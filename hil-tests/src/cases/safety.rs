//! The safety ladder by fault injection: one case for each requirement that the link can break, and
//! for what happens afterwards. `docs/src/safety.md` holds the requirements.

use anyhow::{Result, bail, ensure};
use engram::fly::EnvelopeCheck;
use engram_image::{Contract, Reward};
use engram_link::{Action, CommandSource, Fault, Faults, Reason, Sensors, State};

use super::{Case, case};
use crate::sample_image::{AGE, sample_image, sample_image_for, strong_image};
use crate::{Flyer, Rig, pendulum, refusal};

pub(super) const CASES: &[Case] = &[
    case("eng_safe_01_a_number_that_is_not_finite", not_finite),
    case("eng_safe_02_an_observation_out_of_range", out_of_range),
    case("eng_safe_03_a_wrong_number_of_observations", wrong_count),
    case("eng_safe_04_a_repeated_sample", repeated_sample),
    case("eng_safe_05_an_old_sample", old_sample),
    case("eng_safe_05_a_sample_from_the_future", future_sample),
    case("eng_safe_05_no_sample_for_too_long", no_sample),
    case("eng_safe_06_a_missing_external_reward", missing_reward),
    case("eng_safe_10_a_silent_link", silent_link),
    case("eng_safe_11_missed_deadlines", missed_deadlines),
    case("eng_safe_12_a_clock_that_runs_backwards", backwards),
    case("a_fault_holds_and_then_stops_safely", hold_then_stop),
    case("faults_latch_until_reset_and_arm", latching),
    case("disarmed_the_safe_command_is_issued", disarmed),
    case("the_envelope_holds_against_any_observation", adversarial),
    case("a_cleared_memory_is_empty_on_the_board_too", clear_memory),
];

/// Flies for a while, sends a bad sample, and expects exactly `fault` to stop the policy.
fn stops(rig: &Rig, fault: Fault, spoil: impl Fn(&mut Sensors)) -> Result<()> {
    let image = sample_image(1, &AGE)?;
    let mut flyer = rig.armed(&image)?;
    let before = flyer.cruise(20)?;
    let mut sample = flyer.good_sample();
    spoil(&mut sample);
    let action = flyer.step(&sample)?;
    expect_fault(&before, &action, fault)?;
    recovers(&mut flyer)
}

/// The step of a fault: hold, the last issued command again, the policy kept out.
fn expect_fault(before: &Action, action: &Action, fault: Fault) -> Result<()> {
    ensure!(
        action.faults == Faults::from(fault),
        "expected {fault}, the board latched {}",
        action.faults
    );
    ensure!(action.state == State::Hold, "the state is {}", action.state);
    ensure!(action.words.is_empty(), "the policy ran on a bad sample");
    ensure!(action.source == CommandSource::Held && action.issued == before.issued);
    Ok(())
}

/// After disarm, reset and arm the policy flies again, from an empty memory.
fn recovers(flyer: &mut Flyer<'_>) -> Result<()> {
    flyer.client.disarm()?;
    flyer.client.reset_faults()?;
    flyer.rearm()?;
    let action = flyer.cruise(20)?;
    ensure!(action.faults.is_empty());
    Ok(())
}

fn not_finite(rig: &Rig) -> Result<()> {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        stops(rig, Fault::NonFinite, |sample| sample.observation[1] = bad)?;
    }
    Ok(())
}

fn out_of_range(rig: &Rig) -> Result<()> {
    stops(rig, Fault::ObservationRange, |sample| {
        sample.observation[0] = 1.5
    })?;
    stops(rig, Fault::ObservationRange, |sample| {
        sample.observation[2] = -1e6
    })
}

fn wrong_count(rig: &Rig) -> Result<()> {
    stops(rig, Fault::ObservationCount, |sample| {
        sample.observation.pop();
    })?;
    stops(rig, Fault::ObservationCount, |sample| {
        let _ = sample.observation.push(0.0);
    })
}

fn repeated_sample(rig: &Rig) -> Result<()> {
    let period_us = u64::from(pendulum().period_us);
    stops(rig, Fault::SampleRepeated, |sample| {
        sample.sample_us -= period_us
    })
}

fn old_sample(rig: &Rig) -> Result<()> {
    // A fresh time stamp that is too old: after periods without a sample.
    let image = sample_image(1, &AGE)?;
    let mut flyer = rig.armed(&image)?;
    flyer.cruise(20)?;
    let period_us = flyer.period_us();
    let last_sample_us = flyer.now_us;
    let missing = flyer.tick()?;
    ensure!(missing.state == State::Armed && missing.source == CommandSource::Held);
    let missing = flyer.tick()?;
    ensure!(
        missing.state == State::Armed,
        "two periods without a sample are tolerated"
    );
    let mut sample = flyer.good_sample();
    sample.sample_us = last_sample_us + 1;
    ensure!(sample.now_us - sample.sample_us > 2 * period_us);
    let action = flyer.step(&sample)?;
    expect_fault(&missing, &action, Fault::SampleAge)?;
    recovers(&mut flyer)
}

fn future_sample(rig: &Rig) -> Result<()> {
    stops(rig, Fault::SampleAge, |sample| sample.sample_us += 1)
}

fn no_sample(rig: &Rig) -> Result<()> {
    let image = sample_image(1, &AGE)?;
    let mut flyer = rig.armed(&image)?;
    let mut before = flyer.cruise(20)?;
    for tick in 1..=2 {
        let action = flyer.tick()?;
        ensure!(
            action.state == State::Armed,
            "{} after {tick} periods",
            action.state
        );
        ensure!(action.source == CommandSource::Held && action.issued == before.issued);
        before = action;
    }
    let action = flyer.tick()?;
    expect_fault(&before, &action, Fault::SampleAge)?;
    recovers(&mut flyer)
}

fn missing_reward(rig: &Rig) -> Result<()> {
    let external = Contract {
        reward: Reward::External,
        ..pendulum()
    };
    let image = sample_image_for(1, &AGE, &external)?;
    let mut flyer = rig.armed(&image)?;
    let mut before = None;
    for step in 0..20 {
        let mut sample = flyer.good_sample();
        sample.reward = Some(0.25);
        let action = flyer.step(&sample)?;
        let expected = if step == 0 { 0.0 } else { 0.25 };
        ensure!(
            action.reward == expected,
            "the reward of step {step} is {}",
            action.reward
        );
        before = Some(action);
    }
    let mut sample = flyer.good_sample();
    sample.reward = None;
    let action = flyer.step(&sample)?;
    let Some(before) = before else {
        bail!("no step was made")
    };
    expect_fault(&before, &action, Fault::RewardMissing)?;
    flyer.client.disarm()?;
    flyer.client.reset_faults()?;
    flyer.rearm()?;
    let mut sample = flyer.good_sample();
    sample.reward = Some(f32::NAN);
    let action = flyer.step(&sample)?;
    ensure!(
        action.faults == Faults::from(Fault::NonFinite),
        "{}",
        action.faults
    );
    Ok(())
}

fn silent_link(rig: &Rig) -> Result<()> {
    let image = sample_image(1, &AGE)?;
    let mut flyer = rig.armed(&image)?;
    let before = flyer.cruise(20)?;
    // Nothing comes for longer than ten periods; the next frame finds the silence.
    let silence_us = 11 * flyer.period_us();
    let mut sample = flyer.good_sample();
    sample.now_us += silence_us;
    sample.sample_us += silence_us;
    let action = flyer.step(&sample)?;
    expect_fault(&before, &action, Fault::LinkLoss)?;
    recovers(&mut flyer)
}

fn missed_deadlines(rig: &Rig) -> Result<()> {
    let image = sample_image(1, &AGE)?;
    let mut flyer = rig.armed(&image)?;
    let mut before = flyer.cruise(20)?;
    let misses = flyer.client.telemetry()?.deadline_misses;
    for late in 1..=4_u32 {
        let mut sample = flyer.good_sample();
        sample.now_us += flyer.period_us();
        sample.sample_us = sample.now_us;
        let action = flyer.step(&sample)?;
        if late < 4 {
            ensure!(
                action.state == State::Armed,
                "{} after {late} late steps",
                action.state
            );
            ensure!(action.faults.is_empty());
        } else {
            expect_fault(&before, &action, Fault::DeadlineMisses)?;
        }
        before = action;
    }
    let counted = flyer
        .client
        .telemetry()?
        .deadline_misses
        .wrapping_sub(misses);
    ensure!(counted == 4, "{counted} misses counted");
    recovers(&mut flyer)
}

fn backwards(rig: &Rig) -> Result<()> {
    let image = sample_image(1, &AGE)?;
    let mut flyer = rig.armed(&image)?;
    let before = flyer.cruise(20)?;
    // In lock-step a message of the past makes no step at all; the flight goes on.
    for earlier_us in [0, 1, flyer.period_us()] {
        let mut sample = flyer.good_sample();
        sample.now_us = before.now_us - earlier_us;
        sample.sample_us = sample.now_us;
        match refusal(flyer.client.step(sample))? {
            Reason::OutOfOrder { newest_us, .. } => {
                ensure!(newest_us == before.now_us);
            }
            other => bail!("{other:?}"),
        }
    }
    let after = flyer.cruise(10)?;
    ensure!(
        after.step.wrapping_sub(before.step) == 10,
        "a refused message made a step"
    );
    Ok(())
}

fn hold_then_stop(rig: &Rig) -> Result<()> {
    let image = strong_image(1)?;
    let mut flyer = rig.armed(&image)?;
    let mut check = EnvelopeCheck::new(&pendulum());
    let mut last = flyer.good_step()?;
    check.step(last.now_us, &last.issued);
    // Fault at a moment when the command is far from safe, so that the way back shows.
    for _ in 0..400 {
        if last.issued[0].unsigned_abs() > 27_000 {
            break;
        }
        last = flyer.good_step()?;
        check.step(last.now_us, &last.issued);
    }
    let held = last.issued.clone();
    ensure!(
        held[0].unsigned_abs() > 27_000,
        "the sample policy never commands much: {held:?}"
    );
    let mut sample = flyer.good_sample();
    sample.observation[0] = f32::NAN;
    let mut action = flyer.step(&sample)?;
    let mut hold_steps = 0;
    while action.state == State::Hold {
        ensure!(action.issued == held && action.source == CommandSource::Held);
        check.step(action.now_us, &action.issued);
        hold_steps += 1;
        ensure!(hold_steps <= 6, "hold does not end");
        action = flyer.good_step()?;
    }
    ensure!(hold_steps == 1, "held for {hold_steps} steps, not 1");
    ensure!(
        action.state == State::SafeStop,
        "hold ends in {}",
        action.state
    );
    let mut stop_steps = 0;
    while action.issued[0] != 0 {
        ensure!(action.source == CommandSource::Safe && action.words.is_empty());
        ensure!(
            !check.step(action.now_us, &action.issued),
            "the slew limit was broken on the way to safe"
        );
        stop_steps += 1;
        ensure!(stop_steps < 10, "the safe command is never reached");
        action = flyer.good_step()?;
    }
    for _ in 0..20 {
        let action = flyer.good_step()?;
        ensure!(action.state == State::SafeStop && action.issued[0] == 0);
    }
    ensure!(check.violations() == 0);
    Ok(())
}

fn latching(rig: &Rig) -> Result<()> {
    let image = sample_image(1, &AGE)?;
    let mut flyer = rig.armed(&image)?;
    flyer.cruise(10)?;
    let mut sample = flyer.good_sample();
    sample.observation[2] = f32::NAN;
    flyer.step(&sample)?;
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

fn disarmed(rig: &Rig) -> Result<()> {
    let image = sample_image(1, &AGE)?;
    let mut flyer = rig.armed(&image)?;
    flyer.cruise(30)?;
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
    let mut sample = flyer.good_sample();
    sample.observation[0] = f32::NAN;
    let action = flyer.step(&sample)?;
    ensure!(
        action.state == State::Disarmed && action.faults.is_empty(),
        "{}",
        action.faults
    );
    Ok(())
}

fn adversarial(rig: &Rig) -> Result<()> {
    let image = sample_image(1, &AGE)?;
    let mut flyer = rig.armed(&image)?;
    let mut check = EnvelopeCheck::new(&pendulum());
    let contract = pendulum();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut faults = 0;
    for _ in 0..300 {
        let mut sample = flyer.good_sample();
        for (value, channel) in sample
            .observation
            .iter_mut()
            .zip(contract.observations.iter())
        {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *value = match state % 8 {
                0 | 1 => channel.min,
                2 | 3 => channel.max,
                4 => 0.0,
                5 => f32::MIN_POSITIVE,
                6 => -0.0,
                _ => {
                    channel.min
                        + (channel.max - channel.min) * ((state >> 40) as f32 / (1 << 24) as f32)
                }
            };
        }
        if state.is_multiple_of(37) {
            sample.observation[2] = f32::MAX;
        }
        sample.done = state.is_multiple_of(11);
        let action = flyer.step(&sample)?;
        ensure!(
            !check.step(action.now_us, &action.issued),
            "step {}: issued {:?} breaks the envelope",
            action.step,
            action.issued
        );
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

fn clear_memory(rig: &Rig) -> Result<()> {
    let image = sample_image(1, &AGE)?;
    let mut flyer = rig.armed(&image)?;
    flyer.cruise(40)?;
    // From here on the words are compared with those of an empty memory on the host.
    flyer.clear_memory()?;
    let cleared = flyer.cruise(40)?;
    ensure!(cleared.faults.is_empty());
    // Cleared before every step it sees one working memory at a time, and says something else.
    let mut wiped = rig.armed(&image)?;
    for _ in 0..39 {
        wiped.cruise(1)?;
        wiped.clear_memory()?;
    }
    let alone = wiped.cruise(1)?;
    let remembered = rig.armed(&image)?.cruise(40)?;
    ensure!(
        alone.words != remembered.words,
        "the memory makes no difference to {:?}",
        alone.words
    );
    Ok(())
}
