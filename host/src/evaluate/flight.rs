//! One trial, recorded for pictures.

use std::sync::Arc;

use engram_kernels::command_from_word;

use super::Controller;
use super::trace::{Changed, FlightTrace, Signals};
use super::trial::{Outcome, TrialPlan, run};
use engram_plants::{Change, Driven, UnknownChange};

/// Flies one trial and records it under `name`.
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
    let contract = spec.contract();
    let ranges: Vec<(f32, f32)> = contract.actions.iter().map(|a| (a.min, a.max)).collect();
    let commands = Signals::new(contract.actions.iter().map(|a| (a.name, a.unit)));
    let hidden = spec.parameters.iter().zip(&plan.task.values);
    let mut trace = FlightTrace {
        task: hidden
            .map(|(known, value)| (known.name.to_string(), *value, known.unit.to_string()))
            .collect(),
        name: name.to_owned(),
        plant: spec.name.to_string(),
        period_s: spec.period_s(),
        observation: Signals::new(contract.observations.iter().map(|c| (c.name, c.unit))),
        state: Signals::new(spec.state_names.iter().map(|name| (&**name, ""))),
        wanted: commands.clone(),
        issued: commands,
        metric: Signals::new(spec.metric_name.iter().map(|name| (&**name, ""))),
        has_goal: spec.has_goal,
        ..FlightTrace::default()
    };
    let units = |words: &[i16]| -> Vec<f32> {
        let pairs = words.iter().zip(&ranges);
        pairs
            .map(|(word, (min, max))| command_from_word(*word, *min, *max))
            .collect()
    };
    let mut last = None;
    let outcome = run(driven, plan, controller, |step| {
        if last
            .replace(step.episode)
            .is_some_and(|last| last != step.episode)
        {
            trace.episodes.push(trace.steps());
        }
        let change = step.episode + 1 == spec.protocol.episodes && step.step == plan.change_step;
        if change && plan.change != Change::NONE.name {
            trace.changes.push(Changed {
                step: trace.steps(),
                words: spec.change_in_words(&plan.change),
            });
        }
        trace.observation.push(step.observation.iter().copied());
        trace.state.push(step.state.iter().copied());
        trace.wanted.push(units(step.wanted));
        trace.issued.push(units(step.issued));
        trace.reward.push(step.reward);
        trace.metric.push([step.metric.unwrap_or(f32::NAN)]);
        trace.holds.push(step.holds);
    })?;
    Ok((trace, outcome))
}
