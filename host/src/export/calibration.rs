//! The closed loops that an export needs: trials to take ranges from, and one to record.
//!
//! Tasks come from a seed stream of their own: quantization never sees a held-out task, and never
//! chooses anything by what it is evaluated on.

use std::sync::Arc;

use engram_export::{FloatPolicy, GoldenInput, GoldenSource, Trial};
use rand::{Rng, RngExt};
use rayon::prelude::*;

use engram_plants::{
    Driven, PlantFactory, Start, Stream, Task, TaskSet, UnknownChange, random_stream,
};

/// The task of the golden trace, far behind those of calibration.
const GOLDEN_INDEX: u64 = u64::MAX;

/// Flies the f32 policy through `count` trials of the plant's protocol, with its changes taken in turn,
/// and returns the working memories. The same for every number of threads.
///
/// # Errors
/// [`UnknownChange`] when the plant does not know one of its own changes.
pub fn trials(
    policy: &FloatPolicy,
    plant: &PlantFactory,
    seed: u64,
    count: usize,
) -> Result<Vec<Trial>, UnknownChange> {
    (0..count as u64)
        .into_par_iter()
        .map_init(
            || Driven::new(plant.make()),
            |driven, index| trial(policy, driven, seed, index),
        )
        .collect()
}

fn trial(
    policy: &FloatPolicy,
    driven: &mut Driven,
    seed: u64,
    index: u64,
) -> Result<Trial, UnknownChange> {
    let spec = Arc::clone(driven.spec());
    let (protocol, changes) = (&spec.protocol, &spec.changes);
    let change = changes
        .get(index as usize % changes.len().max(1))
        .map(|change| &*change.name);
    let (task, start, mut random) = draw(driven, seed, index);
    let change_step = random.random_range(protocol.change_steps.0..=protocol.change_steps.1);
    let mut state = policy.new_state();
    let mut mean = vec![0.0; policy.config().actions];
    let mut memories = Vec::with_capacity(protocol.episodes * protocol.episode_steps);
    driven.begin(&task, start);
    for episode in 0..protocol.episodes {
        if episode > 0 {
            driven.restart(Start::Usual);
        }
        for step in 0..protocol.episode_steps {
            if episode + 1 == protocol.episodes
                && step == change_step
                && let Some(change) = change
            {
                driven.plant_mut().apply(change)?;
            }
            policy.step(&mut state, driven.working_memory(), &mut mean);
            memories.push(driven.working_memory().to_vec());
            driven.act(&mean);
            set_up_again(driven);
        }
    }
    Ok(memories)
}

/// A robot that fell does not stay where it lies: no policy was trained there, and no range should be taken from it.
fn set_up_again(driven: &mut Driven) {
    if driven.plant().ended() {
        driven.restart(Start::Usual);
    }
}

fn draw(driven: &Driven, seed: u64, index: u64) -> (Task, u64, engram_plants::Random) {
    let mut random = random_stream(seed, Stream::Calibration, index);
    let task = driven.plant().sample_task(TaskSet::Training, &mut random);
    let start = random.next_u64();
    (task, start, random)
}

/// The closed loop of the golden trace: one task, its first episode ended early so that the trace holds
/// memories of two.
pub struct GoldenLoop {
    driven: Driven,
    step: usize,
    restart_at: usize,
}

impl GoldenLoop {
    /// On a task of the calibration stream; the first episode ends before step `restart_at`.
    #[must_use]
    pub fn new(plant: &PlantFactory, seed: u64, restart_at: usize) -> Self {
        let mut driven = Driven::new(plant.make());
        let (task, start, _) = draw(&driven, seed, GOLDEN_INDEX);
        driven.begin(&task, start);
        Self {
            driven,
            step: 0,
            restart_at,
        }
    }
}

