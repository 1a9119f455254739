//! The trainer as a whole, on runs so small that they take a moment.

use candle_core::{Device, Tensor};
use engram_export::checkpoint::Agent;
use engram_export::{Checkpoint, FloatObserver, FloatPolicy, Parameters, Site};
use engram_image::{HeadInput, ModelConfig, Positions};
use rand::RngExt;

use super::Training;
use super::actor::Actor;
use super::batch::LEAST_SIGNAL;
use super::config::{Initial, Settings};
use super::init::initial_tensors;
use super::policy::Policy;
use super::ppo;
use super::resume::{TRAINER_FILE, TrainerState};
use super::rollout::Rollout;
use super::{CURVE_FILE, Run, TrainError, Trainer, curve};
use engram_plants::{PlantFactory, Stream, random_stream};

fn tiny(positions: Positions, head_input: HeadInput) -> Settings {
    let mut settings = Settings::preset("pendulum").unwrap();
    settings.model.model = 8;
    settings.model.heads = 2;
    settings.model.ff = 12;
    settings.model.window = 4;
    settings.model.hidden = [8, 8];
    settings.model.positions = positions;
    settings.model.head_input = head_input;
    settings.initial.last_layer_gain = 1.0;
    settings.trial.trials = 8;
    settings.trial.steps = 20;
    settings.ppo.minibatches = 2;
    settings.ppo.epochs = 2;
    settings.ppo.target_kl = 0.0;
    settings.ppo.steps = 4 * 160;
    settings.critic.hidden = 8;
    settings
}

fn run(seed: u64) -> Run {
    Run::new(PlantFactory::open("pendulum").unwrap(), Agent::Trmrl, seed)
}

fn trainer(seed: u64) -> Trainer {
    Trainer::new(
        run(seed),
        tiny(Positions::Age, HeadInput::Mixed),
        &Device::Cpu,
    )
    .unwrap()
}

/// Random weights, far larger than T-Fixup's, so that attention has something to say.
fn random_policy(config: ModelConfig) -> (Actor, FloatPolicy) {
    let initial = Initial {
        log_std: -0.5,
        age_bias: 0.1,
        embedding_gain: Some(1.0),
        embedding_std: None,
        last_layer_gain: 1.0,
    };
    let mut random = random_stream(3, Stream::Weights, 0);
    let mut tensors = initial_tensors(&config, &initial, &mut random);
    for (name, tensor) in &mut tensors {
        if name.contains("bias") {
            tensor
                .values
                .iter_mut()
                .for_each(|value| *value += random.random_range(-0.5f32..0.5));
        } else if name.contains("in_proj") || name == "embed.weight" {
            tensor.values.iter_mut().for_each(|value| *value *= 3.0);
        }
    }
    let policy = FloatPolicy::new(Parameters::from_tensors(config, 10.0, &tensors).unwrap());
    (Actor::new(config, &tensors, &Device::Cpu).unwrap(), policy)
}

/// The largest activation anywhere in the network.
struct Largest(f32);

impl FloatObserver for Largest {
    fn values(&mut self, _site: Site, values: &[f32]) {
        self.0 = values
            .iter()
            .fold(self.0, |largest, value| largest.max(value.abs()));
    }
}

