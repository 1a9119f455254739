//! What this board decides without touching a register: where its clock comes from, where its image lies, how long its
//! watchdog waits.
//! The registers stand behind traits, because QEMU only has stubs for them: the tests bring their own.
//!
//! The firmware itself is `main.rs`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod clock;
pub mod store;
pub mod watchdog;
