//! The names of a model: what a robot's file may refer to, and what it is told where it refers to something else.

use std::ops::Range;
use std::path::Path;

use mujoco_rs::wrappers::MjModel;
use mujoco_rs::wrappers::mj_model::{MjtJoint, MjtObjBase, MjtTrn};

use crate::robot::{ALL, Named, Robot, RobotError};

/// What a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Body,
    Joint,
    Geom,
    Actuator,
    Sensor,
    Keyframe,
    Site,
}

impl Kind {
    /// All that a robot's file may name, but sites, which files of earlier versions could not.
    pub(super) const ALL: [Self; 6] = [
        Self::Body,
        Self::Joint,
        Self::Geom,
        Self::Actuator,
        Self::Sensor,
        Self::Keyframe,
    ];

    const fn words(self) -> &'static str {
        match self {
            Self::Body => "a body",
            Self::Joint => "a joint",
            Self::Geom => "a geom",
            Self::Actuator => "an actuator",
            Self::Sensor => "a sensor",
            Self::Keyframe => "a keyframe",
            Self::Site => "a site",
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
            Self::Site => MjtObjBase::mjOBJ_SITE,
        }
    }

    pub(super) fn count(self, model: &MjModel) -> usize {
        match self {
            Self::Body => model.body_mass().len(),
            Self::Joint => model.jnt_type().len(),
            Self::Geom => model.geom_friction().len(),
            Self::Actuator => model.actuator_ctrladr().len(),
            Self::Sensor => model.sensor_adr().len(),
            Self::Keyframe => usize::try_from(model.nkey()).unwrap_or(0),
            Self::Site => model.site_pos().len(),
        }
    }
}

/// A robot's file and the model that it names things of.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) robot: &'a Robot,
    pub(super) model: &'a MjModel,
}

/// Before the number of something that has no name: MuJoCo's, from 0.
const NUMBER: char = '#';
/// Before the joint that an actuator drives, and before the body that a joint moves.
const BY_JOINT: &str = "joint:";
const BY_BODY: &str = "body:";

