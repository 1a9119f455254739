//! Time of a control step on this machine.
//!
//! `cargo run --release -p engram-firmware --example step-time [ROUNDS] [SHAPE] [BACKEND]`, where a shape is S, M, P or the file
//! of an image; without one, the images in `images` and all shapes. Every round times some steps of each backend, one after the other,
//! so that whatever else the machine does meets all of them alike; and a loop that only counts, about as long as the steps of the first
//! backend: what makes its rounds uneven is the machine. Printed are the median, the 99th percentile and the minimum over the rounds of
//! the mean time of a step within a round.
//!
//! `... --example step-time curves [ROUNDS]`: what a step costs against the window and against the width of the model on the best
//! backend, one line of comma-separated values per shape. `scripts/step-cost` runs it, fits the model that explains it, and draws both.
//! The first steps of a turn are not timed: they bring the weights back into the caches.
//!
//! `... --example step-time images DIR` writes these shapes as images instead.

mod curves;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use engram_firmware::policy::{Backend, LargestMemory, Memory, Policy, random_moments};
use engram_image::shapes::REFERENCE;
use engram_image::write::write;
use engram_image::{Image, ModelConfig, random};
use engram_kernels::CacheLine;

use curves::{Shape, shapes};

/// Steps of one turn that are timed.
const STEPS: usize = 32;
/// Steps before them, for curves.
const WARM_STEPS: usize = 8;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    let second = arguments.next();
    let rounds = |text: Option<String>| text.and_then(|text| text.parse().ok());
    match first.as_deref() {
        Some("curves") => print_curves(rounds(second).unwrap_or(1_000)),
        Some("images") => write_images(Path::new(&second.expect("a folder for the images"))),
        _ => {
            let names = REFERENCE.map(|(name, _)| name.to_owned());
            let all = || shipped().chain(names).collect();
            let backend = arguments.next();
            for name in second.map_or_else(all, |only| vec![only]) {
                compare(
                    &name,
                    backend.as_deref(),
                    rounds(first.clone()).unwrap_or(2_000),
                );
            }
        }
    }
}

/// The images that come with the program.
fn shipped() -> impl Iterator<Item = String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
    let files = std::fs::read_dir(folder).expect("the images");
    let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "engram")
    });
    files.sort();
    files.into_iter().map(|file| file.display().to_string())
}

/// An image of random weights. The program ends with it.
fn random_image(config: &ModelConfig) -> &'static Image<'static> {
    read(write(&random::spec(config, 1)).expect("a valid image"))
}

fn read(bytes: Vec<u8>) -> &'static Image<'static> {
    Box::leak(Box::new(Image::read(bytes.leak()).expect("a valid image")))
}

/// An image on a backend, ready to step, and its times.
struct Subject {
    backend: Backend,
    /// So many steps.
    run: Box<dyn FnMut(usize)>,
    /// Microseconds of a step, the mean of each round.
    times_us: Vec<f64>,
}

impl Subject {
    fn new(backend: Backend, image: &'static Image<'static>) -> Self {
        let lines = vec![CacheLine::ZERO; backend.lines(image)].leak();
        let policy = Policy::new(backend, image, lines);
        let backend = policy.backend();
        let moments = random_moments(&image.config, 1, STEPS);
        let mut memory: Box<Memory> = Box::<LargestMemory>::default();
        let mut words = vec![0; image.config.actions];
        let run = move |steps: usize| {
            for moment in moments.iter().cycle().take(steps) {
                policy
                    .step(&mut memory, &moment.view(), &mut words, &mut ())
                    .expect("the right lengths");
                black_box(&words);
            }
        };
        Self {
            backend,
            run: Box::new(run),
            times_us: Vec::new(),
        }
    }

    /// Times one turn.
    fn time(&mut self) {
        let start = Instant::now();
        (self.run)(STEPS);
        let elapsed = start.elapsed().as_secs_f64();
        self.times_us.push(elapsed * 1e6 / STEPS as f64);
    }
}

