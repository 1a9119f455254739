//! Plants by name: a name is read and checked once, and makes as many plants as are wanted.

use std::fmt;
use std::sync::Arc;

use engram_image::limits::TEXT_BYTES;

#[cfg(feature = "mujoco")]
use crate::mujoco;
use crate::robot::{self, Robot, RobotError, is_plain};
use crate::spec::UnfitSpec;
use crate::{Plant, PlantSpec, Told, pendulum, quadrotor};

/// The plants that every build has.
pub const NAMES: [&str; 2] = [pendulum::NAME, quadrotor::NAME];

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
    #[error(
        "there is no plant '{name}'; there is: {known}, and your own robot by its file, FILE.toml"
    )]
    Name {
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
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
    /// A robot's file with the name of a plant, so that no image could say which of them it is for.
    #[error("{path}: name is '{name}'; it must be unlike the name of every plant of this program")]
    Ambiguous {
        /// The robot's file.
        path: String,
        /// The name of both.
        name: String,
    },
    /// A plant whose model cannot be had.
    #[cfg(feature = "mujoco")]
    #[error(transparent)]
    Model(#[from] mujoco::ModelError),
}

/// A plant that a program cannot take among those it knows.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum UnfitPlant {
    /// The name of two.
    #[error("there are two plants of the name '{name}'; every plant needs one of its own")]
    Twice {
        /// The name.
        name: String,
    },
    /// A name that an image cannot hold, or that is read as a path.
    #[error(
        "a plant's name is '{name}'; it must be 1 to {TEXT_BYTES} bytes of printable ASCII without spaces, and not end in .toml"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Something else that a spec must not say.
    #[error("plant '{name}': {reason}")]
    Spec {
        /// The plant.
        name: String,
        /// What it says, and the bound.
        reason: UnfitSpec,
    },
}

/// One kind of plant, ready to be made; what it takes (a model, a table) is loaded. A function that makes a plant is one.
pub trait PlantKind: Send + Sync {
    /// Makes a plant, in the middle of its tasks and at a usual start. All of a kind have the same spec.
    fn make(&self) -> Box<dyn Plant>;
    /// The robot, for a plant of a robot's file.
    fn robot(&self) -> Option<&Arc<Robot>> {
        None
    }
    /// Of a robot's file the digest of its model as MuJoCo compiled it, in hexadecimal digits, and MuJoCo's version.
    fn model_digest(&self) -> Option<(String, String)> {
        None
    }
}

impl<F, P> PlantKind for F
where
    F: Fn() -> P + Send + Sync,
    P: Plant + 'static,
{
    fn make(&self) -> Box<dyn Plant> {
        Box::new(self())
    }
}

#[cfg(feature = "mujoco")]
impl PlantKind for mujoco::LocomotionModel {
    fn make(&self) -> Box<dyn Plant> {
        Box::new(Self::make(self))
    }
}

#[cfg(feature = "mujoco")]
impl PlantKind for mujoco::robot::RobotModel {
    fn make(&self) -> Box<dyn Plant> {
        Box::new(Self::make(self))
    }

    fn robot(&self) -> Option<&Arc<Robot>> {
        Some(Self::robot(self))
    }

    fn model_digest(&self) -> Option<(String, String)> {
        Some((self.digest(), mujoco::version().to_owned()))
    }
}

/// The plants that a program knows: ours, and those of whoever wrote its `main`. A value that commands are handed; there
/// is no list elsewhere that one could forget to extend.
///
/// ```
/// use engram_plants::{Plants, pendulum::Pendulum};
///
/// let plants = Plants::built_in();
/// assert_eq!(plants.open("pendulum")?.spec().parameters.len(), 5);
/// // Any function that makes a plant is a kind of plants. Its name is that of its spec.
/// let error = plants.with(Pendulum::new).err().unwrap().to_string();
/// assert!(error.contains("two plants of the name 'pendulum'"));
/// # Ok::<(), engram_plants::UnknownPlant>(())
/// ```
#[derive(Clone)]
pub struct Plants {
    known: Vec<(String, Open)>,
}

/// Loads what a kind of plants needs.
type Open = Arc<dyn Fn(&str) -> Result<Arc<dyn PlantKind>, UnknownPlant> + Send + Sync>;

