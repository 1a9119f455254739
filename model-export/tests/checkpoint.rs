//! Checkpoints: round trip, and the words of every error.

mod random;

use std::fs;
use std::path::Path;

use engram_export::checkpoint::{
    Agent, POLICY_FILE, RUN_FILE, RobotFile, tensor_bytes, tensors_of,
};
use engram_export::network::Network;
use engram_export::{Checkpoint, Tensors};
use engram_image::{HeadInput, ModelConfig, Positions};
use random::{Numbers, random_tensors};

fn checkpoint(positions: Positions, head_input: HeadInput) -> Checkpoint {
    let config = ModelConfig {
        observations: 3,
        actions: 1,
        layers: 2,
        heads: 2,
        model: 8,
        ff: 12,
        window: 6,
        hidden: [10, 9],
        positions,
        head_input,
    };
    let tensors = random_tensors(&config, &mut Numbers::new(3));
    let mut training = toml::Table::new();
    training.insert("learning_rate".into(), 3e-4.into());
    Checkpoint {
        plant: "pendulum".into(),
        agent: Agent::Trmrl,
        version: "0.1.0".into(),
        seed: 5,
        steps: 1_200_000,
        training_return: -12.5,
        network: Network::new(&config.into(), 5.0, &tensors).expect("parameters"),
        contract: None,
        robot: Vec::new(),
        training,
    }
}

/// Saves a checkpoint, changes its tensors, and returns the words of the error that reading gives.
fn spoiled(change: impl FnOnce(&mut Tensors)) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    checkpoint(Positions::Age, HeadInput::Mixed)
        .save(dir.path())
        .expect("saved");
    let path = dir.path().join(POLICY_FILE);
    let mut tensors = tensors_of(&fs::read(&path).expect("bytes"), &path).expect("tensors");
    change(&mut tensors);
    fs::write(&path, tensor_bytes(&tensors, &path).expect("bytes")).expect("written");
    said(dir.path())
}

fn said(dir: &Path) -> String {
    Checkpoint::load(dir).expect_err("a refusal").to_string()
}

/// The same for the text of `run.toml`.
fn retold(from: &str, to: &str) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    checkpoint(Positions::Age, HeadInput::Mixed)
        .save(dir.path())
        .expect("saved");
    let path = dir.path().join(RUN_FILE);
    let text = fs::read_to_string(&path).expect("text");
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(&path, text.replace(from, to)).expect("written");
    said(dir.path())
}

#[test]
fn what_is_saved_is_what_is_read() {
    for positions in [Positions::Age, Positions::Slot] {
        for head_input in [HeadInput::Encoder, HeadInput::Mixed] {
            let dir = tempfile::tempdir().expect("a folder");
            let inner = dir.path().join("a/run");
            let saved = checkpoint(positions, head_input);
            saved.save(&inner).expect("saved");
            saved
                .save_with(&inner, &[("trainer.bin", b"moments")])
                .expect("saved again");
            assert_eq!(Checkpoint::load(&inner).expect("read"), saved);
            let mut names: Vec<_> = fs::read_dir(&inner)
                .expect("a folder")
                .map(|entry| {
                    entry
                        .expect("an entry")
                        .file_name()
                        .into_string()
                        .expect("a name")
                })
                .collect();
            names.sort();
            assert_eq!(
                names,
                [POLICY_FILE, RUN_FILE, "trainer.bin"],
                "no temporary files are left"
            );
        }
    }
}

#[test]
fn the_settings_have_a_hash_and_progress_does_not_change_it() {
    let one = checkpoint(Positions::Age, HeadInput::Mixed);
    let later = Checkpoint {
        steps: 2,
        training_return: 1.0,
        ..one.clone()
    };
    let other = Checkpoint {
        seed: u64::MAX,
        ..one.clone()
    };
    assert_eq!(one.config_sha256(), later.config_sha256());
    assert_ne!(one.config_sha256(), other.config_sha256());
}

