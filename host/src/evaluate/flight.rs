//! One trial, recorded for pictures.

use std::sync::Arc;

use engram_kernels::command_from_word;

use super::Controller;
use super::trial::{Outcome, TrialPlan, run};
use crate::report::FlightTrace;
use engram_plants::{Driven, UnknownChange};

/// Flies one trial of a pendulum and records it under `name`.
///
/// # Errors
/// [`UnknownChange`] when the plant does not know the plan's change.
pub fn fly(
    driven: &mut Driven,
    plan: &TrialPlan,
    controller: &mut dyn Controller,
    name: &str,
) -> Result<(FlightTrace, Outcome), UnknownChange> {
    let spec = Arc::clone(driven.spec());
    let (contract, protocol) = (spec.contract(), &spec.protocol);
    let range = contract
        .actions
        .iter()
        .next()
        .map_or((-1.0, 1.0), |action| (action.min, action.max));
    let before = protocol.episode_steps * (protocol.episodes - 1);
    let change = spec
        .changes
        .iter()
        .find(|change| change.name == plan.change);
    let mut trace = FlightTrace {
        name: name.to_owned(),
        period_s: f64::from(contract.period_us) * 1e-6,
        change_step: (plan.change != "none").then_some(before + plan.change_step),
        change: change.map_or_else(|| plan.change.clone(), |change| change.summary.to_string()),
        episodes: (1..protocol.episodes)
            .map(|k| k * protocol.episode_steps)
            .collect(),
        ..FlightTrace::default()
    };
    let unit = |words: &[i16]| {
        words
            .first()
            .map_or(0.0, |word| command_from_word(*word, range.0, range.1))
    };
    let outcome = run(driven, plan, controller, |step| {
        let at = |values: &[f32], index: usize| values.get(index).copied().unwrap_or(0.0);
        let observation = step.observation;
        trace.angle_rad.push(at(step.state, 0));
        trace
            .angle_measured_rad
            .push(at(observation, 1).atan2(at(observation, 0)));
        trace.rate_rad_per_s.push(at(observation, 2));
        trace.command_nm.push(unit(step.wanted));
        trace.issued_nm.push(unit(step.issued));
        trace.upright.push(step.holds);
    })?;
    Ok((trace, outcome))
}
