//! A robot and its model put together: every name found, and what its plants share.

use std::sync::Arc;

use mujoco_rs::wrappers::MjModel;

use super::actuation::{self, Control};
use super::alteration::Alteration;
use super::contacts::Contacts;
use super::imperfections::{self, Push};
use super::names::Names;
use super::reading::{Maker, Reading, Test};
use super::starts::Starts;
use super::worth::Worth;
use super::{effects, inertia};
use crate::Random;
use crate::mujoco::simulation::After;
use crate::mujoco::{ModelError, Simulation, models};
use crate::robot::{Condition, Effect, Robot, RobotError};

/// Physics steps of one control step, at most.
const MAX_FRAME_SKIP: f64 = 10_000.0;
/// By so much of itself may a timestep be rounded,
const ROUNDED: f64 = 1e-5;
/// and a period to whole microseconds.
const ROUNDED_US: f64 = 0.5;
/// A refused period is told so many shorter and longer ones.
const NEAREST: usize = 2;

/// All that the robot's plants share.
pub(super) struct Body {
    /// The model before a task alters it.
    pub(super) model: Arc<MjModel>,
    pub(super) frame_skip: usize,
    /// What has to be known of the end of a control step.
    after: After,
    pub(super) readings: Vec<Reading>,
    /// What becomes of every action channel's command.
    pub(super) controls: Vec<Control>,
    /// Whether a filter works between physics steps.
    pub(super) filters: bool,
    /// The hidden parameters that are periods of clocks.
    pub(super) clocks: Vec<usize>,
    pub(super) rewards: Vec<(f64, Worth)>,
    /// An episode ends when all of any of these hold.
    pub(super) ended: Vec<Vec<Test>>,
    pub(super) goal: Vec<Test>,
    /// The contacts whose duration is read.
    pub(super) timed: Vec<Contacts>,
    pub(super) starts: Starts,
    pub(super) pushes: Vec<Push>,
    pub(super) alterations: Vec<Alteration>,
}

impl Body {
    /// Loads the robot's model and finds in it all that its file names.
    pub(super) fn new(robot: &Robot) -> Result<Self, RobotError> {
        let loaded = load(robot)?;
        let names = Names {
            robot,
            model: &loaded,
        };
        let mut model = Arc::clone(&loaded);
        let controls = actuation::controls(names, &mut model)?;
        inertia::free_centers(names, &mut model)?;
        let names = Names {
            robot,
            model: &model,
        };
        let mut maker = Maker {
            names,
            timed: Vec::new(),
        };
        let mut rewards = Vec::new();
        for (weight, term) in &robot.rewards {
            rewards.push((*weight, Worth::new(&mut maker, term)?));
        }
        let mut readings = Vec::new();
        for source in &robot.sources {
            readings.push(Reading::new(&mut maker, source)?);
        }
        let mut tests = |all: &[Condition]| -> Result<Vec<Test>, RobotError> {
            all.iter().map(|one| Test::new(&mut maker, one)).collect()
        };
        let ended = robot.ended.iter().map(|all| tests(all));
        let ended: Vec<_> = ended.collect::<Result<_, _>>()?;
        let goal = tests(&robot.goal)?;
        let needs_forces = {
            let tests = ended.iter().flatten().chain(&goal);
            let mut read = readings.iter().chain(tests.flat_map(Test::readings));
            read.any(|reading: &Reading| reading.needs_forces(&model))
                || (rewards.iter()).any(|(_, worth): &(f64, Worth)| worth.needs_forces(&model))
        };
        let body = Self {
            frame_skip: frame_skip(names)?,
            after: if needs_forces {
                After::Everything
            } else {
                After::Motion
            },
            readings,
            filters: controls.iter().any(|control| control.filter_s > 0.0)
                || (robot.effects.iter()).any(|effect| matches!(effect, Effect::ActionFilter(_))),
            clocks: robot.clocks(),
            controls,
            rewards,
            ended,
            goal,
            timed: maker.timed,
            starts: Starts::new(names)?,
            pushes: imperfections::pushes(names)?,
            alterations: (robot.effects.iter())
                .map(|effect| Alteration::new(names, effect))
                .collect::<Result<_, _>>()?,
            model: Arc::clone(&model),
        };
        effects::check(names, &body)?;
        Ok(body)
    }

