//! `kill -9` at any moment, then `--resume`: the files are those of a run that nobody killed.
#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Settings small enough for an iteration to take milliseconds, so that kills hit all parts of it and of a save; with some `changes`.
fn settings(folder: &Path, changes: &[(&str, &str, toml::Value)]) -> PathBuf {
    let mut settings: toml::Table = include_str!("../train/presets/engram/pendulum.toml")
        .parse()
        .expect("the preset");
    let small: [(&str, &str, toml::Value); 10] = [
        ("model", "model", 8.into()),
        ("model", "heads", 2.into()),
        ("model", "ff", 8.into()),
        ("model", "window", 4.into()),
        ("model", "hidden", vec![8, 8].into()),
        ("critic", "hidden", 8.into()),
        ("trial", "trials", 6.into()),
        ("trial", "steps", 40.into()),
        ("ppo", "minibatches", 2.into()),
        ("ppo", "steps", 5760.into()),
    ];
    for (section, key, value) in small.iter().chain(changes) {
        let old = &mut settings[*section][*key];
        assert!(old.same_type(value), "{section}.{key} was {old}");
        *old = value.clone();
    }
    let path = folder.join("small.toml");
    fs::write(&path, settings.to_string()).expect("written");
    path
}

fn train(config: &Path, out: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_engram"));
    command.args([
        "train",
        "pendulum",
        "--save-every-minutes",
        "0",
        "--json",
        "--out",
    ]);
    command.arg(out);
    if out.join("run.toml").exists() || out.join(".save/run.toml").exists() {
        command.arg("--resume");
    } else {
        command.arg("--config").arg(config).args(["--seed", "3"]);
    }
    command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("engram starts")
}

fn finish(child: Child) -> Duration {
    let begun = Instant::now();
    let output = child.wait_with_output().expect("engram ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    begun.elapsed()
}

/// Names and contents, but for what tells of the clock.
fn files(out: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(out)
        .expect("a folder")
        .map(|entry| entry.expect("an entry"))
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                entry.path(),
            )
        })
        .filter(|(name, _)| name != "timing.csv" && !name.contains("tfevents"))
        .map(|(name, path)| (name, fs::read(path).expect("a file")))
        .collect();
    files.sort();
    files
}

/// Trains, kills up to eight times after at most `longest`, goes on to the end, and says how many kills there were.
fn kill_until_done(config: &Path, out: &Path, longest: Duration) -> usize {
    // The moments differ from run to run, which finds more; a failure's message has what it takes to see why.
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock");
    let mut random = since.subsec_nanos();
    let mut kills = 0;
    while kills < 8 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let share = f64::from(random >> 8) / f64::from(1u32 << 24);
        let mut child = train(config, out);
        sleep(longest.mul_f64(share));
        // On Unix this is SIGKILL; it fails on a process that has been waited for, and this one has not.
        child.kill().expect("killed");
        let output = child.wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!said.contains("error"), "kill {kills}: {said}");
        if output.status.success() {
            return kills;
        }
        kills += 1;
    }
    finish(train(config, out));
    kills
}

#[test]
fn a_killed_run_goes_on_to_the_same_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = settings(folder.path(), &[]);
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let duration = finish(train(&config, &whole));

    // How fast a run goes depends on what else the machine does: one that was done before three kills is done again,
    // and killed earlier.
    let mut longest = duration.mul_f64(0.35);
    let mut kills = kill_until_done(&config, &killed, longest);
    while kills < 3 && longest > Duration::from_millis(1) {
        fs::remove_dir_all(&killed).expect("removed");
        longest /= 2;
        kills = kill_until_done(&config, &killed, longest);
    }
    assert!(kills >= 3, "only {kills} kills before the run was done");
    let (whole, killed) = (files(&whole), files(&killed));
    let names =
        |files: &[(String, Vec<u8>)]| files.iter().map(|file| file.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&whole), names(&killed), "after {kills} kills");
    for ((name, one), (_, other)) in whole.iter().zip(&killed) {
        assert!(one == other, "{name} differs after {kills} kills");
    }
    assert!(names(&whole).contains(&"curve.csv".to_owned()));
    assert!(names(&whole).contains(&"policy.safetensors".to_owned()));
}

/// Learning rates that no network survives.
#[test]
fn a_run_that_diverges_says_where_and_leaves_the_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let (rate, bound) = (toml::Value::from(1e30), toml::Value::from(1e-9));
    let both_rates = [
        ("ppo", "learning_rate", rate.clone()),
        ("critic", "learning_rate", rate),
    ];
    for (name, changes, expected) in [
        ("rate", &both_rates[..], "' is NaN"),
        (
            "bound",
            &[("ppo", "max_kl", bound)],
            "ppo.max_kl allows 0.000000001",
        ),
    ] {
        let config = settings(folder.path(), changes);
        let out = folder.path().join(name);
        let output = train(&config, &out).wait_with_output().expect("it ends");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{said}");
        for words in [
            "diverged in iteration 1, at step 240",
            expected,
            "the last good checkpoint is",
            &out.display().to_string(),
            "with 0 steps",
        ] {
            assert!(said.contains(words), "'{words}' is not in: {said}");
        }
        let checkpoint = engram_export::Checkpoint::load(&out).expect("a checkpoint");
        assert_eq!(checkpoint.steps, 0);
    }
}
