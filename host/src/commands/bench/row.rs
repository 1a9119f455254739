//! One line of the result of `engram bench`, and how it is printed.

use std::collections::BTreeMap;

use engram_firmware::policy::{BUFFERS_BYTES, Policy};
use engram_image::Image;
use engram_kernels::CacheLine;

use engram_flight::board::BoardName;
use engram_flight::instructions::{BoardCost, KernelCost};

use crate::measure::Latency;
use crate::output::{OutputError, say};

/// One shape on one path of this machine, or on one board. Every key is always there; null: not measured here.
#[derive(serde::Serialize)]
pub(super) struct Row {
    name: String,
    target: String,
    path: String,
    macs: u64,
    median_us: Option<f64>,
    /// Of whole control steps.
    control_median_us: Option<f64>,
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
    control_instructions: Option<BTreeMap<String, u64>>,
    /// Where a step into a full window spends them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    functions: BTreeMap<String, u64>,
    /// Multiply-accumulates of a step, counted on the board in plain Rust.
    counted_macs: Option<u64>,
    /// Cases on which a board's kernels were bit for bit what plain Rust gives.
    cases_checked: Option<u64>,
    /// Of all command words, in hexadecimal: rows with the same computed the same.
    words_hash: Option<String>,
    /// Static memory: the runtime's for the largest policy, and here and on Linux boards what the weights are packed into.
    ram_bytes: u64,
    stack_bytes: Option<u64>,
    /// Bytes that persist from step to step.
    state_bytes: u64,
    /// Of these, what steps on a board have read or written.
    touched_bytes: Option<u64>,
    memory_bytes: u64,
    packed_bytes: Option<u64>,
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
        policy: &Policy<'_>,
        latency: &Latency,
    ) -> Self {
        let memory_bytes = (BUFFERS_BYTES + policy.cache_bytes()) as u64;
        let path = policy.backend();
        let packed_bytes = (path.lines(image) * size_of::<CacheLine>()) as u64;
        Self {
            name: name.to_owned(),
            target: std::env::consts::ARCH.to_owned(),
            path: path.name().to_owned(),
            macs: image.bounds.macs_per_step,
            median_us: Some(latency.median_us),
            control_median_us: Some(latency.control_median_us),
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
            control_instructions: None,
            functions: BTreeMap::new(),
            counted_macs: None,
            cases_checked: None,
            words_hash: None,
            ram_bytes: memory_bytes + packed_bytes,
            stack_bytes: None,
            state_bytes: policy.state_bytes() as u64,
            touched_bytes: None,
            memory_bytes,
            packed_bytes: Some(packed_bytes),
            weights_bytes: weights_bytes(image),
            image_bytes: u64::from(image.total_length),
        }
    }

    /// A board in QEMU.
    pub(super) fn on(name: &str, image: &Image<'_>, board: BoardName, cost: &BoardCost) -> Self {
        Self {
            name: name.to_owned(),
            target: board.name().to_owned(),
            path: cost.path.clone(),
            macs: image.bounds.macs_per_step,
            median_us: None,
            control_median_us: None,
            p99_us: None,
            max_us: None,
            floor_us: None,
            over_floor: None,
            read_floor_us: None,
            product_floor_us: None,
            p99_over_median: None,
            spin_p99_over_median: None,
            // The proof of the microcontrollers' build: no allocator is in the program.
            allocations: cost.stack_bytes.map(|_| 0),
            instructions_per_step: Some(cost.instructions_per_step),
            instructions_per_mac: Some(cost.instructions_per_mac),
            instructions: Some(cost.steps.clone()),
            control_instructions: Some(cost.control_steps.clone()),
            functions: cost.functions.clone(),
            counted_macs: cost.counted_macs,
            cases_checked: cost.cases_checked,
            words_hash: Some(format!("{:016x}", cost.words_hash)),
            ram_bytes: cost.ram_bytes,
            stack_bytes: cost.stack_bytes,
            state_bytes: cost.state_bytes,
            touched_bytes: Some(cost.touched_bytes),
            memory_bytes: cost.memory_bytes,
            packed_bytes: cost.packed_bytes,
            weights_bytes: weights_bytes(image),
            image_bytes: cost.image_bytes,
        }
    }
}

