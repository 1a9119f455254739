//! USART3 on PD8 (out) and PD9 (in), by an interrupt and two rings: nothing here waits.
//!
//! The interrupt alone touches the registers. It takes and gives what the peripheral's two queues hold, so that it comes at most
//! once per byte in each direction, and cannot keep a control step from its end.

#![expect(unsafe_code, reason = "register access")]

use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::peripheral::NVIC;
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use engram_cortex_m::Sleep;
use engram_cortex_m::ring::Ring;
use stm32h7::stm32h743::{self as pac, Interrupt, interrupt};

use crate::registers::pwm::motors_off;

/// Bits per second of the line.
const BAUD: u32 = 921_600;

/// Bytes that wait for the main loop, which is away for a control step at most: room for 11 ms of the line.
static RECEIVED: Ring<1024> = Ring::new();
/// Bytes that wait for the line.
static TO_SEND: Ring<TO_SEND_BYTES> = Ring::new();
const TO_SEND_BYTES: usize = 256;
/// Bytes that each queue of the peripheral holds.
const FIFO_BYTES: usize = 16;
/// Flags of damaged and lost bytes: parity, framing, noise, overrun.
const ERRORS: u32 = 0b1111;
/// Those of lost ones, which say nothing of the byte that is there.
const OVERRUN: u32 = 0b1000;
/// A byte was damaged, or found no room, since the last look.
static DAMAGED: AtomicBool = AtomicBool::new(false);

/// The serial line to the host.
pub struct Uart(());

impl Uart {
    /// Turns the line on, at [`BAUD`] from a clock of `clock_hz`, and gives it to the interrupt. Its pins and its clock
    /// are on already.
    pub(crate) fn start(registers: pac::USART3, clock_hz: u32) -> Self {
        let divider = ((clock_hz + BAUD / 2) / BAUD) as u16;
        // SAFETY: the register takes any divider of 16 bits.
        (registers.brr()).write(|w| unsafe { w.bits(divider.into()) });
        registers.cr1().write(|w| w.fifoen().set_bit());
        (registers.cr1()).modify(|_, w| w.te().set_bit().re().set_bit().rxneie().set_bit());
        registers.cr1().modify(|_, w| w.ue().set_bit());
        // SAFETY: no critical section depends on this line being masked.
        unsafe { NVIC::unmask(Interrupt::USART3) };
        Self(())
    }
}

impl Sleep for Uart {
    fn sleep(&mut self) {
        // With interrupts off none is lost between the check and the sleep, which a pending one ends all the same.
        cortex_m::interrupt::free(|_| {
            if RECEIVED.waiting() == 0 {
                cortex_m::asm::wfi();
            }
        });
    }
}

#[interrupt]
fn USART3() {
    // SAFETY: `start` took the registers, nobody else has them, and this interrupt does not interrupt itself.
    let registers = unsafe { pac::USART3::steal() };
    for _ in 0..FIFO_BYTES {
        let status = registers.isr().read();
        let errors = status.bits() & ERRORS;
        if errors != 0 {
            DAMAGED.store(true, Ordering::Relaxed);
            // SAFETY: ones clear these flags.
            registers.icr().write(|w| unsafe { w.bits(errors) });
        }
        if status.rxne().bit_is_clear() {
            break;
        }
        let byte = registers.rdr().read().bits() as u8;
        if errors & !OVERRUN == 0 && !RECEIVED.put(byte) {
            DAMAGED.store(true, Ordering::Relaxed);
        }
    }
    for _ in 0..FIFO_BYTES {
        if registers.isr().read().txe().bit_is_clear() {
            break;
        }
        let Some(byte) = TO_SEND.take() else { break };
        send(&registers, byte);
    }
    let more = TO_SEND.waiting() > 0;
    registers.cr1().modify(|_, w| w.txeie().bit(more));
}

fn send(registers: &pac::USART3, byte: u8) {
    // SAFETY: the register takes any byte.
    (registers.tdr()).write(|w| unsafe { w.bits(byte.into()) });
}

impl ErrorType for Uart {
    type Error = ErrorKind;
}

impl ReadReady for Uart {
    /// # Errors
    /// Once for bytes that were damaged or found no room since the last call.
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        if DAMAGED.swap(false, Ordering::Relaxed) {
            return Err(ErrorKind::Other);
        }
        Ok(RECEIVED.waiting() > 0)
    }
}

impl Read for Uart {
    /// Takes what is there without waiting; nothing, where [`ReadReady`] would have said so.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let mut count = 0;
        for (place, byte) in buffer
            .iter_mut()
            .zip(core::iter::from_fn(|| RECEIVED.take()))
        {
            *place = byte;
            count += 1;
        }
        Ok(count)
    }
}

impl WriteReady for Uart {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(TO_SEND.waiting() < TO_SEND_BYTES)
    }
}

impl Write for Uart {
    /// Takes as many bytes as there is room for without waiting: none, where [`WriteReady`] would have said so.
    fn write(&mut self, buffer: &[u8]) -> Result<usize, ErrorKind> {
        let count = buffer.iter().take_while(|byte| TO_SEND.put(**byte)).count();
        NVIC::pend(Interrupt::USART3);
        Ok(count)
    }

    /// The interrupt sends what waits.
    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
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
}

impl ErrorType for LastWords {
    type Error = ErrorKind;
}

impl Write for LastWords {
    /// One byte, if the line takes it.
    fn write(&mut self, buffer: &[u8]) -> Result<usize, ErrorKind> {
        match buffer.first() {
            Some(byte) if self.0.isr().read().txe().bit_is_set() => {
                send(&self.0, *byte);
                Ok(1)
            }
            _ => Ok(0),
        }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
