//! What boards with a Cortex-M share: clock, identity and measured memory ([`Board`]), logs ([`logger`], [`Journal`]) and last words
//! ([`stop`], [`last_words_over!`]).
//!
//! A board adds its serial line, its linker script and its `main`: `firmware/board-mps2` is an example. The crate brings the panic
//! handler, the handlers of faults and of SysTick, and defmt's global logger, so that a firmware can have it once. On any target but
//! bare metal it is empty.
//!
//! `unsafe` stands in the modules that touch linker symbols, exceptions and the log queue, and nowhere else.
#![cfg(target_os = "none")]
#![no_std]

mod board;
mod journal;
mod last_words;
pub mod logger;
mod memory;

pub use board::Board;
pub use journal::Journal;
#[doc(hidden)]
pub use last_words::write_all;
pub use last_words::{Uart, stop};
