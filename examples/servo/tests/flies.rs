//! The plant of `main.rs` goes the whole way by the commands of the book: trained, judged, exported, flown, replayed.
#![forbid(unsafe_code)]

use std::path::Path;
use std::process::{Command, Output};

fn servo(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_servo"));
    let output = command.args(words).current_dir(folder).output();
    output.expect("the program runs")
}

/// The object that a command printed.
fn answer(folder: &Path, words: &[&str]) -> serde_json::Value {
    let output = servo(folder, &[words, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

#[test]
fn a_plant_of_ones_own_is_trained_and_flown_by_the_same_commands() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let mut settings = include_str!("../servo.toml").to_owned();
    for (key, short) in [
        ("trials", 8),
        ("steps", 300),
        ("epochs", 1),
        ("minibatches", 2),
    ] {
        let line = settings
            .lines()
            .find(|line| line.starts_with(&format!("{key} = ")));
        let line = line.expect("a setting").to_owned();
        settings = settings.replacen(&line, &format!("{key} = {short}"), 1);
    }
    std::fs::write(here.join("short.toml"), settings).expect("written");
    let train = [
        "train",
        "servo",
        "--config",
        "short.toml",
        "--out",
        "run",
        "--steps",
        "7200",
    ];
    let trained = answer(here, &train);
    assert_eq!(
        (&trained["plant"], &trained["steps"]),
        (&"servo".into(), &7200.into())
    );
    let resumed = answer(
        here,
        &[
            "train", "servo", "--out", "run", "--resume", "--steps", "9600",
        ],
    );
    assert_eq!(resumed["steps"], 9600);

    let export = [
        "export",
        "run",
        "-o",
        "servo.engram",
        "--tasks",
        "0",
        "--calibration-trials",
        "4",
    ];
    answer(here, &export);
    for policy in ["run", "servo.engram"] {
        let eval = [
            "eval",
            policy,
            "--tasks",
            "4",
            "--compare",
            "wiped,random",
            "--ood",
        ];
        let judged = answer(here, &eval);
        assert_eq!(
            (&judged["plant"], &judged["change"]),
            (&"servo".into(), &"polarity".into())
        );
        assert!(judged["random"]["return_episode_1"].is_number(), "{judged}");
    }
    let fly = [
        "fly",
        "servo.engram",
        "--plant",
        "servo",
        "--change",
        "inertia",
        "--log",
        "flight.mcap",
    ];
    let flown = answer(here, &fly);
    assert_eq!(flown["words_equal"], true, "{flown}");
    assert_eq!(flown["words_compared"], flown["steps"], "{flown}");
    assert!(servo(here, &["replay", "flight.mcap"]).status.success());
    assert!(servo(here, &["report", "run"]).status.success());

    let unknown = servo(here, &["train", "serve", "--out", "other"]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(
        !unknown.status.success() && said.contains("hopper-params, servo,"),
        "{said}"
    );
    let unset = servo(here, &["train", "servo", "--out", "other"]);
    let said = String::from_utf8_lossy(&unset.stderr).into_owned();
    assert!(
        !unset.status.success() && said.contains("--config FILE.toml"),
        "{said}"
    );
}

#[test]
fn a_page_of_the_book_is_about_this_file() {
    let lines = include_str!("../src/main.rs").lines().count();
    assert!(lines < 150, "{lines} lines: the book says fewer than 150");
}
