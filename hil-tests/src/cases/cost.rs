//! What a step costs on the board, as `engram bench --board` counts it.

use anyhow::{Context, Result, bail, ensure};
use engram_firmware::policy::bytes_with;
use engram_flight::board::BoardName;
use engram_flight::instructions::{BoardCost, CountError, instructions};
use engram_image::shapes::REFERENCE;
use engram_image::{Image, ModelConfig, Packing};

use crate::sample_image::{AGE, SLOT, random_image, sample_image};
use crate::{Case, Rig, Target};

pub(super) const CASES: &[Case] = cases![
    a_step_costs_what_the_reports_say,
    a_policy_takes_no_more_ram_than_boards_have,
    every_width_of_a_map_gives_the_same_words,
];

/// Both kinds of positions, on every path of the board: instructions, state and multiply-accumulates.
fn a_step_costs_what_the_reports_say(rig: &Rig) -> Result<()> {
    let Target::Board(board) = *rig.target() else {
        bail!("there is a bench program only for a board that is started here");
    };
    for config in [AGE, SLOT] {
        let bytes = sample_image(11, &config)?;
        let image = Image::read(&bytes)?;
        let costs = match instructions(board, &image, false) {
            Err(CountError::Board(named)) => {
                let counted = [BoardName::QemuM7, BoardName::QemuM55, BoardName::QemuLinux];
                ensure!(named == board && !counted.contains(&board), "{board}");
                rig.not_tried("the cost of a step", "it has no bench program");
                return Ok(());
            }
            costs => costs?,
        };
        ensure!(!costs.is_empty(), "{board} has no path for {config:?}");
        for cost in &costs {
            of_one_path(cost, &image)?;
            ensure!(cost.words_hash == costs[0].words_hash, "{costs:?}");
        }
        if let Some(kv_layout) = board.kv_layout() {
            let report = bytes_with(kv_layout, &config)[0] as u64;
            ensure!(costs[0].state_bytes == report, "{report} and {costs:?}");
        }
        let has_stack = board != BoardName::QemuLinux;
        ensure!(costs[0].stack_bytes.is_some() == has_stack, "{costs:?}");
    }
    Ok(())
}

/// All RAM of the Cortex-M7 and the Cortex-M55, stack included, that lend a policy just the cache that it takes, with images in
/// flash: what the boards have that it is meant for. The other boards are programs of a system, which has RAM by the gigabyte: they
/// report none of their own, and fly the same images with the cache that they say they lend.
fn a_policy_takes_no_more_ram_than_boards_have(rig: &Rig) -> Result<()> {
    let Target::Board(board) = *rig.target() else {
        bail!("the layout of the cache is known only of boards that are started here");
    };
    let [(_, small), (_, medium), _] = REFERENCE;
    for (name, config, most) in [("pendulum", AGE, 64), ("S", small, 96), ("M", medium, 192)] {
        let image = random_image(13, &config)?;
        let Some((mut flyer, hello)) = rig.armed_if_it_fits(&image)? else {
            continue;
        };
        flyer.cruise(4)?;
        flyer.client.disarm()?;
        let measured = flyer.client.telemetry()?;
        let [ram_bytes, stack_bytes] = [measured.ram_bytes, measured.worst_stack_bytes];
        match board {
            BoardName::QemuM7 | BoardName::QemuM55 | BoardName::QemuF405 => {
                let kv_layout = board.kv_layout().context("a microcontroller's own cache")?;
                let [_, cache] = bytes_with(kv_layout, &config);
                let total = (ram_bytes - hello.cache_bytes + stack_bytes) as usize + cache;
                println!("{board} {name}: {total} bytes of RAM, {cache} of them cache");
                ensure!(total <= most * 1024, "{name} takes {total} bytes of RAM");
            }
            BoardName::Loopback
            | BoardName::QemuLinux
            | BoardName::QemuLinuxRt
            | BoardName::Linux => {
                ensure!(
                    board.kv_layout().is_none(),
                    "{board} has a cache of its own"
                );
                ensure!([ram_bytes, stack_bytes] == [0; 2], "{measured:?}");
                let state_bytes = Image::read(&image)?.bounds.state_bytes;
                ensure!(hello.cache_bytes >= state_bytes, "{hello:?}");
            }
        }
    }
    Ok(())
}

/// Numbers of columns that kernels have loops for, and one that none has: the board replays the golden trace of each image,
/// and then flies it.
fn every_width_of_a_map_gives_the_same_words(rig: &Rig) -> Result<()> {
    let widths = [(48, 80), (96, 192), (112, 320), (128, 384), (40, 448)];
    for (model, ff) in widths {
        let config = ModelConfig {
            heads: 2,
            layers: 1,
            model,
            ff,
            ..AGE
        };
        let image = sample_image(12, &config)?;
        if let Some((mut flyer, _)) = rig.armed_if_it_fits(&image)? {
            flyer.cruise(config.window as u32 + 2)?;
        }
    }
    Ok(())
}

fn of_one_path(cost: &BoardCost, image: &Image<'_>) -> Result<()> {
    ensure!(cost.touched_bytes == cost.state_bytes, "{cost:?}");
    let macs = image.bounds.macs_per_step;
    ensure!(
        cost.counted_macs.is_none_or(|counted| counted == macs),
        "{macs} and {cost:?}"
    );
    let is_packed = cost.path == Packing::CortexM.to_string();
    ensure!(cost.counted_macs.is_some() != is_packed, "{cost:?}");
    let steps = ["empty", "filling", "full", "after_reset"];
    let counts = steps.map(|step| cost.steps.get(step).copied().unwrap_or(0));
    let (least, most) = (counts.iter().min(), counts.iter().max());
    ensure!(
        least > Some(&0)
            && most
                .zip(least)
                .is_some_and(|(most, least)| most - least <= most / 50),
        "a kind of step is missing, or costs more than another: {cost:?}"
    );
    Ok(())
}
