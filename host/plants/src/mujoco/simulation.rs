//! One MuJoCo simulation, stepped exactly as gymnasium steps it: the command holds for `frame_skip` physics steps.
//!
//! A step allocates nothing. All numbers are MuJoCo's f64.

use std::sync::Arc;

use mujoco_rs::wrappers::mj_data::MjtWarning;
use mujoco_rs::wrappers::mj_model::MjtIntegrator;
use mujoco_rs::wrappers::{MjData, MjModel};

use super::task_model::{Patch, Shared};

/// The body whose place counts as the robot's: in all of gymnasium's models the torso is the first after the world.
pub(super) const TORSO: usize = 1;
/// A number beyond this is no state any more: MuJoCo's own limit.
const LARGEST: f64 = 1e10;

/// Integrators whose step is `mj_step1` and `mj_step2`, bit for bit.
const HALVED: [MjtIntegrator; 3] = [
    MjtIntegrator::mjINT_EULER,
    MjtIntegrator::mjINT_IMPLICIT,
    MjtIntegrator::mjINT_IMPLICITFAST,
];

/// What is computed after the physics of a control step; each costs time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing: what follows from positions is as old as the last physics step's beginning.
    Nothing,
    /// Contact forces, for rewards that read them.
    ContactForces,
    /// What follows from positions and velocities alone, so that all readings of it belong to one moment. The next control
    /// step goes on from there: it costs nothing.
    Motion,
    /// Accelerations and forces as well, which the next control step computes again under its own command.
    Everything,
}

/// A model, its state, and how many physics steps make one control step.
pub struct Simulation {
    data: MjData<Shared>,
    /// The model as it was loaded.
    model: Arc<MjModel>,
    /// What the task changes in it.
    task: Patch,
    frame_skip: usize,
    after: After,
    /// What follows from positions and velocities is that of this moment.
    is_settled: bool,
}

impl Simulation {
    /// The model at its initial state.
    pub(super) fn new(model: Arc<MjModel>, frame_skip: usize, after: After) -> Self {
        Self {
            data: MjData::new(Shared::new(&model)),
            model,
            task: Patch::default(),
            frame_skip,
            after,
            is_settled: false,
        }
    }

    /// Seconds per control step.
    pub fn period_s(&self) -> f64 {
        self.model.opt().timestep * self.frame_skip as f64
    }

    /// Goes on with the model that `alter` makes of the one that was loaded; the state stays.
    pub(super) fn take_task(&mut self, alter: impl FnOnce(&mut MjModel)) {
        self.task.find(&self.model, alter);
        self.settle();
    }

    /// What the task changes in the model.
    pub(super) fn task(&self) -> &Patch {
        &self.task
    }

    /// Looks at the task's model.
    pub(super) fn with_model<R>(&mut self, look: impl FnOnce(&MjModel) -> R) -> R {
        (self.task).during(&self.model, &mut self.data, |data| look(data.model()))
    }

    /// Back to the model's initial state. Change it by [`qpos_mut`](Self::qpos_mut) and
    /// [`qvel_mut`](Self::qvel_mut), then [`settle`](Self::settle).
    pub fn reset(&mut self) {
        self.is_settled = false;
        self.data.reset();
    }

    /// Back to a keyframe, its controls included, or to the model's initial state with all controls 0.
    pub(super) fn reset_to(&mut self, keyframe: Option<usize>) {
        self.is_settled = false;
        // A keyframe that the model does not have was refused when the robot was loaded.
        if keyframe.is_none_or(|keyframe| self.data.reset_keyframe(keyframe).is_err()) {
            self.data.reset();
        }
    }

    /// Makes unit quaternions of the positions that are quaternions, after [`qpos_mut`](Self::qpos_mut).
    pub(super) fn normalize(&mut self) {
        self.is_settled = false;
        self.model.normalize_quat(self.data.qpos_mut());
    }

    /// All of the state.
    #[inline]
    pub(super) fn data(&self) -> &MjData<Shared> {
        &self.data
    }

    /// Generalised positions, to be changed before an episode.
    pub fn qpos_mut(&mut self) -> &mut [f64] {
        self.is_settled = false;
        self.data.qpos_mut()
    }

    /// Generalised velocities, to be changed before an episode.
    pub fn qvel_mut(&mut self) -> &mut [f64] {
        self.is_settled = false;
        self.data.qvel_mut()
    }

    /// Generalised forces from outside, to be changed by tests of a model.
    pub(super) fn pushes_mut(&mut self) -> &mut [f64] {
        self.data.qfrc_applied_mut()
    }

    /// Computes everything that follows from positions and velocities.
    pub fn settle(&mut self) {
        self.task
            .during(&self.model, &mut self.data, MjData::forward);
        self.is_settled = true;
    }

    /// Sets the control at an address, until it is set again or the simulation is reset.
    #[inline]
    pub(super) fn set_control(&mut self, address: usize, value: impl Into<f64>) {
        if let Some(control) = self.data.ctrl_mut().get_mut(address) {
            *control = value.into();
        }
    }

    /// Forces and torques on bodies' centres of mass, along the world's axes, until they are set again or the
    /// simulation is reset.
    #[inline]
    pub(super) fn wrenches_mut(&mut self) -> &mut [[f64; 6]] {
        self.data.xfrc_applied_mut()
    }

    /// Holds the controls for one control step.
    #[inline]
    pub fn advance(&mut self) {
        self.advance_with(|_| ());
    }

    /// The same, with controls that `change` sets before every physics step.
    #[inline]
    pub(super) fn advance_with(&mut self, mut change: impl FnMut(&mut MjData<Shared>)) {
        let (frame_skip, after) = (self.frame_skip, self.after);
        // A physics step is what follows from positions and velocities, and then the rest. Where the one is known already
        // it need not be computed twice; MuJoCo has these halves for the integrators that `HALVED` names. What ran away
        // goes through the whole step, which begins with a look at it.
        let has_halves = (HALVED.iter()).any(|one| self.model.opt().integrator == *one as i32);
        let mut is_known = has_halves && self.is_settled && !self.diverged();
        self.task.during(&self.model, &mut self.data, |data| {
            for _ in 0..frame_skip {
                change(data);
                if is_known {
                    data.step2();
                } else {
                    data.step();
                }
                is_known = false;
            }
            match after {
                After::Nothing => {}
                After::ContactForces => data.rne_post_constraint(),
                After::Motion => data.step1(),
                After::Everything => data.forward(),
            }
        });
        self.is_settled = matches!(after, After::Motion | After::Everything);
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

    /// Whether the numbers ran away since the last reset: MuJoCo went back to the initial state by itself, or would
    /// at the next step, or a sensor has no number.
    #[inline]
    pub fn diverged(&self) -> bool {
        let data = &self.data;
        let warnings = data.warning();
        let was_reset = [
            MjtWarning::mjWARN_BADQPOS,
            MjtWarning::mjWARN_BADQVEL,
            MjtWarning::mjWARN_BADQACC,
        ]
        .iter()
        .filter_map(|kind| warnings.get(*kind as usize))
        .any(|warning| warning.number > 0);
        let is_bad = |value: &f64| value.is_nan() || value.abs() > LARGEST;
        let states = [data.qpos(), data.qvel(), data.qacc()];
        was_reset
            || states.into_iter().flatten().any(is_bad)
            || !data.sensordata().iter().all(|value| value.is_finite())
    }
}
