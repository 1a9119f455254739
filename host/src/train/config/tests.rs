//! What is said about settings that are not right.

use super::*;
use crate::plant::by_name;

#[test]
fn the_preset_is_good() {
    let settings = Settings::preset("pendulum").unwrap();
    settings
        .model_config(&*by_name("pendulum").unwrap())
        .validate()
        .unwrap();
    assert_eq!(settings.clone().one_step().model.window, 1);
    let text = toml::to_string(&settings.to_table().unwrap()).unwrap();
    assert_eq!(Settings::from_toml(&text, "again").unwrap(), settings);
    assert!(Settings::preset("unicycle").is_err());
}

/// What is said about a preset in which `from` is replaced by `to`, and the line where that is.
fn said(from: &str, to: &str) -> (String, usize) {
    let text = include_str!("../../../presets/engram/pendulum.toml");
    let line = 1 + text
        .lines()
        .position(|line| line.starts_with(from))
        .expect(from);
    let text = text.replacen(&format!("\n{from}"), &format!("\n{to}"), 1);
    let error = Settings::from_toml(&text, "my.toml").expect_err(to);
    (error.to_string(), line)
}

#[test]
fn mistakes_are_named_with_their_line() {
    // Types and names are told by the TOML reader, in its own words.
    for (from, to, expected) in [
        ("epochs = 4", "epoch = 4", "unknown field `epoch`"),
        ("epochs = 4", "epochs = -4", "invalid value: integer `-4`"),
        (
            "epochs = 4",
            "epochs = 4.5",
            "invalid type: floating point `4.5`",
        ),
        (
            "gamma = 0.99",
            "gamma = \"high\"",
            "invalid type: string \"high\"",
        ),
        (
            "positions = \"age\"",
            "positions = \"old\"",
            "unknown variant `old`",
        ),
        ("[belief]", "[believe]", "unknown field `believe`"),
        ("gamma = 0.99", "gamma = 0.99 0.98", "line"),
    ] {
        let (said, line) = said(from, to);
        let found = said.contains("my.toml") && said.contains(&format!("line {line},"));
        assert!(found && said.contains(expected), "{said}");
    }
    for (from, to, expected) in [
        ("gamma = 0.99", "gamma = 1.97", "ppo.gamma is 1.97"),
        ("gamma = 0.99", "gamma = nan", "ppo.gamma is NaN"),
        ("steps = 6000000", "steps = 0", "ppo.steps is 0"),
        ("trials = 48", "trials = 47", "multiple of ppo.minibatches"),
        (
            "change_every = 330.0",
            "change_every = 0.5",
            "trial.change_every is 0.5",
        ),
        ("clip = 10.0", "clip = 0.0", "normalizer.clip is 0"),
        ("max_kl = 10.0", "max_kl = 0.0", "ppo.max_kl is 0"),
        ("heads = 4", "heads = 5", "not a multiple of the 5 heads"),
        ("hidden = [64, 64]", "hidden = [64, 0]", "hidden[1] is 0"),
        ("window = 16", "window = 100000", "window is 100000"),
        (
            "trials = 48",
            "trials = 4800000",
            "trial.trials is 4800000; it must be from 1 to 1000000",
        ),
        ("shards = ", "shards = 4000 # ", "ppo.shards is 4000"),
    ] {
        let (said, line) = said(from, to);
        let found = said.starts_with(&format!("my.toml:{line}: "));
        assert!(found && said.contains(expected), "{said} (line {line})");
    }
    let (said, _) = said("changes = [\"polarity\"]", "changes = []");
    assert!(said.contains("trial.change"), "{said}");
}

#[test]
fn a_missing_key_is_named_with_its_section() {
    let (said, _) = said("gamma = 0.99", "# ");
    assert!(
        said.contains("missing field `gamma`") && said.contains("[ppo]"),
        "{said}"
    );
}

#[test]
fn the_embedding_has_one_scale() {
    let own = "embedding_gain = 4.0";
    let (both, line) = said(own, "embedding_gain = 4.0\nembedding_std = 0.45");
    let found = both.starts_with(&format!("my.toml:{}: ", line + 1));
    assert!(
        found && both.ends_with("stands beside initial.embedding_gain; give one of the two"),
        "{both}"
    );
    let (none, _) = said(own, "# ");
    assert!(none.contains("initial.embedding_std is missing"), "{none}");
    let (zero, line) = said(own, "embedding_std = 0.0 # ");
    assert!(
        zero.starts_with(&format!("my.toml:{line}: initial.embedding_std is 0")),
        "{zero}"
    );
}

#[test]
fn a_run_of_an_earlier_version_has_a_bound_too() {
    let text =
        include_str!("../../../presets/engram/pendulum.toml").replace("\nmax_kl", "\n# max_kl");
    assert_eq!(Settings::from_toml(&text, "old").unwrap().ppo.max_kl, 10.0);
}

#[test]
fn a_saved_runs_settings_are_checked_too() {
    let mut table = Settings::preset("pendulum").unwrap().to_table().unwrap();
    Settings::from_table(table.clone(), "runs/a/run.toml [training]").unwrap();
    table["trial"]["anywhere"] = 3.0.into();
    let error = Settings::from_table(table, "runs/a/run.toml [training]").unwrap_err();
    assert_eq!(
        error.to_string(),
        "runs/a/run.toml [training]: trial.anywhere is 3; it must be from 0 to 1"
    );
}
