//! What `train`, `eval` and `export` say of robots that fall, blow up, have no goal, or are paid for nothing.
#![cfg(feature = "mujoco")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// A rod that stands on a cart, and a wheel beside it that nothing reads.
const CART: &str = r#"<mujoco>
  <option timestep="0.005"/>
  <worldbody>
    <body name="cart"><joint name="slide" type="slide" axis="1 0 0" damping="0.1"/><geom type="box" size=".1 .1 .05" mass="1"/>
      <body name="rod"><joint name="hinge" axis="0 1 0"/><geom type="capsule" fromto="0 0 0 0 0 .5" size=".02" mass=".2"/></body>
    </body>
    <body name="wheel" pos="2 0 0"><joint name="wheel" axis="0 1 0" damping="0.1"/><geom type="cylinder" size=".1 .02" mass="1"/></body>
  </worldbody>
  <actuator><motor name="push" joint="slide" ctrlrange="-5 5"/><motor name="turn" joint="wheel" ctrlrange="-5 5"/></actuator>
</mujoco>"#;

/// A twig and a motor for a crane.
const TWIG: &str = r#"<mujoco>
  <option timestep="0.01"/>
  <worldbody>
    <body name="twig" pos="0 0 1"><joint name="hinge" axis="0 1 0"/><geom type="capsule" fromto="0 0 0 0 0 .1" size=".005" mass=".001"/></body>
  </worldbody>
  <actuator><motor name="crane" joint="hinge" gear="1e9" ctrlrange="-1 1"/></actuator>
</mujoco>"#;

fn channel(name: &str, joint: &str, kind: &str) -> String {
    format!(
        "[[observation]]\nname = \"{name}\"\nunit = \"1\"\nmin = -30.0\nmax = 30.0\n{kind} = {{ joint = \"{joint}\" }}\n"
    )
}

/// A robot's file: its channels and what it is paid for.
fn robot(
    folder: &Path,
    name: &str,
    model: (&str, &str),
    channels: &[(&str, &str, &str)],
    actuator: &str,
    rest: &str,
) -> String {
    let (file, text) = model;
    fs::write(folder.join(file), text).expect("written");
    let channels: String = channels
        .iter()
        .map(|(name, joint, kind)| channel(name, joint, kind))
        .collect();
    let toml = format!(
        "name = \"{name}\"\nmodel = \"{file}\"\nperiod_us = 20000\nepisode_steps = 100\n{channels}[[action]]\nname = \
         \"{actuator}\"\nactuator = \"{actuator}\"\nunit = \"N\"\nmin = -1.0\nmax = 1.0\nslew_per_s = 1000.0\nsafe = 0.0\n\
         {rest}\n[[hidden]]\nname = \"strength\"\ntraining = [0.5, 2.0]\ngear_scale = {{ actuators = [\"*\"] }}\n"
    );
    let path = folder.join(format!("{name}.toml"));
    fs::write(&path, toml).expect("written");
    path.display().to_string()
}

fn engram(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_engram"))
        .args(words)
        .output()
        .expect("engram starts")
}