/// What lets trials be learned in one pass: a whole trial in one banded pass is what streaming computes, far beyond the window.
#[test]
fn a_trial_in_one_pass_equals_streaming() {
    for positions in [Positions::Age, Positions::Slot] {
        for head_input in [HeadInput::Mixed, HeadInput::Encoder] {
            let config = ModelConfig {
                observations: 3,
                actions: 2,
                layers: 3,
                heads: 4,
                model: 16,
                ff: 24,
                window: 7,
                hidden: [12, 10],
                positions,
                head_input,
            };
            let (actor, policy) = random_policy(config);
            let (trials, steps) = (3, 100);
            let mut random = random_stream(4, Stream::Weights, 1);
            let inputs: Vec<f32> = (0..trials * steps * config.inputs())
                .map(|_| random.random_range(-2.0f32..2.0))
                .collect();
            let tensor =
                Tensor::from_slice(&inputs, (trials * steps, config.inputs()), &Device::Cpu)
                    .unwrap();
            let whole: Vec<f32> = actor
                .means(&tensor, trials, steps)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1()
                .unwrap();
            let mut mean = [0.0; 2];
            let (mut largest, mut difference) = (Largest(0.0), 0.0f32);
            for trial in 0..trials {
                let mut state = policy.new_state();
                for step in 0..steps {
                    let row = trial * steps + step;
                    let input = &inputs[row * config.inputs()..][..config.inputs()];
                    policy.step_observed(&mut state, input, &mut mean, &mut largest);
                    for (streamed, whole) in mean.iter().zip(&whole[row * 2..]) {
                        difference = difference.max((streamed - whole).abs());
                    }
                }
            }
            let largest = largest.0;
            assert!(
                difference < 1e-5 * largest,
                "{positions:?} {head_input:?}: {difference} of {largest}"
            );
        }
    }
}

/// The same on the shipped policies, whose weights and activations training has made large, on inputs as wide as
/// those that they were trained on.
#[test]
fn a_trial_in_one_pass_equals_streaming_with_trained_weights() {
    for run in ["pendulum", "half-cheetah-vel"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images");
        let policy = Checkpoint::load(&folder.join(run)).unwrap();
        let policy = policy.transformer().unwrap().clone();
        let config = *policy.config();
        let tensors = policy.parameters().to_tensors();
        let actor = Actor::new(config, &tensors, &Device::Cpu).unwrap();
        let (steps, inputs) = (400, config.inputs());
        let mut random = random_stream(5, Stream::Weights, 1);
        let normalizer = policy.normalizer();
        let raw: Vec<f32> = (0..steps * inputs)
            .map(|entry| {
                let entry = entry % inputs;
                normalizer.mean[entry] + normalizer.std[entry] * random.random_range(-2.0f32..2.0)
            })
            .collect();
        let mut memories = vec![0.0; steps * inputs];
        for (out, raw) in memories
            .chunks_exact_mut(inputs)
            .zip(raw.chunks_exact(inputs))
        {
            normalizer.apply(raw, out);
        }
        let tensor = Tensor::from_vec(memories, (steps, inputs), &Device::Cpu).unwrap();
        let whole = actor.means(&tensor, 1, steps).unwrap();
        let whole: Vec<f32> = whole.flatten_all().unwrap().to_vec1().unwrap();
        let mut state = policy.new_state();
        let mut mean = vec![0.0; config.actions];
        let (mut largest, mut difference) = (Largest(0.0), 0.0f32);
        for (raw, whole) in raw
            .chunks_exact(inputs)
            .zip(whole.chunks_exact(config.actions))
        {
            policy.step_observed(&mut state, raw, &mut mean, &mut largest);
            for (streamed, whole) in mean.iter().zip(whole) {
                difference = difference.max((streamed - whole).abs());
            }
        }
        let share = difference / largest.0;
        println!("{run}: {share:e} of the largest activation");
        assert!(share < 1e-5, "{run}: {difference} of {}", largest.0);
    }
}

