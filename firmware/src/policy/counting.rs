//! The multiply-accumulates that a step really makes, counted: for tests and for the boards' bench programs. No firmware has it.

use core::cell::Cell;

use engram_image::{Image, Packing};
use engram_kernels::portable::Rows;
use engram_kernels::{Attention, HeadHook, Kernels, KvLayout, Onto, Portable, Requant};

use super::network::{ImageAsItLies, ReadsImages};
use super::{Memory, PolicyError, WorkingMemory, step_on};

/// [`super::Policy::step`] in plain Rust; returns how many products it has made.
///
/// # Errors
/// As [`super::Policy::step`], and for an image that is not in the order of rows.
pub fn counted_macs(
    image: &Image<'_>,
    memory: &mut Memory,
    input: &WorkingMemory<'_>,
    words: &mut [i16],
) -> Result<u64, PolicyError> {
    if image.packing != Packing::Rows {
        return Err(PolicyError::Packing(image.packing));
    }
    let macs = Cell::new(0);
    let kernels = Counting(&macs);
    let parameters = image.into();
    let network = ImageAsItLies {
        kernels,
        parameters,
    };
    step_on(&network.network(), memory, input, words, &mut ())?;
    Ok(macs.get())
}

/// The portable kernels, counting.
#[derive(Clone, Copy)]
struct Counting<'c>(&'c Cell<u64>);

impl Counting<'_> {
    fn count(self, macs: usize) {
        self.0.set(self.0.get().saturating_add(macs as u64));
    }
}

impl ReadsImages for Counting<'_> {}

impl Kernels for Counting<'_> {
    const LANES: usize = Portable::LANES;
    const KV_LAYOUT: KvLayout = Portable::KV_LAYOUT;

    type Linear<'a> = Rows<'a>;
    type WideLinear<'a> = Rows<'a>;
    type Biases<'a> = &'a [[u8; 4]];

    fn run<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    fn requantize(self, residual: &[i16], factor: Requant, out: &mut [i8]) {
        Portable.requantize(residual, factor, out);
    }

    #[inline]
    fn linear_i8<const RECTIFY: bool, const T: usize>(
        self,
        map: Rows<'_>,
        inputs: [&[i8]; T],
        acc: &mut [i32],
        outs: [&mut [i8]; T],
    ) {
        self.count(map.weight.len().saturating_mul(T));
        Portable.linear_i8::<RECTIFY, T>(map, inputs, acc, outs);
    }

    fn linear_add<const T: usize>(
        self,
        map: Rows<'_>,
        inputs: [&[i8]; T],
        acc: &mut [i32],
        onto: Onto<'_, T>,
    ) {
        self.count(map.weight.len().saturating_mul(T));
        Portable.linear_add(map, inputs, acc, onto);
    }

    fn wide_linear_i16(self, map: Rows<'_>, input: &[i16], acc: &mut [i32], out: &mut [i16]) {
        self.count(map.weight.len());
        Portable.wide_linear_i16(map, input, acc, out);
    }

    fn linear_tanh(
        self,
        map: Rows<'_>,
        input: &[i8],
        raw: Option<(Rows<'_>, &[i16])>,
        acc: (&mut [i32], &mut [i32]),
        out: &mut [i8],
    ) {
        let raw_macs = raw.map_or(0, |(raw, _)| raw.weight.len());
        self.count(map.weight.len().saturating_add(raw_macs));
        Portable.linear_tanh(map, input, raw, acc, out);
    }

    fn linear_i16(self, map: Rows<'_>, input: &[i8], acc: &mut [i32], out: &mut [i16]) {
        self.count(map.weight.len());
        Portable.linear_i16(map, input, acc, out);
    }

    fn attend(self, attention: Attention<'_, Self::Biases<'_>>, hook: Option<&mut HeadHook<'_>>) {
        let shape = attention.shape;
        // A product with every key, and one with every value.
        let channels = shape.heads.saturating_mul(shape.width);
        self.count(channels.saturating_mul(shape.window).saturating_mul(2));
        Portable.attend(attention, hook);
    }
}
