//! A digest of a model as MuJoCo has compiled it: of all that the simulation computes with, and of the names that a
//! robot's file may use. However a model is written, and over however many files, it is the same robot if this is.
//!
//! Left out are what only pictures show, the paths of files, and what MuJoCo derives from the rest.

use std::fmt::Debug;

use mujoco_rs::wrappers::MjModel;
use sha2::{Digest, Sha256};

use super::names::{Kind, Names};
use super::place::SITE;

/// A smaller number is 0 but for rounding: a cosine of 90 degrees.
const ZERO: f64 = 1e-12;

/// SHA-256 of the model, in hexadecimal digits.
pub(super) fn of(names: Names<'_>) -> String {
    let mut all = Sha256::new();
    numbers(names.model, &mut all);
    structure(names.model, &mut all);
    // A robot whose file names no site is the same under whatever names its sites have.
    let sites = (names.robot.text().contains(SITE)).then_some(Kind::Site);
    for kind in Kind::ALL.into_iter().chain(sites) {
        let count = kind.count(names.model);
        let called: Vec<String> = (0..count).map(|id| names.called(kind, id)).collect();
        add_as_text("names", &called, &mut all);
    }
    hex::encode(all.finalize())
}

/// A number of a model, or a row of them.
trait Number {
    fn add(&self, all: &mut Sha256);
}

impl Number for f64 {
    fn add(&self, all: &mut Sha256) {
        // Another processor or C library may compute the last digits of a mesh's inertia in another way.
        let value = if self.abs() < ZERO { 0.0 } else { *self as f32 };
        all.update(value.to_le_bytes());
    }
}

impl<const N: usize> Number for [f64; N] {
    fn add(&self, all: &mut Sha256) {
        self.iter().for_each(|value| value.add(all));
    }
}

fn add_numbers<N: Number>(name: &str, table: &[N], all: &mut Sha256) {
    all.update(format!("{name} {};", table.len()));
    table.iter().for_each(|entry| entry.add(all));
}

fn add_as_text(name: &str, table: &impl Debug, all: &mut Sha256) {
    all.update(format!("{name} {table:?};"));
}

macro_rules! add {
    ($add:ident, $model:ident, $all:ident: $($table:ident)*) => {
        $($add(stringify!($table), &$model.$table(), $all);)*
    };
}

fn numbers(model: &MjModel, all: &mut Sha256) {
    add!(add_numbers, model, all:
        qpos0 qpos_spring
        body_pos body_quat body_ipos body_iquat body_mass body_inertia body_gravcomp body_margin
        jnt_solref jnt_solimp jnt_pos jnt_axis jnt_stiffness jnt_stiffnesspoly jnt_range jnt_actfrcrange jnt_margin
        dof_solref dof_solimp dof_frictionloss dof_armature dof_damping dof_dampingpoly
        geom_solmix geom_solref geom_solimp geom_size geom_pos geom_quat geom_friction geom_margin geom_gap
        geom_surfacevel geom_adhesion geom_fluid
        site_size site_pos site_quat
        cam_pos cam_quat cam_fovy
        flex_solmix flex_solref flex_solimp flex_friction flex_margin flex_gap flex_vert flex_node flex_radius
        flex_stiffness flex_bending flex_damping flex_edgestiffness flex_edgedamping
        mesh_polynormal hfield_size
        pair_solref pair_solreffriction pair_solimp pair_margin pair_gap pair_adhesion pair_friction
        eq_solref eq_solimp eq_data
        tendon_solref_lim tendon_solimp_lim tendon_solref_fri tendon_solimp_fri tendon_range tendon_actfrcrange
        tendon_margin tendon_stiffness tendon_stiffnesspoly tendon_damping tendon_dampingpoly tendon_armature
        tendon_frictionloss tendon_lengthspring wrap_prm
        actuator_delay actuator_dynprm actuator_gainprm actuator_biasprm actuator_ctrlrange actuator_forcerange
        actuator_actrange actuator_damping actuator_dampingpoly actuator_armature actuator_gear actuator_cranklength
        actuator_lengthrange
        sensor_cutoff sensor_noise sensor_delay sensor_interval
        key_time key_qpos key_qvel key_act key_mpos key_mquat key_ctrl
    );
    // It scales the solver's tolerance, and the model may set it.
    model.stat().meaninertia.add(all);
}

