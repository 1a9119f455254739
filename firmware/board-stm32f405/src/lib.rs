//! What this board decides without touching a register: where its clock comes from, where its image lies, what feeds its
//! watchdog.
//! The registers stand behind traits, because QEMU only has stubs for them: the tests bring their own.
//!
//! The firmware itself is `main.rs`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod clock;
pub mod i2c;
pub mod pwm;
pub mod ring;
pub mod spi;
pub mod store;
pub mod watchdog;
