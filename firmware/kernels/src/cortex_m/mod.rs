//! Kernels of ARM microcontrollers: the Cortex-M7 (and M4) with its DSP instructions, the Cortex-M55 with its
//! vectors.

#[cfg(all(
    target_arch = "arm",
    any(feature = "cortex-m7", feature = "cortex-m55")
))]
mod every_core;
#[cfg(all(target_arch = "arm", feature = "cortex-m55"))]
pub mod m55;
#[cfg(all(target_arch = "arm", feature = "cortex-m7"))]
pub mod m7;
pub mod packing;
