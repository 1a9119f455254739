//! The policy that ships adapts, and it is its memory that does it: the command that the notebook names, on
//! fewer tasks.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn it_swings_up_recovers_from_a_flip_and_needs_its_memory() {
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/pendulum.engram");
    let output = Command::new(env!("CARGO_BIN_EXE_engram"))
        .arg("eval")
        .arg(image)
        .args(["--tasks", "96", "--compare", "wiped", "--json"])
        .output()
        .expect("the command starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let result: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    for key in [
        "plant",
        "policy",
        "seed",
        "tasks",
        "return_episode_1",
        "return_episode_2",
        "success",
        "change",
        "recovered",
        "recovery_s_median",
        "weights_sha256",
    ] {
        assert!(!result[key].is_null(), "{key} is missing");
    }
    let share = |value: &Value| value.as_f64().expect("a share");
    let recovered = share(&result["recovered"]);
    assert!(
        share(&result["success"]) >= 0.9,
        "success {}",
        result["success"]
    );
    assert!(recovered >= 0.85, "recovered {recovered}");
    let wiped = share(&result["wiped"]["recovered"]);
    assert!(
        recovered - wiped >= 0.4,
        "recovered {recovered}, without memory {wiped}"
    );
}

/// A board lets samples through that lie far outside of what the policy was trained on, up to the contract's ranges. The integers
/// must not be further from the f32 policy there than elsewhere: what their saturation does, the memory keeps.
#[test]
fn samples_at_the_ends_of_their_ranges_do_not_throw_the_integers_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/pendulum");
    let output = Command::new(env!("CARGO_BIN_EXE_engram"))
        .arg("export")
        .arg(run)
        .arg("-o")
        .arg(folder.path().join("again.engram"))
        .args(["--tasks", "0", "--json"])
        .output()
        .expect("the command starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let result: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let number = |key: &str| result[key].as_f64().expect("a number");
    let (usual, outlier) = (
        number("command_error_rms"),
        number("outlier_command_error_rms"),
    );
    assert!(
        outlier <= 1.3 * usual,
        "{outlier} with outliers, {usual} without"
    );
}
