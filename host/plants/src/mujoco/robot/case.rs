//! Small models with a robot's file beside them, for tests.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use super::{RobotModel, UserRobot};
use crate::robot::{Robot, RobotError};
use crate::{Plant, Task};

/// A model with a robot's file beside it, gone with the test.
pub(super) struct Case {
    pub(super) folder: tempfile::TempDir,
    pub(super) model: String,
    pub(super) head: String,
    pub(super) actuator: String,
    pub(super) range: [f32; 2],
    pub(super) safe: f32,
    /// More keys of the channel `q` and of the action.
    pub(super) channel: String,
    pub(super) action: String,
    /// What the first reward's section holds.
    pub(super) reward: String,
    pub(super) rest: String,
}

/// One hinge `j` of an arm without gravity, and whatever stands in the middle of the document.
pub(super) fn arm(actuator: &str) -> String {
    format!(
        r#"<mujoco><option timestep="0.002" gravity="0 0 0"/>
  <worldbody><geom name="floor" type="plane" size="5 5 .1" pos="0 0 -3"/>
    <body name="arm" pos="0 0 1"><joint name="j" axis="0 1 0" damping="0.2"/>
    <geom name="rod" type="capsule" fromto="0 0 0 0.3 0 0" size="0.02" mass="0.5"/></body></worldbody>
  <actuator>{actuator}</actuator></mujoco>"#
    )
}

pub(super) const MOTOR: &str = r#"<motor name="m" joint="j" ctrlrange="-1 1"/>"#;
pub(super) const SERVO: &str = r#"<position name="m" joint="j" kp="20" kv="1" ctrlrange="-1 1"/>"#;

impl Case {
    pub(super) fn new(model: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            model: model.to_owned(),
            head: "period_us = 20000".to_owned(),
            actuator: "m".to_owned(),
            range: [-1.0, 1.0],
            safe: 0.0,
            channel: String::new(),
            action: String::new(),
            reward: "weight = 1.0\nalive = {}".to_owned(),
            rest: String::new(),
        }
    }

    pub(super) fn with(mut self, section: &str) -> Self {
        let _ = writeln!(self.rest, "{section}");
        self
    }

    /// With more keys of its action.
    pub(super) fn acting(mut self, keys: &str) -> Self {
        self.action = keys.to_owned();
        self
    }

    /// One parameter from `low` to `high` with this effect.
    pub(super) fn hidden(self, [low, high]: [f32; 2], effect: &str) -> Self {
        self.with(&format!(
            "[[hidden]]\nname = \"h\"\ntraining = [{low:?}, {high:?}]\n{effect}"
        ))
    }

    pub(super) fn text(&self) -> String {
        format!(
            "name = \"case\"\nmodel = \"robot.xml\"\n{}\nepisode_steps = 100\n\
             [[observation]]\nname = \"q\"\nunit = \"rad\"\nmin = -9.0\nmax = 9.0\nqpos = {{ joint = \"#0\" }}\n{}\n\
             [[action]]\nname = \"m\"\nactuator = \"{}\"\nunit = \"1\"\nmin = {:?}\nmax = {:?}\nslew_per_s = 1000.0\nsafe = {:?}\n{}\n\
             [[reward]]\n{}\n{}",
            self.head,
            self.channel,
            self.actuator,
            self.range[0],
            self.range[1],
            self.safe,
            self.action,
            self.reward,
            self.rest
        )
    }

    /// The robot with these bytes for a model, not put together.
    pub(super) fn with_model(&self, model: &[u8]) -> Robot {
        let path = |name: &str| -> PathBuf { self.folder.path().join(name) };
        std::fs::write(path("robot.xml"), model).unwrap();
        Robot::from_toml(&self.text(), &path("robot.toml")).unwrap()
    }

    pub(super) fn made(&self) -> Result<UserRobot, RobotError> {
        let path = |name: &str| -> PathBuf { self.folder.path().join(name) };
        std::fs::write(path("robot.xml"), &self.model).unwrap();
        let robot = Robot::from_toml(&self.text(), &path("robot.toml"))?;
        Ok(RobotModel::new(Arc::new(robot))?.make())
    }

    pub(super) fn robot(&self) -> UserRobot {
        self.made().unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    pub(super) fn refused(&self, parts: &[&str]) {
        let error = self.made().err().expect("a refusal").to_string();
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}

/// Where the first joint stands after `steps` control steps under one command.
pub(super) fn stands(plant: &mut UserRobot, hidden: f32, command: f32, steps: usize) -> f32 {
    plant.reset(
        &Task {
            values: vec![hidden],
        },
        1,
    );
    for _ in 0..steps {
        plant.step(&[command]);
    }
    plant.state()[0]
}

#[track_caller]
pub(super) fn is_near(value: f32, expected: f32) {
    assert!((value - expected).abs() < 0.01, "{value}, not {expected}");
}
