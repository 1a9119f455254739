//! What a task changes in a model, and the one copy of the model per thread that it is written into while a
//! simulation computes, and taken back from afterwards.
//!
//! Meshes and textures make models of many megabytes, and a task changes a few hundred numbers of them. So all
//! simulations of a model share it as it was loaded; a task is the list of its differences from that.
//! Besides the log, the only module of the feature that holds unsafe code: MuJoCo's wrapper wants a promise that its
//! pointer to a model stays the same, and one for every write into a table that could hold addresses.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use mujoco_rs::wrappers::mj_model::traits::{ModelType, ModelTypeMut};
use mujoco_rs::wrappers::mj_model::{MjtBias, MjtGain};
use mujoco_rs::wrappers::{MjData, MjModel};

/// A model that simulations share. Only its sole owner may change it: the copy of a thread.
#[derive(Clone, Debug)]
pub(super) struct Shared(Arc<MjModel>);

impl Shared {
    /// Shares a model.
    pub(super) fn new(model: &Arc<MjModel>) -> Self {
        Self(Arc::clone(model))
    }
}

impl Deref for Shared {
    type Target = MjModel;

    fn deref(&self) -> &MjModel {
        &self.0
    }
}

impl DerefMut for Shared {
    fn deref_mut(&mut self) -> &mut MjModel {
        Arc::get_mut(&mut self.0).expect("a thread's copy of a model has one owner")
    }
}

// SAFETY: both give the model that the `Arc` holds, which stays in place and alive as long as the `Arc` does.
unsafe impl ModelType for Shared {}
// SAFETY: as above; a mutable reference exists only while nobody else owns the `Arc`.
unsafe impl ModelTypeMut for Shared {}

/// The parameters of an actuator's gain, where all of them are numbers that forces are computed with.
pub(super) fn gain_parameters(model: &mut MjModel, actuator: usize) -> &mut [f64] {
    let is_plain = matches!(
        model.actuator_gaintype().get(actuator),
        Some(MjtGain::mjGAIN_FIXED | MjtGain::mjGAIN_AFFINE | MjtGain::mjGAIN_MUSCLE)
    );
    // SAFETY: with these types MuJoCo looks nothing up by a gain's parameters; other types are left out.
    let all = unsafe { model.actuator_gainprm_mut() };
    match all.get_mut(actuator) {
        Some(parameters) if is_plain => parameters,
        _ => &mut [],
    }
}

/// Lets an actuator's force depend on where it stands, by the parameters of its bias.
pub(super) fn set_affine_bias(model: &mut MjModel, actuator: usize) {
    // SAFETY: with this type MuJoCo takes a bias's parameters for numbers that forces are computed with, nothing else.
    let all = unsafe { model.actuator_biastype_mut() };
    if let Some(own) = all.get_mut(actuator) {
        *own = MjtBias::mjBIAS_AFFINE;
    }
}

/// A table of numbers of a model.
struct Field {
    read: fn(&MjModel) -> &[f64],
    write: fn(&mut MjModel) -> &mut [f64],
    /// Pictures and the solver's tolerance read it, forces do not.
    is_statistic: bool,
}

macro_rules! field {
    ($read:ident, $write:ident) => {
        Field {
            read: |model| model.$read(),
            write: |model| model.$write(),
            is_statistic: false,
        }
    };
    ($read:ident, $write:ident, rows) => {
        Field {
            read: |model| model.$read().as_flattened(),
            write: |model| model.$write().as_flattened_mut(),
            is_statistic: false,
        }
    };
    (statistic $name:ident) => {
        Field {
            read: |model| std::slice::from_ref(&model.stat().$name),
            write: |model| std::slice::from_mut(&mut model.stat_mut().$name),
            is_statistic: true,
        }
    };
}

