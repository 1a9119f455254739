//! What a robot's file may say, and how it is told what is wrong. None of this needs MuJoCo.

use std::path::Path;

use super::{Robot, RobotError, load};
use crate::{Stream, TaskSet, random_stream};

const EXAMPLE: &str = include_str!("../../../../examples/robots/balancer.toml");

fn parse(text: &str) -> Result<Robot, RobotError> {
    Robot::from_toml(text, Path::new("examples/robots/balancer.toml"))
}

/// The error after one replacement in the example, which must occur in it.
fn refused(from: &str, to: &str) -> String {
    assert!(EXAMPLE.contains(from), "{from}");
    parse(&EXAMPLE.replacen(from, to, 1))
        .expect_err(to)
        .to_string()
}

fn line_of(text: &str) -> String {
    let line = EXAMPLE.lines().position(|line| line.contains(text));
    format!("toml:{}:", 1 + line.expect(text))
}

#[test]
fn the_example_is_good() {
    let robot = parse(EXAMPLE).unwrap();
    assert_eq!(robot.spec.name, "balancer");
    assert_eq!(robot.model, Path::new("examples/robots/balancer.xml"));
    assert_eq!(
        (
            robot.spec.channels.observations.len(),
            robot.spec.channels.actions.len()
        ),
        (6, 2)
    );
    assert_eq!(robot.spec.protocol.default_change, "polarity");
    assert_eq!(robot.training_changes, ["polarity"]);
    assert_eq!(robot.spec.state_names[1], "pitch_rate_rad_per_s");
    assert_eq!(
        robot.spec.metric_name.as_deref(),
        Some("velocity_error_m_per_s")
    );
}

#[test]
fn nothing_to_observe_is_told_what_to_do() {
    let head = EXAMPLE.split_once("[[observation]]").unwrap().0;
    let rest = &EXAMPLE[EXAMPLE.find("[[action]]").unwrap()..];
    let error = parse(&format!("{head}observation = []\n{rest}")).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("there are 0 [[observation]]"), "{said}");
    assert!(said.ends_with("; add one"), "{said}");
}

#[test]
fn a_polarity_is_one_of_two_and_the_wrong_key_is_named() {
    let hidden = "[[hidden]]\nname = \"turned\"\ntraining = [-1.0, 1.0]\ndraw = \"uniform\"\npolarity = { actuators = [\"*\"] }\n\n[[hidden]]";
    let said = refused("[[hidden]]", hidden);
    assert!(
        said.contains("hidden[0].draw is \"uniform\"; it must be \"either\""),
        "{said}"
    );
}

