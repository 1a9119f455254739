//! What the bench programs of all boards count: control steps into an empty, a filling and a full window, and after a reset.

use core::cell::Cell;
use core::fmt::Arguments;
use core::hint::black_box;

use engram_image::limits::{MAX_ACTIONS, MAX_OBSERVATIONS};
use engram_image::{Image, Packing, Positions};

use super::{BUFFERS_BYTES, Memory, Policy, WorkingMemory, counted_macs};

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
        seed: 1,
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
        seed: 1,
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
    seed: u32,
    hash: u64,
}

impl<S: Fn(&mut Memory, &WorkingMemory<'_>, &mut [i16]) -> bool> Run<'_, S> {
    /// One step on random observations in `[-1, 1)`.
    #[inline(never)]
    fn step(&mut self, program: &impl BenchProgram) {
        let config = &self.image.config;
        let mut observation = [0.0; MAX_OBSERVATIONS];
        let mut draw = |value: &mut f32| {
            self.seed = self
                .seed
                .wrapping_mul(1_664_525)
                .wrapping_add(1_013_904_223);
            *value = (self.seed >> 8) as f32 / 8_388_608.0 - 1.0;
        };
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