/// Prints the times of every backend, or of that of this name, on a shape or the file of an image.
fn compare(name: &str, backend: Option<&str>, rounds: usize) {
    let shape = REFERENCE.into_iter().find(|(shape, _)| *shape == name);
    let image = match shape {
        Some((_, config)) => random_image(&config),
        None => read(std::fs::read(name).expect("S, M, P or an image")),
    };
    let matrices = image.weights.matrices();
    let weight_bytes: usize = matrices.map(|(_, matrix)| matrix.weight.len()).sum();
    let mut subjects: Vec<Subject> = Backend::ALL
        .into_iter()
        .filter(|given| given.is_available())
        .filter(|given| backend.is_none_or(|backend| backend == given.name()))
        .map(|backend| Subject::new(backend, image))
        .collect();
    let (mut counts, mut count_us, mut spins) = (1_000, f64::INFINITY, Vec::new());
    for _ in 0..rounds {
        subjects.iter_mut().for_each(Subject::time);
        let spun = spin(counts);
        spins.push(spun / STEPS as f64);
        // The first half of the rounds finds out how long a count takes.
        if spins.len() < rounds / 2
            && let Some(Subject { times_us, .. }) = subjects.first()
        {
            count_us = count_us.min(spun / f64::from(counts));
            let step_us = times_us.iter().copied().fold(f64::INFINITY, f64::min);
            counts = (step_us * STEPS as f64 / count_us) as u32 + 1;
        }
    }
    let macs = image.config.macs_per_step();
    println!("{name}: {macs} multiply-accumulates, {weight_bytes} bytes of weights");
    let settled = spins.len() / 2;
    let spin = Times::of(spins.split_off(settled));
    println!(
        "  {:<12} {spin}   p99 {:.3} x median",
        "spin",
        spin.p99 / spin.median
    );
    for subject in subjects {
        let times = Times::of(subject.times_us);
        println!(
            "  {:<12} {times}   p99 {:.3} x median ({:.2} of spin's)",
            subject.backend.name(),
            times.p99 / times.median,
            times.p99 / times.median / (spin.p99 / spin.median)
        );
    }
}

/// Counts, each number waiting for the one before; microseconds.
fn spin(counts: u32) -> f64 {
    let start = Instant::now();
    for count in 0..counts {
        black_box(count);
    }
    start.elapsed().as_secs_f64() * 1e6
}

/// Microseconds.
struct Times {
    median: f64,
    p99: f64,
    min: f64,
}

impl Times {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((share * times.len() as f64) as usize).min(times.len() - 1)];
        Self {
            median: at(0.5),
            p99: at(0.99),
            min: at(0.0),
        }
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { median, p99, min } = self;
        write!(
            f,
            "median {median:8.3} us, p99 {p99:8.3} us, min {min:8.3} us"
        )
    }
}

/// Times every shape of the curves, one after the other in each round.
fn print_curves(rounds: usize) {
    let subject = |shape: Shape| {
        let mut subject = Subject::new(Backend::best(), random_image(&shape.config));
        (subject.run)(2 * shape.config.window);
        (shape, subject)
    };
    let mut subjects: Vec<_> = shapes().into_iter().map(subject).collect();
    for _ in 0..rounds {
        for (_, subject) in &mut subjects {
            (subject.run)(WARM_STEPS);
            subject.time();
        }
    }
    println!("series,path,layers,heads,model,ff,window,macs,median_us,min_us");
    for (shape, subject) in subjects {
        let Times { median, min, .. } = Times::of(subject.times_us);
        let numbers = shape.numbers(",");
        println!(
            "{},{},{numbers},{median:.4},{min:.4}",
            shape.series,
            subject.backend.name()
        );
    }
}

/// Writes the shapes of the curves as images.
fn write_images(folder: &Path) {
    for shape in shapes() {
        let bytes = write(&random::spec(&shape.config, 1)).expect("a valid image");
        let name = format!("{}_{}.engram", shape.series, shape.numbers("_"));
        std::fs::write(folder.join(name), bytes).expect("a folder that can be written");
    }
}
