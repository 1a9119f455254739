//! What hidden parameters, start controls and names do to small models written here; and which of them are refused.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::UserRobot;
use crate::plant::robot::{Robot, RobotError};
use crate::plant::{Driven, Plant, Start, Task, TaskSet, random_stream};

/// A model with a robot's file beside it, gone with the test.
struct Case {
    folder: tempfile::TempDir,
    model: String,
    head: String,
    actuator: String,
    range: [f32; 2],
    safe: f32,
    rest: String,
}

/// One hinge `j` of an arm without gravity, and whatever stands in the middle of the document.
fn arm(actuator: &str) -> String {
    format!(
        r#"<mujoco><option timestep="0.002" gravity="0 0 0"/>
  <worldbody><geom name="floor" type="plane" size="5 5 .1" pos="0 0 -3"/>
    <body name="arm" pos="0 0 1"><joint name="j" axis="0 1 0" damping="0.2"/>
    <geom name="rod" type="capsule" fromto="0 0 0 0.3 0 0" size="0.02" mass="0.5"/></body></worldbody>
  <actuator>{actuator}</actuator></mujoco>"#
    )
}

const MOTOR: &str = r#"<motor name="m" joint="j" ctrlrange="-1 1"/>"#;
const SERVO: &str = r#"<position name="m" joint="j" kp="20" kv="1" ctrlrange="-1 1"/>"#;

