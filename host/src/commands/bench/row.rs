//! One line of the result of `engram bench`, and how it is printed.

use std::collections::BTreeMap;

use engram_firmware::policy::{Memory, Path};
use engram_image::Image;
use engram_kernels::Line;

use crate::board::BoardName;
use crate::measure::{BoardCost, Latency};

/// One shape on one path of this machine, or on one board. Every key is always there; null: not measured here.
#[derive(serde::Serialize)]
pub(super) struct Row {
    name: String,
    target: String,
    path: String,
    macs: u64,
    median_us: Option<f64>,
    p99_us: Option<f64>,
    max_us: Option<f64>,
    floor_us: Option<f64>,
    over_floor: Option<f64>,
    read_floor_us: Option<f64>,
    product_floor_us: Option<f64>,
    p99_over_median: Option<f64>,
    spin_p99_over_median: Option<f64>,
    allocations: Option<u64>,
    instructions_per_step: Option<u64>,
    instructions_per_mac: Option<f64>,
    instructions: Option<BTreeMap<String, u64>>,
    /// Static memory: the runtime's for the largest policy, and here what the weights are packed into.
    ram_bytes: u64,
    stack_bytes: Option<u64>,
    /// Bytes that persist from step to step.
    state_bytes: u64,
    memory_bytes: u64,
    weights_bytes: u64,
    image_bytes: u64,
}

/// Bytes of the weights as an image holds them.
fn weights_bytes(image: &Image<'_>) -> u64 {
    let matrices = image.weights.matrices();
    matrices.map(|(_, matrix)| matrix.weight.len() as u64).sum()
}

impl Row {
    /// A path of this machine.
    pub(super) fn here(
        name: &str,
        image: &Image<'_>,
        path: Path,
        state_bytes: usize,
        latency: &Latency,
    ) -> Self {
        let memory_bytes = size_of::<Memory>() as u64;
        let packed_bytes = (path.lines(image) * size_of::<Line>()) as u64;
        Self {
            name: name.to_owned(),
            target: std::env::consts::ARCH.to_owned(),
            path: path.name().to_owned(),
            macs: image.bounds.macs_per_step,
            median_us: Some(latency.median_us),
            p99_us: Some(latency.p99_us),
            max_us: Some(latency.max_us),
            floor_us: Some(latency.floor_us),
            over_floor: Some(latency.over_floor),
            read_floor_us: Some(latency.read_floor_us),
            product_floor_us: latency.product_floor_us,
            p99_over_median: Some(latency.p99_over_median),
            spin_p99_over_median: Some(latency.spin_p99_over_median),
            allocations: Some(latency.allocations),
            instructions_per_step: None,
            instructions_per_mac: None,
            instructions: None,
            ram_bytes: memory_bytes + packed_bytes,
            stack_bytes: None,
            state_bytes: state_bytes as u64,
            memory_bytes,
            weights_bytes: weights_bytes(image),
            image_bytes: u64::from(image.total_length),
        }
    }

    /// A board in QEMU.
    pub(super) fn on(name: &str, image: &Image<'_>, board: BoardName, cost: &BoardCost) -> Self {
        Self {
            name: name.to_owned(),
            target: board.name().to_owned(),
            path: cost.packing.clone(),
            macs: image.bounds.macs_per_step,
            median_us: None,
            p99_us: None,
            max_us: None,
            floor_us: None,
            over_floor: None,
            read_floor_us: None,
            product_floor_us: None,
            p99_over_median: None,
            spin_p99_over_median: None,
            // The proof of the boards' build: no allocator is in the program.
            allocations: Some(0),
            instructions_per_step: Some(cost.instructions_per_step),
            instructions_per_mac: Some(cost.instructions_per_mac),
            instructions: Some(cost.steps.clone()),
            ram_bytes: cost.ram_bytes,
            stack_bytes: Some(cost.stack_bytes),
            state_bytes: cost.state_bytes,
            memory_bytes: cost.memory_bytes,
            weights_bytes: weights_bytes(image),
            image_bytes: cost.image_bytes,
        }
    }
}

/// A table of rows of this machine.
pub(super) fn print_here(rows: &[Row]) {
    println!(
        "{:<12} {:<12} {:>8} {:>10} {:>8} {:>9} {:>8} {:>10} {:>8} {:>9} {:>7} {:>9}",
        "shape",
        "path",
        "MACs",
        "median us",
        "p99 us",
        "max us",
        "floor us",
        "over floor",
        "p99/med",
        "spin loop",
        "allocs",
        "state"
    );
    let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
    for row in rows {
        println!(
            "{:<12} {:<12} {:>8} {:>10.2} {:>8.2} {:>9.2} {:>8.2} {:>10.2} {:>8.2} {:>9.2} {:>7} {:>9}",
            row.name,
            row.path,
            row.macs,
            number(row.median_us),
            number(row.p99_us),
            number(row.max_us),
            number(row.floor_us),
            number(row.over_floor),
            number(row.p99_over_median),
            number(row.spin_p99_over_median),
            row.allocations.unwrap_or(0),
            row.state_bytes,
        );
    }
}

/// A table of rows of a board, and its kernels.
pub(super) fn print_board(rows: &[Row], kernels: &BTreeMap<String, u64>) {
    println!(
        "{:<12} {:<10} {:<9} {:>8} {:>13} {:>8} {:>9} {:>9} {:>9} {:>9}",
        "shape",
        "board",
        "packing",
        "MACs",
        "instructions",
        "per MAC",
        "RAM",
        "stack",
        "state",
        "image"
    );
    for row in rows {
        println!(
            "{:<12} {:<10} {:<9} {:>8} {:>13} {:>8.3} {:>9} {:>9} {:>9} {:>9}",
            row.name,
            row.target,
            row.path,
            row.macs,
            row.instructions_per_step.unwrap_or(0),
            row.instructions_per_mac.unwrap_or(f64::NAN),
            row.ram_bytes,
            row.stack_bytes.unwrap_or(0),
            row.state_bytes,
            row.image_bytes,
        );
        for (step, count) in row.instructions.iter().flatten() {
            println!("    step, {:<12} {count:>9}", step.replace('_', " "));
        }
    }
    println!("kernels, instructions");
    for (name, count) in kernels {
        println!("    {name:<20} {count:>9}");
    }
}
