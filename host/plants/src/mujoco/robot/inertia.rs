//! Masses that are added to bodies, and centres of mass that move.

use std::sync::Arc;

use mujoco_rs::wrappers::MjModel;
use mujoco_rs::wrappers::fun::utility::{mju_eig_3, mju_quat_2_mat};
use mujoco_rs::wrappers::mj_model::MjtSameFrame;

use super::names::{Kind, Names};
use crate::robot::{Effect, RobotError};

/// A ball, or with radius 0 a point, that is fixed to a body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payload {
    pub(super) body: usize,
    /// In the body's frame; without it at the body's centre of mass.
    pub(super) at: Option<[f64; 3]>,
    pub(super) radius_m: f64,
}

type Matrix = [[f64; 3]; 3];

impl Payload {
    /// Adds `mass` in kg.
    pub(super) fn apply(self, model: &mut MjModel, mass: f64) {
        let body = self.body;
        let (Some(own), Some(center), Some(quaternion), Some(moments)) = (
            model.body_mass().get(body).copied(),
            model.body_ipos().get(body).copied(),
            model.body_iquat().get(body).copied(),
            model.body_inertia().get(body).copied(),
        ) else {
            return;
        };
        let total = own + mass;
        // A massless body takes over all of the payload.
        if total <= 0.0 {
            return;
        }
        let ball = 0.4 * mass * self.radius_m * self.radius_m;
        let at = self.at.unwrap_or(center);
        model.body_mass_mut()[body] = total;
        if at == center {
            model.body_inertia_mut()[body] = moments.map(|moment| moment + ball);
            return;
        }
        let common: [f64; 3] =
            std::array::from_fn(|axis| (own * center[axis] + mass * at[axis]) / total);
        let mut sum = along(quaternion, moments);
        for (mass, place) in [(own, center), (mass, at)] {
            add_point(
                &mut sum,
                mass,
                std::array::from_fn(|axis| place[axis] - common[axis]),
            );
        }
        for (axis, row) in sum.iter_mut().enumerate() {
            row[axis] += ball;
        }
        let (moments, quaternion) = principal(sum);
        model.body_ipos_mut()[body] = common;
        model.body_iquat_mut()[body] = quaternion;
        model.body_inertia_mut()[body] = moments;
    }
}

/// The inertia of a point at a distance from where it is counted.
fn add_point(sum: &mut Matrix, mass: f64, from: [f64; 3]) {
    let square: f64 = from.iter().map(|entry| entry * entry).sum();
    for (row, entries) in sum.iter_mut().enumerate() {
        for (column, entry) in entries.iter_mut().enumerate() {
            let diagonal = if row == column { square } else { 0.0 };
            *entry += mass * (diagonal - from[row] * from[column]);
        }
    }
}

/// Principal moments along a quaternion's axes, as a matrix: R diag(moments) R'.
fn along(quaternion: [f64; 4], moments: [f64; 3]) -> Matrix {
    let mut turn = [0.0; 9];
    mju_quat_2_mat(&mut turn, &quaternion);
    std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            (0..3)
                .map(|axis| turn[3 * row + axis] * moments[axis] * turn[3 * column + axis])
                .sum()
        })
    })
}

fn principal(matrix: Matrix) -> ([f64; 3], [f64; 4]) {
    let (mut moments, mut axes, mut quaternion) = ([0.0; 3], [0.0; 9], [0.0; 4]);
    let mut flat = [0.0; 9];
    flat.copy_from_slice(matrix.as_flattened());
    mju_eig_3(&mut moments, &mut axes, &mut quaternion, &flat);
    (moments, quaternion)
}

/// Lets the centres of mass move that effects move: MuJoCo leaves out what it computes with them where they are in
/// the middle of their body.
///
/// # Errors
/// For a body whose inertia MuJoCo stores as numbers that cannot turn.
pub(super) fn free_centers(names: Names<'_>, model: &mut Arc<MjModel>) -> Result<(), RobotError> {
    for effect in &names.robot.effects {
        let named = match effect {
            Effect::CenterOfMass(body, _) => body,
            Effect::Payload(payload) if payload.at.is_some() => &payload.body,
            _ => continue,
        };
        let body = names.find(Kind::Body, named)?;
        if names
            .model
            .body_simple()
            .get(body)
            .is_some_and(|simple| *simple != 0)
        {
            let must = format!(
                "a body whose centre of mass is not in its origin: MuJoCo takes '{}' for one that turns about its middle, and nothing can be moved in it. Give it in the model an <inertial> whose pos is not 0, or a payload without 'at'",
                names.called(Kind::Body, body)
            );
            return Err(names.robot.refuse(&named.key, must));
        }
        let none = MjtSameFrame::mjSAMEFRAME_NONE;
        let model = Arc::make_mut(model);
        if let Some(frame) = model.body_sameframe_mut().get_mut(body) {
            *frame = none;
        }
        let is_on = |of: &i32| usize::try_from(*of) == Ok(body);
        for geom in 0..model.geom_bodyid().len() {
            if is_on(&model.geom_bodyid()[geom]) {
                model.geom_sameframe_mut()[geom] = none;
            }
        }
        for site in 0..model.site_bodyid().len() {
            if is_on(&model.site_bodyid()[site]) {
                model.site_sameframe_mut()[site] = none;
            }
        }
    }
    Ok(())
}
