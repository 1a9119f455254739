//! Plants by name: a name is read and checked once, and makes as many plants as are wanted.

use std::sync::Arc;

#[cfg(feature = "mujoco")]
use crate::mujoco;
use crate::robot::{self, Robot, RobotError};
use crate::{Plant, PlantSpec, Told, pendulum};

/// The plants that every build has.
pub const NAMES: [&str; 1] = [pendulum::NAME];

/// The plants of the feature `mujoco`.
pub const MUJOCO_NAMES: [&str; 6] = [
    "half-cheetah-vel",
    "half-cheetah-dir",
    "ant-dir",
    "ant-dir-xy",
    "walker-params",
    "hopper-params",
];

/// A plant that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownPlant {
    /// A name that nobody knows.
    #[error("there is no plant '{name}'; there is: {}, {}, and your own robot by its file, FILE.toml", NAMES.join(", "), MUJOCO_NAMES.join(", "))]
    Name {
        /// The name.
        name: String,
    },
    /// A plant that this program was built without.
    #[error(
        "plant '{name}' needs MuJoCo: run 'scripts/set-up --mujoco' in the repository and build with '--features mujoco'"
    )]
    NotBuilt {
        /// The name.
        name: String,
    },
    /// A robot's file that is not right.
    #[error(transparent)]
    Robot(#[from] RobotError),
    /// A plant whose model cannot be had.
    #[cfg(feature = "mujoco")]
    #[error(transparent)]
    Model(#[from] mujoco::ModelError),
}

/// One kind of plant, ready to be made: its model is loaded and its robot's file checked.
#[derive(Clone, Debug)]
pub struct PlantFactory {
    name: String,
    source: Source,
    is_told: bool,
    spec: Arc<PlantSpec>,
}

#[derive(Clone, Debug)]
enum Source {
    Pendulum,
    #[cfg(feature = "mujoco")]
    Locomotion(mujoco::LocomotionModel),
    #[cfg(feature = "mujoco")]
    Robot(mujoco::robot::RobotModel),
}

impl PlantFactory {
    /// Finds a plant by its name. One that ends in `.toml` is the path of a robot's file.
    ///
    /// # Errors
    /// [`UnknownPlant`] names what there is, or what is wrong with the robot's file or model.
    pub fn open(name: &str) -> Result<Self, UnknownPlant> {
        let source = match name {
            pendulum::NAME => Source::Pendulum,
            _ if robot::is_file(name) => of_file(name)?,
            _ if MUJOCO_NAMES.contains(&name) => on_mujoco(name)?,
            _ => {
                return Err(UnknownPlant::Name {
                    name: name.to_owned(),
                });
            }
        };
        Ok(Self {
            name: name.to_owned(),
            spec: Arc::clone(source.make().spec()),
            source,
            is_told: false,
        })
    }

    /// The same plants, whose observation ends with their hidden task: what the oracle trains and is judged on.
    #[must_use]
    pub fn told(self) -> Self {
        Self {
            spec: Arc::clone(Told::new(self.source.make()).spec()),
            is_told: true,
            ..self
        }
    }

    /// The name that it was opened by: of a robot the path of its file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What its plants are.
    #[must_use]
    pub fn spec(&self) -> &Arc<PlantSpec> {
        &self.spec
    }

    /// The robot, for a plant that is one's own.
    #[must_use]
    pub fn robot(&self) -> Option<&Arc<Robot>> {
        match &self.source {
            #[cfg(feature = "mujoco")]
            Source::Robot(model) => Some(model.robot()),
            _ => None,
        }
    }

    /// Of a robot of one's own the digest of its model as MuJoCo compiled it, in hexadecimal digits, and MuJoCo's version.
    #[must_use]
    pub fn model_digest(&self) -> Option<(String, String)> {
        match &self.source {
            #[cfg(feature = "mujoco")]
            Source::Robot(model) => Some((model.digest(), mujoco::version().to_owned())),
            _ => None,
        }
    }

    /// Makes a plant.
    #[must_use]
    pub fn make(&self) -> Box<dyn Plant> {
        let plant = self.source.make();
        if self.is_told {
            Box::new(Told::new(plant))
        } else {
            plant
        }
    }
}

impl Source {
    fn make(&self) -> Box<dyn Plant> {
        match self {
            Self::Pendulum => Box::new(pendulum::Pendulum::new()),
            #[cfg(feature = "mujoco")]
            Self::Locomotion(model) => Box::new(model.make()),
            #[cfg(feature = "mujoco")]
            Self::Robot(model) => Box::new(model.make()),
        }
    }
}

/// Makes a plant by its name, where one is all that is wanted.
///
/// # Errors
/// As [`PlantFactory::open`].
pub fn by_name(name: &str) -> Result<Box<dyn Plant>, UnknownPlant> {
    Ok(PlantFactory::open(name)?.make())
}

/// The robot of a file. Its mistakes are told in every build.
#[cfg(feature = "mujoco")]
fn of_file(path: &str) -> Result<Source, UnknownPlant> {
    let robot = Arc::new(robot::load(path)?);
    Ok(Source::Robot(mujoco::robot::RobotModel::new(robot)?))
}

#[cfg(not(feature = "mujoco"))]
fn of_file(path: &str) -> Result<Source, UnknownPlant> {
    robot::load(path)?;
    on_mujoco(path)
}

#[cfg(feature = "mujoco")]
fn on_mujoco(name: &str) -> Result<Source, UnknownPlant> {
    let model = mujoco::by_name(name)?.ok_or_else(|| UnknownPlant::Name {
        name: name.to_owned(),
    })?;
    Ok(Source::Locomotion(model))
}

#[cfg(not(feature = "mujoco"))]
fn on_mujoco(name: &str) -> Result<Source, UnknownPlant> {
    Err(UnknownPlant::NotBuilt {
        name: name.to_owned(),
    })
}
