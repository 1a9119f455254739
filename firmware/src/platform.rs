//! What the runtime must know of the board it runs on.

/// A clock that never runs backwards.
pub trait Clock {
    /// Microseconds since some moment before the first call.
    fn now_us(&mut self) -> u64;
}

/// Constants of a board's firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Identity {
    /// Name of the board, as in `engram boards`; at most 16 bytes are sent.
    pub board: &'static str,
    /// Name and version of the firmware; at most 32 bytes are sent.
    pub firmware: &'static str,
    /// Stack that the board has, bytes; 0 where that means nothing.
    pub stack_bytes: u32,
    /// Static RAM of the firmware, bytes; 0 where that means nothing.
    pub ram_bytes: u32,
}

/// The board under the runtime. Its clock measures how long steps take and, in real time, says when one is due.
pub trait Platform: Clock {
    /// Who the board is.
    fn identity(&self) -> Identity;

    /// Deepest stack seen so far, bytes; 0 where the board cannot say.
    fn worst_stack_bytes(&mut self) -> u32 {
        0
    }
}

/// The number of bytes that an environment variable may have set at build time, such as `option_env!("ENGRAM_CACHE_BYTES")`; else `usual`.
///
/// # Panics
/// Not a number. In a constant that ends the build.
#[must_use]
pub const fn bytes_of_build(set: Option<&str>, usual: usize) -> usize {
    match set {
        None => usual,
        Some(text) => match usize::from_str_radix(text, 10) {
            Ok(bytes) => bytes,
            Err(_) => panic!("a variable of the build is not a number of bytes"),
        },
    }
}
