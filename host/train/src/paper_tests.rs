//! The options that the paper's settings need, on runs so small that they take a moment.

use candle_core::{Device, Tensor};

use engram_export::checkpoint::Agent;

use super::Training;
use super::batch::Batch;
use super::config::{CriticInput, CriticLoss, CriticTargets, HeadInput, Positions, Settings};
use super::learner::Learner;
use super::ppo;
use super::rollout::{Rollout, Trajectory};
use super::{Preset, Run, Trainer};
use engram_plants::{PlantFactory, Stream, by_name, random_stream};

/// The paper's settings for half-cheetah-vel in small, on the pendulum.
fn small(head_input: HeadInput) -> Settings {
    let mut settings = Settings::preset_of(Preset::Paper, "half-cheetah-vel").unwrap();
    settings.model.layers = 2;
    settings.model.model = 8;
    settings.model.heads = 2;
    settings.model.ff = 12;
    settings.model.window = 4;
    settings.model.hidden = [8, 8];
    settings.model.head_input = head_input;
    settings.initial.log_std = -0.7;
    settings.trial.trials = 5;
    settings.trial.steps = 30;
    settings.trial.episode_steps = 11;
    settings.ppo.epochs = 2;
    settings.ppo.minibatch_steps = 40;
    settings.ppo.learning_rate = 1e-3;
    settings.ppo.steps = 4 * 150;
    settings.critic.hidden = 8;
    settings
}

fn shared(mut settings: Settings) -> Settings {
    settings.critic.input = CriticInput::Encoder;
    settings
}

fn run() -> Run {
    Run::new(PlantFactory::open("pendulum").unwrap(), Agent::Trmrl, 11)
}

fn trainer(settings: &Settings) -> Trainer {
    Trainer::new(run(), settings.clone(), &Device::Cpu).unwrap()
}

fn collect(trainer: &Trainer, settings: &Settings) -> Vec<Trajectory> {
    let policy = trainer.policy().unwrap();
    let rollout = Rollout {
        plant: &PlantFactory::open("pendulum").unwrap(),
        policy: &policy,
        settings: &settings.trial,
        seed: 11,
    };
    rollout.collect(0).unwrap()
}

fn batch(trainer: &Trainer, settings: &Settings, trajectories: &[Trajectory]) -> Batch {
    let policy = trainer.policy().unwrap();
    let mut batch = Batch::new(
        trajectories,
        settings,
        &policy.config(),
        policy.normalizer(),
    );
    let values = trainer.learner().values(&batch).unwrap();
    batch.judge(trajectories, settings, &values, 1.0);
    batch
}

#[test]
fn every_paper_preset_is_good() {
    for (plant, inputs, actions) in [
        ("half-cheetah-vel", 20, 6),
        ("half-cheetah-dir", 20, 6),
        ("ant-dir", 27, 8),
        ("ant-dir-xy", 27, 8),
    ] {
        let settings = Settings::preset_of(Preset::Paper, plant).unwrap();
        let mut config = settings.model_config(by_name("pendulum").unwrap().spec());
        (config.observations, config.actions) = (inputs, actions);
        config.validate().unwrap();
        assert_eq!(settings.steps_per_iteration(), 8000, "{plant}");
        assert!(!settings.ppo.bootstrap && !settings.ppo.normalize_advantages);
        assert_eq!(settings.critic.loss, CriticLoss::Likelihood);
        assert_eq!(settings.critic.targets, CriticTargets::Returns);
        let shares = settings.critic.input == CriticInput::Encoder;
        assert_eq!(shares, plant != "half-cheetah-vel");
        let numbers: usize = engram_export::tensors::expected(&config)
            .iter()
            .filter(|(name, _)| !name.starts_with("normalizer."))
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        if inputs == 20 {
            assert_eq!(numbers, 807_436, "the policy of the paper's code");
        }
        let text = toml::to_string(&settings.to_table().unwrap()).unwrap();
        assert_eq!(Settings::from_toml(&text, "again").unwrap(), settings);
        // References without windows of several steps must be possible with the same settings.
        let one_step = settings.one_step();
        one_step.check_together(Agent::OneStep).unwrap();
        assert!(one_step.check_together(Agent::Rl2).is_err());
    }
    assert!(Settings::preset_of(Preset::Paper, "pendulum").is_err());
}

