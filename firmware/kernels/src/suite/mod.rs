//! What every implementation of [`Kernels`](crate::Kernels) is tested with: the same numbers on it and on
//! [`Portable`](crate::Portable), which must give the same bits.
//!
//! A case is made of a seed alone: shape, numbers and order. Small seeds have small shapes, one after the other
//! ([`SWEEP`]); all others any shape that a policy can have. The numbers are random ones and those that go wrong:
//! the ends of their types, alternating ends, biases that wrap a sum, factors at both ends of their range, shifts
//! on both sides of one half of a product, ties of the softmax, entries that are not numbers.
//!
//! Tests stamp the suite for each path ([`stamp`]); boards run [`check_all`] in an emulator. Nothing here
//! allocates: the caller lends the memory. A case that finds no room for itself fails.

mod activations;
mod attend;
mod draw;
mod linear;
mod maps;
#[cfg(test)]
mod packing;
#[cfg(test)]
mod stamp;
mod subject;
mod trial;
#[cfg(test)]
pub(crate) mod vectors;

pub use draw::SWEEP;
pub use subject::{Limits, Subject};
pub use trial::{Mismatch, Trial};

#[cfg(test)]
pub(crate) use packing::{foreign_lines, least_weight, refusals};
#[cfg(test)]
pub(crate) use stamp::{stamp, stamp_tests, test};
#[cfg(test)]
pub(crate) use vectors::stamp_vectors;

pub(crate) use activations::{quantize, requantize};
pub(crate) use attend::{attend, attend_hooked};
pub(crate) use linear::{
    linear_add, linear_add_together, linear_i8, linear_i8_together, linear_i16, linear_relu_i8,
    linear_relu_i8_together, linear_tanh, linear_tanh_raw, wide_linear_i16,
};

use crate::CacheLine;

/// One case of one kernel.
pub(crate) type Case<K> = fn(Trial<'_, K>) -> Result<(), Mismatch>;

/// Calls a macro with the names of all cases that every implementation has, behind what is in the brackets.
macro_rules! every_case {
    ($then:ident $($argument:tt)*) => {
        $then! {
            $($argument)*
            quantize requantize linear_i8 linear_relu_i8 linear_add
            linear_i8_together linear_relu_i8_together linear_add_together linear_i16
            wide_linear_i16 linear_tanh linear_tanh_raw attend attend_hooked
        }
    };
}
#[cfg(test)]
pub(crate) use every_case;

/// Every case of the kernels `K` with its name, in a list.
macro_rules! list {
    ($($case:ident)+) => { [$((stringify!($case), $case::<K> as Case<K>)),+] };
}

/// Runs every case of every seed and returns how many there were.
///
/// # Errors
/// The seed and what differs.
pub fn check_all<K: Subject>(
    kernels: K,
    seeds: impl Iterator<Item = u32>,
    room: &mut [CacheLine],
) -> Result<u32, (u32, Mismatch)> {
    let mut count = 0_u32;
    for seed in seeds {
        for (name, case) in every_case!(list) {
            case(Trial::new(kernels, name, seed, room)).map_err(|mismatch| (seed, mismatch))?;
            count = count.saturating_add(1);
        }
    }
    Ok(count)
}
