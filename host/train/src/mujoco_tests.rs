//! Runs of a robot in MuJoCo.

use std::path::Path;

use candle_core::Device;

use engram_export::checkpoint::Agent;
use engram_plants::Plants;

use crate::{Run, Settings, TrainError, Trainer, Training as _};

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/robots/balancer.toml"
);
const EXAMPLE: &str = include_str!("../../../examples/robots/balancer.toml");

#[test]
fn a_run_goes_on_with_the_robot_that_it_began_with_and_with_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let original = std::fs::read_to_string(Path::new(FILE).with_file_name("balancer.xml")).unwrap();
    let heavier = original.replacen(" mass=\"", " mass=\"1", 1);
    assert_ne!(original, heavier);
    // A process loads a model once, so that the changed one is in another folder.
    let [plant, other] = [("mine", &original), ("other", &heavier)].map(|(name, model)| {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("balancer.xml"), model).unwrap();
        std::fs::write(folder.join("mine.toml"), EXAMPLE).unwrap();
        folder.join("mine.toml").to_str().unwrap().to_owned()
    });
    let plants = Plants::built_in();
    let open = |path: &str| plants.open(path).unwrap();
    for agent in [Agent::Trmrl, Agent::Rl2] {
        let mut settings = Settings::preset(&plant).unwrap();
        (settings.trial.trials, settings.trial.steps) = (2, 10);
        settings.ppo.minibatches = 1;
        let begun = Run::new(open(&plant), agent, 0);
        Trainer::new(begun, settings, &Device::Cpu)
            .unwrap()
            .save(&run)
            .unwrap();
        let resume = || Trainer::resume(&run, None, &Device::Cpu);
        resume().unwrap();
        let error = Trainer::resume_on(&plants, &other, &run, None, &Device::Cpu);
        let error = error.err().unwrap();
        assert!(matches!(&error, TrainError::Robot(_)), "{error}");
        let said = error.to_string();
        assert!(said.contains("balancer.xml has changed"), "{said}");
        // The file may move with its model; then it counts what the file is, and not what it is called.
        let moved = folder.path().join("mine/moved.toml");
        std::fs::write(&moved, EXAMPLE).unwrap();
        let moved = moved.to_str().unwrap();
        let again = Trainer::resume_on(&plants, moved, &run, None, &Device::Cpu).unwrap();
        assert_eq!(again.run().plant.name(), moved);
        let error = Trainer::resume_on(&plants, "pendulum", &run, None, &Device::Cpu).err();
        assert!(
            matches!(error, Some(TrainError::OtherPlant { .. })),
            "{error:?}"
        );
        // As an earlier version wrote it.
        let text = std::fs::read_to_string(run.join("run.toml")).unwrap();
        let begin = text.find("[[robot]]").unwrap();
        let end = begin + text[begin..].find("\n[training").unwrap();
        let text = [&text[..begin], &text[end..]].concat();
        let on = |now: &str| {
            std::fs::write(run.join("run.toml"), text.replace(&plant, now)).unwrap();
        };
        on(&other);
        resume().unwrap();
        on(&plant);
        // Nothing tells then that it is another robot, but for its channels.
        let text = std::fs::read_to_string(run.join("run.toml")).unwrap();
        let narrow = folder.path().join(format!("mine/narrow-{agent}.toml"));
        let (head, rest) = EXAMPLE.split_once("[[observation]]").unwrap();
        let (_, rest) = rest.split_once("[[observation]]").unwrap();
        std::fs::write(&narrow, [head, "[[observation]]", rest].concat()).unwrap();
        std::fs::write(
            run.join("run.toml"),
            text.replace(&plant, narrow.to_str().unwrap()),
        )
        .unwrap();
        let said = resume().err().unwrap().to_string();
        assert!(
            said.contains("6 observations and 2 actions, the plant has 5 and 2 now"),
            "{said}"
        );
    }
}

#[test]
fn mujoco_an_oracle_is_told_no_more_than_a_policy_can_take() {
    use std::fmt::Write as _;
    let folder = tempfile::tempdir().unwrap();
    let mut text = include_str!("../../../examples/robots/balancer.toml").to_owned();
    let model = include_str!("../../../examples/robots/balancer.xml");
    std::fs::write(folder.path().join("balancer.xml"), model).unwrap();
    for index in 0..130 {
        let noise = "observation_noise = { observations = [\"*\"] }";
        let _ = writeln!(
            text,
            "[[hidden]]\nname = \"n{index}\"\ntraining = [0.0, 1e-3]\n{noise}"
        );
    }
    let file = folder.path().join("many.toml");
    std::fs::write(&file, text).unwrap();
    let name = file.to_str().unwrap();
    let settings = Settings::preset(name).unwrap();
    let check = |agent| {
        let run = Run::new(Plants::built_in().open(name).unwrap(), agent, 0);
        Trainer::check(&run, &settings)
    };
    check(Agent::Trmrl).unwrap();
    let said = check(Agent::Oracle).unwrap_err().to_string();
    assert!(
        said.contains("many.toml") && said.contains("at most 128 in all"),
        "{said}"
    );
}

/// An episode that ends because its goal was reached is no fall; where nothing but a fall ends it, it is one.
#[test]
fn mujoco_a_goal_that_was_reached_is_no_fall() {
    let folder = tempfile::tempdir().unwrap();
    let model = include_str!("../../../examples/robots/balancer.xml");
    std::fs::write(folder.path().join("balancer.xml"), model).unwrap();
    let file = folder.path().join("reaches.toml");
    let anywhere = "within_m_per_s = 50.0 }\nreached = { steps = 5 }";
    std::fs::write(&file, EXAMPLE.replace("within_m_per_s = 0.25 }", anywhere)).unwrap();
    let iterate = |name: &str| {
        let mut settings = Settings::preset(name).unwrap();
        (settings.trial.trials, settings.trial.steps) = (2, 100);
        settings.ppo.minibatches = 1;
        let run = Run::new(Plants::built_in().open(name).unwrap(), Agent::Trmrl, 0);
        let mut trainer = Trainer::new(run, settings, &Device::Cpu).unwrap();
        trainer.iterate().unwrap()
    };
    assert!(iterate(FILE).episodes.unwrap().falls > 0.0);
    let point = iterate(file.to_str().unwrap());
    let episodes = point.episodes.unwrap();
    // Every episode ended in its fifth step.
    let earned = episodes.undisturbed_return;
    assert!(earned > 0.0 && earned < 0.1 * point.episode_return);
    assert_eq!((episodes.falls, episodes.diverged_steps), (0.0, 0));
}