#[test]
fn contradictions_are_refused() {
    let good = small(HeadInput::Encoder);
    let said = |change: fn(&mut Settings)| {
        let mut settings = good.clone();
        change(&mut settings);
        let error = Trainer::new(run(), settings, &Device::Cpu).err().unwrap();
        error.to_string()
    };
    let age = said(|settings| settings.model.positions = Positions::Age);
    assert!(age.contains("trial.clear_memory"), "{age}");
    let steps = said(|settings| {
        settings.model.positions = Positions::Age;
        settings.trial.clear_memory = false;
    });
    assert!(steps.contains("ppo.minibatch_steps"), "{steps}");
    let task = said(|settings| {
        settings.critic.input = CriticInput::Encoder;
        settings.critic.sees_task = true;
    });
    assert!(task.contains("critic.sees_task"), "{task}");
    let text = include_str!("../presets/paper/ant-dir.toml").replace("\"slot\"", "\"age\"");
    let line = 1 + text
        .lines()
        .position(|line| line.starts_with("clear_memory"))
        .unwrap();
    let error = Settings::from_toml(&text, "my.toml")
        .unwrap_err()
        .to_string();
    let expected = format!("my.toml:{line}: trial.clear_memory = true needs model.positions");
    assert!(error.starts_with(&expected), "{error}");
}

/// Episodes begin with an empty memory and zeros, and the learner's windows are those of the rollout.
#[test]
fn windows_in_one_pass_equal_streaming() {
    for head_input in [HeadInput::Encoder, HeadInput::Mixed] {
        let settings = small(head_input);
        let trainer = trainer(&settings);
        let trajectories = collect(&trainer, &settings);
        let (steps, inputs) = (settings.trial.steps, 6);
        for trajectory in &trajectories {
            for (step, cleared) in trajectory.cleared.iter().enumerate() {
                assert_eq!(*cleared, step % 11 == 0, "step {step}");
                let memory = &trajectory.memories[step * inputs..][..inputs];
                assert_eq!(*cleared, memory[3..] == [0.0; 3], "step {step}");
                assert_eq!(memory[5], 0.0, "done is seen nowhere");
            }
        }
        let batch = batch(&trainer, &settings, &trajectories);
        let actor = &trainer.learner().actor;
        // Any order of any rows.
        let mut rows: Vec<usize> = (0..batch.trials() * steps).step_by(7).collect();
        rows.reverse();
        let (windows, newest) = batch.gather_windows(&rows, 4, &Device::Cpu).unwrap();
        let (means, _) = actor.forward_windows(&windows, &newest).unwrap();
        let sampled = batch
            .gather(&batch.sampled, 1, &rows, &Device::Cpu)
            .unwrap();
        let found = ppo::log_probabilities(&sampled, &means, actor.log_std().unwrap()).unwrap();
        let found: Vec<f32> = found.to_vec1().unwrap();
        for (row, found) in rows.iter().zip(found) {
            let expected = batch.log_probabilities[*row];
            assert!(
                (found - expected).abs() < 1e-4,
                "{row}: {found}, {expected}"
            );
        }
    }
}

