//! A robot and its model put together: every name found, and what its plants share.

use std::sync::Arc;

use mujoco_rs::wrappers::MjModel;
use rand::RngExt;

use super::alteration::Alteration;
use super::contacts::Contacts;
use super::effects;
use super::names::{Kind, Names};
use super::reading::{Maker, Reading, Test};
use super::worth::Worth;
use crate::Random;
use crate::mujoco::simulation::After;
use crate::mujoco::{ModelError, Simulation, models};
use crate::robot::{Condition, Robot, RobotError};

/// Physics steps of one control step, at most.
const MAX_FRAME_SKIP: f64 = 10_000.0;
/// What counts as the same number of a command's units, relative to its range.
const SAME: f64 = 1e-6;
/// By so much of itself may a timestep be rounded,
const ROUNDED: f64 = 1e-5;
/// and a period to whole microseconds.
const ROUNDED_US: f64 = 0.5;
/// A refused period is told so many shorter and longer ones.
const NEAREST: usize = 2;

/// The joints that scatter at the start of an episode.
pub(super) struct Scatter {
    pub(super) keyframe: Option<usize>,
    pub(super) positions: Vec<usize>,
    pub(super) velocities: Vec<usize>,
}

/// All that the robot's plants share.
pub(super) struct Body {
    /// The model before a task alters it.
    pub(super) model: Arc<MjModel>,
    pub(super) frame_skip: usize,
    pub(super) readings: Vec<Reading>,
    /// Address of every action channel's control.
    pub(super) controls: Vec<usize>,
    pub(super) rewards: Vec<(f64, Worth)>,
    /// An episode ends when all of any of these hold.
    pub(super) ended: Vec<Vec<Test>>,
    pub(super) goal: Vec<Test>,
    /// The contacts whose duration is read.
    pub(super) timed: Vec<Contacts>,
    pub(super) scatter: Scatter,
    pub(super) alterations: Vec<Alteration>,
}

impl Body {
    /// Loads the robot's model and finds in it all that its file names.
    pub(super) fn new(robot: &Robot) -> Result<Self, RobotError> {
        let model = load(robot)?;
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
        let ended = ended.collect::<Result<_, _>>()?;
        let goal = tests(&robot.goal)?;
        let body = Self {
            frame_skip: frame_skip(names)?,
            readings,
            controls: controls(names)?,
            rewards,
            ended,
            goal,
            timed: maker.timed,
            scatter: scatter(names)?,
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
        Simulation::new(Arc::clone(&self.model), self.frame_skip, After::Everything)
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
        let noise = &robot.start;
        simulation.reset_to(self.scatter.keyframe);
        let positions = simulation.qpos_mut();
        for index in &self.scatter.positions {
            if let Some(value) = positions.get_mut(*index) {
                *value += noise.position * wider * random.random_range(-1.0..=1.0);
            }
        }
        let velocities = simulation.qvel_mut();
        for index in &self.scatter.velocities {
            if let Some(value) = velocities.get_mut(*index) {
                *value += noise.velocity * wider * random.random_range(-1.0..=1.0);
            }
        }
        simulation.normalize();
        simulation.settle();
    }
}

/// Loads the robot's model.
pub(super) fn load(robot: &Robot) -> Result<Arc<MjModel>, RobotError> {
    models::load(&robot.model).map_err(|error| match error {
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
    })
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

fn controls(names: Names<'_>) -> Result<Vec<usize>, RobotError> {
    let mut controls = Vec::new();
    let channels = names.robot.spec.channels.actions.iter();
    for (index, (named, channel)) in names.robot.actuators.iter().zip(channels).enumerate() {
        let actuator = names.find(Kind::Actuator, named)?;
        let address = names.control(actuator);
        if controls.contains(&address) {
            return Err(names
                .robot
                .refuse(&named.key, "an actuator that no other action drives"));
        }
        let limited = names
            .model
            .actuator_ctrllimited()
            .get(address)
            .is_some_and(|limited| *limited);
        let [low, high] = names
            .model
            .actuator_ctrlrange()
            .get(address)
            .copied()
            .unwrap_or_default();
        let slack = SAME * (high - low).abs();
        for (field, value) in [("min", channel.min), ("max", channel.max)] {
            let value = f64::from(value);
            if limited && (value < low - slack || value > high + slack) {
                let must = format!("within the actuator's ctrlrange, {low} to {high}");
                return Err(names
                    .robot
                    .refuse(&format!("action[{index}].{field}"), must));
            }
        }
        controls.push(address);
    }
    Ok(controls)
}

fn scatter(names: Names<'_>) -> Result<Scatter, RobotError> {
    let start = &names.robot.start;
    let joints = names.list(Kind::Joint, &start.joints)?;
    let keyframe = start
        .keyframe
        .as_ref()
        .map(|named| names.find(Kind::Keyframe, named));
    Ok(Scatter {
        keyframe: keyframe.transpose()?,
        positions: joints
            .iter()
            .flat_map(|id| names.joint(*id).positions)
            .collect(),
        velocities: joints
            .iter()
            .flat_map(|id| names.joint(*id).velocities)
            .collect(),
    })
}
