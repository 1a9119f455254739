//! Kernels of ARM microcontrollers: the Cortex-M7 (and M4) with its DSP instructions, the Cortex-M55 with its
//! vectors.

mod heads;
#[cfg(feature = "cortex-m55")]
pub mod m55;
#[cfg(feature = "cortex-m7")]
pub mod m7;
