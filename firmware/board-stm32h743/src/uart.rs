//! USART3 on PD8 (out) and PD9 (in), by an interrupt and two rings: nothing here waits.
//!
//! The interrupt alone touches the registers. It takes and gives what the peripheral's two queues hold, so that it comes at most
//! once per byte in each direction, and cannot keep a control step from its end.

#![expect(unsafe_code, reason = "register access")]

use cortex_m::peripheral::NVIC;
use engram_cortex_m::ring_uart::{Ends, Interrupted, RingUart};
use stm32h7::stm32h743::{self as pac, Interrupt, interrupt};

use crate::registers::pwm::motors_off;

/// Bits per second of the line.
const BAUD: u32 = 921_600;

/// Bytes that each queue of the peripheral holds.
const FIFO_BYTES: usize = 16;
/// Flags of damaged and lost bytes: parity, framing, noise, overrun.
const ERRORS: u32 = 0b1111;
/// Those of lost ones, which say nothing of the byte that is there.
const OVERRUN: u32 = 0b1000;

static ENDS: Ends = Ends::new();

/// The line's interrupt.
pub struct Usart3;

impl Interrupted for Usart3 {
    fn ends() -> &'static Ends {
        &ENDS
    }

    fn ask() {
        NVIC::pend(Interrupt::USART3);
    }
}

/// The serial line to the host.
pub(crate) type Uart = RingUart<Usart3>;

/// Turns the line on, at [`BAUD`] from a clock of `clock_hz`, and gives it to the interrupt. Its pins and its clock
/// are on already.
pub(crate) fn start(registers: pac::USART3, clock_hz: u32) -> Uart {
    let divider = ((clock_hz + BAUD / 2) / BAUD) as u16;
    // SAFETY: the register takes any divider of 16 bits.
    (registers.brr()).write(|w| unsafe { w.bits(divider.into()) });
    registers.cr1().write(|w| w.fifoen().set_bit());
    (registers.cr1()).modify(|_, w| w.te().set_bit().re().set_bit().rxneie().set_bit());
    registers.cr1().modify(|_, w| w.ue().set_bit());
    // SAFETY: no critical section depends on this line being masked.
    unsafe { NVIC::unmask(Interrupt::USART3) };
    Uart::new()
}

#[interrupt]
fn USART3() {
    // SAFETY: `start` took the registers, nobody else has them, and this interrupt does not interrupt itself.
    let registers = unsafe { pac::USART3::steal() };
    for _ in 0..FIFO_BYTES {
        let status = registers.isr().read();
        let errors = status.bits() & ERRORS;
        if errors != 0 {
            ENDS.note_damage();
            // SAFETY: ones clear these flags.
            registers.icr().write(|w| unsafe { w.bits(errors) });
        }
        if status.rxne().bit_is_clear() {
            break;
        }
        let byte = registers.rdr().read().bits() as u8;
        if errors & !OVERRUN == 0 && !ENDS.received.put(byte) {
            ENDS.note_damage();
        }
    }
    for _ in 0..FIFO_BYTES {
        if registers.isr().read().txe().bit_is_clear() {
            break;
        }
        let Some(byte) = ENDS.to_send.take() else {
            break;
        };
        send(&registers, byte);
    }
    let more = ENDS.to_send.waiting() > 0;
    registers.cr1().modify(|_, w| w.txeie().bit(more));
}

fn send(registers: &pac::USART3, byte: u8) {
    // SAFETY: the register takes any byte.
    (registers.tdr()).write(|w| unsafe { w.bits(byte.into()) });
}

engram_cortex_m::last_words_over!(LastWords);

/// The line for the last words: the registers alone, with interrupts off.
pub(crate) struct LastWords(pac::USART3);

impl engram_cortex_m::Uart for LastWords {
    unsafe fn steal() -> Self {
        // No motor goes on with the last command until the watchdog comes.
        // SAFETY: the caller says that nobody else uses the line any more; it is the end, in which nobody sets an output either.
        unsafe {
            motors_off();
            Self(pac::USART3::steal())
        }
    }

    fn offer(&mut self, byte: u8) -> bool {
        let takes = self.0.isr().read().txe().bit_is_set();
        if takes {
            send(&self.0, byte);
        }
        takes
    }
}
