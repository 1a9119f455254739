//! The names of a model: what a robot's file may refer to, and what it is told where it refers to something else.

use mujoco_rs::wrappers::MjModel;
use mujoco_rs::wrappers::mj_model::{MjtJoint, MjtObjBase};

use crate::plant::robot::{ALL, Named, Robot, RobotError};

/// What a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Body,
    Joint,
    Geom,
    Actuator,
    Sensor,
    Keyframe,
}

impl Kind {
    const fn words(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Joint => "joint",
            Self::Geom => "geom",
            Self::Actuator => "actuator",
            Self::Sensor => "sensor",
            Self::Keyframe => "keyframe",
        }
    }

    const fn object(self) -> MjtObjBase {
        match self {
            Self::Body => MjtObjBase::mjOBJ_BODY,
            Self::Joint => MjtObjBase::mjOBJ_JOINT,
            Self::Geom => MjtObjBase::mjOBJ_GEOM,
            Self::Actuator => MjtObjBase::mjOBJ_ACTUATOR,
            Self::Sensor => MjtObjBase::mjOBJ_SENSOR,
            Self::Keyframe => MjtObjBase::mjOBJ_KEY,
        }
    }

    fn count(self, model: &MjModel) -> usize {
        match self {
            Self::Body => model.body_mass().len(),
            Self::Joint => model.jnt_type().len(),
            Self::Geom => model.geom_friction().len(),
            Self::Actuator => model.actuator_ctrladr().len(),
            Self::Sensor => model.sensor_adr().len(),
            Self::Keyframe => usize::try_from(model.nkey()).unwrap_or(0),
        }
    }
}

/// A robot's file and the model that it names things of.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) robot: &'static Robot,
    pub(super) model: &'a MjModel,
}

impl Names<'_> {
    /// The number of what is named.
    pub(super) fn find(&self, kind: Kind, named: &Named) -> Result<usize, RobotError> {
        let name = |id: &usize| self.model.id_to_name(kind.object(), *id);
        let count = kind.count(self.model);
        (0..count)
            .find(|id| name(id) == Some(&named.name))
            .ok_or_else(|| {
                let known: Vec<&str> = (0..count).filter_map(|id| name(&id)).collect();
                let known = if known.is_empty() {
                    "none with a name".to_owned()
                } else {
                    known.join(", ")
                };
                let words = kind.words();
                self.robot.refuse(
                    &named.key,
                    format!("the name of a {words} of the model (it has: {known})"),
                )
            })
    }

    /// The numbers of all that a list names.
    pub(super) fn list(&self, kind: Kind, names: &[Named]) -> Result<Vec<usize>, RobotError> {
        if matches!(names, [one] if one.name == ALL) {
            return Ok((0..kind.count(self.model)).collect());
        }
        names.iter().map(|named| self.find(kind, named)).collect()
    }

    /// Addresses of a joint's entries of `qpos` and `qvel`.
    pub(super) fn joint(&self, id: usize) -> Entries {
        let start = |addresses: &[i32]| {
            addresses
                .get(id)
                .and_then(|address| usize::try_from(*address).ok())
                .unwrap_or(0)
        };
        let (positions, velocities) = match self.model.jnt_type().get(id) {
            Some(MjtJoint::mjJNT_FREE) => (7, 6),
            Some(MjtJoint::mjJNT_BALL) => (4, 3),
            _ => (1, 1),
        };
        let (position, velocity) = (
            start(self.model.jnt_qposadr()),
            start(self.model.jnt_dofadr()),
        );
        Entries {
            positions: position..position + positions,
            velocities: velocity..velocity + velocities,
        }
    }

    /// The address of an entry, if there is such an entry.
    pub(super) fn entry(
        &self,
        named: &Named,
        entries: &std::ops::Range<usize>,
        index: usize,
    ) -> Result<usize, RobotError> {
        if index < entries.len() {
            return Ok(entries.start + index);
        }
        // `observation[0].qpos.joint` has its index beside it.
        let section = named
            .key
            .rsplit_once('.')
            .map_or("", |(section, _)| section);
        let must = format!(
            "from 0 to {} for '{}'",
            entries.len().saturating_sub(1),
            named.name
        );
        Err(self.robot.refuse(&format!("{section}.index"), must))
    }
}

/// A joint's entries of the state.
pub(super) struct Entries {
    pub(super) positions: std::ops::Range<usize>,
    pub(super) velocities: std::ops::Range<usize>,
}
