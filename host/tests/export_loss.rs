//! `engram export` takes no policy that quantization spoils: it names the channel, and writes nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use engram_export::Checkpoint;
use engram_export::network::Network;

/// The channel of the residual stream that stands out.
const OUTLIER: usize = 7;
/// How far.
const HEIGHT: f32 = 3000.0;

/// The shipped pendulum with one channel of the residual stream far above the others. In f32 it computes the same: what
/// the offset would do to those that read the channel is taken back in their biases.
fn spoiled(folder: &Path) -> PathBuf {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/pendulum");
    let mut checkpoint = Checkpoint::load(&shipped).expect("the shipped run");
    let config = checkpoint.network.config();
    let mut tensors = checkpoint.network.tensors();
    let raised = tensors
        .get_mut("layers.0.ff.linear2.bias")
        .expect("the first layer");
    raised.values[OUTLIER] += HEIGHT;
    for name in [
        "layers.1.attention.in_proj",
        "layers.1.ff.linear1",
        "head.0",
    ] {
        let weight = &tensors[&format!("{name}.weight")];
        let columns = weight.shape[1];
        let read: Vec<f32> = weight
            .values
            .iter()
            .skip(OUTLIER)
            .step_by(columns)
            .copied()
            .collect();
        let bias = tensors.get_mut(&format!("{name}.bias")).expect("a bias");
        for (bias, weight) in bias.values.iter_mut().zip(read) {
            *bias -= HEIGHT * weight;
        }
    }
    let clip = checkpoint.network.normalizer().clip;
    checkpoint.network = Network::new(&config, clip, &tensors).expect("the same shapes");
    let run = folder.join("spoiled");
    checkpoint.save(&run).expect("saved");
    run
}

fn export(run: &Path, image: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_engram"))
        .arg("export")
        .arg(run)
        .arg("-o")
        .arg(image)
        .args(["--tasks", "32", "--json"])
        .args(more)
        .output()
        .expect("engram starts")
}

#[test]
fn a_channel_that_takes_the_range_from_the_others_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = spoiled(folder.path());
    let image = folder.path().join("spoiled.engram");
    let refused = export(&run, &image, &[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        !refused.status.success() && refused.stdout.is_empty(),
        "{said}"
    );
    assert!(!image.exists(), "{said}");
    for words in [
        "quantization costs",
        "at most 1 %",
        "channel 7 of the residual stream",
        "spoiled.engram was not written",
        "--accept-loss",
    ] {
        assert!(said.contains(words), "no '{words}' in: {said}");
    }
    let accepted = export(&run, &image, &["--accept-loss"]);
    let said = String::from_utf8_lossy(&accepted.stderr).into_owned();
    assert!(accepted.status.success() && image.exists(), "{said}");
    assert!(said.contains("channel 7 of the residual stream"), "{said}");
    let report: serde_json::Value = serde_json::from_slice(&accepted.stdout).expect("JSON");
    let cost = report["quantization_cost"].as_f64().expect("a cost");
    assert!(cost > 0.01, "{cost}");
}

#[test]
fn the_shipped_policy_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/pendulum");
    let image = folder.path().join("pendulum.engram");
    let taken = export(&shipped, &image, &[]);
    let said = String::from_utf8_lossy(&taken.stderr).into_owned();
    assert!(taken.status.success() && image.exists(), "{said}");
    assert!(!said.contains("quantization"), "{said}");
}
