//! What a control step costs against the window and against the width of the model: one line of comma-separated
//! values per shape. `scripts/step-cost` runs it, fits the model that explains it, and draws both.
//!
//! `cargo run --release -p engram-firmware --example step-cost -- [ROUNDS]`
//! `cargo run --release -p engram-firmware --example step-cost -- images DIR`
//!
//! Rounds time some steps of every shape, one shape after the other. The first steps of a turn are not timed:
//! they bring the weights back into the caches. With `images`, the shapes are written as images instead.

mod shapes;

use std::hint::black_box;
use std::time::Instant;

use engram_firmware::policy::{Backend, LargestMemory, Memory, Policy, random_moments};
use engram_image::write::write;
use engram_image::{Image, ModelConfig, random};
use engram_kernels::CacheLine;

use shapes::{Shape, shapes};

/// Steps of one turn that are timed.
const STEPS: usize = 32;
/// Steps before them.
const WARM_STEPS: usize = 8;

/// A shape, ready to step, and its times.
struct Subject {
    shape: Shape,
    path: String,
    /// So many steps.
    run: Box<dyn FnMut(usize)>,
    times_us: Vec<f64>,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    if first.as_deref() == Some("images") {
        let folder = arguments.next().expect("a folder for the images");
        write_images(std::path::Path::new(&folder));
        return;
    }
    let rounds = first.and_then(|text| text.parse().ok()).unwrap_or(1_000);
    let mut subjects: Vec<Subject> = shapes().into_iter().map(subject).collect();
    for subject in &mut subjects {
        (subject.run)(2 * subject.shape.config.window);
    }
    for _ in 0..rounds {
        for subject in &mut subjects {
            (subject.run)(WARM_STEPS);
            let start = Instant::now();
            (subject.run)(STEPS);
            let elapsed = start.elapsed().as_secs_f64();
            subject.times_us.push(elapsed * 1e6 / STEPS as f64);
        }
    }
    println!("series,path,layers,heads,model,ff,window,macs,median_us,min_us");
    for subject in subjects {
        subject.print();
    }
}

impl Subject {
    fn print(mut self) {
        self.times_us.sort_by(f64::total_cmp);
        let Shape { series, config, .. } = self.shape;
        let ModelConfig {
            layers,
            heads,
            model,
            ff,
            window,
            ..
        } = config;
        println!(
            "{series},{},{layers},{heads},{model},{ff},{window},{},{:.4},{:.4}",
            self.path,
            config.macs_per_step(),
            self.times_us[self.times_us.len() / 2],
            self.times_us[0],
        );
    }
}

/// A shape as a policy.
fn subject(shape: Shape) -> Subject {
    let (path, run) = policy_run(&shape.config);
    Subject {
        shape,
        path,
        run,
        times_us: Vec::new(),
    }
}

fn policy_run(config: &ModelConfig) -> (String, Box<dyn FnMut(usize)>) {
    // The program ends with them.
    let bytes = write(&random::spec(config, 1)).expect("a valid image");
    let image = Box::leak(Box::new(
        Image::read(Box::leak(bytes.into_boxed_slice())).expect("a valid image"),
    ));
    let lines = vec![CacheLine::ZERO; Backend::best().lines(image)];
    let policy = Policy::new(Backend::best(), image, Box::leak(lines.into_boxed_slice()));
    let moments = random_moments(config, 1, STEPS);
    let mut memory: Box<Memory> = Box::<LargestMemory>::default();
    let mut words = vec![0; config.actions];
    let path = policy.backend().name().to_owned();
    let run = move |steps: usize| {
        for moment in moments.iter().cycle().take(steps) {
            policy
                .step(&mut memory, &moment.view(), &mut words, &mut ())
                .expect("the right lengths");
            black_box(&words);
        }
    };
    (path, Box::new(run))
}

/// Writes the shapes as images.
fn write_images(folder: &std::path::Path) {
    for shape in shapes() {
        let bytes = write(&random::spec(&shape.config, 1)).expect("a valid image");
        let ModelConfig {
            layers,
            heads,
            model,
            ff,
            window,
            ..
        } = shape.config;
        let name = format!(
            "{}_{layers}_{heads}_{model}_{ff}_{window}_{}.engram",
            shape.series,
            shape.config.macs_per_step()
        );
        std::fs::write(folder.join(name), bytes).expect("a folder that can be written");
    }
}
