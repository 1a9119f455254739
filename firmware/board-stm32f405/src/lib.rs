//! The STM32F405 as a library for a robot's firmware: `start` brings up what it has, `run` is the main loop. QEMU's machine
//! `netduinoplus2` runs the same file, as far as it models the part.
//!
//! What decides and touches no register stands in modules of its own, with the registers behind traits, because QEMU only has stubs for
//! them: the tests on the host bring their own. On the host there is nothing else.
//!
//! `unsafe` stands in the modules that touch registers, and nowhere else.
#![cfg_attr(not(test), no_std)]

pub mod flash;
pub mod i2c;
pub mod store;

#[cfg(target_os = "none")]
mod registers;
#[cfg(target_os = "none")]
mod start;
#[cfg(target_os = "none")]
mod uart;

#[cfg(target_os = "none")]
pub use cortex_m_rt::entry;
#[cfg(target_os = "none")]
pub use engram_cortex_m::{Delay, injected_node, pwm, run, spi, stop};
#[cfg(target_os = "none")]
pub use start::{
    I2cBus, Line, MotorOutput, Motors, Pins, SpiBus, SpiDevice, Stm32f405, Wiring, start,
};
