//! What the board does when it cannot go on: it says why, once, and stops for good.
//!
//! Nothing is issued any more, so the host sees the link fall silent, and a robot's actuators see
//! their own command time-out. No formatting machinery is used here: it can panic.

#![allow(
    unsafe_code,
    reason = "exception entry, and a second handle on the UART"
)]

use cortex_m_rt::{ExceptionFrame, exception};
use embedded_io::Write;
use engram_link::limits::{LOG_BYTES, MAX_FRAME_BYTES};
use engram_link::{FromBoard, Level, Log};
use heapless::String;

use crate::uart::Uart;

/// Any panic, which in this firmware none should be (feature `prove-no-panic`).
#[cfg(not(feature = "prove-no-panic"))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let (file, line) = info
        .location()
        .map_or(("?", 0), |location| (location.file(), location.line()));
    stop("panic in ", file, " at line ", line, 10)
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
    stop("hard fault", "", " at instruction 0x", frame.pc(), 16)
}

#[exception]
unsafe fn DefaultHandler(number: i16) -> ! {
    stop(
        "unexpected interrupt",
        "",
        " ",
        number.unsigned_abs().into(),
        10,
    )
}

/// Sends one log frame and stops.
pub(crate) fn stop(what: &str, subject: &str, preposition: &str, number: u32, base: u32) -> ! {
    cortex_m::interrupt::disable();
    let mut text = String::<LOG_BYTES>::new();
    for part in [what, subject, preposition] {
        // A part that does not fit is left out; the others still say enough.
        let _ = text.push_str(part);
    }
    push_number(&mut text, number, base);
    let message = FromBoard::Log(Log::Text {
        level: Level::Error,
        text,
    });
    let mut frame = [0; MAX_FRAME_BYTES];
    if let Ok(length) = engram_link::encode(0, &message, &mut frame) {
        // SAFETY: interrupts are off and this never returns, so nobody else uses the UART.
        let mut uart = unsafe { Uart::steal() };
        // The zero ends whatever frame was being sent. Here the board may wait for the line: it has nothing else to do.
        for byte in [0].iter().chain(frame.get(..length).unwrap_or_default()) {
            while !matches!(uart.write(core::slice::from_ref(byte)), Ok(1)) {}
        }
    }
    loop {
        cortex_m::asm::wfi();
    }
}

/// Appends `number`, most significant digit first. `base` is 10 or 16.
fn push_number(text: &mut String<LOG_BYTES>, number: u32, base: u32) {
    let mut divisor = 1_u32;
    while let Some(next) = divisor.checked_mul(base).filter(|next| *next <= number) {
        divisor = next;
    }
    while let Some(digit) = number.checked_div(divisor) {
        let digit = char::from_digit(digit.checked_rem(base).unwrap_or(0), base).unwrap_or('?');
        let _ = text.push(digit);
        divisor = divisor.checked_div(base).unwrap_or(0);
    }
}