/// Every table that a task's effects or `mj_setConst` may write and that is not the same whatever the numbers are.
static FIELDS: &[Field] = &[
    // Effects.
    field!(body_mass, body_mass_mut),
    field!(body_inertia, body_inertia_mut, rows),
    field!(body_ipos, body_ipos_mut, rows),
    field!(body_iquat, body_iquat_mut, rows),
    field!(dof_armature, dof_armature_mut),
    field!(dof_frictionloss, dof_frictionloss_mut),
    field!(dof_damping, dof_damping_mut),
    field!(dof_dampingpoly, dof_dampingpoly_mut, rows),
    field!(geom_friction, geom_friction_mut, rows),
    field!(actuator_gear, actuator_gear_mut, rows),
    Field {
        read: |model| model.actuator_gainprm().as_flattened(),
        // SAFETY: only what `gain_parameters` gave to an effect, or what stood here before, is written.
        write: |model| unsafe { model.actuator_gainprm_mut() }.as_flattened_mut(),
        is_statistic: false,
    },
    field!(actuator_biasprm, actuator_biasprm_mut, rows),
    field!(actuator_forcerange, actuator_forcerange_mut, rows),
    field!(jnt_actfrcrange, jnt_actfrcrange_mut, rows),
    field!(tendon_actfrcrange, tendon_actfrcrange_mut, rows),
    Field {
        read: |model| &model.opt().gravity,
        write: |model| &mut model.opt_mut().gravity,
        is_statistic: false,
    },
    // What mj_setConst derives.
    field!(body_subtreemass, body_subtreemass_mut),
    field!(body_invweight0, body_invweight0_mut, rows),
    field!(dof_invweight0, dof_invweight0_mut),
    field!(dof_m0, dof_m0_mut),
    field!(dof_length, dof_length_mut),
    field!(tendon_length0, tendon_length0_mut),
    field!(tendon_invweight0, tendon_invweight0_mut),
    field!(tendon_lengthspring, tendon_lengthspring_mut, rows),
    field!(actuator_acc0, actuator_acc0_mut),
    field!(actuator_length0, actuator_length0_mut),
    field!(flex_vert0, flex_vert0_mut, rows),
    field!(flex_vertmetric, flex_vertmetric_mut, rows),
    field!(flexedge_length0, flexedge_length0_mut),
    field!(flexedge_invweight0, flexedge_invweight0_mut),
    field!(efm0_l, efm0_l_mut),
    Field {
        read: |model| model.eq_data().as_flattened(),
        // SAFETY: only what mj_setConst has computed itself, or what stood here before, is written.
        write: |model| unsafe { model.eq_data_mut() }.as_flattened_mut(),
        is_statistic: false,
    },
    field!(cam_pos0, cam_pos0_mut, rows),
    field!(cam_poscom0, cam_poscom0_mut, rows),
    field!(cam_mat0, cam_mat0_mut, rows),
    field!(light_pos0, light_pos0_mut, rows),
    field!(light_poscom0, light_poscom0_mut, rows),
    field!(light_dir0, light_dir0_mut, rows),
    Field {
        read: |model| &model.stat().center,
        write: |model| &mut model.stat_mut().center,
        is_statistic: true,
    },
    field!(statistic meaninertia),
    field!(statistic meanmass),
    field!(statistic meansize),
    field!(statistic extent),
];

/// One number that a task changes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Difference {
    field: usize,
    index: usize,
    model: f64,
    task: f64,
}

/// A task, as its differences from the model that was loaded.
#[derive(Clone, Debug, Default)]
pub(super) struct Patch(Vec<Difference>);

impl Patch {
    /// Finds what `alter` and all that follows from it change in `model`.
    pub(super) fn find(&mut self, model: &Arc<MjModel>, alter: impl FnOnce(&mut MjModel)) {
        self.0.clear();
        at_desk(model, |desk| {
            alter(&mut desk.own);
            // MuJoCo derives constants from masses (weights of constraints); it needs a state to do so.
            desk.scratch.reset();
            lend(&mut desk.own, &mut desk.scratch, MjData::set_const);
            for (field, table) in FIELDS.iter().enumerate() {
                let pairs = (table.read)(model).iter().zip((table.read)(&desk.own));
                let differing = pairs
                    .enumerate()
                    .filter(|(_, (model, task))| model.to_bits() != task.to_bits());
                self.0
                    .extend(differing.map(|(index, (model, task))| Difference {
                        field,
                        index,
                        model: *model,
                        task: *task,
                    }));
            }
            self.write(&mut desk.own, |difference| difference.model);
        });
    }

    /// Lets `work` run on `data` with the task written into the model.
    pub(super) fn during<R>(
        &self,
        model: &Arc<MjModel>,
        data: &mut MjData<Shared>,
        work: impl FnOnce(&mut MjData<Shared>) -> R,
    ) -> R {
        if self.0.is_empty() {
            return work(data);
        }
        at_desk(model, |desk| {
            self.write(&mut desk.own, |difference| difference.task);
            let result = lend(&mut desk.own, data, work);
            self.write(&mut desk.own, |difference| difference.model);
            result
        })
    }

    /// Whether two tasks give the same forces in every state.
    pub(super) fn is_same_physics(&self, other: &Self) -> bool {
        let forces = |patch: &Self| {
            let all = patch.0.iter();
            all.filter(|difference| !FIELDS[difference.field].is_statistic)
                .copied()
                .collect::<Vec<_>>()
        };
        forces(self) == forces(other)
    }

    fn write(&self, model: &mut MjModel, value: impl Fn(&Difference) -> f64) {
        for run in self.0.chunk_by(|a, b| a.field == b.field) {
            let table = (FIELDS[run[0].field].write)(model);
            for difference in run {
                table[difference.index] = value(difference);
            }
        }
    }
}

/// A thread's copy of a model, and a state to compute constants in.
struct Desk {
    model: Arc<MjModel>,
    /// The same numbers as `model`'s whenever nobody is at the desk.
    own: Shared,
    scratch: MjData<Shared>,
}