/// The gradient of a minibatch does not depend on how it is cut into shards.
#[test]
fn minibatches_of_windows_add_up() {
    for settings in [small(HeadInput::Encoder), shared(small(HeadInput::Encoder))] {
        let gradient = |shards: usize| {
            let mut settings = settings.clone();
            settings.ppo.shards = shards;
            settings.ppo.epochs = 1;
            settings.ppo.minibatch_steps = 150;
            let trainer = trainer(&settings);
            let trajectories = collect(&trainer, &settings);
            let batch = batch(&trainer, &settings, &trajectories);
            let learner = trainer.learner();
            let (actor, critic) = (learner.actor.clone(), learner.critic.clone());
            let mut learner = Learner::new(actor, critic, &settings, &Device::Cpu).unwrap();
            let mut random = random_stream(1, Stream::Shuffle, 0);
            learner.update(&batch, 0, &mut random).unwrap();
            [
                learner.actor_optimizer.mean.clone(),
                learner.critic_optimizer.mean.clone(),
            ]
        };
        for (whole, parts) in gradient(1).iter().zip(gradient(3)) {
            let tensor = |values: &[f32]| Tensor::new(values, &Device::Cpu).unwrap();
            let largest = |tensor: Tensor| {
                let values = tensor.abs().unwrap().max_all().unwrap();
                values.to_scalar::<f32>().unwrap()
            };
            let difference = largest((tensor(whole) - tensor(&parts)).unwrap());
            let scale = largest(tensor(whole));
            assert!(
                scale > 0.0 && difference < 1e-4 * scale,
                "{difference} of {scale}"
            );
        }
    }
}

#[test]
fn a_shared_encoder_learns_from_both() {
    let settings = shared(small(HeadInput::Encoder));
    let mut trainer = trainer(&settings);
    let before = trainer.policy().unwrap().tensors();
    let point = trainer.iterate().unwrap();
    assert!(point.update.value_loss > 0.0);
    let after = trainer.policy().unwrap().tensors();
    for (name, tensor) in before {
        let frozen = name.starts_with("normalizer.");
        assert_eq!(frozen, tensor == after[&name], "{name}");
    }
    let learner = trainer.learner();
    let both = learner.actor.variables().count() + learner.critic.variables().count();
    assert_eq!(learner.critic_optimizer.mean.len(), both);
    // 150 rows in 4 minibatches, two passes each.
    assert_eq!(learner.actor_optimizer.updates, 8);
    assert_eq!(learner.critic_optimizer.updates, 8);
    let folder = tempfile::tempdir().unwrap();
    trainer.save(folder.path()).unwrap();
    let mut again = Trainer::resume(folder.path(), None, &Device::Cpu).unwrap();
    assert_eq!(again.iterate().unwrap(), trainer.iterate().unwrap());
}

#[test]
fn exploration_keeps_its_least_deviation() {
    let mut settings = small(HeadInput::Encoder);
    settings.ppo.min_std = 0.6;
    settings.initial.log_std = -2.0;
    let mut trainer = trainer(&settings);
    trainer.iterate().unwrap();
    for log_std in trainer.policy().unwrap().log_std() {
        assert!(log_std.exp() > 0.5999, "{log_std}");
    }
}

/// A window of one step is a window too, whatever its positions are.
#[test]
fn references_take_the_same_settings() {
    for settings in [small(HeadInput::Encoder), shared(small(HeadInput::Mixed))] {
        for agent in [Agent::OneStep, Agent::Markov, Agent::Oracle] {
            let run = Run::new(run().plant, agent, run().seed);
            let settings = match agent {
                Agent::Oracle => settings.clone(),
                _ => settings.clone().one_step(),
            };
            let mut trainer = Trainer::new(run, settings, &Device::Cpu).unwrap();
            trainer.iterate().unwrap();
        }
    }
}

/// What is scaled is said by its own key.
#[test]
fn nothing_is_normalised_unless_asked() {
    let settings = small(HeadInput::Encoder);
    let trainer = trainer(&settings);
    let policy = trainer.policy().unwrap();
    assert!(policy.normalizer().mean.iter().all(|mean| *mean == 0.0));
    assert!(policy.normalizer().std.iter().all(|std| *std == 1.0));
    let trajectories = collect(&trainer, &settings);
    let batch = batch(&trainer, &settings, &trajectories);
    // Without a bootstrap, the last step's return is its reward.
    for (trial, trajectory) in trajectories.iter().enumerate() {
        let last = (trial + 1) * settings.trial.steps - 1;
        assert_eq!(
            batch.targets[last],
            trajectory.rewards[settings.trial.steps - 1]
        );
    }
}
