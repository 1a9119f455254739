//! What this board decides without touching a register: where its clock comes from, how its flash is written and read, how long its
//! watchdog waits.
//! The registers stand behind traits, because nothing emulates this part: the tests bring their own.
//!
//! The firmware itself is `main.rs`.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod clock;
pub mod flash;
pub mod watchdog;
