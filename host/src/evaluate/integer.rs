//! The integer policy of an image, as a board computes it.

use engram_export::PackedWeights;
use engram_firmware::policy::{AttentionHook, LargestMemory, Memory};
use engram_image::Image;

use super::trace::Attention;
use super::{Controller, Moment};

/// The policy of an image with its memory.
pub struct Integer<'a> {
    image: &'a Image<'a>,
    weights: PackedWeights,
    memory: Box<Memory>,
    wiped: bool,
    attention: Option<Attention>,
}

impl<'a> Integer<'a> {
    /// With an empty memory; `wiped` empties it again before every step.
    #[must_use]
    pub fn new(image: &'a Image<'a>, wiped: bool) -> Self {
        Self {
            image,
            weights: PackedWeights::new(image),
            memory: Box::<LargestMemory>::default(),
            wiped,
            attention: None,
        }
    }

    /// The same, and keeps where it looks: see [`Integer::attention`].
    #[must_use]
    pub fn watched(image: &'a Image<'a>) -> Self {
        let attention = Attention {
            layers: image.config.layers,
            window: image.config.window,
            weight: Vec::new(),
        };
        Self {
            attention: Some(attention),
            ..Self::new(image, false)
        }
    }

    /// Attention of every step since the memory was last cleared, for a watched policy.
    #[must_use]
    pub fn attention(self) -> Option<Attention> {
        self.attention
    }
}

impl Controller for Integer<'_> {
    fn clear(&mut self) {
        self.memory.clear();
        if let Some(attention) = &mut self.attention {
            attention.weight.clear();
        }
    }

    fn step(&mut self, moment: &Moment<'_>, words: &mut [i16]) {
        if self.wiped {
            self.memory.clear();
        }
        let policy = self.weights.policy(self.image);
        let done = match &mut self.attention {
            None => policy.step(&mut self.memory, moment, words, &mut ()),
            Some(attention) => {
                let row = attention.layers * attention.window;
                let start = attention.weight.len();
                attention.weight.resize(start + row, 0.0);
                let mut watcher = Watcher {
                    window: attention.window,
                    share: 1.0 / self.image.config.heads as f32,
                    weight: attention.weight.get_mut(start..).unwrap_or_default(),
                };
                policy.step(&mut self.memory, moment, words, &mut watcher)
            }
        };
        // Only wrong lengths are an error, and a subject is checked against its plant before it flies.
        debug_assert!(done.is_ok(), "{done:?}");
    }
}

/// Adds up the attention of one step over the heads.
struct Watcher<'a> {
    window: usize,
    share: f32,
    weight: &'a mut [f32],
}

impl AttentionHook for Watcher<'_> {
    fn attention(&mut self, layer: usize, _head: usize, age: usize, weight: u32, total: u32) {
        if total > 0
            && let Some(sum) = self.weight.get_mut(layer * self.window + age)
        {
            *sum += self.share * weight as f32 / total as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use engram_export::FloatPolicy;
    use engram_image::random::spec;
    use engram_image::write::write;

    use super::*;
    use crate::evaluate::Float;
    use crate::measure::shapes;
    use engram_export::network::Network;
    use engram_plants::{Stream, random_stream};
    use engram_train::Settings;
    use engram_train::init::initial_tensors;

    /// Feeds `steps` working memories that differ from step to step; returns the last words.
    fn feed(
        controller: &mut dyn Controller,
        observations: usize,
        actions: usize,
        steps: usize,
    ) -> Vec<i16> {
        let mut words = vec![0; actions];
        for step in 0..steps {
            let observation: Vec<f32> = (0..observations)
                .map(|k| ((step * 7 + k * 3) % 11) as f32 / 11.0)
                .collect();
            let issued = words.clone();
            let moment = Moment {
                observation: &observation,
                issued: &issued,
                reward: 0.5,
                done: false,
            };
            controller.step(&moment, &mut words);
        }
        words
    }

    fn check(attention: &Attention, steps: usize) {
        assert_eq!(
            attention.weight.len(),
            steps * attention.layers * attention.window
        );
        for step in 0..steps {
            for layer in 0..attention.layers {
                let row: Vec<f32> = (0..attention.window)
                    .map(|age| attention.at(step, layer, age))
                    .collect();
                assert!(
                    (row.iter().sum::<f32>() - 1.0).abs() < 1e-3,
                    "step {step}: {row:?}"
                );
                assert!(
                    row.iter().skip(step + 1).all(|weight| *weight == 0.0),
                    "nothing is that old yet"
                );
            }
        }
    }

    #[test]
    fn attention_is_a_distribution_over_what_has_been_seen() {
        for shape in shapes() {
            let config = shape.config;
            let steps = 2 * config.window.min(25) + 3;
            let bytes = write(&spec(&config, 2)).unwrap();
            let image = Image::read(&bytes).unwrap();
            let mut integer = Integer::watched(&image);
            feed(&mut integer, config.observations, config.actions, steps);
            check(&integer.attention().unwrap(), steps);

            let initial = Settings::preset("pendulum").unwrap().initial;
            let tensors =
                initial_tensors(&config, &initial, &mut random_stream(1, Stream::Weights, 0));
            let policy = FloatPolicy::from_tensors(config, 10.0, &tensors).unwrap();
            let network = Network::from(policy.clone());
            let mut float = Float::watched(&network);
            feed(&mut float, config.observations, config.actions, steps);
            let (attention, memory) = float.seen().unwrap();
            check(&attention, steps);
            assert_eq!(memory.encoded.len(), steps * config.model);
            assert_eq!(memory.embedded.len(), memory.encoded.len());
            assert_eq!(memory.risk.len(), steps * config.layers);
            // One memory alone agrees with itself.
            assert!(memory.risk[..config.layers].iter().all(|risk| *risk < 1e-6));
            let differ = memory
                .risk
                .iter()
                .skip(config.layers)
                .any(|risk| *risk > 1e-6);
            assert_eq!(differ, config.window > 1);
        }
    }

    #[test]
    fn a_wiped_policy_depends_on_the_newest_working_memory_alone() {
        let shape = shapes()[0];
        let bytes = write(&spec(&shape.config, 3)).unwrap();
        let image = Image::read(&bytes).unwrap();
        let mut wiped = Integer::new(&image, true);
        let mut fresh = Integer::new(&image, false);
        let moment = Moment {
            observation: &[0.3, -0.2, 0.9],
            issued: &[120],
            reward: 0.1,
            done: false,
        };
        let (mut first, mut second) = ([0; 1], [0; 1]);
        feed(&mut wiped, 3, 1, 20);
        wiped.step(&moment, &mut first);
        fresh.step(&moment, &mut second);
        assert_eq!(first, second);
    }
}