/// Before the first update both sides must agree on every probability, or PPO's ratios mean nothing.
#[test]
fn rollout_and_learner_agree_before_the_first_update() {
    for positions in [Positions::Age, Positions::Slot] {
        let settings = tiny(positions, HeadInput::Mixed);
        let trainer = Trainer::new(run(1), settings.clone(), &Device::Cpu).unwrap();
        let policy = trainer.policy().unwrap();
        let rollout = Rollout {
            plant: &PlantFactory::open("pendulum").unwrap(),
            policy: &policy,
            settings: &settings.trial,
            seed: 1,
        };
        let actor = Policy::new(&policy.config(), &policy.tensors(), &Device::Cpu).unwrap();
        for trajectory in rollout.collect(0).unwrap() {
            let (steps, inputs) = (settings.trial.steps, policy.config().inputs());
            let mut memories = vec![0.0; steps * inputs];
            let raw = trajectory.memories.chunks_exact(inputs);
            memories
                .chunks_exact_mut(inputs)
                .zip(raw)
                .for_each(|(out, raw)| policy.normalizer().apply(raw, out));
            let memories = Tensor::from_vec(memories, (steps, inputs), &Device::Cpu).unwrap();
            let actions =
                Tensor::from_slice(&trajectory.actions, (steps, 1), &Device::Cpu).unwrap();
            let means = actor.means(&memories, 1, steps).unwrap();
            let found = ppo::log_probabilities(&actions, &means, actor.log_std().unwrap()).unwrap();
            for (learner, rollout) in found
                .to_vec1::<f32>()
                .unwrap()
                .iter()
                .zip(&trajectory.log_probabilities)
            {
                assert!(
                    (learner - rollout).abs() < 1e-4,
                    "{positions:?}: {learner} against {rollout}"
                );
            }
        }
    }
}

/// Where actions matter, as in every plant that ships, the trials' returns differ far more than the critic errs: what
/// keeps noise from being scaled up changes nothing there.
#[test]
fn ordinary_training_has_a_signal() {
    let mut settings = Settings::preset("pendulum").unwrap();
    settings.trial.trials = 16;
    settings.ppo.steps = 4 * 16 * 300;
    let mut trainer = Trainer::new(run(11), settings, &Device::Cpu).unwrap();
    while !trainer.finished() {
        let point = trainer.iterate().unwrap();
        let signal = point.signal.unwrap();
        assert!(signal > 2.0 * LEAST_SIGNAL, "{signal}");
        // The pendulum does not fall, and its trials are as long as an episode: nothing but rounding is between the two.
        let episodes = point.episodes.unwrap();
        let difference = episodes.undisturbed_return - point.episode_return;
        assert!(difference.abs() < 1e-6 * point.episode_return.abs().max(1.0));
        assert_eq!((episodes.falls, episodes.diverged_steps), (0.0, 0));
    }
}

/// A run of a version whose curve said nothing of episodes goes on, to the same weights, and its new points say it.
#[test]
fn a_run_with_an_older_curve_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = trainer(12);
    whole.iterate().unwrap();
    whole.save(folder.path()).unwrap();
    let path = folder.path().join(CURVE_FILE);
    let older: String = std::fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(|line| line.split(',').take(11).collect::<Vec<_>>().join(",") + "\n")
        .collect();
    std::fs::write(&path, older).unwrap();
    let run_file = folder.path().join("run.toml");
    let text = std::fs::read_to_string(&run_file).unwrap();
    let (begin, end) = (text.find("[contract]"), text.find("[training"));
    let without = [&text[..begin.unwrap()], &text[end.unwrap()..]].concat();
    std::fs::write(&run_file, without).unwrap();
    let mut again = Trainer::resume(folder.path(), None, &Device::Cpu).unwrap();
    assert!(again.curve()[0].episodes.is_none() && again.curve()[0].signal.is_none());
    while !whole.finished() {
        assert_eq!(whole.iterate().unwrap(), again.iterate().unwrap());
    }
    again.save(folder.path()).unwrap();
    let told = curve::read(folder.path()).unwrap();
    assert!(told[0].episodes.is_none() && told[1].episodes.is_some());
    assert_eq!(
        whole.policy().unwrap().tensors(),
        again.policy().unwrap().tensors()
    );
}

/// A run on a plant whose channels are others by now, though as many, does not go on.
#[test]
fn another_contract_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    trainer(13).save(folder.path()).unwrap();
    let path = folder.path().join("run.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let plant = PlantFactory::open("pendulum").unwrap();
    let name = &plant.spec().channels.observations[1].name;
    let noted = format!("name = \"{name}\"");
    assert!(text.contains(&noted), "{text}");
    std::fs::write(&path, text.replacen(&noted, "name = \"other\"", 1)).unwrap();
    let said = Trainer::resume(folder.path(), None, &Device::Cpu)
        .err()
        .unwrap()
        .to_string();
    assert!(
        said.contains("observation 1 'other': name 'other' against"),
        "{said}"
    );
}