impl Plants {
    /// The plants of this crate: [`NAMES`] and [`MUJOCO_NAMES`], whose models are loaded when one is opened.
    #[must_use]
    pub fn built_in() -> Self {
        fn code<K: PlantKind + Copy + 'static>(kind: K) -> Open {
            Arc::new(move |_| Ok(Arc::new(kind)))
        }
        let on_mujoco: Open = Arc::new(on_mujoco);
        let known = [
            (pendulum::NAME, code(pendulum::Pendulum::new)),
            (quadrotor::NAME, code(quadrotor::Craft::new)),
        ];
        let with_mujoco = MUJOCO_NAMES.map(|name| (name, Arc::clone(&on_mujoco)));
        Self {
            known: known
                .into_iter()
                .chain(with_mujoco)
                .map(|(name, open)| (name.to_owned(), open))
                .collect(),
        }
    }

    /// These plants and another. What its spec says is compared with what it does, once.
    ///
    /// # Errors
    /// [`UnfitPlant`] says what no command could work with.
    pub fn with(mut self, kind: impl PlantKind + 'static) -> Result<Self, UnfitPlant> {
        let plant = kind.make();
        let name = plant.spec().name.to_string();
        if !is_plain(&name, TEXT_BYTES) || robot::is_file(&name) {
            return Err(UnfitPlant::Name { name });
        }
        if self.knows(&name) {
            return Err(UnfitPlant::Twice { name });
        }
        if let Err(reason) = plant.spec().check(&*plant) {
            return Err(UnfitPlant::Spec { name, reason });
        }
        let kind: Arc<dyn PlantKind> = Arc::new(kind);
        self.known
            .push((name, Arc::new(move |_| Ok(Arc::clone(&kind)))));
        Ok(self)
    }

    /// The names, in the order in which they came.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|(name, _)| &**name)
    }

    fn knows(&self, name: &str) -> bool {
        self.names().any(|known| known == name)
    }

    /// Finds a plant by its name. One that ends in `.toml` is the path of a robot's file.
    ///
    /// # Errors
    /// [`UnknownPlant`] names what there is, or what is wrong with the robot's file or model.
    pub fn open(&self, name: &str) -> Result<PlantFactory, UnknownPlant> {
        let kind = if robot::is_file(name) {
            let robot = Arc::new(robot::load(name)?);
            if self.knows(&robot.spec.name) {
                return Err(UnknownPlant::Ambiguous {
                    path: name.to_owned(),
                    name: robot.spec.name.to_string(),
                });
            }
            of_robot(name, robot)?
        } else {
            let known = self.known.iter().find(|(known, _)| known == name);
            let Some((_, open)) = known else {
                return Err(UnknownPlant::Name {
                    name: name.to_owned(),
                    known: self.names().collect::<Vec<_>>().join(", "),
                });
            };
            open(name)?
        };
        Ok(PlantFactory {
            name: name.to_owned(),
            spec: Arc::clone(kind.make().spec()),
            kind,
            is_told: false,
        })
    }
}

/// One kind of plant under the name that it was opened by, told or not.
#[derive(Clone)]
pub struct PlantFactory {
    name: String,
    kind: Arc<dyn PlantKind>,
    is_told: bool,
    spec: Arc<PlantSpec>,
}

impl fmt::Debug for PlantFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlantFactory")
            .field("name", &self.name)
            .field("is_told", &self.is_told)
            .finish_non_exhaustive()
    }
}

impl PlantFactory {
    /// One of [`Plants::built_in`], for whom a plant of somebody else's cannot concern.
    ///
    /// # Errors
    /// As [`Plants::open`].
    pub fn open(name: &str) -> Result<Self, UnknownPlant> {
        Plants::built_in().open(name)
    }

