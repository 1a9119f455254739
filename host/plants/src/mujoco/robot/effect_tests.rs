//! What hidden parameters do to small models, and which of them are refused.

use super::UserRobot;
use super::case::{Case, MOTOR, SERVO, arm, is_near, stands};
use crate::Plant;

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
fn what_does_nothing_is_refused_even_where_the_robot_runs_away() {
    let wild = arm(
        r#"<motor name="m" joint="j" gear="1e12" ctrlrange="-1 1"/><motor name="idle" joint="j"/>"#,
    );
    let model = wild.replace(
        "<body name=\"arm\"",
        "<body name=\"table\"><geom type=\"box\" size=\".1 .1 .1\" pos=\"2 0 0\"/></body><body name=\"arm\"",
    );
    let case = |effect: &str| Case::new(&model).hidden([0.5, 2.0], effect);
    case("mass_scale = { bodies = [\"table\"] }").refused(&["hang on nothing that moves"]);
    for effect in ["gear_scale", "strength_scale"] {
        case(&format!("{effect} = {{ actuators = [\"idle\"] }}"))
            .refused(&["no [[action]] commands"]);
        case(&format!("{effect} = {{ actuators = [\"m\"] }}")).robot();
    }
    case("mass_scale = { bodies = [\"table\", \"arm\"] }").robot();
    let floating = arm(MOTOR).replace(
        "gravity=\"0 0 0\"/>",
        "gravity=\"0 0 -9.81\"><flag gravity=\"disable\"/></option>",
    );
    Case::new(&floating)
        .hidden([-0.2, 0.2], "gravity_tilt = { axis = \"y\" }")
        .refused(&["turn gravity off"]);
    let loose = arm(r#"<motor name="m" joint="j" gear="0" ctrlrange="-1 1"/>"#);
    for effect in ["gear_scale", "strength_scale"] {
        Case::new(&loose)
            .hidden([0.5, 2.0], &format!("{effect} = {{ actuators = [\"m\"] }}"))
            .refused(&["gear of these actuators is 0"]);
    }
}

#[test]
fn a_grip_is_taken_although_it_touches_nothing_yet() {
    let model = arm(&format!(
        "{MOTOR}<adhesion name=\"grip\" body=\"arm\" gain=\"10\" ctrlrange=\"0 1\"/>"
    ));
    let second = "[[action]]\nname = \"grip\"\nactuator = \"grip\"\nunit = \"1\"\nmin = 0.0\nmax = 1.0\nslew_per_s = 1000.0\nsafe = 0.0";
    for effect in ["gear_scale", "strength_scale"] {
        let effect = format!("{effect} = {{ actuators = [\"grip\"] }}");
        let case = || Case::new(&model).hidden([0.5, 2.0], &effect);
        case().with(second).robot();
        case().refused(&["no [[action]] commands"]);
    }
}

#[test]
fn what_a_list_names_twice_is_refused_because_it_would_count_twice() {
    for (names, place) in [
        ("[\"m\", \"m\"]", "actuators[1]"),
        ("[\"m\", \"#0\"]", "actuators[1]"),
        ("[\"joint:j\", \"m\"]", "actuators[1]"),
    ] {
        for effect in ["gear_scale", "strength_scale"] {
            Case::new(&arm(MOTOR))
                .hidden([0.5, 2.0], &format!("{effect} = {{ actuators = {names} }}"))
                .refused(&[
                    &format!("hidden[0].{effect}.{place}"),
                    "actuators[0]",
                    "twice",
                ]);
        }
    }
    Case::new(&arm(MOTOR))
        .hidden([0.5, 2.0], "mass_scale = { bodies = [\"arm\", \"#1\"] }")
        .refused(&["hidden[0].mass_scale.bodies[1] is \"#1\""]);
}

#[test]
fn frictions_of_two_parameters_are_taken_together() {
    // The floor has the larger friction, unless the other parameter makes it slippery.
    let two = |floor: [f32; 2]| {
        let second = format!(
            "[[hidden]]\nname = \"floor\"\ntraining = {floor:?}\nfriction_scale = {{ geoms = [\"floor\"] }}"
        );
        Case::new(&arm(MOTOR))
            .hidden([0.5, 0.9], "friction_scale = { geoms = [\"rod\"] }")
            .with(&second)
    };
    two([0.2, 1.0]).robot();
    two([1.0, 2.0]).refused(&["'h', does nothing", "the other geom's friction rules"]);
    // Both scale the rod: 0.9 times 1.5 is more than the floor's.
    let same = "[[hidden]]\nname = \"wear\"\ntraining = [0.9, 1.5]\nfriction_scale = { geoms = [\"rod\"] }";
    Case::new(&arm(MOTOR))
        .hidden([0.5, 0.9], "friction_scale = { geoms = [\"rod\"] }")
        .with(same)
        .robot();
}

#[test]
fn a_reversed_motor_turns_its_constant_force_round_too() {
    let biased = arm(
        r#"<general name="m" joint="j" gainprm="1" biastype="affine" biasprm="0.5 0 0" ctrlrange="-1 1"/>"#,
    );
    let mut plant = Case::new(&biased)
        .hidden([-1.0, 1.0], "polarity = { actuators = [\"m\"] }")
        .robot();
    for command in [0.0, 0.5, -1.0] {
        let ahead = stands(&mut plant, 1.0, command, 5);
        assert!(ahead.abs() > 0.01, "{ahead}");
        is_near(stands(&mut plant, -1.0, command, 5), -ahead);
    }
}

#[test]
fn a_gear_is_advised_only_what_would_be_taken() {
    let damper = arm(r#"<damper name="m" joint="j" kv="2" ctrlrange="0 2"/>"#);
    let mut case = Case::new(&damper).hidden([0.5, 2.0], "gear_scale = { actuators = [\"m\"] }");
    case.range = [0.0, 1.0];
    let error = case.made().err().unwrap().to_string();
    assert!(
        error.contains("strength_scale") && !error.contains("polarity"),
        "{error}"
    );
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
    // A ball could touch the floor without a pair, and never gets there.
    let beside = paired.replace(
        "</worldbody>",
        "<body pos=\"0 0 100\"><joint type=\"slide\" axis=\"0 0 1\"/><geom size=\".1\" mass=\"1\"/></body></worldbody>",
    );
    friction(&beside, "[\"*\"]", [0.5, 2.0]).refused(&["explicit contact <pair>"]);
    let sliding = beside
        .replace("0 0 100", "0 3 -2.95")
        .replace("type=\"slide\" axis=\"0 0 1\"", "type=\"free\"")
        .replace("gravity=\"0 0 0\"", "gravity=\"0 0 -9.81\"");
    friction(&sliding, "[\"*\"]", [0.5, 2.0]).robot();
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
    let polarity = "polarity = { actuators = [\"m\"] }";
    let mut reversed = Case::new(&arm(&own)).hidden([-1.0, 1.0], polarity);
    reversed.range = [0.0, 1.0];
    reversed.refused(&["only pulls"]);
    for actuator in [muscle, own.as_str()] {
        let mut plant = case(actuator, "strength_scale = { actuators = [\"m\"] }").robot();
        let weak = stands(&mut plant, 0.5, 1.0, 5).abs();
        let strong = stands(&mut plant, 2.0, 1.0, 5).abs();
        // Four times the force; the muscle is weaker where it is short and fast.
        assert!(weak > 0.0 && strong > 1.5 * weak, "{weak} {strong}");
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
    let velocity = arm(r#"<velocity name="m" joint="j" kv="1" ctrlrange="-1 1"/>"#);
    let mut plant = Case::new(&velocity).hidden([-1.0, 1.0], polarity).robot();
    let ahead = stands(&mut plant, 1.0, 0.5, 50);
    assert!(ahead > 0.35, "{ahead}");
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
