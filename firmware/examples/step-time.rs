//! Time of a control step on every backend of this machine.
//!
//! `cargo run --release -p engram-firmware --example step-time [ROUNDS] [SHAPE] [BACKEND]`, where a shape is S, M, P or the file
//! of an image; without one, the images in `images` and all shapes.
//!
//! Every round times some steps of each backend, one after the other, so that whatever else the machine does meets all
//! of them alike; and a loop that only counts, about as long as the steps of the first backend: what makes its rounds
//! uneven is the machine. Printed are the median, the 99th percentile and
//! the minimum over the rounds of the mean time of a step within a round.

use std::hint::black_box;
use std::time::Instant;

use engram_firmware::policy::{Backend, LargestMemory, Memory, Policy, random_moments};
use engram_image::shapes::REFERENCE;
use engram_image::write::write;
use engram_image::{Image, random};
use engram_kernels::CacheLine;

/// Steps of one round.
const STEPS: usize = 32;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().and_then(|text| text.parse().ok());
    let only = arguments.next();
    let rounds = rounds.unwrap_or(2_000);
    let shapes = REFERENCE.map(|(name, _)| name.to_owned());
    for name in only.map_or_else(|| shipped().chain(shapes).collect(), |only| vec![only]) {
        let config = REFERENCE.into_iter().find(|(shape, _)| *shape == name);
        let bytes = match config {
            Some((_, config)) => write(&random::spec(&config, 1)).expect("a valid image"),
            None => std::fs::read(&name).expect("S, M, P or an image"),
        };
        measure(&name, &bytes, rounds);
    }
}

/// The images that come with the program.
fn shipped() -> impl Iterator<Item = String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
    let files = std::fs::read_dir(folder).expect("the images");
    let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "engram")
    });
    files.sort();
    files.into_iter().map(|file| file.display().to_string())
}

fn measure(name: &str, bytes: &[u8], rounds: usize) {
    let image = Image::read(bytes).expect("a valid image");
    let config = image.config;
    let matrices = image.weights.matrices();
    let weight_bytes: usize = matrices.map(|(_, matrix)| matrix.weight.len()).sum();
    let moments = random_moments(&config, 1, STEPS);
    let path = std::env::args().nth(3);
    let paths: Vec<Backend> = Backend::ALL
        .into_iter()
        .filter(|path| path.is_available())
        .filter(|given| path.as_deref().is_none_or(|path| path == given.name()))
        .collect();
    let mut lines: Vec<Vec<CacheLine>> = paths
        .iter()
        .map(|path| vec![CacheLine::ZERO; path.lines(&image)])
        .collect();
    let mut policies: Vec<(Policy<'_>, Box<Memory>, Vec<f64>)> = paths
        .iter()
        .zip(&mut lines)
        .map(|(&path, lines)| {
            (
                Policy::new(path, &image, lines),
                Box::<LargestMemory>::default() as Box<Memory>,
                Vec::new(),
            )
        })
        .collect();
    let (mut counts, mut count_us, mut spins) = (1_000, f64::INFINITY, Vec::new());
    let mut words = vec![0; config.actions];
    for _ in 0..rounds {
        for (policy, memory, times) in &mut policies {
            let start = Instant::now();
            for moment in &moments {
                policy
                    .step(memory, &moment.view(), &mut words, &mut ())
                    .expect("the right lengths");
                black_box(&words);
            }
            times.push(start.elapsed().as_secs_f64() * 1e6 / STEPS as f64);
        }
        let spun = spin(counts);
        spins.push(spun / STEPS as f64);
        // The first half of the rounds finds out how long a count takes.
        if spins.len() < rounds / 2
            && let Some((_, _, times)) = policies.first()
        {
            count_us = count_us.min(spun / f64::from(counts));
            let step_us = times.iter().copied().fold(f64::INFINITY, f64::min);
            counts = (step_us * STEPS as f64 / count_us) as u32 + 1;
        }
    }
    let macs = config.macs_per_step();
    println!("{name}: {macs} multiply-accumulates, {weight_bytes} bytes of weights");
    let settled = spins.len() / 2;
    let spin = Times::of(spins.split_off(settled));
    println!(
        "  {:<12} {spin}   p99 {:.3} x median",
        "spin",
        spin.p99 / spin.median
    );
    for (policy, _, times) in policies {
        let times = Times::of(times);
        println!(
            "  {:<12} {times}   p99 {:.3} x median ({:.2} of spin's)",
            policy.backend().name(),
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
