//! What a learner computes on a device without fused operations, such as a GPU, shown on the processor:
//! plain candle operations alone, each minibatch in one piece.
//!
//! They must give what the fused operations give, up to the order of sums. A fused operation that has no
//! plain form is an error there (`fused::with_plain`), and so is a variable without gradient.

use candle_core::Device;

use super::Training;
use super::batch::{Batch, critic_features};
use super::config::{CriticInput, HeadInput, Positions, Settings};
use super::critic::{Critic, initial_critic};
use super::fused::with_plain;
use super::learner::{Learner, Update};
use super::policy::{Policy, initial_policy};
use super::rollout::Rollout;
use super::statistics::Statistics;
use super::{Preset, Run, Trainer};
use engram_export::checkpoint::Agent;
use engram_plants::{PlantFactory, Stream, random_stream};

/// Small, but with sequences of several blocks of plain attention.
fn small(positions: Positions, head_input: HeadInput) -> Settings {
    let mut settings = Settings::preset("pendulum").unwrap();
    settings.model.model = 8;
    settings.model.heads = 2;
    settings.model.ff = 12;
    settings.model.window = 4;
    settings.model.hidden = [8, 8];
    settings.model.positions = positions;
    settings.model.head_input = head_input;
    settings.trial.trials = 6;
    settings.trial.steps = 50;
    settings.ppo.minibatches = 2;
    settings.ppo.epochs = 2;
    settings.ppo.shards = 2;
    settings.ppo.steps = 3 * 300;
    settings.critic.hidden = 8;
    settings
}

/// The settings as a GPU's learner would follow them.
fn in_one_piece(mut settings: Settings) -> Settings {
    settings.ppo.shards = 1;
    settings
}

fn run(agent: Agent) -> Run {
    Run::new(PlantFactory::open("pendulum").unwrap(), agent, 4)
}

/// Gradients of policy and critic by their optimisers' running means after one update, and what it told.
fn one_update(agent: Agent, mut settings: Settings) -> ([Vec<f32>; 2], Update) {
    settings.ppo.minibatches = 1;
    settings.ppo.epochs = 1;
    let start = Trainer::new(run(agent), settings.clone(), &Device::Cpu).unwrap();
    let policy = start.policy().unwrap();
    let rollout = Rollout {
        plant: &run(agent).plant,
        policy: &policy,
        settings: &settings.trial,
        seed: 4,
    };
    let trajectories = rollout.collect(0).unwrap();
    let mut memories = Statistics::new(policy.config().inputs());
    for trajectory in &trajectories {
        memories.add(&trajectory.memories);
    }
    let observations = policy.config().observations();
    let normalizer = memories.normalizer(observations, &settings.normalizer);

    let mut random = random_stream(5, Stream::Weights, 0);
    let config = policy.config();
    let tensors = initial_policy(&config, &settings.initial, &mut random);
    let actor = Policy::new(&config, &tensors, &Device::Cpu).unwrap();
    let mut privileged = Vec::new();
    let plant = run(agent).plant.make();
    plant.privileged(&mut privileged);
    let features = critic_features(&settings, &config, privileged.len());
    let belief = Some((privileged.len(), config.encoded()));
    let critic = initial_critic(features, &settings.critic, belief, &mut random);
    let critic = Critic::new(&critic, &Device::Cpu).unwrap();
    let mut batch = Batch::new(&trajectories, &settings, &config, &normalizer);
    let mut learner = Learner::new(actor, critic, &settings, &Device::Cpu).unwrap();
    let values = learner.values(&batch).unwrap();
    batch.judge(&trajectories, &settings, &values, 1.0);
    let told = learner.update(&batch, 0, &mut random).unwrap();
    let means = [
        learner.actor_optimizer.mean.clone(),
        learner.critic_optimizer.mean.clone(),
    ];
    (means, told)
}

fn assert_close(a: &[f32], b: &[f32], tolerance: f32, what: &str) {
    let largest = b.iter().fold(0.0f32, |max, x| max.max(x.abs()));
    assert!(largest > 0.0 && a.len() == b.len(), "{what}");
    let difference = a
        .iter()
        .zip(b)
        .fold(0.0f32, |max, (a, b)| max.max((a - b).abs()));
    assert!(
        difference <= tolerance * largest,
        "{what}: {difference} of {largest}"
    );
}

