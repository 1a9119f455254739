//! The integer policy of an image, as a board computes it.

use engram_firmware::policy::{self, Memory, Observer};
use engram_image::Image;

use super::{Controller, Moment};
use crate::report::Attention;

/// The policy of an image with its memory.
pub struct Integer<'a> {
    image: &'a Image<'a>,
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
            memory: Box::new(Memory::new()),
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
        let done = match &mut self.attention {
            None => policy::step(self.image, &mut self.memory, moment, words, &mut ()),
            Some(attention) => {
                let row = attention.layers * attention.window;
                let start = attention.weight.len();
                attention.weight.resize(start + row, 0.0);
                let mut watcher = Watcher {
                    window: attention.window,
                    share: 1.0 / self.image.config.heads as f32,
                    weight: attention.weight.get_mut(start..).unwrap_or_default(),
                };
                policy::step(self.image, &mut self.memory, moment, words, &mut watcher)
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

impl Observer for Watcher<'_> {
    fn attention(&mut self, layer: usize, _head: usize, age: usize, weight: u32, total: u32) {
        if total > 0
            && let Some(sum) = self.weight.get_mut(layer * self.window + age)
        {
            *sum += self.share * weight as f32 / total as f32;
        }
    }
}
