//! What the kernels of all vector instructions of hosts share.

pub(crate) mod biases;
pub(crate) mod packed;

/// Takes the first `count` entries off a slice.
#[inline]
pub(crate) fn take<'a, T>(slice: &mut &'a mut [T], count: usize) -> Option<&'a mut [T]> {
    let (taken, rest) = core::mem::take(slice).split_at_mut_checked(count)?;
    *slice = rest;
    Some(taken)
}