/// The desk of this thread for a model. Those of models that nobody else has any more go when another comes.
fn at_desk<R>(model: &Arc<MjModel>, work: impl FnOnce(&mut Desk) -> R) -> R {
    thread_local! {
        static DESKS: RefCell<Vec<Desk>> = const { RefCell::new(Vec::new()) };
    }
    DESKS.with_borrow_mut(|desks| {
        let known = desks
            .iter()
            .position(|desk| Arc::ptr_eq(&desk.model, model));
        let index = known.unwrap_or_else(|| {
            // Computed once and shared by all copies: exchanging models compares it.
            model.layout();
            // Its own share, and that of its scratch.
            desks.retain(|desk| Arc::strong_count(&desk.model) > 2);
            desks.push(Desk {
                model: Arc::clone(model),
                own: Shared(Arc::new(MjModel::clone(model))),
                scratch: MjData::new(Shared::new(model)),
            });
            desks.len() - 1
        });
        work(&mut desks[index])
    })
}

/// Lets `work` run on `data` with another model of the same layout.
fn lend<R>(
    model: &mut Shared,
    data: &mut MjData<Shared>,
    work: impl FnOnce(&mut MjData<Shared>) -> R,
) -> R {
    let usual = data.model_clone();
    let usual = data.swap_model(std::mem::replace(model, usual));
    let result = work(data);
    *model = data.swap_model(usual);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tendon, muscle, dampratio, weld, tracking camera and light, soft cloth: all that derived constants stand for.
    const EVERYTHING: &str = r#"<mujoco>
  <option timestep="0.002"/>
  <worldbody>
    <light mode="trackcom" pos="0 0 3"/><camera name="c" mode="trackcom" pos="0 -3 1"/>
    <geom name="floor" type="plane" size="5 5 .1"/>
    <body name="a" pos="0 0 1"><freejoint name="root"/><geom size=".1" mass="2"/>
      <body name="b" pos=".3 0 0"><joint name="hip" axis="0 1 0" damping=".5"/><geom name="shin" type="capsule" fromto="0 0 0 .4 0 0" size=".03" mass=".7"/>
        <body name="c" pos=".4 0 0"><joint name="knee" axis="0 1 0" damping=".1"/><geom type="box" size=".1 .05 .02" pos=".02 .01 0" mass=".3"/></body></body></body>
    <body name="d" pos="0 1 1"><freejoint/><geom size=".05" mass=".1"/></body>
    <flexcomp name="cloth" type="grid" dim="2" count="4 4 1" spacing=".1 .1 .1" pos="2 0 1" mass=".2" radius=".01">
      <edge equality="true"/></flexcomp>
  </worldbody>
  <tendon><fixed name="t" stiffness="3" damping="1"><joint joint="hip" coef="1"/><joint joint="knee" coef="-1"/></fixed></tendon>
  <equality><weld body1="a" body2="d"/></equality>
  <actuator><position name="p" joint="hip" kp="30" dampratio="1"/><muscle name="m" joint="knee" lengthrange="-1 1"/><motor name="f" tendon="t"/></actuator>
  <sensor><framepos objtype="camera" objname="c"/></sensor>
</mujoco>"#;

    fn bytes(model: &MjModel) -> Vec<u8> {
        let mut bytes = vec![0; model.size()];
        model.save_to_buffer(&mut bytes).unwrap();
        bytes
    }

    fn heavier(factor: f64) -> impl Fn(&mut MjModel) {
        move |model| {
            model
                .body_mass_mut()
                .iter_mut()
                .for_each(|mass| *mass *= factor);
            let moments = model.body_inertia_mut().as_flattened_mut();
            moments.iter_mut().for_each(|moment| *moment *= factor);
            gain_parameters(model, 0)[0] *= factor;
            model.opt_mut().gravity[0] += factor;
        }
    }

    #[test]
    fn a_task_is_a_whole_model_while_work_is_done_and_gone_to_the_last_bit_afterwards() {
        super::super::log::install();
        let model = Arc::new(MjModel::from_xml_string(EVERYTHING).unwrap());
        let fresh = bytes(&model);
        let mut data = MjData::new(Shared::new(&model));
        let mut patch = Patch::default();
        for factor in [1.5, 0.3, 1.0, 1.5] {
            patch.find(&model, heavier(factor));
            // The model of this task as it is without any of this module.
            let mut alone = Box::new(MjModel::clone(&model));
            heavier(factor)(&mut alone);
            let mut scratch = MjData::new(alone);
            scratch.set_const();
            let during = patch.during(&model, &mut data, |data| bytes(data.model()));
            assert!(during == bytes(scratch.model()), "{factor}");
            assert!(during != fresh, "{factor}");
            at_desk(&model, |desk| {
                assert!(bytes(&desk.own) == fresh, "{factor}")
            });
            assert!(bytes(&model) == fresh && bytes(data.model()) == fresh);
        }
    }

    #[test]
    fn no_effect_is_the_same_physics_whatever_statistics_say() {
        super::super::log::install();
        let model = Arc::new(MjModel::from_xml_string(EVERYTHING).unwrap());
        let [mut none, mut statistics, mut gravity] = [(); 3].map(|()| Patch::default());
        none.find(&model, |_| ());
        statistics.find(&model, |model| model.body_mass_mut()[0] = 0.0);
        gravity.find(&model, |model| model.opt_mut().gravity[2] = -1.0);
        assert!(none.is_same_physics(&statistics) && !none.is_same_physics(&gravity));
    }
}
