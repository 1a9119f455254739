//! Kernels of ARM microcontrollers: the Cortex-M7 (and M4) with its DSP instructions.
//!
//! Weights come packed from the image (`docs/src/image-format.md`): its reader has checked them.

pub mod m7;