impl Case {
    fn new(model: &str) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            model: model.to_owned(),
            head: "period_us = 20000".to_owned(),
            actuator: "m".to_owned(),
            range: [-1.0, 1.0],
            safe: 0.0,
            rest: String::new(),
        }
    }

    fn with(mut self, section: &str) -> Self {
        let _ = writeln!(self.rest, "{section}");
        self
    }

    /// One parameter from `low` to `high` with this effect.
    fn hidden(self, [low, high]: [f32; 2], effect: &str) -> Self {
        self.with(&format!(
            "[[hidden]]\nname = \"h\"\ntraining = [{low:?}, {high:?}]\n{effect}"
        ))
    }

    fn text(&self) -> String {
        format!(
            "name = \"case\"\nmodel = \"robot.xml\"\n{}\nepisode_steps = 100\n\
             [[observation]]\nname = \"q\"\nunit = \"rad\"\nmin = -9.0\nmax = 9.0\nqpos = {{ joint = \"#0\" }}\n\
             [[action]]\nname = \"m\"\nactuator = \"{}\"\nunit = \"1\"\nmin = {:?}\nmax = {:?}\nslew_per_s = 1000.0\nsafe = {:?}\n\
             [[reward]]\nweight = 1.0\nalive = {{}}\n{}",
            self.head, self.actuator, self.range[0], self.range[1], self.safe, self.rest
        )
    }

    fn made(&self) -> Result<UserRobot, RobotError> {
        let path = |name: &str| -> PathBuf { self.folder.path().join(name) };
        std::fs::write(path("robot.xml"), &self.model).unwrap();
        let robot = Robot::from_toml(&self.text(), &path("robot.toml"))?;
        UserRobot::new(Box::leak(Box::new(robot)))
    }

    fn robot(&self) -> UserRobot {
        self.made().unwrap_or_else(|error| panic!("{error}"))
    }

    #[track_caller]
    fn refused(&self, parts: &[&str]) {
        let error = self.made().err().expect("a refusal").to_string();
        for part in parts {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}

/// Where the first joint stands after `steps` control steps under one command.
fn stands(plant: &mut UserRobot, hidden: f32, command: f32, steps: usize) -> f32 {
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
fn is_near(value: f32, expected: f32) {
    assert!((value - expected).abs() < 0.01, "{value}, not {expected}");
}

#[test]
fn what_multiplies_zeros_or_nothing_that_moves_does_nothing() {
    let undamped = arm(MOTOR).replace(r#" damping="0.2""#, "");
    Case::new(&undamped)
        .hidden([0.1, 10.0], "damping_scale = { joints = [\"*\"] }")
        .refused(&["robot.toml:", "hidden[0], 'h', does nothing", "no damping"]);
    Case::new(&arm(MOTOR))
        .hidden([0.5, 2.0], "mass_scale = { bodies = [\"world\"] }")
        .refused(&["'h', does nothing", "mass"]);
    let table = arm(MOTOR).replace(
        "<body name=\"arm\"",
        "<body name=\"table\"><geom type=\"box\" size=\".1 .1 .1\" pos=\"2 0 0\"/></body><body name=\"arm\"",
    );
    Case::new(&table)
        .hidden([0.5, 2.0], "mass_scale = { bodies = [\"table\"] }")
        .refused(&["'h', does nothing", "hang on nothing that moves"]);
    Case::new(&arm(MOTOR))
        .hidden([-0.2, 0.2], "gravity_tilt = { axis = \"y\" }")
        .refused(&["'h', does nothing", "gravity is 0"]);
    let falling = arm(MOTOR).replace("gravity=\"0 0 0\"", "gravity=\"0 0 -9.81\"");
    Case::new(&falling)
        .hidden([-0.2, 0.2], "gravity_tilt = { axis = \"z\" }")
        .refused(&["along this axis"]);
    let two = arm(&format!("{MOTOR}<motor name=\"idle\" joint=\"j\"/>"));
    for effect in ["gear_scale", "strength_scale"] {
        Case::new(&two)
            .hidden(
                [0.5, 2.0],
                &format!("{effect} = {{ actuators = [\"idle\"] }}"),
            )
            .refused(&["'h', does nothing", "no [[action]] commands"]);
    }
    Case::new(&arm(MOTOR))
        .hidden([0.5, 2.0], "goal = {}")
        .refused(&[
            "'h', does nothing",
            "no reward, no [goal] and no observation",
        ]);
    Case::new(&arm(MOTOR))
        .hidden([0.5, 2.0], "gear_scale = { actuators = [\"m\"] }")
        .with("[[change]]\nname = \"c\"\nsummary = \"s\"\nmultiply = { h = 1.0 }")
        .refused(&["change[0].multiply.h is 1.0", "changes nothing"]);
}

#[test]
fn what_does_something_is_taken_even_where_the_robot_never_finds_it() {
    // A box far away that only a push would move, a balanced wheel without gravity, a start that runs away.
    let object = arm(MOTOR).replace(
        "</worldbody>",
        "<body name=\"box\" pos=\"3 0 -2.9\"><freejoint/><geom name=\"cube\" type=\"box\" size=\".1 .1 .1\" mass=\"1\"/></body></worldbody>",
    );
    Case::new(&object)
        .hidden([0.5, 2.0], "mass_scale = { bodies = [\"box\"] }")
        .robot();
    Case::new(&object)
        .hidden(
            [0.5, 2.0],
            "friction_scale = { geoms = [\"cube\", \"floor\"] }",
        )
        .robot();
    Case::new(&arm(MOTOR))
        .hidden([0.99, 1.01], "damping_scale = { joints = [\"j\"] }")
        .robot();
    let strong = arm(r#"<motor name="m" joint="j" gear="1e12" ctrlrange="-1 1"/>"#);
    Case::new(&strong)
        .hidden([0.5, 2.0], "gear_scale = { actuators = [\"m\"] }")
        .robot();
    // A parameter whose middle is 0 does not hide the other.
    Case::new(&arm(MOTOR))
        .hidden([-1.0, 1.0], "gear_scale = { actuators = [\"m\"] }")
        .with("[[hidden]]\nname = \"size\"\ntraining = [0.5, 2.0]\ngear_scale = { actuators = [\"m\"] }")
        .robot();
}

#[test]
fn friction_that_rules_no_contact_does_nothing() {
    let friction = |model: &str, geoms: &str, range: [f32; 2]| {
        Case::new(model).hidden(range, &format!("friction_scale = {{ geoms = {geoms} }}"))
    };
    let usual = arm(MOTOR);
    friction(&usual, "[\"*\"]", [0.5, 2.0]).robot();
    // The larger friction rules: that of the floor, unless the rod's grows beyond it.
    friction(&usual, "[\"rod\"]", [0.2, 0.8])
        .refused(&["does nothing", "the other geom's friction rules"]);
    friction(&usual, "[\"rod\"]", [0.5, 1.5]).robot();
    let before = |model: &str| usual.replace("<actuator>", &format!("{model}<actuator>"));
    let paired = before("<contact><pair geom1=\"floor\" geom2=\"rod\"/></contact>");
    friction(&paired, "[\"*\"]", [0.5, 2.0]).refused(&["does nothing", "explicit contact <pair>"]);
    let excluded = before("<contact><exclude body1=\"world\" body2=\"arm\"/></contact>");
    friction(&excluded, "[\"*\"]", [0.5, 2.0]).refused(&["can touch no other"]);
    let slippery = usual.replace("<geom ", "<geom condim=\"1\" ");
    friction(&slippery, "[\"*\"]", [0.5, 2.0]).refused(&["condim"]);
    let ghost = usual.replace(
        "name=\"rod\"",
        "name=\"rod\" contype=\"0\" conaffinity=\"0\"",
    );
    friction(&ghost, "[\"*\"]", [0.5, 2.0]).refused(&["can touch no other"]);
    let ruled = usual.replace("name=\"floor\"", "name=\"floor\" priority=\"1\"");
    friction(&ruled, "[\"rod\"]", [0.5, 5.0]).refused(&["priority"]);
    friction(&ruled, "[\"floor\"]", [0.5, 5.0]).robot();
    let off = usual
        .replace("<option ", "<option o_friction=\".5 .5 .01 .01 .01\" ")
        .replace(
            "gravity=\"0 0 0\"/>",
            "gravity=\"0 0 0\"><flag override=\"enable\"/></option>",
        );
    friction(&off, "[\"*\"]", [0.5, 2.0]).refused(&["override the friction"]);
}

#[test]
fn a_muscle_that_grows_with_the_mass_is_named_and_one_with_a_force_of_its_own_is_taken() {
    let muscle = r#"<muscle name="m" joint="j" ctrlrange="0 1" lengthrange="-1 1"/>"#;
    let case = |actuator: &str, effect: &str| {
        let mut case = Case::new(&arm(actuator)).hidden([0.5, 2.0], effect);
        case.range = [0.0, 1.0];
        case
    };
    let mass = "mass_scale = { bodies = [\"arm\"] }";
    case(muscle, mass).refused(&[
        "does nothing",
        "muscle 'm' has no force of its own",
        "force=\"",
    ]);
    let own = muscle.replace("name=\"m\"", "name=\"m\" force=\"5\"");
    case(&own, mass).robot();
    case(&own, "gear_scale = { actuators = [\"m\"] }").refused(&["a muscle", "strength_scale"]);
    case(&own, "polarity = { actuators = [\"m\"] }").refused(&["only pulls"]);
    for actuator in [muscle, own.as_str()] {
        let mut plant = case(actuator, "strength_scale = { actuators = [\"m\"] }").robot();
        let weak = stands(&mut plant, 0.5, 1.0, 5).abs();
        let strong = stands(&mut plant, 2.0, 1.0, 5).abs();
        assert!(weak > 0.0 && strong > 2.0 * weak, "{weak} {strong}");
    }
}

#[test]
fn a_servo_has_no_free_gear_and_a_motor_has() {
    for (servo, what) in [
        (SERVO, "servo"),
        (
            r#"<velocity name="m" joint="j" kv="1" ctrlrange="-1 1"/>"#,
            "servo of velocities",
        ),
        (
            r#"<general name="m" joint="j" gainprm="5" biastype="affine" biasprm="0 -5 0" ctrlrange="-1 1"/>"#,
            "servo",
        ),
    ] {
        for names in ["[\"m\"]", "[\"*\"]"] {
            Case::new(&arm(servo))
                .hidden(
                    [0.5, 2.0],
                    &format!("gear_scale = {{ actuators = {names} }}"),
                )
                .refused(&[
                    "hidden[0].gear_scale.actuators[0]",
                    what,
                    "strength_scale = { actuators = [\"m\"] }",
                    "polarity = { actuators = [\"m\"] }",
                ]);
        }
    }
    let mut plant = Case::new(&arm(MOTOR))
        .hidden([-2.0, 2.0], "gear_scale = { actuators = [\"m\"] }")
        .robot();
    let ahead = stands(&mut plant, 1.0, 1.0, 5);
    assert!(ahead > 0.0);
    is_near(stands(&mut plant, -1.0, 1.0, 5), -ahead);
    is_near(stands(&mut plant, 2.0, 1.0, 5), 2.0 * ahead);
}

#[test]
fn a_weak_servo_settles_at_its_target_later_and_gives_way_to_a_load() {
    let strength = "strength_scale = { actuators = [\"m\"] }";
    let mut plant = Case::new(&arm(SERVO)).hidden([0.05, 1.0], strength).robot();
    for hidden in [0.05, 0.3, 1.0] {
        is_near(stands(&mut plant, hidden, 0.95, 1000), 0.95);
    }
    let (weak, strong) = (
        stands(&mut plant, 0.05, 0.95, 5),
        stands(&mut plant, 1.0, 0.95, 5),
    );
    assert!(weak < 0.7 * strong, "{weak} {strong}");
    // 0.5 kg at 0.15 m: the target is missed by its torque over the gain.
    let loaded = arm(SERVO).replace("gravity=\"0 0 0\"", "gravity=\"0 0 -9.81\"");
    let mut plant = Case::new(&loaded).hidden([0.3, 1.0], strength).robot();
    let droop = |plant: &mut UserRobot, hidden: f32| stands(plant, hidden, 0.0, 1000);
    let (weak, strong) = (droop(&mut plant, 0.5), droop(&mut plant, 1.0));
    let torque = |angle: f32| 0.5 * 9.81 * 0.15 * angle.cos();
    is_near(strong, torque(strong) / 20.0);
    is_near(weak, torque(weak) / 10.0);
    // Limits are forces, too: the actuator's, and the joint's that it alone drives.
    for limited in [
        loaded.replace("kp=\"20\"", "kp=\"20\" forcerange=\"-1 1\""),
        loaded.replace(
            "damping=\"0.2\"",
            "damping=\"0.2\" actuatorfrcrange=\"-1 1\"",
        ),
    ] {
        let mut plant = Case::new(&limited).hidden([0.3, 1.0], strength).robot();
        assert!(droop(&mut plant, 1.0) < 0.2);
        // 0.5 Nm do not hold 0.74 Nm: the arm hangs to the angle at which they do.
        let hanging = droop(&mut plant, 0.5);
        assert!(torque(hanging) < 0.51, "{hanging}");
    }
    // A motor is weaker by the same factor.
    let mut plant = Case::new(&arm(MOTOR)).hidden([0.5, 1.0], strength).robot();
    let full = stands(&mut plant, 1.0, 1.0, 5);
    is_near(stands(&mut plant, 0.5, 1.0, 5), 0.5 * full);
}

#[test]
fn a_reversed_servo_mirrors_its_target_and_a_reversed_motor_its_force() {
    let polarity = "polarity = { actuators = [\"m\"] }";
    let mut plant = Case::new(&arm(SERVO)).hidden([-1.0, 1.0], polarity).robot();
    is_near(stands(&mut plant, 1.0, 0.95, 500), 0.95);
    is_near(stands(&mut plant, -1.0, 0.95, 500), -0.95);
    // About the middle of its range, so that the mirror image can be reached.
    let gripper = arm(SERVO).replace("ctrlrange=\"-1 1\"", "ctrlrange=\"0 1\"");
    let mut case = Case::new(&gripper).hidden([-1.0, 1.0], polarity);
    case.range = [0.0, 1.0];
    let mut plant = case.robot();
    is_near(stands(&mut plant, -1.0, 0.2, 500), 0.8);
    is_near(stands(&mut plant, 1.0, 0.2, 500), 0.2);
    let velocity = arm(r#"<velocity name="m" joint="j" kv="50" ctrlrange="-1 1"/>"#);
    let mut plant = Case::new(&velocity).hidden([-1.0, 1.0], polarity).robot();
    let ahead = stands(&mut plant, 1.0, 0.5, 50);
    assert!(ahead > 0.4, "{ahead}");
    is_near(stands(&mut plant, -1.0, 0.5, 50), -ahead);
    // A thruster that can only push pulls when it turns the other way, its limits with it.
    let thruster = arm(
        r#"<motor name="m" joint="j" ctrlrange="0 1" forcelimited="true" forcerange="0 0.5"/>"#,
    );
    let mut case = Case::new(&thruster).hidden([-1.0, 1.0], polarity);
    case.range = [0.0, 1.0];
    let mut plant = case.robot();
    let ahead = stands(&mut plant, 1.0, 1.0, 5);
    assert!(ahead > 0.0);
    is_near(stands(&mut plant, -1.0, 1.0, 5), -ahead);
    Case::new(&arm(
        r#"<intvelocity name="m" joint="j" kp="5" actrange="-1 1"/>"#,
    ))
    .hidden([-1.0, 1.0], polarity)
    .refused(&["sums its control up"]);
    Case::new(&arm(SERVO))
        .hidden([0.5, 1.0], polarity)
        .refused(&["hidden[0].training is [0.5, 1.0]", "[-1.0, 1.0]"]);
    Case::new(&arm(SERVO))
        .hidden([-0.5, 1.0], "strength_scale = { actuators = [\"m\"] }")
        .refused(&["at least 0", "polarity"]);
    let changes = |factor: &str| {
        let change = "[[change]]\nname = \"turn\"\nsummary = \"s\"\nmultiply = { h = ";
        Case::new(&arm(SERVO))
            .hidden([-1.0, 1.0], polarity)
            .with(&format!("{change}{factor} }}"))
    };
    changes("-0.5").refused(&["-1: a polarity has no size"]);
    let mut plant = changes("-1.0").robot();
    is_near(stands(&mut plant, 1.0, 0.5, 300), 0.5);
    plant.apply("turn").unwrap();
    for _ in 0..300 {
        plant.step(&[0.5]);
    }
    is_near(plant.state()[0], -0.5);
}

#[test]
fn actuators_that_no_action_names_keep_the_start_keyframes_control() {
    let two = r#"<mujoco><option timestep="0.002" gravity="0 0 0"/>
  <worldbody><body pos="0 0 1"><joint name="j" axis="0 1 0" damping="1"/><geom size=".1" mass="1"/></body>
    <body pos="0 0 3"><joint name="k" axis="0 1 0" damping="1"/><geom size=".1" mass="1"/></body></worldbody>
  <actuator><position name="m" joint="j" kp="9"/><position name="rest" joint="k" kp="9"/></actuator>
  <keyframe><key name="stand" qpos="0.1 0.3" ctrl="0.7 0.04"/></keyframe></mujoco>"#;
    let case = |start: &str| {
        let case = Case::new(two).with(&format!("[start]\n{start}")).with(
            "[[observation]]\nname = \"k\"\nunit = \"rad\"\nmin = -9.0\nmax = 9.0\nqpos = { joint = \"k\" }",
        );
        case.hidden([0.5, 2.0], "strength_scale = { actuators = [\"m\"] }")
            .robot()
    };
    for (start, expected) in [
        ("keyframe = \"stand\"", 0.04f32),
        ("keyframe = \"#0\"", 0.04),
        ("", 0.0),
    ] {
        let mut plant = case(start);
        for seed in 0..2 {
            plant.reset(&Task { values: vec![1.0] }, seed);
            let control = plant.simulation.data().ctrl()[1];
            assert_eq!(control, if start.is_empty() { 0.0 } else { 0.04 });
            for _ in 0..400 {
                plant.step(&[-0.5]);
            }
            is_near(plant.state()[0], -0.5);
            is_near(plant.state()[1], expected);
            plant.restart(Start::Anywhere);
            for _ in 0..400 {
                plant.step(&[0.5]);
            }
            is_near(plant.state()[1], expected);
        }
    }
}

#[test]
fn the_first_change_of_a_command_counts_from_the_safe_one() {
    let mut case = Case::new(&arm(MOTOR))
        .with("[[reward]]\nweight = 1.0\ncontrol_change = {}")
        .hidden([0.5, 2.0], "gear_scale = { actuators = [\"m\"] }");
    case.range = [-1.0, 0.5];
    case.safe = 0.5;
    let plant = case.robot();
    let task = plant.task();
    let mut driven = Driven::new(Box::new(plant));
    for _ in 0..2 {
        driven.begin(&task, 1);
        driven.act(&[0.2]);
        // On [-1, 1] from 1.0, the issued safe command, to the issued one; 1 for being alive.
        let change = 1.0 - driven.working_memory()[1];
        assert!((change - 0.8).abs() < 1e-3, "{change}");
        assert!(
            (driven.reward() - 1.0 - change * change).abs() < 1e-5,
            "{}",
            driven.reward()
        );
        driven.act(&[0.2]);
        assert!((driven.reward() - 1.0).abs() < 1e-5);
        driven.restart(Start::Usual);
        driven.act(&[0.2]);
        assert!((driven.reward() - 1.0).abs() < 1e-5);
    }
}

#[test]
fn a_diverged_step_ends_the_episode_pays_nothing_and_shows_nothing_made_up() {
    let blowing = arm(r#"<motor name="m" joint="j" gear="1e12" ctrlrange="-1 1"/>"#)
        .replace("gravity=\"0 0 0\"", "gravity=\"0 0 -9.81\"");
    for flag in ["", "<flag autoreset=\"disable\"/>"] {
        let model = blowing.replace(
            "gravity=\"0 0 -9.81\"/>",
            &format!("gravity=\"0 0 -9.81\">{flag}</option>"),
        );
        let case = Case::new(&model)
            .with("[[reward]]\nweight = 1.0\nupright = { body = \"arm\" }")
            .with("[goal]\nheight = { body = \"arm\", height_m = 0.5 }")
            .hidden([0.5, 2.0], "gear_scale = { actuators = [\"m\"] }");
        let mut plant = case.robot();
        for seed in 0..3 {
            plant.reset(&Task { values: vec![1.0] }, seed);
            for _ in 0..10 {
                plant.step(&[0.0]);
                assert!(!plant.diverged() && !plant.ended() && plant.external_reward() > Some(1.0));
            }
            let before = plant.observe().to_vec();
            assert!(before[0] > 0.01 && plant.metric().is_some());
            plant.step(&[1.0]);
            assert!(plant.diverged() && plant.ended());
            assert_eq!(plant.external_reward(), Some(0.0));
            assert_eq!((plant.metric(), plant.observe()), (None, before.as_slice()));
            let judgement = plant.judge();
            assert!(judgement.fallen && !judgement.holds);
            let mut features = Vec::new();
            plant.privileged(&mut features);
            assert!(features.iter().all(|value| value.is_finite()));
            plant.restart(Start::Usual);
            assert!(!plant.diverged() && !plant.ended() && plant.metric().is_some());
        }
    }
}

#[test]
fn a_start_without_numbers_is_over_at_once() {
    let mut plant = Case::new(&arm(MOTOR))
        .hidden([0.5, 2.0], "gear_scale = { actuators = [\"m\"] }")
        .robot();
    plant.reset(&Task { values: vec![1.0] }, 1);
    plant.simulation.pushes_mut()[0] = f64::NAN;
    plant.simulation.settle();
    assert!(plant.simulation.diverged());
    plant.step(&[0.0]);
    assert!(plant.diverged() && plant.external_reward() == Some(0.0));
    plant.reset(&Task { values: vec![1.0] }, 1);
    assert!(!plant.diverged());
}

#[test]
fn what_has_no_name_is_called_by_its_number_its_joint_or_its_body() {
    let nameless = arm(MOTOR).replace("name=\"m\" ", "");
    let case = |actuator: &str| {
        let mut case = Case::new(&nameless).hidden(
            [0.5, 2.0],
            &format!("gear_scale = {{ actuators = [\"{actuator}\"] }}"),
        );
        case.actuator = actuator.to_owned();
        case
    };
    for actuator in ["#0", "joint:j", "joint:#0", "joint:body:arm"] {
        case(actuator).robot();
    }
    case("m").refused(&[
        "action[0].actuator is \"m\"",
        "#0",
        "joint:NAME",
        "none with a name",
    ]);
    case("#1").refused(&["action[0].actuator is \"#1\"", "\"#0\" to \"#0\""]);
    let free = nameless.replace(
        "</worldbody>",
        "<body name=\"ball\" pos=\"2 0 1\"><freejoint/><geom size=\".1\"/></body></worldbody>",
    );
    let mut free = Case::new(&free).with(
        "[[observation]]\nname = \"z\"\nunit = \"m\"\nmin = -9.0\nmax = 9.0\nqpos = { joint = \"body:ball\", index = 2 }",
    );
    free.actuator = "#0".to_owned();
    let mut plant = free.robot();
    plant.reset(&Task { values: vec![] }, 1);
    is_near(plant.state()[1], 1.0);
    let mut two = case("joint:j");
    two.model = nameless.replace(
        "<actuator>",
        "<actuator><motor name=\"other\" joint=\"j\"/>",
    );
    two.refused(&["with one actuator", "other, #1"]);
    let mut unknown = case("joint:knee");
    unknown.model = nameless.clone();
    unknown.refused(&["it has: j"]);
}

#[test]
fn a_model_without_actuators_is_told_apart_from_one_without_the_name() {
    let mut none = Case::new(&arm(MOTOR).replace(MOTOR, ""));
    none.refused(&["robot.xml has none", "add an <actuator>"]);
    none.model = r#"<robot name="r"><link name="base"/><link name="arm"><inertial><mass value="1"/><inertia ixx="1" iyy="1" izz="1" ixy="0" ixz="0" iyz="0"/></inertial></link>
  <joint name="j" type="revolute"><parent link="base"/><child link="arm"/><axis xyz="0 1 0"/><limit lower="-1" upper="1" effort="1" velocity="1"/></joint></robot>"#.to_owned();
    none.refused(&["is a URDF", "save it as MJCF"]);
    let mut other = Case::new(&arm(MOTOR));
    other.actuator = "motor".to_owned();
    other.refused(&["of the model (it has: m)"]);
}

#[test]
fn a_refused_period_is_told_the_nearest_that_work() {
    let case = |timestep: &str, period_us: u32| {
        let mut case = Case::new(&arm(MOTOR).replace("0.002", timestep));
        case.head = format!("period_us = {period_us}");
        case
    };
    for timestep in ["0.00416667", "0.0041667"] {
        case(timestep, 25_000).robot();
        for period_us in [8333, 20_000] {
            case(timestep, period_us)
                .refused(&[&format!("period_us is {period_us}"), "12500, 25000"]);
        }
    }
    case("0.002", 7000).refused(&["the nearest that work: 4000, 6000, 8000, 10000 (us)"]);
    case("0.002", 1000).refused(&["2000, 4000"]);
}

#[test]
fn too_many_channels_are_counted() {
    let mut case = Case::new(&arm(MOTOR));
    for index in 0..40 {
        case = case.with(&format!(
            "[[observation]]\nname = \"o{index}\"\nunit = \"1\"\nmin = -1.0\nmax = 1.0\nqpos = {{ joint = \"j\" }}"
        ));
    }
    case.refused(&[
        "there are 41 [[observation]] sections",
        "from 1 to 32",
        "robot.toml:",
    ]);
}

#[test]
fn a_task_leaves_nothing_behind_for_another_on_the_same_thread() {
    let mut case =
        Case::new(&arm(SERVO)).hidden([0.5, 2.0], "strength_scale = { actuators = [\"m\"] }");
    case = case.with(
        "[[hidden]]\nname = \"mass\"\ntraining = [0.5, 2.0]\nmass_scale = { bodies = [\"arm\"] }",
    );
    let robot = Robot::from_toml(&case.text(), &case.folder.path().join("robot.toml")).unwrap();
    case.robot();
    let robot: &'static Robot = Box::leak(Box::new(robot));
    let trace = |plant: &mut UserRobot, step: usize, trace: &mut Vec<u64>| {
        plant.step(&[if step.is_multiple_of(9) { 1.0 } else { -0.5 }]);
        trace.extend(plant.simulation.qpos().iter().map(|value| value.to_bits()));
    };
    let begin = |index| {
        let mut plant = UserRobot::new(robot).unwrap();
        let mut random = random_stream(3, TaskSet::HeldOut.stream(), index);
        let task = plant.sample_task(TaskSet::HeldOut, &mut random);
        plant.reset(&task, index);
        plant
    };
    let alone: Vec<Vec<u64>> = (0..3)
        .map(|index| {
            let (mut plant, mut all) = (begin(index), Vec::new());
            (0..50).for_each(|step| trace(&mut plant, step, &mut all));
            all
        })
        .collect();
    assert_ne!(alone[0], alone[1]);
    let mut plants: Vec<UserRobot> = (0..3).map(begin).collect();
    let mut together = vec![Vec::new(); 3];
    for step in 0..50 {
        for (plant, all) in plants.iter_mut().zip(&mut together) {
            trace(plant, step, all);
        }
    }
    assert_eq!(alone, together);
}
