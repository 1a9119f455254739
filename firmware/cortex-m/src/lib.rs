//! What boards with a Cortex-M share: clock, identity and measured memory (`Board`), logs (`logger`, `Journal`), last words
//! (`stop`, `last_words_over!`), the main loop (`run`), the node of hardware in the loop (`injected_node`), and what decides and touches no register: the queue between an interrupt and the main
//! loop ([`ring`]), and of STM32 parts the clock ([`clock`]), motor outputs ([`pwm`]), an SPI bus ([`spi`]), the watchdog ([`iwdg`]).
//!
//! A board adds its serial line, its linker script and its `main`: `firmware/board-mps2` is an example. The crate brings the panic
//! handler, the handlers of faults and of SysTick, and defmt's global logger, so that a firmware can have it once. On any target but
//! bare metal there are these five alone, for their tests.
//!
//! `unsafe` stands in the modules that touch linker symbols, exceptions and the log queue, and in macros over the registers of a part, and nowhere else.
#![cfg_attr(not(test), no_std)]

#[cfg(target_os = "none")]
mod board;
pub mod clock;
#[cfg(target_os = "none")]
mod control_loop;
#[cfg(target_os = "none")]
mod delay;
pub mod iwdg;
#[cfg(target_os = "none")]
mod journal;
#[cfg(target_os = "none")]
mod last_words;
#[cfg(target_os = "none")]
pub mod logger;
#[cfg(target_os = "none")]
mod memory;
pub mod pwm;
pub mod ring;
#[cfg(target_os = "none")]
pub mod ring_uart;
pub mod spi;

#[cfg(target_os = "none")]
pub use board::Board;
#[cfg(target_os = "none")]
pub use control_loop::{InjectedNode, Line, Sleep, injected_node, run};
#[cfg(target_os = "none")]
pub use delay::Delay;
#[cfg(target_os = "none")]
pub use journal::Journal;
#[cfg(target_os = "none")]
#[doc(hidden)]
pub use last_words::write_all;
#[cfg(target_os = "none")]
pub use last_words::{Uart, stop};
