//! What the board does when it cannot go on: it says why, once, and stops for good.
//!
//! Nothing is issued any more, so the host sees the link fall silent, and a robot's actuators see
//! their own command time-out. No formatting machinery is used here: it can panic.

#![allow(
    unsafe_code,
    reason = "exception entry, and what the board's linker brings"
)]

use cortex_m_rt::{ExceptionFrame, exception};
use engram_link::limits::MAX_FRAME_BYTES;
use engram_link::{FromBoard, Level, Log};
use heapless::String;

/// A serial line, as the last words need it.
pub trait Uart {
    /// The line, turned on, even if it was taken before.
    ///
    /// # Safety
    /// Whoever took it must not use it any more.
    unsafe fn steal() -> Self;
    /// Sends a byte, if the line takes it; whether it did.
    fn offer(&mut self, byte: u8) -> bool;
}

/// Names the line of the last words, a type that is a [`Uart`]: once in each firmware.
#[macro_export]
macro_rules! last_words_over {
    ($uart:ty) => {
        #[unsafe(no_mangle)]
        fn _engram_last_words(frame: &[u8]) {
            // SAFETY: called with interrupts off, by what never returns, so nobody else uses the line.
            $crate::write_all(unsafe { <$uart as $crate::Uart>::steal() }, frame);
        }
    };
}

unsafe extern "Rust" {
    /// Sends a frame to its end. [`last_words_over!`] defines it.
    safe fn _engram_last_words(frame: &[u8]);
}

/// Writes a frame however long the line takes: here the board may wait, it has nothing else to do.
#[doc(hidden)]
pub fn write_all(mut line: impl Uart, frame: &[u8]) {
    // The zero ends whatever frame was being sent.
    for byte in [0].iter().chain(frame) {
        while !line.offer(*byte) {}
    }
}

/// Any panic, which in this firmware none should be (feature `prove-no-panic`).
#[cfg(not(feature = "prove-no-panic"))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let (file, line) = info
        .location()
        .map_or(("?", 0), |location| (location.file(), location.line()));
    end(&["panic in ", file, " at line ", &digits(line, 10)])
}

/// Links only where no panic is reachable.
#[cfg(feature = "prove-no-panic")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn a_panic_is_reachable() -> !;
    }
    a_panic_is_reachable()
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    end(&["hard fault at instruction 0x", &digits(frame.pc(), 16)])
}

#[exception]
unsafe fn DefaultHandler(number: i16) -> ! {
    let number = digits(number.unsigned_abs().into(), 10);
    end(&["unexpected interrupt ", &number])
}

/// Says why, in one log frame, and stops for good.
pub fn stop(why: &str) -> ! {
    end(&[why])
}

/// The same in parts. One that does not fit is left out; the others still say enough.
#[cold]
#[inline(never)] // Its message is as large as the largest, and not to lie in the frame of whoever may have to stop.
fn end(parts: &[&str]) -> ! {
    cortex_m::interrupt::disable();
    let mut text = String::new();
    for part in parts {
        let _ = text.push_str(part);
    }
    let message = FromBoard::Log(Log::Text {
        level: Level::Error,
        text,
    });
    let mut frame = [0; MAX_FRAME_BYTES];
    if let Ok(length) = engram_link::encode(0, &message, &mut frame) {
        _engram_last_words(frame.get(..length).unwrap_or_default());
    }
    loop {
        cortex_m::asm::wfi();
    }
}

/// `number`, most significant digit first. `base` is 10 or 16.
fn digits(number: u32, base: u32) -> String<10> {
    let mut text = String::new();
    let mut divisor = 1_u32;
    while let Some(next) = divisor.checked_mul(base).filter(|next| *next <= number) {
        divisor = next;
    }
    while let Some(digit) = number.checked_div(divisor) {
        let digit = char::from_digit(digit.checked_rem(base).unwrap_or(0), base).unwrap_or('?');
        let _ = text.push(digit);
        divisor = divisor.checked_div(base).unwrap_or(0);
    }
    text
}
