//! A robot and its model put together: every name found, and what a task does to the model.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use mujoco_rs::wrappers::{MjData, MjModel};

use super::names::{Kind, Names};
use super::reading::{Reading, Test, Worth};
use crate::plant::mujoco::{ModelError, models};
use crate::plant::robot::{Axis, Effect, Robot, RobotError};

/// Physics steps of one control step, at most.
const MAX_FRAME_SKIP: f64 = 10_000.0;
/// What counts as the same number of seconds, or of a command's units, relative to it.
const SAME: f64 = 1e-6;

/// What a hidden parameter multiplies, by the model's numbers.
enum Alteration {
    Mass(Vec<usize>),
    Damping(Vec<usize>),
    Friction(Vec<usize>),
    Gear(Vec<usize>),
    GravityTilt(Axis),
    Nothing,
}

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
    pub(super) ended: Vec<Test>,
    pub(super) goal: Vec<Test>,
    pub(super) scatter: Scatter,
    alterations: Vec<Alteration>,
}

/// The body of a robot, made once per process.
pub(super) fn of(robot: &'static Robot) -> Result<&'static Body, RobotError> {
    static MADE: Mutex<Option<HashMap<usize, &'static Body>>> = Mutex::new(None);
    // Robots live as long as the process, so that their addresses tell them apart.
    let key = std::ptr::from_ref(robot).addr();
    // A thread that panicked here left at worst a body out.
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let made = made.get_or_insert_default();
    if let Some(body) = made.get(&key) {
        return Ok(body);
    }
    let body: &'static Body = Box::leak(Box::new(Body::new(robot)?));
    made.insert(key, body);
    Ok(body)
}

impl Body {
    fn new(robot: &'static Robot) -> Result<Self, RobotError> {
        let model = load(robot)?;
        let names = Names {
            robot,
            model: &model,
        };
        let reading = |source| Reading::new(names, source);
        let test = |condition| Test::new(names, condition);
        let rewards = robot
            .rewards
            .iter()
            .map(|(weight, term)| Ok((*weight, Worth::new(names, term)?)))
            .collect::<Result<_, RobotError>>()?;
        Ok(Self {
            frame_skip: frame_skip(names)?,
            readings: robot
                .sources
                .iter()
                .map(reading)
                .collect::<Result<_, _>>()?,
            controls: controls(names)?,
            rewards,
            ended: robot.ended.iter().map(test).collect::<Result<_, _>>()?,
            goal: robot.goal.iter().map(test).collect::<Result<_, _>>()?,
            scatter: scatter(names)?,
            alterations: (robot.effects.iter())
                .map(|effect| alteration(names, effect))
                .collect::<Result<_, _>>()?,
            model: Arc::clone(&model),
        })
    }

    /// Whether any hidden parameter changes the model.
    pub(super) fn alters(&self) -> bool {
        self.alterations
            .iter()
            .any(|alteration| !matches!(alteration, Alteration::Nothing))
    }

    /// The model of a task.
    pub(super) fn altered(&self, task: &[f32]) -> Arc<MjModel> {
        let mut model = Box::new(MjModel::clone(&self.model));
        for (alteration, value) in self.alterations.iter().zip(task) {
            alteration.apply(&mut model, f64::from(*value));
        }
        // MuJoCo derives constants from masses (weights of constraints); it needs a state to do so.
        let mut scratch = MjData::new(model);
        scratch.set_const();
        Arc::new(*scratch.model_clone())
    }
}

fn load(robot: &'static Robot) -> Result<Arc<MjModel>, RobotError> {
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
    let timestep_s = names.model.opt().timestep;
    let period_s = f64::from(names.robot.contract.period_us) * 1e-6;
    let skip = (period_s / timestep_s).round();
    if !(1.0..=MAX_FRAME_SKIP).contains(&skip)
        || (skip * timestep_s - period_s).abs() > SAME * period_s
    {
        let must = format!(
            "a multiple of the model's timestep, {} us",
            timestep_s * 1e6
        );
        return Err(names.robot.refuse("period_us", must));
    }
    Ok(skip as usize)
}

fn controls(names: Names<'_>) -> Result<Vec<usize>, RobotError> {
    let mut controls = Vec::new();
    let channels = names.robot.contract.actions.iter();
    for (index, (named, channel)) in names.robot.actuators.iter().zip(channels).enumerate() {
        let actuator = names.find(Kind::Actuator, named)?;
        let address = (names.model.actuator_ctrladr().get(actuator))
            .and_then(|address| usize::try_from(*address).ok())
            .unwrap_or(0);
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

fn alteration(names: Names<'_>, effect: &Effect) -> Result<Alteration, RobotError> {
    Ok(match effect {
        Effect::Mass(bodies) => Alteration::Mass(names.list(Kind::Body, bodies)?),
        Effect::Damping(joints) => {
            let joints = names.list(Kind::Joint, joints)?;
            Alteration::Damping(
                joints
                    .into_iter()
                    .flat_map(|id| names.joint(id).velocities)
                    .collect(),
            )
        }
        Effect::Friction(geoms) => Alteration::Friction(names.list(Kind::Geom, geoms)?),
        Effect::Gear(actuators) => {
            let actuators = names.list(Kind::Actuator, actuators)?;
            let of = |values: &[i32], id: usize| {
                values
                    .get(id)
                    .and_then(|value| usize::try_from(*value).ok())
                    .unwrap_or(0)
            };
            let outputs = |id| {
                let start = of(names.model.actuator_outadr(), id);
                start..start + of(names.model.actuator_outnum(), id)
            };
            Alteration::Gear(actuators.into_iter().flat_map(outputs).collect())
        }
        Effect::GravityTilt(axis) => Alteration::GravityTilt(*axis),
        Effect::Goal => Alteration::Nothing,
    })
}

/// Multiplies the chosen rows of a table.
fn multiply<const N: usize>(rows: &mut [[f64; N]], chosen: &[usize], factor: f64) {
    for index in chosen {
        for value in rows.get_mut(*index).into_iter().flatten() {
            *value *= factor;
        }
    }
}

impl Alteration {
    fn apply(&self, model: &mut MjModel, value: f64) {
        match self {
            Self::Mass(bodies) => {
                for body in bodies {
                    if let Some(mass) = model.body_mass_mut().get_mut(*body) {
                        *mass *= value;
                    }
                }
                multiply(model.body_inertia_mut(), bodies, value);
            }
            Self::Damping(entries) => {
                for entry in entries {
                    if let Some(damping) = model.dof_damping_mut().get_mut(*entry) {
                        *damping *= value;
                    }
                }
                multiply(model.dof_dampingpoly_mut(), entries, value);
            }
            Self::Friction(geoms) => multiply(model.geom_friction_mut(), geoms, value),
            Self::Gear(outputs) => multiply(model.actuator_gear_mut(), outputs, value),
            Self::GravityTilt(axis) => {
                let gravity = &mut model.opt_mut().gravity;
                *gravity = turned(*gravity, *axis, value);
            }
            Self::Nothing => {}
        }
    }
}

/// A vector turned about an axis by an angle in rad.
fn turned([x, y, z]: [f64; 3], axis: Axis, angle: f64) -> [f64; 3] {
    let (sin, cos) = libm::sincos(angle);
    match axis {
        Axis::X => [x, cos * y - sin * z, sin * y + cos * z],
        Axis::Y => [cos * x + sin * z, y, cos * z - sin * x],
        Axis::Z => [cos * x - sin * y, sin * x + cos * y, z],
    }
}