    /// A simulation of the model.
    pub(super) fn simulation(&self) -> Simulation {
        Simulation::new(Arc::clone(&self.model), self.frame_skip, self.after)
    }

    /// Whether any hidden parameter changes the model.
    pub(super) fn alters(&self) -> bool {
        self.alterations.iter().any(Alteration::changes_the_model)
    }

    /// Makes the model that of a task.
    pub(super) fn alter(&self, model: &mut MjModel, task: &[f32]) {
        for (alteration, value) in self.alterations.iter().zip(task) {
            alteration.apply(model, f64::from(*value));
        }
    }

    /// Begins an episode, scattered `wider` times as far as usual.
    pub(super) fn start(
        &self,
        simulation: &mut Simulation,
        robot: &Robot,
        wider: f64,
        random: &mut Random,
    ) {
        let controls = &self.controls;
        (self.starts).begin(simulation, robot, controls, wider, random);
    }
}

/// Loads the robot's model, with the actuators that its file adds.
pub(super) fn load(robot: &Robot) -> Result<Arc<MjModel>, RobotError> {
    let model = models::load(&robot.model).map_err(|error| match error {
        ModelError::Refused { path, reason } => RobotError::Model {
            path: path.display().to_string(),
            message: reason,
        },
        _ => robot.refuse(
            "model",
            format!(
                "the path of a MuJoCo model; there is no {}",
                robot.model.display()
            ),
        ),
    })?;
    if robot.added.is_empty() {
        return Ok(model);
    }
    let model = &*model;
    actuation::with_added(Names { robot, model }).map(Arc::new)
}

/// Physics steps per control period, which must be a whole number.
fn frame_skip(names: Names<'_>) -> Result<usize, RobotError> {
    let timestep_us = names.model.opt().timestep * 1e6;
    let period_us = f64::from(names.robot.spec.channels.period_us);
    let skip = (period_us / timestep_us).round();
    if (1.0..=MAX_FRAME_SKIP).contains(&skip) && fits(skip * timestep_us, period_us) {
        return Ok(skip as usize);
    }
    let whole = |skip: f64| {
        let near_us = (skip * timestep_us).round();
        (near_us >= 1.0).then_some(near_us as u64)
    };
    let first = (period_us / timestep_us).floor().clamp(0.0, MAX_FRAME_SKIP) as u32;
    let shorter = (1..=first).rev().filter_map(|skip| whole(f64::from(skip)));
    let longer = (first + 1..=MAX_FRAME_SKIP as u32).filter_map(|skip| whole(f64::from(skip)));
    let mut near: Vec<u64> = shorter.take(NEAREST).chain(longer.take(NEAREST)).collect();
    near.sort_unstable();
    let near: Vec<String> = near.iter().map(u64::to_string).collect();
    let must = format!(
        "a multiple of the model's timestep, {} us, of at most {MAX_FRAME_SKIP} steps; {}",
        (timestep_us * 1e6).round() / 1e6,
        if near.is_empty() {
            "no whole number of microseconds is: give the model another timestep".to_owned()
        } else {
            format!("the nearest that work: {} (us)", near.join(", "))
        }
    );
    Err(names.robot.refuse("period_us", must))
}

/// Whether two times are the same but for the rounding of a timestep such as 0.0041667, and of a period such as 8333.
fn fits(multiple_us: f64, period_us: f64) -> bool {
    (multiple_us - period_us).abs() <= (ROUNDED * period_us).max(ROUNDED_US)
}