#[test]
fn mistakes_name_line_key_value_and_bound() {
    let error = refused("period_us = 20000 ", "period_us = 0 ");
    assert!(
        error.contains(&line_of("period_us")) && error.contains("at least 1"),
        "{error}"
    );
    let error = refused("max = 15.0", "max = -15.0");
    for part in [
        "balancer.toml",
        &line_of("max = 15.0"),
        "observation[1].max is -15.0",
        "above min",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = refused("training = [0.4, 4.0]", "training = [0.0, 4.0]");
    for part in [
        &line_of("training = [0.4, 4.0]"),
        "hidden[2].training is [0.0, 4.0]",
        "log-uniform",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = refused("training = [0.4, 4.0]", "training = [-3e38, 3e38]");
    assert!(error.contains("a finite distance"), "{error}");
    let error = refused("wide = [0.2, 6.0]", "wide = [0.5, 6.0]");
    assert!(
        error.contains("hidden[2].wide") && error.contains("holds all of training"),
        "{error}"
    );
    let error = refused("change_steps = [75, 125]", "change_steps = [75, 250]");
    assert!(error.contains("goal.change_steps is [75, 250]"), "{error}");
    let error = refused("angle_rad = 0.8", "angle_rad = 4.0");
    assert!(
        error.contains("ended[0].tilt_beyond.angle_rad is 4.0"),
        "{error}"
    );
    let error = refused("safe = 0.0", "safe = 0.7");
    assert!(
        error.contains("action[0].safe is 0.7") && error.contains("within the range"),
        "{error}"
    );
    let error = refused("name = \"pitch_rate\"", "name = \"tilt\"");
    assert!(error.contains("observation[1].name is \"tilt\""), "{error}");
    let error = refused("name = \"balancer\" ", "name = \"two wheels\" ");
    assert!(error.contains("name is \"two wheels\""), "{error}");
    let error = refused("name = \"balancer\" ", "name = \"pendulum\" ");
    assert!(error.contains("built-in plant"), "{error}");
}

#[test]
fn unknown_keys_and_kinds_are_told_what_there_is() {
    let error = refused("episodes = 2 ", "episode = 2 ");
    assert!(
        error.contains("unknown field `episode`") && error.contains("at line 9,"),
        "{error}"
    );
    let error = refused("alive = {}", "alives = {}");
    assert!(
        error.contains("unknown field `alives`") && error.contains("control_change"),
        "{error}"
    );
    let error = refused("alive = {}", "");
    assert!(
        error.contains("reward[1] needs one of: velocity, track_velocity"),
        "{error}"
    );
    let error = refused("alive = {}", "alive = {}\ncontrol = {}");
    assert!(error.contains("reward[1].alive"), "{error}");
    let error = refused("hidden = \"speed\"", "hidden = \"sped\"");
    assert!(
        error.contains("polarity, motor, payload, friction, speed"),
        "{error}"
    );
    let error = refused("{ polarity = -1.0 }", "{ colour = -1.0 }");
    assert!(
        error.contains("change[0].multiply.colour is -1.0"),
        "{error}"
    );
    let error = refused("{ payload = 3.0 }", "{ payload = -3.0 }");
    assert!(error.contains("above 0"), "{error}");
    let error = refused(
        "default_change = \"polarity\"",
        "default_change = \"colour\"",
    );
    assert!(
        error.contains("there is: none, polarity, payload, motor"),
        "{error}"
    );
    let error = load("no/such/robot.toml").unwrap_err().to_string();
    assert!(
        error.contains("no/such/robot.toml") && error.contains("--plant"),
        "{error}"
    );
}

#[test]
fn tasks_lie_where_their_set_says() {
    let robot = parse(EXAMPLE).unwrap();
    let mut random = random_stream(0, Stream::Training, 0);
    let (mut positive, mut light) = (0, 0);
    for _ in 0..1000 {
        let inside = robot.draw(TaskSet::Training, &mut random);
        for (index, (value, parameter)) in inside.iter().zip(&robot.spec.parameters).enumerate() {
            let (low, high) = parameter.training;
            assert!((low..=high).contains(value), "{} = {value}", parameter.name);
            assert!(robot.centred(index, *value).abs() <= 1.0 + 1e-5);
        }
        assert!(inside[0].abs() == 1.0);
        positive += usize::from(inside[0] > 0.0);
        light += usize::from(inside[2] < (0.4f32 * 4.0).sqrt());
        let outside = robot.draw(TaskSet::OutOfDistribution, &mut random);
        let is_outside = |(value, parameter): (&f32, &crate::Parameter)| {
            *value < parameter.training.0 || *value > parameter.training.1
        };
        assert!(
            outside.iter().zip(&robot.spec.parameters).any(is_outside),
            "{outside:?}"
        );
        for (value, parameter) in outside.iter().zip(&robot.spec.parameters) {
            let (low, high) = parameter.wide;
            assert!((low..=high).contains(value), "{} = {value}", parameter.name);
        }
    }
    assert!((400..600).contains(&positive) && (400..600).contains(&light));
}

#[test]
fn changes_multiply() {
    let robot = parse(EXAMPLE).unwrap();
    let mut values = robot.middle();
    assert!(robot.change("polarity", &mut values) && robot.change("payload", &mut values));
    assert_eq!(values[0], -1.0);
    assert_eq!(values[2], 3.0 * robot.middle()[2]);
    assert!(robot.change("none", &mut values) && !robot.change("colour", &mut values));
}

#[test]
fn a_policy_is_told_of_its_reward_what_the_file_says() {
    use engram_image::Reward;
    let with = |line: &str| {
        let text = EXAMPLE.replace("episodes = 2 ", &format!("{line}\nepisodes = 2 "));
        parse(&text)
    };
    assert_eq!(with("").unwrap().spec.contract().reward, Reward::External);
    let Reward::Formula(none) = with("reward_input = \"none\"")
        .unwrap()
        .spec
        .contract()
        .reward
    else {
        panic!("the board computes that it is 0");
    };
    assert!(none.is_zero() && none.linear.len() == 6 && none.action_quadratic.len() == 2);
    let error = with("reward_input = \"formula\"").unwrap_err().to_string();
    assert!(
        error.contains("reward_input is \"formula\"") && error.contains("reward[0] cannot"),
        "{error}"
    );
    let error = with("reward_input = \"all\"").unwrap_err().to_string();
    assert!(error.contains("external"), "{error}");
}

#[test]
fn a_board_computes_the_rewards_of_what_it_measures() {
    use engram_image::Reward;
    let text = EXAMPLE
        .replace("episodes = 2 ", "reward_input = \"formula\"\nepisodes = 2 ")
        .replace(
            "track_velocity = { body = \"chassis\", axis = \"x\", frame = \"body\", target = \"speed\", width = 0.4 }",
            "velocity = { body = \"chassis\", axis = \"x\", frame = \"body\" }",
        )
        .replace(
            "track_rate = { body = \"chassis\", axis = \"z\", target = 0.0 }",
            "alive = {}",
        )
        .replace(
            "qvel = { joint = \"right_wheel\" }",
            "body_velocity = { body = \"chassis\", axis = \"x\", frame = \"body\" }",
        );
    let Reward::Formula(formula) = parse(&text).unwrap().spec.contract().reward else {
        panic!("a formula was asked for");
    };
    assert!((formula.constant - 0.6).abs() < 1e-6);
    assert_eq!(*formula.linear, [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    // 0.05 of the square of the share of 0.5 Nm.
    assert_eq!(*formula.action_quadratic, [-0.2, -0.2]);
    let uneven = text.replacen("max = 0.5", "max = 0.6", 1);
    let error = parse(&uneven).unwrap_err().to_string();
    assert!(error.contains("reward[3] cannot"), "{error}");
}

#[test]
fn a_board_computes_squares_of_what_it_measures_and_is_told_which_term_it_cannot() {
    use engram_image::Reward;
    let with = |term: &str| {
        let text = EXAMPLE
            .replace("episodes = 2 ", "reward_input = \"formula\"\nepisodes = 2 ")
            .replace("track_velocity = { body = \"chassis\", axis = \"x\", frame = \"body\", target = \"speed\", width = 0.4 }", term)
            .replace("track_rate = { body = \"chassis\", axis = \"z\", target = 0.0 }", "alive = {}");
        parse(&text)
    };
    let formula = |term: &str| match with(term).unwrap().spec.contract().reward {
        Reward::Formula(formula) => formula,
        Reward::External => panic!("a formula was asked for"),
    };
    // -(rate - 0.5)^2 of channel 3, with two weights of 0.5 and 0.1 for being alive.
    let squares =
        formula("track = { qvel = { joint = \"left_wheel\" }, target = 0.5, square = true }");
    assert_eq!(squares.quadratic[3..5], [-1.0, 0.0]);
    assert_eq!(squares.linear[3..5], [1.0, 0.0]);
    assert!(
        (squares.constant - 0.35).abs() < 1e-6,
        "{}",
        squares.constant
    );
    let both = formula("joint_velocity = { joints = [\"left_wheel\", \"right_wheel\"] }");
    assert_eq!(*both.quadratic, [0.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    let told = formula("value = { hidden = \"speed\" }");
    assert_eq!(told.linear[5], 1.0);
    let tilt = formula("value = { body_rotation = { body = \"chassis\", row = 2, column = 0 } }");
    assert_eq!(tilt.linear[0], 1.0, "it is what body_up reads");
    for (term, why) in [
        (
            "track = { qvel = { joint = \"left_wheel\" } }",
            "(track): only with square",
        ),
        (
            "track = { qvel = { joint = \"left_wheel\" }, target = \"speed\", square = true }",
            "(track): its target is a hidden parameter",
        ),
        (
            "value = { qpos = { joint = \"left_wheel\" } }",
            "(value): no observation reads",
        ),
        (
            "value = { qvel = { joint = [\"left_wheel\", \"right_wheel\"] } }",
            "(value): the norm of several",
        ),
        (
            "joint_velocity = { joints = [\"*\"] }",
            "(joint_velocity): the joints must be named",
        ),
        (
            "power = { actuators = [\"*\"] }",
            "(power): it is a product",
        ),
        (
            "control_change = {}",
            "(control_change): a board's formula knows only",
        ),
    ] {
        let error = with(term).expect_err(term).to_string();
        let said = "reward_input is \"formula\"; it must be \"external\" or \"none\": reward[0] cannot be computed on board ";
        assert!(error.contains(said) && error.contains(why), "{error}");
    }
}