fn done(words: &[&str]) -> (String, String) {
    let output = engram(words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {said}");
    (String::from_utf8_lossy(&output.stdout).into_owned(), said)
}

fn refused(words: &[&str]) -> String {
    let output = engram(words);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{words:?}: {said}");
    assert!(output.stdout.is_empty(), "{words:?} printed something");
    said
}

/// The columns of a run's curve.
fn curve(run: &str) -> BTreeMap<String, Vec<f64>> {
    let text = fs::read_to_string(Path::new(run).join("curve.csv")).expect("a curve");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("a heading").split(',').collect();
    let mut columns: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in lines {
        for (name, cell) in names.iter().zip(line.split(',')) {
            let column = columns.entry((*name).to_owned()).or_default();
            column.push(cell.parse().expect("a number"));
        }
    }
    columns
}

const STANDING: [(&str, &str, &str); 3] = [
    ("place", "slide", "qpos"),
    ("tilt", "hinge", "qpos"),
    ("rate", "hinge", "qvel"),
];

#[test]
fn mujoco_a_robot_that_falls_is_not_paid_for_beginning_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let plant = robot(
        folder.path(),
        "rod",
        ("cart.xml", CART),
        &STANDING,
        "push",
        "[[reward]]\nweight = 1.0\nalive = {}\n[[ended]]\ntilt_beyond = { body = \"rod\", angle_rad = 0.5 }\n[start]\nposition = 0.05",
    );
    let run = folder.path().join("run").display().to_string();
    let (told, _) = done(&["train", &plant, "--out", &run, "--steps", "6400"]);
    assert!(told.contains("falls 0."), "{told}");
    let curve = curve(&run);
    // Mean reward times steps: as if a fall cost nothing.
    assert!(curve["return"][0] > 95.0, "{curve:?}");
    let undisturbed = curve["undisturbed_return"][0];
    assert!((5.0..60.0).contains(&undisturbed), "{curve:?}");
    assert!((0.4..=1.0).contains(&curve["falls"][0]), "{curve:?}");
    assert_eq!(curve["diverged_steps"], [0.0]);
    // The same order of size as episodes that are judged one by one.
    let (json, _) = done(&[
        "eval",
        &run,
        "--tasks",
        "64",
        "--compare",
        "random",
        "--json",
    ]);
    let record: Value = serde_json::from_str(&json).expect("JSON");
    let judged = record["return_episode_1"].as_f64().expect("a return");
    assert!(
        (0.5 * judged..2.0 * judged).contains(&undisturbed),
        "{undisturbed} against {judged}"
    );
    assert_eq!(record["fell"].as_f64(), Some(1.0), "{json}");
    // No goal: no share of it, for nobody.
    for summary in [&record, &record["random"]] {
        assert!(summary["success"].is_null() && summary["recovered"].is_null());
        assert_eq!(summary["adaptation"], Value::Array(Vec::new()));
    }
    let (table, _) = done(&["eval", &run, "--tasks", "8", "--compare", "random"]);
    assert!(
        table.contains("rod has no goal") || table.contains("rod.toml has no goal"),
        "{table}"
    );
    assert!(
        !table.contains("held at end") && !table.contains("recovery"),
        "{table}"
    );
}

#[test]
fn mujoco_a_simulation_that_blows_up_stops_the_training_and_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let plant = robot(
        folder.path(),
        "twig",
        ("twig.xml", TWIG),
        &[("rate", "hinge", "qvel")],
        "crane",
        "[[reward]]\nweight = 1.0\nupright = { body = \"twig\" }",
    );
    let run = folder.path().join("run").display().to_string();
    let said = refused(&["train", &plant, "--out", &run, "--steps", "6400"]);
    for words in [
        "twig",
        "diverged in ",
        " of 6400 steps",
        "timestep",
        "gear",
        "the last good checkpoint",
    ] {
        assert!(said.contains(words), "no '{words}' in: {said}");
    }
    // What was saved before can be judged: the steps are counted there as well.
    let (json, _) = done(&["eval", &run, "--tasks", "8", "--json"]);
    let record: Value = serde_json::from_str(&json).expect("JSON");
    assert!(record["diverged_steps"].as_u64() > Some(0), "{json}");
    // The episodes ended, and nobody fell.
    assert!(record["ended_episode_1"].as_f64() > Some(0.0), "{json}");
    assert_eq!(record["fell"].as_f64(), Some(0.0), "{json}");
    let (table, _) = done(&["eval", &run, "--tasks", "8"]);
    assert!(table.contains("diverged steps"), "{table}");
}

/// The entropy of one action says how wide it is explored.
fn entropy(plant: &str, folder: &Path, steps: &str) -> (Vec<f64>, Vec<f64>) {
    let run = folder.join("run").display().to_string();
    done(&["train", plant, "--out", &run, "--steps", steps]);
    let mut curve = curve(&run);
    (
        curve.remove("entropy").expect("entropy"),
        curve.remove("signal").expect("signal"),
    )
}