/// An iteration fails when a variable gets no gradient (`Variables::add_gradients`); here all of them also
/// move.
#[test]
fn every_variable_trains() {
    for positions in [Positions::Age, Positions::Slot] {
        for head_input in [HeadInput::Mixed, HeadInput::Encoder] {
            let mut trainer =
                Trainer::new(run(2), tiny(positions, head_input), &Device::Cpu).unwrap();
            let before = trainer.policy().unwrap().tensors();
            trainer.iterate().unwrap();
            let after = trainer.policy().unwrap().tensors();
            for (name, tensor) in &before {
                assert_ne!(
                    tensor, &after[name],
                    "{name} did not move with {positions:?}, {head_input:?}"
                );
            }
        }
    }
}

#[test]
fn a_resumed_run_draws_the_same_curve() {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = trainer(5);
    let mut first = trainer(5);
    for _ in 0..2 {
        whole.iterate().unwrap();
        first.iterate().unwrap();
    }
    first.save(folder.path()).unwrap();
    let mut second = Trainer::resume(folder.path(), None, &Device::Cpu).unwrap();
    while !whole.finished() {
        whole.iterate().unwrap();
        second.iterate().unwrap();
    }
    assert!(second.finished());
    // The first two points were rounded by the file.
    assert_eq!(whole.curve()[2..], second.curve()[2..]);
    assert_eq!(
        whole.policy().unwrap().tensors(),
        second.policy().unwrap().tensors()
    );
    let other = folder.path().join("other");
    whole.save(&other).unwrap();
    second.save(folder.path()).unwrap();
    for file in [
        "policy.safetensors",
        "trainer.safetensors",
        "run.toml",
        "curve.csv",
    ] {
        let read = |folder: &std::path::Path| std::fs::read(folder.join(file)).unwrap();
        assert!(read(&other) == read(folder.path()), "{file} differs");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let mut trainer = trainer(6);
            trainer.iterate().unwrap();
            trainer.iterate().unwrap()
        })
    };
    assert_eq!(with_threads(1), with_threads(3));
    assert_ne!(with_threads(1), {
        let mut other = trainer(7);
        other.iterate().unwrap();
        other.iterate().unwrap()
    });
}

#[test]
fn a_torn_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = trainer(8);
    trainer.iterate().unwrap();
    trainer.save(folder.path()).unwrap();
    let older = std::fs::read(folder.path().join("trainer.safetensors")).unwrap();
    trainer.iterate().unwrap();
    trainer.save(folder.path()).unwrap();
    std::fs::write(folder.path().join("trainer.safetensors"), older).unwrap();
    let error = Trainer::resume(folder.path(), None, &Device::Cpu)
        .err()
        .unwrap();
    assert!(error.to_string().contains("different moments"), "{error}");
}

#[test]
fn a_state_of_another_network_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = trainer(8);
    trainer.iterate().unwrap();
    trainer.save(folder.path()).unwrap();
    let path = folder.path().join(TRAINER_FILE);
    type Spoil = fn(&mut TrainerState);
    for (spoil, expected) in [
        (
            (|state| state.actor_optimizer.mean.truncate(5)) as Spoil,
            "adam.actor",
        ),
        (
            |state| state.critic_optimizer.square.push(0.0),
            "adam.critic",
        ),
        (
            |state| state.memories.mean.truncate(1),
            "statistics.memories",
        ),
        (|state| state.returns.square.clear(), "statistics.returns"),
    ] {
        let mut state = TrainerState::load(folder.path()).unwrap();
        spoil(&mut state);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, state.to_bytes().unwrap()).unwrap();
        let error = Trainer::resume(folder.path(), None, &Device::Cpu)
            .err()
            .unwrap();
        assert!(error.to_string().contains(expected), "{error}");
        std::fs::write(&path, good).unwrap();
    }
}