#[test]
fn a_robots_files_are_kept_and_belong_to_the_settings() {
    let dir = tempfile::tempdir().expect("a folder");
    let without = checkpoint(Positions::Age, HeadInput::Mixed);
    without.save(dir.path()).expect("saved");
    // As a version that did not know them wrote it.
    let text = fs::read_to_string(dir.path().join(RUN_FILE)).expect("text");
    assert!(!text.contains("robot"), "{text}");
    let file = |file: &str, sha256: &str| RobotFile {
        file: file.to_owned(),
        sha256: sha256.to_owned(),
        mujoco: None,
    };
    let mut model = file("mine.xml", "cd");
    model.mujoco = Some("3.17.0".to_owned());
    let with = Checkpoint {
        robot: vec![file("mine.toml", "ab"), model],
        ..without.clone()
    };
    with.save(dir.path()).expect("saved");
    assert_eq!(Checkpoint::load(dir.path()).expect("read"), with);
    assert_ne!(with.config_sha256(), without.config_sha256());
    let text = fs::read_to_string(dir.path().join(RUN_FILE)).expect("text");
    assert!(
        text.contains("[[robot]]\nfile = \"mine.xml\"\nsha256 = \"cd\"\n"),
        "{text}"
    );
}

#[test]
fn errors_name_the_tensor_and_both_shapes() {
    let said = spoiled(|t| t.get_mut("embed.weight").expect("there").shape = vec![6, 8]);
    assert!(
        said.contains(
            "policy.safetensors: tensor `embed.weight` has shape [6, 8]; expected [8, 6]"
        ),
        "{said}"
    );
    let said = spoiled(|t| drop(t.remove("layers.1.ff.linear2.bias")));
    assert!(
        said.contains("tensor `layers.1.ff.linear2.bias` is missing; expected shape [8]"),
        "{said}"
    );
    let said = spoiled(|t| {
        t.get_mut("layers.0.attention.age_bias")
            .expect("there")
            .values[7] = f32::NAN
    });
    assert!(
        said.contains("tensor `layers.0.attention.age_bias` is NaN at index 7"),
        "{said}"
    );
    let said = spoiled(|t| t.get_mut("normalizer.std").expect("there").values[2] = 0.0);
    assert!(
        said.contains("tensor `normalizer.std` is 0 at index 2"),
        "{said}"
    );
    let said = spoiled(|t| drop(t.insert("critic.weight".into(), t["log_std"].clone())));
    assert!(
        said.contains("tensor `critic.weight` does not belong"),
        "{said}"
    );
}

#[test]
fn errors_name_the_file_and_the_key() {
    let empty = tempfile::tempdir().expect("a folder");
    assert!(
        said(empty.path()).contains("run.toml: "),
        "{}",
        said(empty.path())
    );
    for (from, to, expected) in [
        (
            "format_version = 1",
            "format_version = 9",
            "format_version is 9; this version reads 1",
        ),
        (
            "positions = \"age\"",
            "positions = \"time\"",
            "unknown variant `time`",
        ),
        ("window = 6", "windows = 6", "unknown field `windows`"),
        ("heads = 2", "heads = 3", "model configuration"),
        ("clip = 5.0", "clip = 0.0", "normalizer clip is 0"),
        (
            "window = 6",
            "window = 7",
            "age_bias` has shape [2, 6]; expected [2, 7]",
        ),
    ] {
        let said = retold(from, to);
        assert!(said.contains(expected), "{from} -> {to}: {said}");
    }
    let dir = tempfile::tempdir().expect("a folder");
    checkpoint(Positions::Age, HeadInput::Mixed)
        .save(dir.path())
        .expect("saved");
    let path = dir.path().join(POLICY_FILE);
    let bytes = fs::read(&path).expect("bytes");
    fs::write(&path, &bytes[..bytes.len() - 5]).expect("written");
    assert!(said(dir.path()).contains("policy.safetensors: "));
}

#[test]
fn a_seed_that_toml_cannot_hold_is_refused_and_leaves_the_old_files() {
    let dir = tempfile::tempdir().expect("a folder");
    let good = checkpoint(Positions::Age, HeadInput::Mixed);
    good.save(dir.path()).expect("saved");
    let bad = Checkpoint {
        seed: u64::MAX,
        ..good.clone()
    };
    if bad.save(dir.path()).is_err() {
        assert_eq!(Checkpoint::load(dir.path()).expect("read"), good);
    } else {
        assert_eq!(Checkpoint::load(dir.path()).expect("read"), bad);
    }
}