fn numbers(update: &Update) -> [f32; 4] {
    [
        update.entropy as f32,
        update.value_loss as f32,
        update.belief_error as f32,
        update.gradient as f32,
    ]
}

fn assert_same_update(agent: Agent, settings: Settings) {
    let what = format!("{agent:?}, {:?}", settings.model);
    let (fused, told) = one_update(agent, settings.clone());
    let (plain, plain_told) = with_plain(true, || one_update(agent, in_one_piece(settings)));
    for (part, (fused, plain)) in ["policy", "critic"].iter().zip(fused.iter().zip(&plain)) {
        assert_close(plain, fused, 2e-5, &format!("{part}, {what}"));
    }
    assert_close(&numbers(&plain_told), &numbers(&told), 1e-5, &what);
}

#[test]
fn plain_gradients_are_the_fused_ones() {
    for positions in [Positions::Age, Positions::Slot] {
        for head_input in [HeadInput::Mixed, HeadInput::Encoder] {
            assert_same_update(Agent::Trmrl, small(positions, head_input));
        }
    }
    for agent in [Agent::OneStep, Agent::Markov] {
        assert_same_update(agent, small(Positions::Age, HeadInput::Mixed).one_step());
    }
    for agent in [Agent::Oracle, Agent::Rl2] {
        assert_same_update(agent, small(Positions::Age, HeadInput::Mixed));
    }
}

/// Whole training runs drift apart only as fast as rounding does.
fn assert_same_run(settings: Settings) {
    let mut fused = Trainer::new(run(Agent::Trmrl), settings.clone(), &Device::Cpu).unwrap();
    with_plain(true, || {
        let settings = in_one_piece(settings);
        let mut plain = Trainer::new(run(Agent::Trmrl), settings, &Device::Cpu).unwrap();
        while !plain.finished() {
            let plain = plain.iterate().unwrap();
            let fused = with_plain(false, || fused.iterate()).unwrap();
            let what = format!("iteration {}", plain.iteration);
            assert_close(&[plain.reward as f32], &[fused.reward as f32], 1e-3, &what);
            assert_close(
                &numbers(&plain.update),
                &numbers(&fused.update),
                1e-2,
                &what,
            );
        }
    });
}

#[test]
fn a_plain_run_follows_the_fused_one() {
    assert_same_run(small(Positions::Age, HeadInput::Mixed));
}

/// Minibatches of windows that are cleared at episodes, a Gaussian critic, on memories or on the encoder.
#[test]
fn the_papers_options_have_plain_forms() {
    for input in [CriticInput::Memory, CriticInput::Encoder] {
        let mut settings = small(Positions::Slot, HeadInput::Encoder);
        let paper = Settings::preset_of(Preset::Paper, "half-cheetah-vel").unwrap();
        let (trial, ppo) = (settings.trial.clone(), settings.ppo.clone());
        settings.trial = paper.trial;
        (settings.trial.trials, settings.trial.steps) = (trial.trials, trial.steps);
        settings.trial.episode_steps = 21;
        settings.ppo = paper.ppo;
        (settings.ppo.epochs, settings.ppo.steps) = (ppo.epochs, ppo.steps);
        settings.ppo.minibatch_steps = 90;
        settings.critic = paper.critic;
        settings.critic.hidden = 8;
        settings.critic.input = input;
        settings.belief = paper.belief;
        assert_same_run(settings);
    }
}

/// The switch that these tests rest on does reach the learner's threads.
#[test]
fn fused_operations_are_refused_where_plain_ones_are_asked_for() {
    use candle_core::{DType, Tensor};

    use super::fused::Mlp;

    let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
    let weight = candle_core::Var::from_tensor(&zeros(&[3, 2])).unwrap();
    let (x, bias) = (zeros(&[4, 2]), zeros(&[3]));
    let (network, layers) = (Mlp::default(), [(weight.as_tensor(), &bias)]);
    let result = network.forward(&x, &layers).unwrap();
    let error = with_plain(true, || result.backward().err().unwrap());
    assert!(error.to_string().contains("plain ones"), "{error}");
    assert!(with_plain(true, || network.forward(&x, &layers)).is_ok());
}
