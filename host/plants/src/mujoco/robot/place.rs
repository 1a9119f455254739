//! Bodies, sites and geoms alike: where they are, how they are turned, how they move, and all of it as another one sees it.

use mujoco_rs::wrappers::mj_model::MjtObjBase;

use super::names::{Kind, Names};
use crate::mujoco::Simulation;
use crate::robot::{Angle, Frame, Named, RobotError, Seen};

type Vector = [f64; 3];
/// Row by row.
type Matrix = [f64; 9];

const UNTURNED: Matrix = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0];

/// Before the name of a site or geom where a body may stand.
pub(super) const SITE: &str = "site:";
const GEOM: &str = "geom:";

/// What has a place and axes of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Body(usize),
    Site(usize),
    Geom(usize),
}

impl Place {
    /// A body by its name, or `site:` or `geom:` and the name of one.
    pub(super) fn new(names: Names<'_>, named: &Named) -> Result<Self, RobotError> {
        let of = |prefix: &str, kind| {
            let name = named.name.strip_prefix(prefix)?;
            // A body may be called like that.
            let own = names.find(Kind::Body, named).is_ok();
            (!own).then(|| {
                let part = Named {
                    name: name.to_owned(),
                    key: named.key.clone(),
                };
                names.find(kind, &part)
            })
        };
        if let Some(site) = of(SITE, Kind::Site) {
            return Ok(Self::Site(site?));
        }
        if let Some(geom) = of(GEOM, Kind::Geom) {
            return Ok(Self::Geom(geom?));
        }
        Ok(Self::Body(names.find(Kind::Body, named)?))
    }

    #[inline]
    pub(super) fn position(self, simulation: &Simulation) -> Vector {
        let data = simulation.data();
        let found = match self {
            Self::Body(id) => data.xpos().get(id),
            Self::Site(id) => data.site_xpos().get(id),
            Self::Geom(id) => data.geom_xpos().get(id),
        };
        found.copied().unwrap_or_default()
    }

    /// From its own axes to the world's.
    #[inline]
    pub(super) fn rotation(self, simulation: &Simulation) -> Matrix {
        let data = simulation.data();
        let found = match self {
            Self::Body(id) => data.xmat().get(id),
            Self::Site(id) => data.site_xmat().get(id),
            Self::Geom(id) => data.geom_xmat().get(id),
        };
        found.copied().unwrap_or(UNTURNED)
    }

    /// Entries 0 to 2 are angular, 3 to 5 linear velocity.
    #[inline]
    pub(super) fn motion(self, simulation: &Simulation, local: bool) -> [f64; 6] {
        let (kind, id) = match self {
            // The body's own frame, not that of its centre of mass.
            Self::Body(id) => (MjtObjBase::mjOBJ_XBODY, id),
            Self::Site(id) => (MjtObjBase::mjOBJ_SITE, id),
            Self::Geom(id) => (MjtObjBase::mjOBJ_GEOM, id),
        };
        let motion = simulation.data().try_object_velocity(kind, id, local);
        motion.unwrap_or_default()
    }
}

/// A place as it is seen from another, or from the world.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    place: Place,
    from: Option<Place>,
    frame: Frame,
}

impl View {
    pub(super) fn new(names: Names<'_>, seen: &Seen) -> Result<Self, RobotError> {
        let from = seen.relative_to.as_ref();
        Ok(Self {
            place: Place::new(names, &seen.body)?,
            from: from.map(|named| Place::new(names, named)).transpose()?,
            frame: seen.frame,
        })
    }

    #[inline]
    pub(super) fn position(&self, simulation: &Simulation, axis: usize) -> f64 {
        let position = self.place.position(simulation);
        let Some(from) = self.from else {
            return position[axis];
        };
        let difference = minus(position, from.position(simulation));
        self.along(simulation, from, difference, axis)
    }

    /// `entry` as in [`Place::motion`].
    #[inline]
    pub(super) fn motion(&self, simulation: &Simulation, entry: usize) -> f64 {
        let Some(from) = self.from else {
            let local = self.frame == Frame::Body;
            return self.place.motion(simulation, local)[entry];
        };
        let own = self.place.motion(simulation, false);
        let other = from.motion(simulation, false);
        let (start, axis) = (entry - entry % 3, entry % 3);
        let part = |motion: &[f64; 6]| [motion[start], motion[start + 1], motion[start + 2]];
        let mut difference = minus(part(&own), part(&other));
        if start == 3 && self.frame == Frame::Reference {
            // Whoever turns sees what rests go round.
            let (turn, apart) = (
                [other[0], other[1], other[2]],
                minus(self.place.position(simulation), from.position(simulation)),
            );
            difference = minus(difference, cross(turn, apart));
        }
        self.along(simulation, from, difference, axis)
    }

    /// A world's vector along an axis of the view's frame.
    #[inline]
    fn along(&self, simulation: &Simulation, from: Place, vector: Vector, axis: usize) -> f64 {
        let rotation = match self.frame {
            Frame::World => return vector[axis],
            Frame::Body => self.place.rotation(simulation),
            Frame::Reference => from.rotation(simulation),
        };
        (0..3)
            .map(|row| rotation[3 * row + axis] * vector[row])
            .sum()
    }

    /// From the place's axes to those that it is seen from.
    #[inline]
    fn rotation(&self, simulation: &Simulation) -> Matrix {
        let own = self.place.rotation(simulation);
        let Some(from) = self.from else { return own };
        let from = from.rotation(simulation);
        let mut product = [0.0; 9];
        for (index, entry) in product.iter_mut().enumerate() {
            let (row, column) = (index / 3, index % 3);
            *entry = (0..3)
                .map(|k| from[3 * k + row] * own[3 * k + column])
                .sum();
        }
        product
    }

    /// An entry of that matrix.
    #[inline]
    pub(super) fn turned(&self, simulation: &Simulation, entry: usize) -> f64 {
        self.rotation(simulation)[entry]
    }

    /// Roll, pitch or yaw: the matrix is that of yaw, then pitch, then roll.
    #[inline]
    pub(super) fn angle(&self, simulation: &Simulation, angle: Angle) -> f64 {
        let matrix = self.rotation(simulation);
        match angle {
            Angle::Roll => libm::atan2(matrix[7], matrix[8]),
            Angle::Pitch => libm::asin((-matrix[6]).clamp(-1.0, 1.0)),
            Angle::Yaw => libm::atan2(matrix[3], matrix[0]),
        }
    }

    /// The angle of the one turn that leads to the wanted orientation.
    #[inline]
    pub(super) fn angle_to(&self, simulation: &Simulation, wanted: &Matrix) -> f64 {
        let matrix = self.rotation(simulation);
        // The trace of the turn that is left is 1 + 2 cos(angle).
        let trace: f64 = matrix.iter().zip(wanted).map(|(a, b)| a * b).sum();
        libm::acos(((trace - 1.0) / 2.0).clamp(-1.0, 1.0))
    }
}

/// The matrix of a unit quaternion (w, x, y, z).
pub(super) fn matrix([w, x, y, z]: [f64; 4]) -> Matrix {
    [
        1.0 - 2.0 * (y * y + z * z),
        2.0 * (x * y - w * z),
        2.0 * (x * z + w * y),
        2.0 * (x * y + w * z),
        1.0 - 2.0 * (x * x + z * z),
        2.0 * (y * z - w * x),
        2.0 * (x * z - w * y),
        2.0 * (y * z + w * x),
        1.0 - 2.0 * (x * x + y * y),
    ]
}

fn minus(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

fn cross(a: Vector, b: Vector) -> Vector {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}