/// A table of rows of this machine.
pub(super) fn print_here(rows: &[Row]) -> Result<(), OutputError> {
    say!(
        "{:<16} {:<12} {:>8} {:>10} {:>8} {:>9} {:>10} {:>8} {:>10} {:>8} {:>9} {:>7} {:>9}",
        "shape",
        "path",
        "MACs",
        "median us",
        "p99 us",
        "max us",
        "control us",
        "floor us",
        "over floor",
        "p99/med",
        "spin loop",
        "allocs",
        "state"
    )?;
    let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
    for row in rows {
        say!(
            "{:<16} {:<12} {:>8} {:>10.2} {:>8.2} {:>9.2} {:>10.2} {:>8.2} {:>10.2} {:>8.2} {:>9.2} {:>7} {:>9}",
            row.name,
            row.path,
            row.macs,
            number(row.median_us),
            number(row.p99_us),
            number(row.max_us),
            number(row.control_median_us),
            number(row.floor_us),
            number(row.over_floor),
            number(row.p99_over_median),
            number(row.spin_p99_over_median),
            row.allocations.unwrap_or(0),
            row.state_bytes,
        )?;
    }
    Ok(())
}

/// A table of rows of a board, and its kernels.
pub(super) fn print_board(
    rows: &[Row],
    kernels: &BTreeMap<String, KernelCost>,
) -> Result<(), OutputError> {
    say!(
        "{:<16} {:<11} {:<9} {:>8} {:>13} {:>8} {:>9} {:>9} {:>9} {:>9}",
        "shape",
        "board",
        "path",
        "MACs",
        "instructions",
        "per MAC",
        "RAM",
        "stack",
        "state",
        "image"
    )?;
    for row in rows {
        let stack = row.stack_bytes.map(|bytes| bytes.to_string());
        say!(
            "{:<16} {:<11} {:<9} {:>8} {:>13} {:>8.3} {:>9} {:>9} {:>9} {:>9}",
            row.name,
            row.target,
            row.path,
            row.macs,
            row.instructions_per_step.unwrap_or(0),
            row.instructions_per_mac.unwrap_or(f64::NAN),
            row.ram_bytes,
            stack.as_deref().unwrap_or("-"),
            row.state_bytes,
            row.image_bytes,
        )?;
        let control = row.control_instructions.as_ref();
        for (step, count) in row.instructions.iter().flatten() {
            let control = control.and_then(|steps| steps.get(step)).copied();
            say!(
                "    step, {:<12} {count:>9}, whole control step {:>9}",
                step.replace('_', " "),
                control.unwrap_or(0)
            )?;
        }
        print_functions(&row.functions)?;
    }
    if rows.iter().any(|row| row.stack_bytes.is_none()) {
        say!(
            "A Linux program: the system gives it its stack and as much memory as it asks for. No stack is measured; RAM is\n\
             the policy's memory and what the weights are packed into."
        )?;
    }
    if !kernels.is_empty() {
        say!("kernels, instructions")?;
    }
    for (name, kernel) in kernels {
        let per_mac = kernel.instructions_per_mac;
        let per_mac = per_mac.map(|count| format!("  {count:.3} per MAC"));
        let per_mac = per_mac.unwrap_or_default();
        say!("    {name:<20} {:>9}{per_mac}", kernel.instructions)?;
    }
    Ok(())
}

/// Where a full step spends its instructions, the most first.
fn print_functions(functions: &BTreeMap<String, u64>) -> Result<(), OutputError> {
    let mut functions: Vec<_> = functions.iter().collect();
    functions.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (name, count) in functions.into_iter().take(16) {
        say!("    {count:>9} in {name}")?;
    }
    Ok(())
}