#[test]
fn mujoco_where_no_action_is_better_exploration_stays_and_export_says_so() {
    // The same for everybody; and a reward that nobody finds (the wheel would have to turn far).
    for (name, reward) in [
        ("paid", "[[reward]]\nweight = 1.0\nalive = {}"),
        ("unpaid", "[[reward]]\nweight = 0.0\nalive = {}"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let wheel = [("turn_rate", "wheel", "qvel")];
        let plant = robot(
            folder.path(),
            name,
            ("cart.xml", CART),
            &wheel,
            "turn",
            reward,
        );
        let (entropy, signal) = entropy(&plant, folder.path(), "64000");
        assert!(signal.iter().all(|signal| *signal == 0.0), "{signal:?}");
        // A deviation of exp(-1): half of ln(2 pi e) less 1.
        let begun = 0.5 * (std::f64::consts::TAU.ln() + 1.0) - 1.0;
        assert!(
            entropy.iter().all(|entropy| (entropy - begun).abs() < 1e-4),
            "{name}: {entropy:?}"
        );
        let run = folder.path().join("run").display().to_string();
        let image = folder.path().join("image.engram").display().to_string();
        let (told, said) = done(&["export", &run, "-o", &image, "--tasks", "8"]);
        assert!(
            told.contains("the reward does not depend on the action"),
            "{told}"
        );
        assert!(
            !told.contains("NaN") && !said.contains("NaN"),
            "{told} {said}"
        );
        let (json, _) = done(&["export", &run, "-o", &image, "--tasks", "8", "--json"]);
        let report: Value = serde_json::from_str(&json).expect("JSON");
        assert!(report["quantization_cost"].is_null(), "{json}");
    }
}

#[test]
fn mujoco_a_policy_flies_no_robot_with_other_channels() {
    let folder = tempfile::tempdir().expect("a folder");
    let reward = "[[reward]]\nweight = 1.0\nalive = {}";
    let make = |name: &str, channels: &[(&str, &str, &str)], actuator: &str| {
        robot(
            folder.path(),
            name,
            ("cart.xml", CART),
            channels,
            actuator,
            reward,
        )
    };
    let [place, tilt, rate] = STANDING;
    let own = make("own", &STANDING, "push");
    let run = folder.path().join("run").display().to_string();
    done(&["train", &own, "--out", &run, "--steps", "1"]);
    let image = folder.path().join("own.engram").display().to_string();
    done(&["export", &run, "-o", &image, "--tasks", "0"]);
    let swapped = make("swapped", &[place, rate, tilt], "push");
    let motor = make("motor", &STANDING, "turn");
    for policy in [&run, &image] {
        let said = refused(&[
            "eval", policy, "--plant", &swapped, "--tasks", "2", "--json",
        ]);
        assert!(
            said.contains("observation 1 'tilt': name 'tilt' against 'rate'"),
            "{said}"
        );
        let said = refused(&["eval", policy, "--plant", &motor, "--tasks", "2", "--json"]);
        assert!(
            said.contains("action 0 'push': name 'push' against 'turn'"),
            "{said}"
        );
        assert!(said.contains("--other-contract"), "{said}");
        let words = [
            "eval",
            policy,
            "--plant",
            &swapped,
            "--tasks",
            "2",
            "--json",
            "--other-contract",
        ];
        let (json, said) = done(&words);
        assert!(
            json.starts_with('{') && said.contains("'tilt' against 'rate'"),
            "{said}"
        );
        let fewer = make("fewer", &[place, tilt], "push");
        let words = [
            "eval",
            policy,
            "--plant",
            &fewer,
            "--tasks",
            "2",
            "--json",
            "--other-contract",
        ];
        let said = refused(&words);
        assert!(
            said.contains("3 observations") && said.contains("'rate' only in the former"),
            "other numbers never fit: {said}"
        );
        // Beside another policy it is no other matter.
        let other = folder.path().join("other").display().to_string();
        if !Path::new(&other).exists() {
            done(&["train", &swapped, "--out", &other, "--steps", "1"]);
        }
        let said = refused(&[
            "eval",
            &other,
            "--compare",
            policy,
            "--tasks",
            "2",
            "--json",
        ]);
        assert!(said.contains("'tilt' against 'rate'"), "{said}");
    }
    // A run of a version that did not note its channels: its robot still tells.
    let noted = fs::read_to_string(Path::new(&run).join("run.toml")).expect("run.toml");
    let begin = noted.find("[contract]").expect("noted");
    let end = noted.find("[[robot]]").expect("behind it");
    let older = format!("{}{}", &noted[..begin], &noted[end..]);
    fs::write(Path::new(&run).join("run.toml"), older).expect("written");
    let said = refused(&["eval", &run, "--plant", &swapped, "--tasks", "2", "--json"]);
    assert!(said.contains("'tilt' against 'rate'"), "{said}");
}

/// What is wrong with a robot that is not the one of a run is told by its channels, if they differ, and else by its files;
/// and what a message promises holds.
#[test]
fn mujoco_a_robot_that_changed_is_refused_for_what_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    let make = |name: &str, channels: &[(&str, &str, &str)], reward: &str| {
        let reward = format!("[[reward]]\nweight = {reward}\nalive = {{}}");
        robot(
            folder.path(),
            name,
            ("cart.xml", CART),
            channels,
            "push",
            &reward,
        )
    };
    let own = make("own", &STANDING, "1.0");
    let run = folder.path().join("run").display().to_string();
    done(&["train", &own, "--out", &run, "--steps", "1"]);
    let image = folder.path().join("own.engram").display().to_string();
    done(&["export", &run, "-o", &image, "--tasks", "0"]);
    // An image has no file; a run that it is compared with has one.
    let said = refused(&["eval", &image, "--tasks", "2"]);
    assert!(
        said.contains("'own'") && said.contains("--plant FILE.toml"),
        "{said}"
    );
    let (json, _) = done(&[
        "eval",
        &image,
        "--quantization",
        &run,
        "--tasks",
        "2",
        "--json",
    ]);
    assert!(json.contains("own.toml"), "{json}");
    // Another file is no change of the run's.
    let other = make("other", &STANDING, "2.0");
    let said = refused(&[
        "export", &run, "--plant", &other, "-o", &image, "--tasks", "0",
    ]);
    assert!(
        said.contains("this is another robot") && said.contains("own.toml"),
        "{said}"
    );
    // In place, with the same channels: the file is named, and what is promised works.
    make("own", &STANDING, "2.0");
    let plain = ["eval", &run, "--tasks", "2", "--json"];
    let said = refused(&plain);
    assert!(
        said.contains("own.toml") && said.contains("--plant"),
        "{said}"
    );
    done(&["eval", &run, "--tasks", "2", "--json", "--plant", &own]);
    // With other channels: they are named, by every command.
    let [place, tilt, rate] = STANDING;
    make("own", &[place, rate, tilt], "1.0");
    let export = ["export", &run, "-o", &image, "--tasks", "0"];
    let resume = ["train", &own, "--out", &run, "--resume", "--steps", "12800"];
    for words in [&plain[..], &export, &resume] {
        let said = refused(words);
        assert!(
            said.contains("observation 1 'tilt': name 'tilt' against 'rate'"),
            "{said}"
        );
    }
    let (_, said) = done(&["eval", &run, "--tasks", "2", "--json", "--other-contract"]);
    assert!(said.contains("'tilt' against 'rate'"), "{said}");
    make("own", &[place, tilt], "1.0");
    for words in [&plain[..], &export, &resume] {
        let said = refused(words);
        assert!(said.contains("'rate' only in the former"), "{said}");
    }
}
