//! What is evaluated: anything that turns working memories into command words.

use engram_firmware::policy::WorkingMemory;
use engram_image::Contract;
use engram_kernels::{command_from_word, word_from_command};
use rand::RngExt;

use crate::classical::{Cascade, Classical, Gains, Limits, Tuning};
use engram_plants::Task;
use engram_plants::quadrotor::Hidden;

/// What a controller is told at one control step: the working memory of a policy.
pub type Moment<'a> = WorkingMemory<'a>;

/// One controller in one trial.
pub trait Controller {
    /// Forgets everything: the next step is the first of a trial.
    fn clear(&mut self);
    /// One control step; writes the wanted command words, one per action channel.
    fn step(&mut self, moment: &Moment<'_>, words: &mut [i16]);
}

/// Always asks for the safe command.
#[derive(Clone, Debug)]
pub struct Zero {
    words: Vec<i16>,
}

impl Zero {
    /// For the plant with this contract.
    #[must_use]
    pub fn new(contract: &Contract<'_>) -> Self {
        let words = contract
            .actions
            .iter()
            .map(|a| word_from_command(a.safe, a.min, a.max))
            .collect();
        Self { words }
    }
}

impl Controller for Zero {
    fn clear(&mut self) {}

    fn step(&mut self, _moment: &Moment<'_>, words: &mut [i16]) {
        words.copy_from_slice(&self.words);
    }
}

/// Uniformly random words, new ones at every step.
#[derive(Clone, Debug)]
pub struct Random {
    seed: u64,
    random: engram_plants::Random,
}

impl Random {
    /// The random controller number `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            random: engram_plants::random_stream(
                seed,
                engram_plants::Stream::HeldOut,
                u64::MAX - 1,
            ),
        }
    }
}

impl Controller for Random {
    fn clear(&mut self) {
        *self = Self::new(self.seed);
    }

    fn step(&mut self, _moment: &Moment<'_>, words: &mut [i16]) {
        for word in words {
            *word = self.random.random_range(-i16::MAX..=i16::MAX);
        }
    }
}

/// The classical adaptive controller, for plants of the pendulum's contract (cosine, sine, rate; one torque).
#[derive(Clone, Debug)]
pub struct Classic {
    classical: Classical,
    range: (f32, f32),
}

impl Classic {
    /// With the measured best tuning.
    #[must_use]
    pub fn new(contract: &Contract<'_>) -> Self {
        let range = contract
            .actions
            .iter()
            .next()
            .map_or((-1.0, 1.0), |action| (action.min, action.max));
        let limits = Limits {
            period_s: f64::from(contract.period_us) * 1e-6,
            command: f64::from(range.1),
        };
        Self {
            classical: Classical::new(limits, Tuning::pendulum()),
            range,
        }
    }

    /// Whether this controller knows how to fly a plant with this contract.
    #[must_use]
    pub fn fits(contract: &Contract<'_>) -> bool {
        let names = ["cos_angle", "sin_angle", "rate"];
        let observed = contract.observations.iter().map(|channel| channel.name);
        contract.actions.len() == 1
            && observed.eq(names)
            && contract
                .actions
                .iter()
                .all(|action| action.min == -action.max)
    }
}

impl Controller for Classic {
    fn clear(&mut self) {
        self.classical.clear();
    }

    fn step(&mut self, moment: &Moment<'_>, words: &mut [i16]) {
        let (&[cosine, sine, rate], &[issued]) = (moment.observation, moment.issued) else {
            return;
        };
        let issued = f64::from(command_from_word(issued, self.range.0, self.range.1));
        let angle = f64::from(sine).atan2(f64::from(cosine));
        let command = self
            .classical
            .step(angle, f64::from(rate), issued, moment.done);
        for word in words {
            *word = word_from_command(command as f32, self.range.0, self.range.1);
        }
    }
}

/// The cascaded controller of quadrotors, which knows the craft of its trial as it was built.
#[derive(Clone, Debug)]
pub struct Cascaded {
    fresh: Cascade,
    cascade: Cascade,
}

impl Cascaded {
    /// For the craft of a task.
    #[must_use]
    pub fn new(task: &Task) -> Self {
        let craft = Hidden::from(task).nominal().body();
        let fresh = Cascade::new(craft, Gains::tuned());
        Self {
            cascade: fresh.clone(),
            fresh,
        }
    }
}

impl Controller for Cascaded {
    fn clear(&mut self) {
        self.cascade = self.fresh.clone();
    }

    fn step(&mut self, moment: &Moment<'_>, words: &mut [i16]) {
        if moment.done {
            self.cascade.restart();
        }
        let commands = self.cascade.step(moment.observation);
        for (word, command) in words.iter_mut().zip(commands) {
            *word = word_from_command(command, -1.0, 1.0);
        }
    }
}
