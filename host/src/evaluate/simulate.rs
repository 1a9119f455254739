//! Flights of a policy in simulation, and of others on the same tasks, for pictures.

use std::ops::Range;
use std::path::PathBuf;

use engram_export::checkpoint::Agent;
use engram_plants::{Driven, PlantFactory, Plants, TaskSet, UnknownChange};
use rayon::prelude::*;

use super::policy::{classical, open};
use super::trace::names;
use super::{Agreement, FlightTrace, Plan, Subject, TrialPlan, fly};

/// What is flown, and who flies beside the policy.
#[derive(Clone, Debug)]
pub struct FlightOptions {
    /// Plant, by name or file; by default the one that the policy was trained on.
    pub plant: Option<String>,
    /// Change in the last episode; by default the plant's own.
    pub change: Option<String>,
    /// Numbers of the held-out tasks, which are those of `engram eval`.
    pub tasks: Range<u32>,
    /// Fly the same policy with its memory emptied before every step, too, and the classical controller of plants that have
    /// one.
    pub compare: bool,
    /// Other runs or images to fly beside it.
    pub beside: Vec<PathBuf>,
}

impl Default for FlightOptions {
    /// The policy alone, on the first task.
    fn default() -> Self {
        Self {
            plant: None,
            change: None,
            tasks: 0..1,
            compare: false,
            beside: Vec::new(),
        }
    }
}

impl Subject {
    /// Flies held-out tasks and records every step: controller by controller, the policy first, and task by task. Every
    /// controller meets the same tasks, starts and noise.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use engram::evaluate::{FlightOptions, Subject};
    /// use engram_plants::Plants;
    ///
    /// let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/quadrotor.engram");
    /// let options = FlightOptions {
    ///     change: Some("payload".to_owned()),
    ///     compare: true,
    ///     ..FlightOptions::default()
    /// };
    /// let flights = Subject::load(&image)?.simulate(&Plants::built_in(), &options)?;
    /// let names: Vec<&str> = flights.iter().map(|flight| flight.name.as_str()).collect();
    /// assert_eq!(names, ["policy", "memory wiped", "classical cascade"]);
    /// assert_eq!(flights[0].changes[0].words, "35 % of the mass is hung under the centre");
    /// // Position errors of the last second, in m.
    /// let error = |flight: usize| flights[flight].metric.values.iter().rev().take(100).sum::<f32>();
    /// assert!(error(0) < error(1));
    /// # Ok::<(), anyhow::Error>(())
    /// ```
    ///
    /// # Errors
    /// Names the plant, change or policy that does not exist or does not fit.
    pub fn simulate(
        &self,
        plants: &Plants,
        options: &FlightOptions,
    ) -> anyhow::Result<Vec<FlightTrace>> {
        let name = options.plant.as_deref().unwrap_or(&self.plant);
        let plant = open(self, plants, name)?;
        let contract = plant.spec().contract();
        let default = &plant.spec().protocol.default_change;
        let change = options.change.as_deref().unwrap_or(default);
        let mut plan = Plan::new(
            &plant,
            TaskSet::HeldOut,
            options.tasks.end as usize,
            change,
            0,
        )?;
        let trials = plan
            .trials
            .split_off(options.tasks.start.min(options.tasks.end) as usize);
        let prepared = self.prepare(&contract, Agreement::Needed)?;
        let mut flights = all(&plant, &trials, |driven, trial| {
            prepared.fly_watched(driven, trial, "policy")
        })?;
        if options.compare {
            flights.extend(all(&plant, &trials, |driven, trial| {
                let mut wiped = prepared.controller(true);
                Ok(fly(driven, trial, wiped.as_mut(), names::WIPED)?.0)
            })?);
        }
        for path in &options.beside {
            let other = Self::load(path)?;
            let name = match other.agent {
                Agent::OneStep | Agent::Markov => names::MEMORYLESS,
                other => other.into(),
            };
            let prepared = other.prepare(&contract, Agreement::Needed)?;
            flights.extend(all(&plant, &trials, |driven, trial| {
                let mut other = prepared.controller(false);
                Ok(fly(driven, trial, other.as_mut(), name)?.0)
            })?);
        }
        if let Some((name, make)) = classical(&contract).filter(|_| options.compare) {
            flights.extend(all(&plant, &trials, |driven, trial| {
                Ok(fly(driven, trial, make(&contract, trial).as_mut(), name)?.0)
            })?);
        }
        Ok(flights)
    }
}

/// Every trial, on all cores.
fn all(
    plant: &PlantFactory,
    trials: &[TrialPlan],
    fly: impl Fn(&mut Driven, &TrialPlan) -> Result<FlightTrace, UnknownChange> + Sync,
) -> Result<Vec<FlightTrace>, UnknownChange> {
    trials
        .par_iter()
        .map_init(
            || Driven::new(plant.make()),
            |driven, trial| fly(driven, trial),
        )
        .collect()
}