impl GoldenSource for GoldenLoop {
    fn next(&mut self, words: Option<&[i16]>) -> GoldenInput {
        if let Some(words) = words {
            self.driven.act_words(words);
            self.step += 1;
            set_up_again(&mut self.driven);
        }
        if self.step == self.restart_at {
            self.driven.restart(Start::Usual);
        }
        GoldenInput {
            observation: self.driven.plant().observe().to_vec(),
            reward: self.driven.reward(),
            done: self.driven.done(),
            issued: self.driven.issued().to_vec(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use engram_export::tensors::{Tensor, expected};
    use engram_export::{Checkpoint, Options, export, golden_steps};
    use engram_image::{HeadInput, Image, ModelConfig, Positions};

    use super::*;
    use engram_export::checkpoint::Agent;
    use engram_export::network::Network;
    use engram_plants::pendulum;

    fn plant() -> PlantFactory {
        PlantFactory::open(pendulum::NAME).expect("built in")
    }

    /// An untrained policy of the pendulum.
    pub(crate) fn checkpoint() -> Checkpoint {
        let config = ModelConfig {
            observations: 3,
            actions: 1,
            layers: 1,
            heads: 2,
            model: 8,
            ff: 12,
            window: 7,
            hidden: [10, 9],
            positions: Positions::Age,
            head_input: HeadInput::Mixed,
        };
        let mut random = random_stream(3, Stream::Weights, 0);
        let mut tensor = |(name, shape): (String, Vec<usize>)| {
            let count = shape.iter().product();
            let (low, high) = if name == "normalizer.std" {
                (0.5, 1.0)
            } else {
                (-0.3, 0.3)
            };
            let values = (0..count).map(|_| random.random_range(low..high)).collect();
            (name, Tensor { shape, values })
        };
        let tensors = expected(&config).into_iter().map(&mut tensor).collect();
        Checkpoint {
            plant: pendulum::NAME.to_owned(),
            agent: Agent::Trmrl,
            version: "0.1.0".to_owned(),
            seed: 1,
            steps: 0,
            training_return: 0.0,
            network: Network::new(&config.into(), 5.0, &tensors).expect("parameters"),
            contract: None,
            robot: Vec::new(),
            training: toml::Table::new(),
        }
    }

    /// The image of [`checkpoint`].
    pub(crate) fn image() -> Vec<u8> {
        let checkpoint = checkpoint();
        let (plant, policy) = (plant(), checkpoint.transformer().expect("one"));
        let recorded = trials(policy, &plant, 1, 3).expect("trials");
        let mut golden = GoldenLoop::new(&plant, 1, golden_steps(policy.config()) / 2);
        let options = Options::default();
        let contract = plant.spec().contract();
        export(
            &checkpoint,
            &contract,
            &recorded,
            &mut golden,
            &options,
            "0.1.0",
        )
        .expect("an image")
        .bytes
    }

    #[test]
    fn trials_are_whole_and_do_not_depend_on_threads() {
        let checkpoint = checkpoint();
        let policy = checkpoint.transformer().expect("one");
        let many = trials(policy, &plant(), 1, 8).expect("trials");
        let protocol = plant().spec().protocol.clone();
        assert!(
            many.iter()
                .all(|trial| trial.len() == protocol.episodes * protocol.episode_steps)
        );
        let dones = many[0]
            .iter()
            .filter(|memory| memory.last() == Some(&1.0))
            .count();
        assert_eq!(dones, protocol.episodes - 1);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .expect("a pool");
        assert_eq!(
            pool.install(|| trials(policy, &plant(), 1, 8))
                .expect("trials"),
            many
        );
    }

    #[test]
    fn the_golden_trace_is_a_trial_of_two_episodes() {
        let bytes = image();
        let image = Image::read(&bytes).expect("an image");
        let steps = golden_steps(&image.config);
        let ends: Vec<_> = image.golden.iter().map(|step| step.done).collect();
        assert_eq!(ends.len(), steps);
        assert_eq!(ends.iter().position(|done| *done), Some(steps / 2));
        assert_eq!(
            image.golden.iter().next().map(|step| step.reward),
            Some(0.0)
        );
        assert_eq!(
            super::tests::image(),
            bytes,
            "the same run gives the same image"
        );
    }
}
