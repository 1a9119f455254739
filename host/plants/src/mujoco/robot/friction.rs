//! Whether scaling the friction of geoms changes any contact that they can make.

use mujoco_rs::mujoco_c::{mjtDisableBit, mjtEnableBit};
use mujoco_rs::wrappers::MjModel;

/// What scaling the friction of geoms does.
pub(super) enum Scaling {
    /// It rules a contact that they can make. Whether the robot ever makes it is not asked: a hand may find its object
    /// late.
    Rules,
    /// The same, but explicit pairs rule others of their contacts; why it does nothing if the robot makes only those.
    RulesBesidePairs(String),
    /// It does nothing, for this reason.
    Nothing(String),
}

/// A parameter that scales friction: the geoms, and the two ends of its range.
pub(super) type Parameter<'a> = (&'a [usize], [f64; 2]);

/// Of so many other parameters every combination of ends is tried; of more, some of them together.
const APART: usize = 6;

/// What scaling the friction of `geoms` by either of two factors does, whatever `others` scale meanwhile.
pub(super) fn scaling(
    model: &MjModel,
    (geoms, factors): Parameter<'_>,
    others: &[Parameter<'_>],
) -> Scaling {
    let is_set = |flags: i32, flag: u32| flags as u32 & flag != 0;
    let options = model.opt();
    if is_set(
        options.disableflags,
        mjtDisableBit::mjDSBL_CONTACT as u32 | mjtDisableBit::mjDSBL_CONSTRAINT as u32,
    ) {
        return Scaling::Nothing("the model's options turn contacts off".to_owned());
    }
    if is_set(options.enableflags, mjtEnableBit::mjENBL_OVERRIDE as u32) {
        let why = "the model's options override the friction of all contacts";
        return Scaling::Nothing(why.to_owned());
    }
    let filters_parents = !is_set(
        options.disableflags,
        mjtDisableBit::mjDSBL_FILTERPARENT as u32,
    );
    let mut found = Found {
        // Cloth may lie on any of them.
        rules: model.nflex() > 0,
        ..Found::default()
    };
    for corner in 0..1usize << others.len().min(APART) {
        let mut frictions = model.geom_friction().to_vec();
        for (index, (geoms, ends)) in others.iter().enumerate() {
            let end = ends[corner >> (index % APART) & 1];
            scale(&mut frictions, geoms, end);
        }
        let both = factors.map(|factor| {
            let mut frictions = frictions.clone();
            scale(&mut frictions, geoms, factor);
            frictions
        });
        for first in geoms {
            for second in 0..frictions.len() {
                found.add(meeting(model, *first, second, filters_parents, || {
                    both.each_ref()
                        .map(|frictions| friction(model, frictions, [*first, second]))
                }));
            }
        }
    }
    match (found.rules, found.pair) {
        (true, false) => Scaling::Rules,
        (true, true) => Scaling::RulesBesidePairs(PAIRS.to_owned()),
        (false, _) => Scaling::Nothing(found.why()),
    }
}

const PAIRS: &str = "the model's explicit contact <pair>s rule the friction of these geoms: take the pairs out, or let the geoms collide by contype and conaffinity";

/// What two geoms do when they meet.
enum Meeting {
    /// They never touch.
    Apart,
    /// An explicit pair rules.
    Pair,
    /// They slide without friction.
    Slippery,
    /// The other geom's friction rules.
    Other,
    /// The scaled friction matters.
    Rules,
}

#[derive(Default)]
struct Found {
    pair: bool,
    slippery: bool,
    other: bool,
    rules: bool,
}

impl Found {
    fn add(&mut self, meeting: Meeting) {
        match meeting {
            Meeting::Apart => {}
            Meeting::Pair => self.pair = true,
            Meeting::Slippery => self.slippery = true,
            Meeting::Other => self.other = true,
            Meeting::Rules => self.rules = true,
        }
    }

    fn why(&self) -> String {
        let mut reasons = Vec::new();
        if self.other {
            reasons.push(
                "in every contact that these geoms can make the other geom's friction rules (the larger of the two, or that of higher priority): name that geom too, or take larger values",
            );
        }
        if self.pair {
            reasons.push(PAIRS);
        }
        if self.slippery {
            reasons.push("these geoms touch without friction (condim 1): give them condim 3");
        }
        if reasons.is_empty() {
            reasons.push(
                "these geoms can touch no other (contype and conaffinity, bodies that belong together, <exclude>)",
            );
        }
        reasons.join("; ")
    }
}

fn at(table: &[i32], index: usize) -> i32 {
    table.get(index).copied().unwrap_or_default()
}

fn meeting(
    model: &MjModel,
    first: usize,
    second: usize,
    filters_parents: bool,
    friction: impl FnOnce() -> [[f64; 3]; 2],
) -> Meeting {
    let is_pair = |(one, other): (&i32, &i32)| {
        let pair = [usize::try_from(*one), usize::try_from(*other)];
        pair == [Ok(first), Ok(second)] || pair == [Ok(second), Ok(first)]
    };
    if (model.pair_geom1().iter().zip(model.pair_geom2())).any(is_pair) {
        return Meeting::Pair;
    }
    if !can_touch(model, first, second, filters_parents) {
        return Meeting::Apart;
    }
    let priority = |geom| at(model.geom_priority(), geom);
    let condim = match priority(first).cmp(&priority(second)) {
        std::cmp::Ordering::Greater => at(model.geom_condim(), first),
        std::cmp::Ordering::Less => at(model.geom_condim(), second),
        std::cmp::Ordering::Equal => {
            at(model.geom_condim(), first).max(at(model.geom_condim(), second))
        }
    };
    // Sliding, from 4 on spinning, from 6 on rolling too.
    let used = match condim {
        ..=1 => return Meeting::Slippery,
        2..=3 => 1,
        4..=5 => 2,
        _ => 3,
    };
    let [low, high] = friction();
    if low[..used] == high[..used] {
        Meeting::Other
    } else {
        Meeting::Rules
    }
}

/// Whether MuJoCo looks for contacts between two geoms.
fn can_touch(model: &MjModel, first: usize, second: usize, filters_parents: bool) -> bool {
    let types = |geom| {
        (
            at(model.geom_contype(), geom),
            at(model.geom_conaffinity(), geom),
        )
    };
    let ((type_1, affinity_1), (type_2, affinity_2)) = (types(first), types(second));
    if type_1 & affinity_2 == 0 && type_2 & affinity_1 == 0 {
        return false;
    }
    let index = |body: i32| usize::try_from(body).unwrap_or_default();
    let body = |geom| at(model.geom_bodyid(), geom);
    let weld = |body: i32| at(model.body_weldid(), index(body));
    let parent = |weld_body: i32| weld(at(model.body_parentid(), index(weld_body)));
    let (body_1, body_2) = (body(first), body(second));
    let (weld_1, weld_2) = (weld(body_1), weld(body_2));
    if weld_1 == weld_2 {
        return false;
    }
    let is_family =
        weld_1 != 0 && weld_2 != 0 && (weld_1 == parent(weld_2) || weld_2 == parent(weld_1));
    if filters_parents && is_family {
        return false;
    }
    let signature = (body_1.min(body_2) << 16) + body_1.max(body_2);
    !model.exclude_signature().contains(&signature)
}

fn scale(frictions: &mut [[f64; 3]], geoms: &[usize], factor: f64) {
    for geom in geoms {
        for value in frictions.get_mut(*geom).into_iter().flatten() {
            *value *= factor;
        }
    }
}

/// The friction of a contact: of the geom of higher priority, or the larger of both.
fn friction(model: &MjModel, frictions: &[[f64; 3]], geoms: [usize; 2]) -> [f64; 3] {
    let [first, second] = geoms.map(|geom| frictions.get(geom).copied().unwrap_or_default());
    let [priority_1, priority_2] = geoms.map(|geom| at(model.geom_priority(), geom));
    match priority_1.cmp(&priority_2) {
        std::cmp::Ordering::Greater => first,
        std::cmp::Ordering::Less => second,
        std::cmp::Ordering::Equal => std::array::from_fn(|index| first[index].max(second[index])),
    }
}
