//! USART2 on PA2 (out) and PA3 (in), by an interrupt and two rings: nothing here waits.
//!
//! The interrupt alone touches the registers. It takes one byte and gives what the line takes, so that it comes at most
//! once per byte in each direction, and cannot keep a control step from its end. QEMU never asks for more bytes to send by itself:
//! [`Interrupted::ask`] asks in its place, which does no harm on a part.

#![expect(unsafe_code, reason = "register access")]

use cortex_m::peripheral::NVIC;
use engram_cortex_m::ring_uart::{Ends, Interrupted, RingUart};
use stm32f4xx_hal::pac::{self, Interrupt, interrupt};

use crate::registers::pwm::motors_off;

/// Bits per second of the line.
const BAUD: u32 = 921_600;
static ENDS: Ends = Ends::new();

/// The line's interrupt.
pub struct Usart2;

impl Interrupted for Usart2 {
    fn ends() -> &'static Ends {
        &ENDS
    }

    /// QEMU never asks for more bytes to send by itself.
    fn ask() {
        NVIC::pend(Interrupt::USART2);
    }
}

/// The serial line to the host.
pub(crate) type Uart = RingUart<Usart2>;

/// Turns the line on, at [`BAUD`] from a bus of `bus_hz`, and gives it to the interrupt. Its pins and its clock are on already.
pub(crate) fn start(registers: pac::USART2, bus_hz: u32) -> Uart {
    let divider = ((bus_hz + BAUD / 2) / BAUD) as u16;
    // SAFETY: the register takes any divider of 16 bits.
    (registers.brr()).write(|w| unsafe { w.bits(divider) });
    registers.cr1().write(|w| {
        let w = w.ue().set_bit().te().set_bit();
        w.re().set_bit().rxneie().set_bit()
    });
    // SAFETY: no critical section depends on this line being masked.
    unsafe { NVIC::unmask(Interrupt::USART2) };
    Uart::new()
}

#[interrupt]
fn USART2() {
    // SAFETY: `start` took the registers, nobody else has them, and this interrupt does not interrupt itself.
    let registers = unsafe { pac::USART2::steal() };
    let status = registers.sr().read();
    let damaged = status.fe().bit_is_set() || status.nf().bit_is_set() || status.ore().bit_is_set();
    if damaged || status.rxne().bit_is_set() {
        // This read clears all of these flags.
        let byte = registers.dr().read().bits() as u8;
        if damaged || !ENDS.received.put(byte) {
            ENDS.note_damage();
        }
    }
    for _ in 0..ENDS.to_send.waiting() {
        if registers.sr().read().txe().bit_is_clear() {
            break;
        }
        if let Some(byte) = ENDS.to_send.take() {
            send(&registers, byte);
        }
    }
    let more = ENDS.to_send.waiting() > 0;
    registers.cr1().modify(|_, w| w.txeie().bit(more));
}

fn send(registers: &pac::USART2, byte: u8) {
    registers.dr().write(|w| w.dr().set(byte.into()));
}

engram_cortex_m::last_words_over!(LastWords);

/// The line for the last words: the registers alone, with interrupts off.
pub(crate) struct LastWords(pac::USART2);

impl engram_cortex_m::Uart for LastWords {
    unsafe fn steal() -> Self {
        // No motor goes on with the last command until the watchdog comes.
        // SAFETY: the caller says that nobody else uses the line any more; it is the end, in which nobody sets an output either.
        unsafe {
            motors_off();
            Self(pac::USART2::steal())
        }
    }

    fn offer(&mut self, byte: u8) -> bool {
        let takes = self.0.sr().read().txe().bit_is_set();
        if takes {
            send(&self.0, byte);
        }
        takes
    }
}
