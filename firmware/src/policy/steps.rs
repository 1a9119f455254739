//! What the bench programs of all boards count: control steps into an empty, a filling and a full window, and after a reset.

use core::cell::Cell;
use core::fmt::Arguments;
use core::hint::black_box;

use engram_image::limits::{MAX_ACTIONS, MAX_OBSERVATIONS};
use engram_image::{Image, Layout, Packing, Positions};
use engram_kernels::CacheLine;

use super::{BUFFERS_BYTES, Memory, Packed, Policy, WorkingMemory, counted_macs};
use crate::control::ControlLoop;
use crate::fallback::NoFallback;
use crate::injected::{InjectedSensors, ReportedActuators};
use crate::safety::Settings;
use crate::sensors::Sensors;
use crate::terms::Terms;

/// What a bench program has of its board.
pub trait BenchProgram {
    /// Prints one line.
    fn say(&self, line: Arguments<'_>);

    /// Runs `work` between two marks, which the counter recognises by their addresses, and names the region. `macs`: its
    /// multiply-accumulates; 0 for what has none.
    fn region(&self, name: &str, macs: usize, work: impl FnOnce()) {
        bench_begin();
        work();
        bench_end();
        self.say(format_args!("region {name} {macs}"));
    }
}

/// The counter's first mark.
#[inline(never)]
fn bench_begin() {
    black_box(1);
}

/// Its second mark.
#[inline(never)]
fn bench_end() {
    black_box(2);
}

/// Says the sizes of `image` and its `policy`, and runs steps from an empty memory on random observations, some of them in regions of
/// `program`: `step_empty`, `step_filling`, `step_full` and `step_after_reset`. Says the address ranges of the rings, the
/// multiply-accumulates that a step of plain Rust makes, and a hash of the words, so that two builds can be seen to compute the
/// same.
///
/// `step` takes a working memory and writes the command words, or refuses to.
pub fn count_steps(
    program: &impl BenchProgram,
    image: &Image<'_>,
    policy: &Policy<'_>,
    memory: &mut Memory,
    step: impl Fn(&mut Memory, &WorkingMemory<'_>, &mut [i16]) -> bool,
) {
    let config = &image.config;
    let macs = image.bounds.macs_per_step as usize;
    program.say(format_args!("fact macs {macs}"));
    program.say(format_args!("fact state_bytes {}", policy.state_bytes()));
    program.say(format_args!("fact image_bytes {}", image.total_length));
    // What a board with no more cache than this policy needs would have.
    let memory_bytes = BUFFERS_BYTES + policy.cache_bytes();
    program.say(format_args!("fact memory_bytes {memory_bytes}"));
    let mut run = Run {
        image,
        memory,
        step,
        words: [0; MAX_ACTIONS],
        draw: Draw(1),
        hash: 0xcbf2_9ce4_8422_2325,
    };
    run.memory.clear();
    program.region("step_empty", macs, || run.step(program));
    for _ in 1..config.window / 2 {
        run.step(program);
    }
    program.region("step_filling", macs, || run.step(program));
    for _ in 0..config.window + 3 {
        run.step(program);
    }
    program.region("step_full", macs, || run.step(program));
    let mut cache = run.memory.addresses();
    if config.positions == Positions::Slot {
        // Its keys and values last for a step only; the ring stands before them.
        cache.end = cache.start.wrapping_add(config.state_bytes());
    }
    program.say(format_args!("ring {:x} {:x}", cache.start, cache.end));
    run.memory.clear();
    program.region("step_after_reset", macs, || run.step(program));
    program.say(format_args!("fact words_hash {}", run.hash));
    if image.packing == Packing::Rows {
        count_macs(program, image, run.memory);
    }
}

/// Counts whole control steps ([`ControlSteps`]) of `image` from an empty memory: regions as in [`count_steps`], whose names begin with
/// `control_`.
pub fn count_control_steps(
    program: &impl BenchProgram,
    image: (&Image<'_>, &[u8]),
    packed: (Packed, &[CacheLine]),
    memory: &mut Memory,
) {
    let window = image.0.config.window;
    let Some(mut steps) = ControlSteps::new(image, packed) else {
        return program.say(format_args!("error the image lies elsewhere"));
    };
    let mut run = |memory: &mut Memory, uncounted: usize, name: &str| {
        for _ in 0..uncounted {
            steps.prepare();
            steps.step(memory);
        }
        steps.prepare();
        let mut ran = false;
        program.region(name, 0, || ran = steps.step(memory));
        if !ran {
            program.say(format_args!("error the policy did not run"));
        }
    };
    memory.clear();
    run(memory, 0, "control_empty");
    run(memory, (window / 2).saturating_sub(1), "control_filling");
    run(memory, window + 3, "control_full");
    memory.clear();
    run(memory, 0, "control_after_reset");
}

/// Whole control steps of an armed loop on random samples: what a node does in a step, from the offsets of the weights to the actuators.
#[derive(Debug)]
pub struct ControlSteps<'a> {
    layout: Layout,
    bytes: &'a [u8],
    packed: Packed,
    lines: &'a [CacheLine],
    control: ControlLoop<InjectedSensors, ReportedActuators, NoFallback>,
    period_us: u32,
    observations: usize,
    draw: Draw,
    now_us: u64,
}

impl<'a> ControlSteps<'a> {
    /// A loop that flies the image in `bytes`, packed into the lines. `None`: the image was read from other bytes.
    #[must_use]
    pub fn new(
        (image, bytes): (&Image<'_>, &'a [u8]),
        (packed, lines): (Packed, &'a [CacheLine]),
    ) -> Option<Self> {
        let contract = &image.contract;
        let mut control = ControlLoop::new(
            Terms::of(contract, Settings::for_period(contract.period_us)),
            InjectedSensors::new(),
            ReportedActuators,
            NoFallback,
        );
        control.arm().ok()?;
        Some(Self {
            layout: Layout::of(image, bytes)?,
            bytes,
            packed,
            lines,
            control,
            period_us: contract.period_us,
            observations: contract.observations.len(),
            draw: Draw(1),
            now_us: 0,
        })
    }

    /// A period later: the next sample is there, in `[-1, 1)`.
    pub fn prepare(&mut self) {
        self.now_us = self.now_us.wrapping_add(u64::from(self.period_us));
        let channels = 0..self.observations;
        let sample = engram_link::Sensors {
            now_us: self.now_us,
            sample_us: self.now_us,
            observation: channels.map(|_| self.draw.real()).collect(),
            reward: Some(0.5),
            done: false,
        };
        let _ = self.control.sensors().inject(&sample);
    }

    /// One control step; whether the policy ran.
    pub fn step(&mut self, memory: &mut Memory) -> bool {
        let before = self.control.counters().policy_steps;
        let weights = black_box(&self.layout).weights(black_box(self.bytes));
        let parameters = weights
            .as_ref()
            .map(|weights| self.layout.parameters(weights));
        let policy = parameters.map(|parameters| self.packed.policy(parameters, self.lines));
        let policy = policy.as_ref().map(|policy| (policy, memory));
        black_box(self.control.step(self.now_us, true, policy));
        self.control.counters().policy_steps != before
    }
}

/// Random numbers.
#[derive(Debug)]
struct Draw(u32);

impl Draw {
    /// In `[-1, 1)`.
    fn real(&mut self) -> f32 {
        let Self(seed) = self;
        *seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (*seed >> 8) as f32 / 8_388_608.0 - 1.0
    }
}

/// Names the multiply-accumulates that a step really makes in plain Rust.
fn count_macs(program: &impl BenchProgram, image: &Image<'_>, memory: &mut Memory) {
    let macs = Cell::new(0);
    memory.clear();
    let mut run = Run {
        image,
        memory,
        step: |memory: &mut Memory, input: &WorkingMemory<'_>, words: &mut [i16]| {
            let counted = counted_macs(image, memory, input, words);
            counted.map(|count| macs.set(count)).is_ok()
        },
        words: [0; MAX_ACTIONS],
        draw: Draw(1),
        hash: 0,
    };
    run.step(program);
    program.say(format_args!("fact counted_macs {}", macs.get()));
}

/// Steps of one policy, each on the next observation.
struct Run<'a, S> {
    image: &'a Image<'a>,
    memory: &'a mut Memory,
    step: S,
    words: [i16; MAX_ACTIONS],
    draw: Draw,
    hash: u64,
}

impl<S: Fn(&mut Memory, &WorkingMemory<'_>, &mut [i16]) -> bool> Run<'_, S> {
    /// One step on random observations in `[-1, 1)`.
    #[inline(never)]
    fn step(&mut self, program: &impl BenchProgram) {
        let config = &self.image.config;
        let mut observation = [0.0; MAX_OBSERVATIONS];
        let draw = &mut self.draw;
        let mut draw = |value: &mut f32| *value = draw.real();
        // As many as contracts had when the committed figures began, since drawing them is counted.
        let (usual, more) = observation.split_at_mut(32);
        usual.iter_mut().for_each(&mut draw);
        let more = more.iter_mut().take(config.observations.saturating_sub(32));
        more.for_each(draw);
        let issued = self.words;
        let input = WorkingMemory {
            observation: &observation[..config.observations],
            issued: &issued[..config.actions],
            reward: 0.5,
            done: false,
        };
        let words = &mut self.words[..config.actions];
        if !(self.step)(self.memory, black_box(&input), words) {
            program.say(format_args!("error the step was refused"));
        }
        for &word in &*words {
            self.hash = (self.hash ^ u64::from(word as u16)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
