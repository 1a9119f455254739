//! One MuJoCo simulation, stepped exactly as gymnasium steps it: the command holds for `frame_skip` physics steps.
//!
//! A step allocates nothing. All numbers are MuJoCo's f64.

use std::sync::Arc;

use mujoco_rs::wrappers::mj_data::MjtWarning;
use mujoco_rs::wrappers::{MjData, MjModel};

/// The body whose place counts as the robot's: in all of gymnasium's models the torso is the first after the world.
pub(super) const TORSO: usize = 1;

/// A model, its state, and how many physics steps make one control step.
pub struct Simulation {
    data: MjData<Arc<MjModel>>,
    frame_skip: usize,
    /// Contact forces are computed after each control step; costs time, so only for rewards that read them.
    contact_forces: bool,
}

impl Simulation {
    /// The model at its initial state.
    pub(super) fn new(model: Arc<MjModel>, frame_skip: usize, contact_forces: bool) -> Self {
        Self {
            data: MjData::new(model),
            frame_skip,
            contact_forces,
        }
    }

    /// Seconds per control step.
    pub fn period_s(&self) -> f64 {
        self.data.model_opt().timestep * self.frame_skip as f64
    }

    /// The model.
    pub fn model(&self) -> &MjModel {
        self.data.model()
    }

    /// Goes on with another model of the same sizes; the state stays.
    pub(super) fn set_model(&mut self, model: Arc<MjModel>) {
        // Refused only for a model of other sizes, which no caller makes; the old one then stays in force.
        if self.data.try_swap_model(model).is_ok() {
            self.data.forward();
        }
    }

    /// Back to the model's initial state. Change it by [`qpos_mut`](Self::qpos_mut) and
    /// [`qvel_mut`](Self::qvel_mut), then [`settle`](Self::settle).
    pub fn reset(&mut self) {
        self.data.reset();
    }

    /// Back to a keyframe, or to the model's initial state.
    pub(super) fn reset_to(&mut self, keyframe: Option<usize>) {
        // A keyframe that the model does not have was refused when the robot was loaded.
        if keyframe.is_none_or(|keyframe| self.data.reset_keyframe(keyframe).is_err()) {
            self.data.reset();
        }
    }

    /// Makes unit quaternions of the positions that are quaternions, after [`qpos_mut`](Self::qpos_mut).
    pub(super) fn normalize(&mut self) {
        let model = self.data.model_clone();
        model.normalize_quat(self.data.qpos_mut());
    }

    /// All of the state.
    #[inline]
    pub(super) fn data(&self) -> &MjData<Arc<MjModel>> {
        &self.data
    }

    /// Generalised positions, to be changed before an episode.
    pub fn qpos_mut(&mut self) -> &mut [f64] {
        self.data.qpos_mut()
    }

    /// Generalised velocities, to be changed before an episode.
    pub fn qvel_mut(&mut self) -> &mut [f64] {
        self.data.qvel_mut()
    }

    /// Computes everything that follows from positions and velocities.
    pub fn settle(&mut self) {
        self.data.forward();
    }

    /// Holds the command for one control step.
    #[inline]
    pub fn advance(&mut self, command: &[f32]) {
        for (control, command) in self.data.ctrl_mut().iter_mut().zip(command) {
            *control = f64::from(*command);
        }
        for _ in 0..self.frame_skip {
            self.data.step();
        }
        if self.contact_forces {
            self.data.rne_post_constraint();
        }
    }

    /// Generalised positions.
    #[inline]
    pub fn qpos(&self) -> &[f64] {
        self.data.qpos()
    }

    /// Generalised velocities.
    #[inline]
    pub fn qvel(&self) -> &[f64] {
        self.data.qvel()
    }

    /// Where the torso was when MuJoCo last computed it: at the beginning of the last physics step, in m.
    #[inline]
    pub fn torso(&self) -> [f64; 3] {
        self.data.xpos().get(TORSO).copied().unwrap_or_default()
    }

    /// External (contact) wrench on every body.
    #[inline]
    pub fn contact_forces(&self) -> &[[f64; 6]] {
        self.data.cfrc_ext()
    }

    /// Whether the numbers ran away since the last reset. MuJoCo then went back to the initial state by itself.
    #[inline]
    pub fn diverged(&self) -> bool {
        let warnings = self.data.warning();
        [
            MjtWarning::mjWARN_BADQPOS,
            MjtWarning::mjWARN_BADQVEL,
            MjtWarning::mjWARN_BADQACC,
        ]
        .iter()
        .filter_map(|kind| warnings.get(*kind as usize))
        .any(|warning| warning.number > 0)
    }
}
