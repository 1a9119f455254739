//! The multiply-accumulates that a step really makes, against the bounds report.

use core::cell::Cell;
use std::boxed::Box;
use std::vec;

use engram_image::write::write;
use engram_image::{HeadInput, Image, ModelConfig, Positions};
use engram_kernels::portable::Rows;
use engram_kernels::{Attention, Kernels, Portable, Requant, Shape, Watch};

use super::random_image::{AGE, SLOT, moments, specification};
use crate::policy::network::ReadsRows;
use crate::policy::{Memory, step_on};

/// The portable kernels, counting.
#[derive(Clone, Copy)]
struct Counting<'c>(&'c Cell<u64>);

impl Counting<'_> {
    fn count(self, macs: usize) {
        self.0.set(self.0.get() + macs as u64);
    }
}

impl ReadsRows for Counting<'_> {}

impl Kernels for Counting<'_> {
    const LANES: usize = Portable::LANES;

    type Map<'a> = Rows<'a>;
    type WideMap<'a> = Rows<'a>;
    type Biases<'a> = &'a [[u8; 4]];

    fn run<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    fn key_bytes(self, shape: Shape) -> usize {
        Portable.key_bytes(shape)
    }

    fn value_bytes(self, shape: Shape) -> usize {
        Portable.value_bytes(shape)
    }

    fn narrow(self, residual: &[i16], factor: Requant, out: &mut [i8]) {
        Portable.narrow(residual, factor, out);
    }

    fn project(self, map: Rows<'_>, input: &[i8], sums: &mut [i32], out: &mut [i8]) {
        self.count(map.weight.len());
        Portable.project(map, input, sums, out);
    }

    fn rectify(self, map: Rows<'_>, input: &[i8], sums: &mut [i32], out: &mut [i8]) {
        self.count(map.weight.len());
        Portable.rectify(map, input, sums, out);
    }

    fn add(
        self,
        map: Rows<'_>,
        input: &[i8],
        sums: &mut [i32],
        residual: &mut [i16],
        next: (Requant, &mut [i8]),
    ) {
        self.count(map.weight.len());
        Portable.add(map, input, sums, residual, next);
    }

    fn embed(self, map: Rows<'_>, input: &[i16], sums: &mut [i32], out: &mut [i16]) {
        self.count(map.weight.len());
        Portable.embed(map, input, sums, out);
    }

    fn hidden(
        self,
        map: Rows<'_>,
        input: &[i8],
        raw: Option<(Rows<'_>, &[i16])>,
        sums: (&mut [i32], &mut [i32]),
        out: &mut [i8],
    ) {
        let raw_macs = raw.map_or(0, |(raw, _)| raw.weight.len());
        self.count(map.weight.len() + raw_macs);
        Portable.hidden(map, input, raw, sums, out);
    }

    fn words(self, map: Rows<'_>, input: &[i8], sums: &mut [i32], out: &mut [i16]) {
        self.count(map.weight.len());
        Portable.words(map, input, sums, out);
    }

    fn attend(self, attention: Attention<'_, Self::Biases<'_>>, watch: Option<&mut Watch<'_>>) {
        let shape = attention.shape;
        self.count(2 * shape.heads * shape.width * shape.window);
        Portable.attend(attention, watch);
    }
}

#[test]
fn a_step_makes_the_multiply_accumulates_of_the_report() {
    let mixed = ModelConfig {
        head_input: HeadInput::Mixed,
        ..AGE
    };
    let medium = ModelConfig {
        observations: 17,
        actions: 6,
        layers: 4,
        heads: 8,
        model: 128,
        ff: 512,
        window: 50,
        hidden: [64, 64],
        positions: Positions::Age,
        head_input: HeadInput::Encoder,
    };
    for (config, seed) in [(AGE, 1), (SLOT, 2), (mixed, 3), (medium, 4)] {
        let bytes = write(&specification(config, seed)).unwrap();
        let image = Image::read(&bytes).unwrap();
        let (macs, mut memory) = (Cell::new(0), Box::new(Memory::new()));
        let mut words = vec![0; config.actions];
        for moment in moments(&config, seed, 2 * config.window + 1) {
            macs.set(0);
            let kernels = Counting(&macs);
            step_on(
                kernels,
                &image,
                &mut memory,
                &moment.view(),
                &mut words,
                &mut (),
            )
            .unwrap();
            assert_eq!(macs.get(), image.bounds.macs_per_step, "{config:?}");
        }
    }
}
