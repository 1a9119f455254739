//! What no step can be faster than: reading its weights, and multiplying.

use std::hint::black_box;

use engram_firmware::policy::Backend;
use engram_kernels::portable::Rows;
use engram_kernels::{CacheLine, Kernels, PackedLinear, Packing, TOKENS};

/// Rows and columns of the map of [`products`]: 16 KB of weights.
const PRODUCT: [usize; 2] = [64, 256];
/// Lines that hold it.
pub(super) const PRODUCT_LINES: usize = 512;

/// Evaluates a function of a backend's kernels, where this machine has them and they pack.
macro_rules! with_kernels {
    ($backend:expr, $with:expr) => {
        match $backend {
            #[cfg(target_arch = "x86_64")]
            Backend::Avx512Vnni => engram_kernels::Avx512Vnni::detect().and_then($with),
            #[cfg(target_arch = "x86_64")]
            Backend::AvxVnni => engram_kernels::AvxVnni::detect().and_then($with),
            #[cfg(target_arch = "x86_64")]
            Backend::Avx2 => engram_kernels::Avx2::detect().and_then($with),
            #[cfg(target_arch = "aarch64")]
            Backend::Sdot => engram_kernels::Sdot::detect().and_then($with),
            #[cfg(target_arch = "aarch64")]
            Backend::Neon => engram_kernels::Neon::detect().and_then($with),
            _ => None,
        }
    };
}

/// What reads lines once each, with the widest loads of this machine: what it gives depends on all bits.
///
/// Which loads there are is asked here, once: on a virtual machine the answer takes microseconds.
pub(super) fn line_reader() -> impl Fn(&[CacheLine]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    let kernels = engram_kernels::Avx512Vnni::detect();
    #[cfg(target_arch = "aarch64")]
    let kernels = engram_kernels::Neon::detect();
    #[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
    let kernels = engram_kernels::Portable::detect();
    move |lines| match kernels {
        // The loop is compiled for the instructions that it runs with.
        Some(kernels) => kernels.run(
            #[inline(always)]
            || read(lines),
        ),
        None => read(lines),
    }
}

#[inline(always)]
fn read(lines: &[CacheLine]) -> u64 {
    let mut all = [[0; 64]; 4];
    let (fours, rest) = lines.as_chunks::<4>();
    for four in fours {
        for (all, line) in all.iter_mut().zip(four) {
            or(all, &line.0);
        }
    }
    for line in rest {
        or(&mut all[0], &line.0);
    }
    let words = all.as_flattened().as_chunks().0.iter();
    words.fold(0, |bits, &word| bits | u64::from_le_bytes(word))
}

#[inline(always)]
fn or(all: &mut [u8; 64], line: &[u8; 64]) {
    for (all, byte) in all.iter_mut().zip(line) {
        *all |= byte;
    }
}

/// Multiplies a map whose weights stay in the first-level cache `rounds` times, with as many tokens as the backend takes
/// together: so it comes nearest to what the processor can multiply. Returns the multiply-accumulates of that. `None`: plain
/// Rust, a backend that this machine does not have, or fewer lines than the map needs ([`PRODUCT_LINES`] do).
pub(super) fn products(backend: Backend, rounds: u32, lines: &mut [CacheLine]) -> Option<u64> {
    with_kernels!(backend, |kernels| products_on(kernels, rounds, lines))
}

fn products_on<K: Packing>(kernels: K, rounds: u32, lines: &mut [CacheLine]) -> Option<u64> {
    if K::TOGETHER {
        products_of::<K, TOKENS>(kernels, rounds, lines)
    } else {
        products_of::<K, 1>(kernels, rounds, lines)
    }
}

fn products_of<K: Packing, const T: usize>(
    kernels: K,
    rounds: u32,
    lines: &mut [CacheLine],
) -> Option<u64> {
    let [rows, columns] = PRODUCT;
    let map = Rows {
        rows,
        weight: &[1; PRODUCT[0] * PRODUCT[1]],
        bias: &[],
        multiplier: &[[0, 0, 0, 0x40]; PRODUCT[0]],
        shift: &[40; PRODUCT[0]],
    };
    let lines = lines.get_mut(..K::Linear::lines(rows, columns))?;
    K::Linear::pack(map, columns, lines)?;
    let map = K::Linear::view(map, columns, lines)?;
    let (mut inputs, mut sums) = ([[3; PRODUCT[1]]; T], [0; PRODUCT[0]]);
    let mut outs = [[0; PRODUCT[0]]; T];
    for _ in 0..rounds {
        kernels.run(
            #[inline(always)]
            || {
                let inputs = inputs.each_ref().map(|input| &input[..]);
                let outs = outs.each_mut().map(|out| &mut out[..]);
                kernels.linear_i8::<false, T>(map, inputs, &mut sums, outs);
            },
        );
        // The next product waits for this one, as in a step.
        inputs[0][0] = outs[0][0];
    }
    black_box(outs);
    Some((rows * columns * T) as u64 * u64::from(rounds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        let mut lines = [CacheLine::ZERO; 9];
        let read = line_reader();
        assert_eq!(read(&lines), 0);
        for index in 0..9 {
            lines[index].0[7 * index] = 1;
            assert_ne!(read(&lines[index..=index]), 0);
        }
        assert_eq!(read(&lines).count_ones(), 8);
    }

    #[test]
    fn products_are_counted() {
        for backend in Backend::ALL {
            let macs = products(backend, 3, &mut vec![CacheLine::ZERO; PRODUCT_LINES]);
            let counts = backend.is_available() && backend != Backend::Portable;
            let together = matches!(backend, Backend::Avx512Vnni | Backend::Sdot | Backend::Neon);
            let tokens = if together { 5 } else { 1 };
            assert_eq!(macs, counts.then_some(3 * tokens * 64 * 256), "{backend}");
            assert_eq!(products(backend, 3, &mut []), None);
        }
    }
}
