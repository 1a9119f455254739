//! What this board decides without touching a register: where its clock comes from, where its image lies, what feeds its
//! watchdog.
//! The registers stand behind traits, because QEMU only has stubs for them: the tests bring their own.
//!
//! The firmware itself is `main.rs`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod clock;
pub mod flash;
pub mod ring;
pub mod store;
pub mod watchdog;

/// Where an image is programmed beside the firmware: the first slot.
pub const IMAGE_ADDRESS: usize = 0x0808_0000;
