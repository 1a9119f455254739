//! `kill -9` at any moment, then `--resume`: the files are those of a run that nobody killed.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Small enough for an iteration to take milliseconds, so that kills hit all parts of it and of a save.
fn settings(folder: &Path) -> std::path::PathBuf {
    let preset = concat!(env!("CARGO_MANIFEST_DIR"), "/presets/engram/pendulum.toml");
    let mut text = fs::read_to_string(preset).expect("the preset");
    for (from, to) in [
        ("model = 32 ", "model = 8 "),
        ("heads = 4 ", "heads = 2 "),
        ("ff = 64 ", "ff = 8 "),
        ("window = 16 ", "window = 4 "),
        ("hidden = [64, 64]", "hidden = [8, 8]"),
        ("hidden = 64 ", "hidden = 8 "),
        ("trials = 48 ", "trials = 6 "),
        ("steps = 300 ", "steps = 40 "),
        ("minibatches = 6 ", "minibatches = 2 "),
        ("steps = 6000000 ", "steps = 5760 "),
    ] {
        assert!(text.contains(from), "the preset has no '{from}'");
        text = text.replace(from, to);
    }
    let path = folder.join("small.toml");
    fs::write(&path, text).expect("written");
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
    let config = settings(folder.path());
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
    let config = settings(folder.path());
    let text = fs::read_to_string(&config).expect("settings");
    for (from, to, expected) in [
        ("learning_rate = 2e-3 ", "learning_rate = 1e30 ", "' is NaN"),
        (
            "max_kl = 10.0 ",
            "max_kl = 1e-9 ",
            "ppo.max_kl allows 0.000000001",
        ),
    ] {
        assert!(text.contains(from), "the settings have no '{from}'");
        fs::write(&config, text.replace(from, to)).expect("written");
        let out = folder.path().join(to.split(' ').next().unwrap_or(to));
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