impl Names<'_> {
    /// The number of what is named: by its name, by `#` and its number, an actuator by `joint:` and the joint that it
    /// drives, a joint by `body:` and the body that it moves.
    pub(super) fn find(&self, kind: Kind, named: &Named) -> Result<usize, RobotError> {
        let name = named.name.as_str();
        let count = kind.count(self.model);
        if let Some(id) = (0..count).find(|id| self.name(kind, *id) == Some(name)) {
            return Ok(id);
        }
        if let Some(number) = name.strip_prefix(NUMBER) {
            let id = number.parse().ok().filter(|id| *id < count);
            return id.ok_or_else(|| self.unknown(kind, named));
        }
        let part = |name: &str| Named {
            name: name.to_owned(),
            key: named.key.clone(),
        };
        match kind {
            Kind::Actuator if name.starts_with(BY_JOINT) => {
                let joint = self.find(Kind::Joint, &part(&name[BY_JOINT.len()..]))?;
                let drives = |actuator: &usize| {
                    let target = self.model.actuator_trnid().get(*actuator);
                    self.is_on_a_joint(*actuator)
                        && target.is_some_and(|target| usize::try_from(target[0]) == Ok(joint))
                };
                self.only(kind, named, (0..count).filter(drives).collect())
            }
            Kind::Joint if name.starts_with(BY_BODY) => {
                let body = self.find(Kind::Body, &part(&name[BY_BODY.len()..]))?;
                let moves = |joint: &usize| {
                    let of = self.model.jnt_bodyid().get(*joint);
                    of.is_some_and(|of| usize::try_from(*of) == Ok(body))
                };
                self.only(kind, named, (0..count).filter(moves).collect())
            }
            _ => Err(self.unknown(kind, named)),
        }
    }

    /// What something of the model is called in a robot's file.
    pub(super) fn called(&self, kind: Kind, id: usize) -> String {
        match self.name(kind, id) {
            Some(name) => name.to_owned(),
            None => format!("{NUMBER}{id}"),
        }
    }

    fn name(&self, kind: Kind, id: usize) -> Option<&str> {
        let name = self.model.id_to_name(kind.object(), id)?;
        Some(name).filter(|name| !name.is_empty())
    }

    fn is_on_a_joint(&self, actuator: usize) -> bool {
        let kind = self.model.actuator_trntype().get(actuator);
        matches!(
            kind,
            Some(MjtTrn::mjTRN_JOINT | MjtTrn::mjTRN_JOINTINPARENT)
        )
    }

    /// The one that a joint or body has.
    fn only(&self, kind: Kind, named: &Named, found: Vec<usize>) -> Result<usize, RobotError> {
        if let [one] = found[..] {
            return Ok(one);
        }
        let all: Vec<String> = found.iter().map(|id| self.called(kind, *id)).collect();
        let words = kind.words();
        let word = words.rsplit(' ').next().unwrap_or(words);
        let must = match all.is_empty() {
            true => format!("the name of something with one {word}: this has none"),
            false => format!(
                "the name of something with one {word}: this has {}, so name one of them",
                all.join(", ")
            ),
        };
        Err(self.robot.refuse(&named.key, must))
    }

    /// The error for a name that the model does not have: what it has, and how to name it.
    fn unknown(&self, kind: Kind, named: &Named) -> RobotError {
        let words = kind.words();
        let count = kind.count(self.model);
        let all: Vec<String> = (0..count).map(|id| self.called(kind, id)).collect();
        let is_nameless = (0..count).all(|id| self.name(kind, id).is_none());
        let must = if count == 0 && kind == Kind::Actuator {
            let model = self.robot.model.display();
            if is_urdf(&self.robot.model) {
                format!(
                    "the name of an actuator, and {model} is a URDF, which cannot have one: add an [[actuator]] to this file for every joint that the policy drives"
                )
            } else {
                format!(
                    "the name of an actuator, and {model} has none: add an <actuator> to it, or an [[actuator]] to this file, for every joint that the policy drives"
                )
            }
        } else if count == 0 {
            format!("the name of {words}, and the model has none")
        } else if is_nameless {
            let joints = match kind {
                Kind::Actuator => ", or \"joint:NAME\" for that of a joint",
                Kind::Joint => ", or \"body:NAME\" for that of a body",
                _ => "",
            };
            format!(
                "the number of {words}, \"#0\" to \"#{}\"{joints}: the model has {count}, none with a name",
                count - 1
            )
        } else {
            format!(
                "the name of {words} of the model (it has: {})",
                all.join(", ")
            )
        };
        self.robot.refuse(&named.key, must)
    }

    /// The numbers of all that a list names.
    pub(super) fn list(&self, kind: Kind, names: &[Named]) -> Result<Vec<usize>, RobotError> {
        let each = self.each(kind, names)?;
        Ok(each.into_iter().map(|(id, _)| id).collect())
    }

    /// The same, each with what named it.
    pub(super) fn each<'n>(
        &self,
        kind: Kind,
        names: &'n [Named],
    ) -> Result<Vec<(usize, &'n Named)>, RobotError> {
        if let [one] = names
            && one.name == ALL
        {
            return Ok((0..kind.count(self.model)).map(|id| (id, one)).collect());
        }
        let mut each: Vec<(usize, &Named)> = Vec::new();
        for named in names {
            let id = self.find(kind, named)?;
            if let Some((_, first)) = each.iter().find(|(other, _)| *other == id) {
                let must = format!(
                    "something else: it is what {} names already, and would count twice",
                    first.key
                );
                return Err(self.robot.refuse(&named.key, must));
            }
            each.push((id, named));
        }
        Ok(each)
    }

    /// The address of an actuator's control.
    pub(super) fn control(&self, actuator: usize) -> usize {
        at(self.model.actuator_ctrladr(), actuator)
    }

    /// An actuator's force outputs.
    pub(super) fn outputs(&self, actuator: usize) -> Range<usize> {
        let start = at(self.model.actuator_outadr(), actuator);
        start..start + at(self.model.actuator_outnum(), actuator)
    }

    /// Addresses of a joint's entries of `qpos` and `qvel`.
    pub(super) fn joint(&self, id: usize) -> Entries {
        let (positions, velocities) = match self.model.jnt_type().get(id) {
            Some(MjtJoint::mjJNT_FREE) => (7, 6),
            Some(MjtJoint::mjJNT_BALL) => (4, 3),
            _ => (1, 1),
        };
        let (position, velocity) = (
            at(self.model.jnt_qposadr(), id),
            at(self.model.jnt_dofadr(), id),
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
        entries: &Range<usize>,
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
    pub(super) positions: Range<usize>,
    pub(super) velocities: Range<usize>,
}

/// The entry of a table of addresses, 0 where there is none.
fn at(table: &[i32], id: usize) -> usize {
    let entry = table.get(id).copied().unwrap_or_default();
    usize::try_from(entry).unwrap_or_default()
}

/// Whether a model is written in ROS's format.
fn is_urdf(model: &Path) -> bool {
    let content = std::fs::read(model).unwrap_or_default();
    root(&String::from_utf8_lossy(&content)) == "robot"
}

/// The name of an XML document's first element.
fn root(mut text: &str) -> &str {
    while let Some(at) = text.find('<') {
        text = &text[at + 1..];
        if let Some(comment) = text.strip_prefix("!--") {
            text = comment.split_once("-->").map_or("", |(_, after)| after);
        } else if text.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            let end = text.find(|letter: char| !letter.is_ascii_alphanumeric());
            return &text[..end.unwrap_or(text.len())];
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_first_element_is_found_behind_what_may_stand_before_it() {
        for (text, root) in [
            (
                "<?xml version='1.0'?>\n<!-- <mujoco> -->\n<robot name='r'>",
                "robot",
            ),
            ("<!DOCTYPE robot [<!ENTITY a 'b'>]><robot>", "robot"),
            ("<mujoco><!-- <robot> --></mujoco>", "mujoco"),
            ("solid", ""),
            ("<!-- <robot>", ""),
        ] {
            assert_eq!(super::root(text), root, "{text}");
        }
    }
}
