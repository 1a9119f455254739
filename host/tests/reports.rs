//! `engram report` on flights of any plant: from logs, in simulation, and where there are none.

use std::path::Path;
use std::process::Command;

fn engram(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_engram"));
    let output = command.args(arguments).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said)
}

fn must(arguments: &[&str]) -> String {
    let (done, said) = engram(arguments);
    assert!(done, "{arguments:?}: {said}");
    said
}

fn of_repository(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    root.to_str().expect("UTF-8").to_owned()
}

/// The page that `engram report` makes of these arguments.
fn page(folder: &Path, arguments: &[&str]) -> (String, String) {
    let path = folder.join("page.html");
    let page = path.to_str().expect("UTF-8");
    let said = must(&[&["report", "-o", page], arguments].concat());
    let html = std::fs::read_to_string(&path).expect("a page");
    assert!(!html.contains("NaN"));
    (html, said)
}

#[test]
fn logs_of_a_quadrotor_make_a_page_and_logs_of_two_plants_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (policy, wiped, pendulum) = (path("a.mcap"), path("b.mcap"), path("c.mcap"));
    let fly = "fly --plant quadrotor --seconds 3 --change payload+rotor --change-at-s 2 --log";
    let fly: Vec<&str> = fly.split(' ').collect();
    must(&[&fly[..], &[&policy]].concat());
    must(&[&fly[..], &[&wiped, "--wipe-memory"]].concat());
    must(&["fly", "--seconds", "1", "--log", &pendulum]);
    let run = of_repository("images/quadrotor");
    let logs = ["--flight", &policy, "--flight", &wiped];
    let (html, _) = page(
        folder.path(),
        &[&[run.as_str(), "--tasks", "3"], &logs[..]].concat(),
    );
    for words in [
        "policy on loopback",
        "memory wiped",
        "from above: y over x",
        "35 % of the mass is hung under the centre, the front right rotor loses 20 %",
        "attention of layer 2, share of each memory",
        "% of the variance is between tasks",
        "attention-weighted variance of the values",
    ] {
        assert!(html.contains(words), "no {words}");
    }
    let (done, said) = engram(&["report", "--flight", &policy, "--flight", &pendulum]);
    assert!(
        !done && said.contains("one report shows flights of one plant"),
        "{said}"
    );
}

/// A run of a plant that is there with MuJoCo alone.
#[test]
fn a_run_whose_plant_is_not_there_says_so_beside_its_curves() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = of_repository("images/half-cheetah-vel");
    let (html, said) = page(folder.path(), &[&run, "--tasks", "2"]);
    assert!(html.contains("return of an episode"), "its curves");
    if cfg!(feature = "mujoco") {
        assert!(
            html.contains("velocity_error_m_per_s on 2 held-out") && html.contains(">measured")
        );
    } else {
        let (done, said_too) = engram(&["report", &run, "--picture", "never.svg"]);
        assert!(
            !done && said_too.contains("--picture shows flights"),
            "{said_too}"
        );
        assert!(
            html.contains("No flights: ") && said.contains("--flight LOG"),
            "{said}"
        );
    }
}

#[cfg(feature = "mujoco")]
#[test]
fn a_robot_of_a_file_is_shown_by_its_channels_in_simulation_and_from_a_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (run, image, log) = (path("run"), path("robot.engram"), path("flight.mcap"));
    let robot = of_repository("examples/robots/balancer.toml");
    must(&["train", &robot, "--steps", "2000", "--out", &run]);
    let (html, _) = page(folder.path(), &[&run, "--tasks", "2"]);
    for words in [
        "The flight",
        "on 2 held-out tasks",
        "issued commands of the policy",
    ] {
        assert!(html.contains(words), "no {words}");
    }
    must(&["export", &run, "-o", &image]);
    must(&[
        "fly",
        &image,
        "--plant",
        &robot,
        "--seconds",
        "1",
        "--log",
        &log,
    ]);
    let (html, _) = page(folder.path(), &["--flight", &log]);
    assert!(html.contains("policy on loopback") && html.contains(">measured, rad/s"));
    // An image does not hold its robot's file.
    let (done, said) = engram(&["report", "--image", &image]);
    assert!(!done && said.contains("--plant FILE.toml"), "{said}");
    page(
        folder.path(),
        &["--image", &image, "--plant", &robot, "--tasks", "2"],
    );
}
