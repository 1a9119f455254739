//! What is said about settings that are not right.

use super::*;
use engram_plants::by_name;

#[test]
fn the_preset_is_good() {
    let settings = Settings::preset("pendulum").unwrap();
    settings
        .model_config(by_name("pendulum").unwrap().spec())
        .validate()
        .unwrap();
    assert_eq!(settings.clone().one_step().model.window, 1);
    let text = toml::to_string(&settings.to_table().unwrap()).unwrap();
    assert_eq!(Settings::from_toml(&text, "again").unwrap(), settings);
    assert!(Settings::preset("unicycle").is_err());
}

/// What is said about a preset whose line of `key` ("section.key", or a section's head) is replaced by `to`, and the number of that line.
fn said(key: &str, to: &str) -> (String, usize) {
    let mut section = "";
    let mut found = None;
    let mut lines = Vec::new();
    for (index, line) in include_str!("../../presets/engram/pendulum.toml")
        .lines()
        .enumerate()
    {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        }
        let name = line.split(" =").next().unwrap_or_default();
        if line == key || key == format!("{section}.{name}") {
            found = Some(index + 1);
            lines.push(to);
        } else {
            lines.push(line);
        }
    }
    let error = Settings::from_toml(&lines.join("\n"), "my.toml").expect_err(to);
    (error.to_string(), found.expect(key))
}

#[test]
fn mistakes_are_named_with_their_line() {
    // Types and names are told by the TOML reader, in its own words.
    for (key, to, expected) in [
        ("ppo.epochs", "epoch = 4", "unknown field `epoch`"),
        ("ppo.epochs", "epochs = -4", "invalid value: integer `-4`"),
        (
            "ppo.epochs",
            "epochs = 4.5",
            "invalid type: floating point `4.5`",
        ),
        (
            "ppo.gamma",
            "gamma = \"high\"",
            "invalid type: string \"high\"",
        ),
        (
            "model.positions",
            "positions = \"old\"",
            "unknown variant `old`",
        ),
        ("[belief]", "[believe]", "unknown field `believe`"),
        ("ppo.gamma", "gamma = 0.99 0.98", "line"),
    ] {
        let (said, line) = said(key, to);
        let found = said.contains("my.toml") && said.contains(&format!("line {line},"));
        assert!(found && said.contains(expected), "{said}");
    }
    for (key, to, expected) in [
        ("ppo.gamma", "gamma = 1.97", "ppo.gamma is 1.97"),
        ("ppo.gamma", "gamma = nan", "ppo.gamma is NaN"),
        ("ppo.steps", "steps = 0", "ppo.steps is 0"),
        ("trial.trials", "trials = 47", "multiple of ppo.minibatches"),
        (
            "trial.change_every",
            "change_every = 0.5",
            "trial.change_every is 0.5",
        ),
        ("normalizer.clip", "clip = 0.0", "normalizer.clip is 0"),
        ("ppo.max_kl", "max_kl = 0.0", "ppo.max_kl is 0"),
        ("model.heads", "heads = 5", "not a multiple of the 5 heads"),
        ("model.hidden", "hidden = [64, 0]", "hidden[1] is 0"),
        ("model.window", "window = 100000", "window is 100000"),
        (
            "trial.trials",
            "trials = 4800000",
            "trial.trials is 4800000; it must be from 1 to 1000000",
        ),
        ("ppo.shards", "shards = 4000", "ppo.shards is 4000"),
    ] {
        let (said, line) = said(key, to);
        let found = said.starts_with(&format!("my.toml:{line}: "));
        assert!(found && said.contains(expected), "{said} (line {line})");
    }
    let (said, _) = said("trial.changes", "changes = []");
    assert!(said.contains("trial.change"), "{said}");
}

#[test]
fn a_missing_key_is_named_with_its_section() {
    let (said, _) = said("ppo.gamma", "");
    assert!(
        said.contains("missing field `gamma`") && said.contains("[ppo]"),
        "{said}"
    );
}

#[test]
fn the_embedding_has_one_scale() {
    let own = "initial.embedding_std";
    let (both, line) = said(own, "embedding_gain = 4.0\nembedding_std = 0.45");
    let found = both.starts_with(&format!("my.toml:{}: ", line + 1));
    assert!(
        found && both.ends_with("stands beside initial.embedding_gain; give one of the two"),
        "{both}"
    );
    let (none, _) = said(own, "");
    assert!(none.contains("initial.embedding_std is missing"), "{none}");
    let (zero, line) = said(own, "embedding_std = 0.0");
    assert!(
        zero.starts_with(&format!("my.toml:{line}: initial.embedding_std is 0")),
        "{zero}"
    );
}

#[test]
fn a_run_of_an_earlier_version_has_a_bound_too() {
    let text = include_str!("../../presets/engram/pendulum.toml").replace("\nmax_kl", "\n# max_kl");
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

#[test]
fn a_robot_has_a_preset_with_its_own_trials() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/robots/balancer.toml"
    );
    let trial = Settings::preset(path).unwrap().trial;
    assert_eq!((trial.steps, trial.episode_steps), (500, 250));
    assert_eq!(trial.changes, ["polarity"]);
}
