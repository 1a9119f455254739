//! The STM32H743 as a library for a robot's firmware: [`start`] brings up what it has, [`run`] is the main loop. Nothing emulates this part.
//!
//! What decides and touches no register stands in modules of its own, with the registers behind traits: the tests on the host bring their own. On
//! the host there is nothing else.
//!
//! `unsafe` stands in the modules that touch registers, and nowhere else.
#![cfg_attr(not(test), no_std)]

pub mod flash;

#[cfg(target_os = "none")]
mod registers;
#[cfg(target_os = "none")]
mod start;
#[cfg(target_os = "none")]
mod uart;

#[cfg(target_os = "none")]
pub use cortex_m_rt::entry;
#[cfg(target_os = "none")]
pub use engram_cortex_m::{Delay, injected_node, pwm, run, spi};
#[cfg(target_os = "none")]
pub use start::{Line, MotorOutput, Motors, Pin, SpiBus, SpiDevice, Stm32h743, Wiring, start};
