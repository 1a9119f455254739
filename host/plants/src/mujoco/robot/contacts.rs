//! Who touches whom, how hard, and for how long already.

use std::ops::Range;

use super::names::Names;
use super::place::Place;
use crate::mujoco::Simulation;
use crate::robot::{Named, RobotError, Touch};

/// The contacts of some geoms, with any others or with some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contacts {
    geoms: Range<usize>,
    with: Option<Range<usize>>,
}

impl Contacts {
    pub(super) fn new(names: Names<'_>, touch: &Touch) -> Result<Self, RobotError> {
        Ok(Self {
            geoms: geoms(names, &touch.body)?,
            with: (touch.with.as_ref())
                .map(|named| geoms(names, named))
                .transpose()?,
        })
    }

    /// The numbers of the contacts that press, or would at once.
    #[inline]
    fn all<'a>(&'a self, simulation: &'a Simulation) -> impl Iterator<Item = usize> + 'a {
        let contacts = simulation.data().contact().iter().enumerate();
        contacts.filter_map(|(number, contact)| {
            // What lies within a gap is seen, but without a constraint.
            let touches = contact.efc_address >= 0
                && (self.is_between(contact.geom) || {
                    let [first, second] = contact.geom;
                    self.is_between([second, first])
                });
            touches.then_some(number)
        })
    }

    #[inline]
    fn is_between(&self, [own, other]: [i32; 2]) -> bool {
        let has =
            |geoms: &Range<usize>, id: i32| usize::try_from(id).is_ok_and(|id| geoms.contains(&id));
        has(&self.geoms, own) && self.with.as_ref().is_none_or(|with| has(with, other))
    }

    #[inline]
    pub(super) fn touch(&self, simulation: &Simulation) -> bool {
        self.all(simulation).next().is_some()
    }

    /// Sum of the normal forces, in N.
    #[inline]
    pub(super) fn force(&self, simulation: &Simulation) -> f64 {
        let data = simulation.data();
        let force = |contact| {
            data.try_contact_force(contact)
                .map_or(0.0, |force| force[0])
        };
        self.all(simulation).map(force).sum()
    }
}

/// The geoms of a body, or the geom itself.
fn geoms(names: Names<'_>, named: &Named) -> Result<Range<usize>, RobotError> {
    let number = |table: &[i32], id: usize| {
        let entry = table.get(id).copied().unwrap_or(0);
        usize::try_from(entry).unwrap_or(0)
    };
    let must = match Place::new(names, named)? {
        Place::Geom(id) => return Ok(id..id + 1),
        Place::Site(_) => "a body, or \"geom:\" and the name of a geom: sites touch nothing",
        Place::Body(id) => {
            let count = number(names.model.body_geomnum(), id);
            if count > 0 {
                let start = number(names.model.body_geomadr(), id);
                return Ok(start..start + count);
            }
            "a body with geoms of its own: this has none, so that it touches nothing"
        }
    };
    Err(names.robot.refuse(&named.key, must))
}

/// For how long something has touched, or has not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Since {
    touches: bool,
    time_s: f64,
    /// Time in the air that a touch in this very step has ended.
    landed_after_s: Option<f64>,
}

impl Since {
    /// At the start of an episode.
    pub(super) fn begin(contacts: &Contacts, simulation: &Simulation) -> Self {
        Self {
            touches: contacts.touch(simulation),
            ..Self::default()
        }
    }

    /// A control step later.
    pub(super) fn pass(&mut self, contacts: &Contacts, simulation: &Simulation, period_s: f64) {
        let touches = contacts.touch(simulation);
        self.time_s += period_s;
        self.landed_after_s = None;
        if touches != self.touches {
            self.landed_after_s = touches.then_some(self.time_s);
            (self.touches, self.time_s) = (touches, 0.0);
        }
    }

    pub(super) fn air_s(&self) -> f64 {
        if self.touches { 0.0 } else { self.time_s }
    }

    pub(super) fn contact_s(&self) -> f64 {
        if self.touches { self.time_s } else { 0.0 }
    }

    pub(super) fn landed_after_s(&self) -> Option<f64> {
        self.landed_after_s
    }
}