/// Goes on from a checkpoint whose trainer state was changed, and returns what is said.
fn spoiled(change: impl FnOnce(&mut TrainerState)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut trainer = trainer(9);
    trainer.iterate().unwrap();
    trainer.save(folder.path()).unwrap();
    let mut state = TrainerState::load(folder.path()).unwrap();
    change(&mut state);
    let path = folder.path().join(TRAINER_FILE);
    std::fs::write(path, state.to_bytes().unwrap()).unwrap();
    let mut trainer = Trainer::resume(folder.path(), None, &Device::Cpu).unwrap();
    let error = trainer.iterate().unwrap_err();
    assert!(matches!(error, TrainError::Diverged { .. }), "{error}");
    error.to_string()
}

#[test]
fn no_number_stops_the_run_and_names_the_tensor() {
    let said = spoiled(|state| {
        let tensor = state.critic.get_mut("critic.1.weight").unwrap();
        tensor.values[3] = f32::NAN;
    });
    assert_eq!(
        said.split("; ").next().unwrap(),
        "training diverged in iteration 2, at step 320: weight 'critic.1.weight' is NaN"
    );
    // The flat vector's last entries are the last variable's, by name.
    let said = spoiled(|state| *state.actor_optimizer.mean.last_mut().unwrap() = f32::INFINITY);
    assert!(said.contains("weight 'log_std' is -inf"), "{said}");
    // A weight that is only far too large: its square is none any more.
    let said = spoiled(|state| {
        let tensor = state.critic.get_mut("critic.2.weight").unwrap();
        tensor.values.fill(1e38);
    });
    assert!(said.contains("gradient of 'critic."), "{said}");
}

#[test]
fn a_policy_that_moves_too_far_stops_the_run() {
    let mut settings = tiny(Positions::Age, HeadInput::Mixed);
    settings.ppo.max_kl = 1e-9;
    let mut trainer = Trainer::new(run(10), settings, &Device::Cpu).unwrap();
    let said = trainer.iterate().unwrap_err().to_string();
    assert!(said.contains("ppo.max_kl allows 0.000000001"), "{said}");
}

#[test]
fn an_update_that_moves_the_policy_too_far_is_taken_back_and_is_the_last() {
    let mut settings = tiny(Positions::Age, HeadInput::Mixed);
    let iterate = |settings: &Settings| {
        let mut trainer = Trainer::new(run(1), settings.clone(), &Device::Cpu).unwrap();
        let before = trainer.learner().actor.variables().flat().unwrap();
        let told = trainer.iterate().unwrap().update;
        let learner = trainer.learner();
        let moved = before != learner.actor.variables().flat().unwrap();
        (told, learner.actor_optimizer.updates, moved)
    };
    let (free, all, moved) = iterate(&settings);
    assert_eq!((all, moved), (4, true), "two passes over two minibatches");
    settings.ppo.target_kl = 10.0 * free.kl;
    assert_eq!(iterate(&settings), (free, all, true), "it never gets there");
    settings.ppo.target_kl = 1e-6 * free.kl;
    let (told, updates, moved) = iterate(&settings);
    assert_eq!(
        updates, 1,
        "the second minibatch sees what the first has moved"
    );
    assert!(!moved, "the only update stands");
    assert!(told.kl.abs() <= settings.ppo.target_kl, "{told:?}");
    // Means of the updates that were done, not of those that were planned.
    assert!(
        (told.entropy / free.entropy - 1.0).abs() < 0.05,
        "{told:?} {free:?}"
    );
    // The mean over the second pass, which one of its two minibatches exceeds: the updates before the one that went too far stand.
    settings.ppo.target_kl = free.kl;
    let (told, updates, moved) = iterate(&settings);
    assert!((2..4).contains(&updates) && moved, "{updates} of {all}");
    assert!(told.kl <= settings.ppo.target_kl, "{told:?}");
}