    /// The same plants, whose observation ends with their hidden task: what the oracle trains and is judged on.
    #[must_use]
    pub fn told(self) -> Self {
        Self {
            spec: Arc::clone(Told::new(self.kind.make()).spec()),
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

    /// [`PlantKind::robot`].
    #[must_use]
    pub fn robot(&self) -> Option<&Arc<Robot>> {
        self.kind.robot()
    }

    /// [`PlantKind::model_digest`].
    #[must_use]
    pub fn model_digest(&self) -> Option<(String, String)> {
        self.kind.model_digest()
    }

    /// Makes a plant.
    #[must_use]
    pub fn make(&self) -> Box<dyn Plant> {
        let plant = self.kind.make();
        if self.is_told {
            Box::new(Told::new(plant))
        } else {
            plant
        }
    }
}

/// Makes one of the built-in plants by its name, where one is all that is wanted.
///
/// # Errors
/// As [`PlantFactory::open`].
pub fn by_name(name: &str) -> Result<Box<dyn Plant>, UnknownPlant> {
    Ok(PlantFactory::open(name)?.make())
}

#[cfg(feature = "mujoco")]
fn of_robot(_path: &str, robot: Arc<Robot>) -> Result<Arc<dyn PlantKind>, UnknownPlant> {
    Ok(Arc::new(mujoco::robot::RobotModel::new(robot)?))
}

/// The mistakes of a robot's file are told in every build.
#[cfg(not(feature = "mujoco"))]
fn of_robot(path: &str, _robot: Arc<Robot>) -> Result<Arc<dyn PlantKind>, UnknownPlant> {
    on_mujoco(path)
}

#[cfg(feature = "mujoco")]
fn on_mujoco(name: &str) -> Result<Arc<dyn PlantKind>, UnknownPlant> {
    match mujoco::by_name(name)? {
        Some(model) => Ok(Arc::new(model)),
        None => Err(UnknownPlant::Name {
            name: name.to_owned(),
            known: MUJOCO_NAMES.join(", "),
        }),
    }
}

#[cfg(not(feature = "mujoco"))]
fn on_mujoco(name: &str) -> Result<Arc<dyn PlantKind>, UnknownPlant> {
    Err(UnknownPlant::NotBuilt {
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pendulum::Pendulum;
    use crate::{Judgement, Random, Start, Task, TaskSet, UnknownChange};

    /// A pendulum that says something else of itself.
    struct Odd(Pendulum, Arc<PlantSpec>);

    impl Odd {
        fn new(change: impl Fn(&mut PlantSpec)) -> Self {
            let pendulum = Pendulum::new();
            let mut spec = (**pendulum.spec()).clone();
            spec.name = "odd".into();
            change(&mut spec);
            Self(pendulum, Arc::new(spec))
        }
    }

    impl Plant for Odd {
        fn spec(&self) -> &Arc<PlantSpec> {
            &self.1
        }
        fn reset(&mut self, task: &Task, seed: u64) {
            self.0.reset(task, seed);
        }
        fn restart(&mut self, start: Start) {
            self.0.restart(start);
        }
        fn set_task(&mut self, task: &Task) {
            self.0.set_task(task);
        }
        fn task(&self) -> Task {
            self.0.task()
        }
        fn apply(&mut self, change: &str) -> Result<(), UnknownChange> {
            self.0.apply(change)
        }
        fn observe(&self) -> &[f32] {
            self.0.observe()
        }
        fn step(&mut self, command: &[f32]) {
            self.0.step(command);
        }
        fn time_s(&self) -> f64 {
            self.0.time_s()
        }
        fn state(&self) -> &[f32] {
            self.0.state()
        }
        fn judge(&self) -> Judgement {
            self.0.judge()
        }
        fn privileged(&self, features: &mut Vec<f32>) {
            self.0.privileged(features);
        }
    }

    #[test]
    fn a_plant_of_ones_own_is_opened_by_its_name() {
        let plants = Plants::built_in().with(|| Odd::new(|_| ())).unwrap();
        let odd = plants.open("odd").unwrap();
        assert_eq!((odd.name(), &*odd.spec().name), ("odd", "odd"));
        assert_eq!(odd.clone().told().make().observe().len(), 8);
        let names: Vec<&str> = plants.names().collect();
        assert_eq!(names.last(), Some(&"odd"));
        let error = plants.open("even").unwrap_err().to_string();
        assert!(error.contains("hopper-params, odd, and your"), "{error}");
        assert!(PlantFactory::open("odd").is_err());
        // Tasks are drawn for it, each uniform in its range.
        let mut random = crate::random_stream(0, crate::Stream::Training, 0);
        for set in [TaskSet::Training, TaskSet::OutOfDistribution] {
            let task = draw(&odd, set, &mut random);
            let is_inside = |(value, parameter): (&f32, &crate::Parameter)| {
                let (low, high) = parameter.training;
                (low..=high).contains(value)
            };
            let mut each = task.values.iter().zip(&odd.spec().parameters);
            assert_eq!(each.all(is_inside), set == TaskSet::Training, "{task:?}");
        }
    }

    fn draw(factory: &PlantFactory, set: TaskSet, random: &mut Random) -> Task {
        factory.make().sample_task(set, random)
    }

    #[test]
    fn what_no_command_could_work_with_is_refused_by_name_value_and_bound() {
        type Change = fn(&mut PlantSpec);
        let table: [(Change, &str); 13] = [
            (
                |spec| spec.name = "pendulum".into(),
                "two plants of the name 'pendulum'",
            ),
            (
                |spec| spec.name = "my plant".into(),
                "'my plant'; it must be 1 to 32 bytes",
            ),
            (|spec| spec.name = "odd.toml".into(), "not end in .toml"),
            (
                |spec| spec.channels.period_us = 0,
                "plant 'odd': its contract is not valid",
            ),
            (
                |spec| spec.parameters[0].training = (1.5, 1.5),
                "'mass': training is (1.5, 1.5); it must be two finite numbers",
            ),
            (
                |spec| spec.parameters[0].wide = (0.8, 2.0),
                "'mass': wide is (0.8, 2.0); it must be two finite numbers that hold all of training",
            ),
            (|spec| drop(spec.changes.remove(0)), "changes lack 'none'"),
            (
                |spec| spec.protocol.default_change = "colour".into(),
                "default_change 'colour'",
            ),
            (
                |spec| spec.protocol.episodes = 0,
                "protocol.episodes is 0; it must be at least 1",
            ),
            (
                |spec| spec.protocol.hold_steps = 301,
                "hold_steps is 301; it must be at most",
            ),
            (
                |spec| spec.protocol.change_steps.1 = 300,
                "change_steps.1 is 300",
            ),
            (
                |spec| spec.protocol.recovery_steps = 151,
                "recovery_steps is 151",
            ),
            (
                |spec| spec.state_names.push("more".into()),
                "state() has 2 entries; its spec names 3",
            ),
        ];
        for (change, said) in table {
            let plants = Plants::built_in().with(move || Odd::new(change));
            let error = plants.err().expect(said).to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