/// Options, types, and what belongs to what.
fn structure(model: &MjModel, all: &mut Sha256) {
    add!(add_as_text, model, all:
        opt
        body_parentid body_weldid body_mocapid body_plugin
        jnt_type jnt_bodyid jnt_limited jnt_actfrclimited jnt_actgravcomp
        tree_sleep_policy
        geom_type geom_contype geom_conaffinity geom_condim geom_bodyid geom_dataid geom_priority geom_plugin
        site_type site_bodyid site_dataid
        cam_mode cam_bodyid cam_targetbodyid cam_projection cam_resolution cam_output cam_sensorsize cam_intrinsic
        flex_contype flex_conaffinity flex_condim flex_priority flex_selfcollide flex_activelayers flex_passive
        flex_dim flex_interp flex_cellnum flex_nodebodyid flex_vertbodyid flex_elem flex_edgeequality flex_rigid
        mesh_vertnum mesh_vert mesh_face mesh_graph
        hfield_nrow hfield_ncol hfield_data
        pair_dim pair_geom1 pair_geom2 exclude_signature
        eq_type eq_obj1id eq_obj2id eq_objtype eq_active0
        tendon_num tendon_limited tendon_actfrclimited wrap_type wrap_objid
        actuator_trntype actuator_dyntype actuator_gaintype actuator_biastype actuator_trnid actuator_ctrladr
        actuator_ctrlnum actuator_ctrlspec actuator_actnum actuator_group actuator_history actuator_ctrllimited
        actuator_forcelimited actuator_actlimited actuator_actearly actuator_plugin
        sensor_type sensor_datatype sensor_objtype sensor_objid sensor_reftype sensor_refid sensor_intprm sensor_dim
        sensor_history sensor_plugin
        plugin plugin_attr
    );
    // What is fully transparent a ray passes.
    let transparent = |colours: &[[f32; 4]]| -> Vec<bool> {
        colours.iter().map(|colour| colour[3] == 0.0).collect()
    };
    add_as_text("geom_rgba", &transparent(model.geom_rgba()), all);
    add_as_text("mat_rgba", &transparent(model.mat_rgba()), all);
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::case::{Case, SERVO, arm};
    use super::Names;

    /// The digest of the model in a folder, which moves from test to test.
    fn digest(model: &[u8], files: &[(&str, &[u8])]) -> String {
        let case = Case::new("");
        let folder: &Path = case.folder.path();
        for (name, content) in files {
            std::fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.join(name), content).unwrap();
        }
        let robot = case.with_model(model);
        let model = super::super::body::load(&robot).unwrap();
        super::of(Names {
            robot: &robot,
            model: &model,
        })
    }

    fn full() -> String {
        arm(SERVO)
            .replace(
                "</worldbody>",
                "<body name=\"ball\" pos=\"2 0 1\"><freejoint name=\"free\"/><geom size=\".1\" mass=\".25\"/><site name=\"s\"/></body></worldbody>\
                 <tendon><fixed name=\"t\" stiffness=\"3\"><joint joint=\"j\" coef=\"1\"/></fixed></tendon>\
                 <sensor><gyro name=\"g\" site=\"s\"/></sensor>\
                 <keyframe><key name=\"home\" qpos=\"0.1 2 0 1 1 0 0 0\"/></keyframe>",
            )
    }

    #[test]
    fn however_a_model_is_written_it_is_the_same_and_every_change_of_the_robot_is_another() {
        let own = digest(full().as_bytes(), &[]);
        let mut latin = full().into_bytes();
        latin.extend_from_slice(b"<!-- gr\xf6\xdfer -- als -->");
        assert_eq!(own, digest(&latin, &[]));
        for (from, to) in [
            ("<worldbody>", "<!-- why -->\n  <worldbody  >"),
            ("damping=\"0.2\"", "damping=\"0.20\""),
            ("mass=\"0.5\"", "mass=\"5e-1\""),
            ("fromto=\"0 0 0 0.3 0 0\"", "fromto=\" 0  0 0 .3 0 0\""),
            (
                "name=\"rod\" type=\"capsule\"",
                "type=\"capsule\" name=\"rod\" rgba=\"1 0 0 1\"",
            ),
            ("<mujoco>", "<mujoco><compiler autolimits=\"true\"/>"),
        ] {
            let text = full().replacen(from, to, 1);
            assert_ne!(text, full(), "{from}");
            assert_eq!(own, digest(text.as_bytes(), &[]), "{to}");
        }
        for (from, to) in [
            ("damping=\"0.2\"", "damping=\"0.21\""),
            ("mass=\"0.5\"", "mass=\"0.51\""),
            ("timestep=\"0.002\"", "timestep=\"0.0021\""),
            ("gravity=\"0 0 0\"", "gravity=\"0 0 -1\""),
            ("size=\"0.02\"", "size=\"0.021\""),
            ("kp=\"20\"", "kp=\"21\""),
            ("ctrlrange=\"-1 1\"", "ctrlrange=\"-1 1.1\""),
            ("axis=\"0 1 0\"", "axis=\"1 0 0\""),
            ("stiffness=\"3\"", "stiffness=\"4\""),
            ("name=\"j\" axis", "name=\"k\" axis"),
            ("qpos=\"0.1", "qpos=\"0.2"),
            ("<gyro ", "<gyro cutoff=\"1\" "),
            ("name=\"floor\"", "name=\"floor\" friction=\"0.5\""),
            ("name=\"floor\"", "name=\"floor\" contype=\"2\""),
            ("name=\"floor\"", "name=\"floor\" rgba=\"0 0 0 0\""),
            (
                "<actuator>",
                "<contact><exclude body1=\"world\" body2=\"arm\"/></contact><actuator>",
            ),
        ] {
            let text = full()
                .replace(from, to)
                .replace("joint joint=\"j\"", "joint joint=\"#\"");
            let named = if to.contains("name=\"k\"") { "k" } else { "j" };
            let text = text.replace("joint joint=\"#\"", &format!("joint joint=\"{named}\""));
            let text = text.replace("joint=\"j\" kp", &format!("joint=\"{named}\" kp"));
            assert_ne!(text, full(), "{from}");
            assert_ne!(own, digest(text.as_bytes(), &[]), "{to}");
        }
    }

    #[test]
    fn files_count_by_what_is_in_them_wherever_they_are() {
        let text = |inertia: &str, file: &str| {
            full()
                .replace(
                    "<worldbody>",
                    &format!(
                        "<asset><mesh name=\"part\" {inertia} file=\"{file}\"/></asset><worldbody>"
                    ),
                )
                .replace(
                    "<geom size=\".1\" mass=\".25\"/>",
                    "<geom type=\"mesh\" mesh=\"part\"/>",
                )
        };
        let tetrahedron = |size: &str| {
            format!(
                "v 0 0 0\nv {size} 0 0\nv 0 {size} 0\nv 0 0 {size}\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
            )
        };
        let (small, large) = (tetrahedron("0.1"), tetrahedron("0.11"));
        let own = digest(
            text("", "part.obj").as_bytes(),
            &[("part.obj", small.as_bytes())],
        );
        let elsewhere = text("", "shapes/part.obj");
        assert_eq!(
            own,
            digest(
                elsewhere.as_bytes(),
                &[("shapes/part.obj", small.as_bytes())]
            )
        );
        assert_ne!(
            own,
            digest(
                elsewhere.as_bytes(),
                &[("shapes/part.obj", large.as_bytes())]
            )
        );
        let stripped = elsewhere.replace("<mujoco>", "<mujoco><compiler strippath=\"true\"/>");
        let both = [
            ("shapes/part.obj", large.as_bytes()),
            ("part.obj", small.as_bytes()),
        ];
        assert_eq!(own, digest(stripped.as_bytes(), &both));
        assert_ne!(own, digest(elsewhere.as_bytes(), &both));
    }
}
