//! UART0 of the MPS2 and MPS3 boards (CMSDK APB UART).
//!
//! Nothing but this module may touch the UART's registers, and nothing here waits for the other end. Reading
//! without an interrupt handler loses no byte here: QEMU holds a byte back until the one-byte receive buffer is
//! free. The receive interrupt only ends the core's sleep.

#![expect(unsafe_code, reason = "register access")]

use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use engram_cortex_m::Uart as _;

use crate::machine::MACHINE;

/// Clocks per bit; QEMU ignores the value but wants at least 16.
const CLOCKS_PER_BIT: u32 = 25_000_000 / 1_000_000;
const TX_FULL: u32 = 1 << 0;
const RX_FULL: u32 = 1 << 1;
const RX_OVERRUN: u32 = 1 << 3;
const TX_RX_AND_RX_INTERRUPT: u32 = 0b1011;
const RX_INTERRUPT: u32 = 1 << 1;

/// The interrupt lines in use.
#[derive(Clone, Copy)]
struct Uart0Receive;

// SAFETY: the line is UART0's receive interrupt on mps2-an500; on mps3-an547 it is all that UART0 asks for, of
// which only receiving is turned on.
unsafe impl InterruptNumber for Uart0Receive {
    fn number(self) -> u16 {
        MACHINE.uart0_interrupt
    }
}

/// The registers, in the order of the CMSDK technical reference manual.
#[repr(C)]
struct Registers {
    data: u32,
    state: u32,
    control: u32,
    interrupt: u32,
    clocks_per_bit: u32,
}

/// The serial line to the host.
pub(crate) struct Uart {
    registers: NonNull<Registers>,
}

impl Uart {
    /// The UART, turned on; `None` if it was taken before.
    pub(crate) fn take() -> Option<Self> {
        static TAKEN: AtomicBool = AtomicBool::new(false);
        if TAKEN.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: this is reached once.
        Some(unsafe { Self::steal() })
    }

    /// Sleeps until a byte is there or any interrupt comes: the clock's, within a millisecond. Bytes that found no room
    /// on the line are offered again then.
    pub(crate) fn sleep(&mut self) {
        cortex_m::interrupt::free(|_| {
            // A pending interrupt ends the sleep although interrupts are off, and none is lost
            // between the check and the sleep. The line has no handler: it is taken back here.
            // SAFETY: no critical section depends on this line being masked.
            unsafe { NVIC::unmask(Uart0Receive) };
            if self.state() & RX_FULL == 0 {
                cortex_m::asm::wfi();
            }
            NVIC::mask(Uart0Receive);
            // SAFETY: as in `steal`; writing a one clears that interrupt and nothing else.
            unsafe { (&raw mut (*self.registers.as_ptr()).interrupt).write_volatile(RX_INTERRUPT) };
            NVIC::unpend(Uart0Receive);
        });
    }

    fn state(&self) -> u32 {
        // SAFETY: as in `steal`; reading this register has no side effect.
        unsafe { (&raw const (*self.registers.as_ptr()).state).read_volatile() }
    }
}

impl engram_cortex_m::Uart for Uart {
    unsafe fn steal() -> Self {
        let registers =
            NonNull::new(MACHINE.uart0 as *mut Registers).unwrap_or(NonNull::dangling());
        // SAFETY: the registers exist at this address on the board, for as long as it runs.
        unsafe {
            (&raw mut (*registers.as_ptr()).clocks_per_bit).write_volatile(CLOCKS_PER_BIT);
            (&raw mut (*registers.as_ptr()).control).write_volatile(TX_RX_AND_RX_INTERRUPT);
        }
        Self { registers }
    }

    fn offer(&mut self, byte: u8) -> bool {
        self.write(&[byte]) == Ok(1)
    }
}

impl ErrorType for Uart {
    type Error = ErrorKind;
}

impl ReadReady for Uart {
    /// # Errors
    /// Once for each overrun: a byte came before the last one was read.
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        let state = self.state();
        if state & RX_OVERRUN != 0 {
            // SAFETY: as in `steal`; writing a one clears that flag and nothing else.
            unsafe { (&raw mut (*self.registers.as_ptr()).state).write_volatile(RX_OVERRUN) };
            return Err(ErrorKind::Other);
        }
        Ok(state & RX_FULL != 0)
    }
}

impl Read for Uart {
    /// Takes what is there without waiting; nothing, where [`ReadReady`] would have said so.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let mut count = 0;
        for place in buffer {
            if self.state() & RX_FULL == 0 {
                break;
            }
            // SAFETY: as in `steal`; `&mut self` makes this the only reader.
            *place = unsafe { (&raw const (*self.registers.as_ptr()).data).read_volatile() } as u8;
            count += 1;
        }
        Ok(count)
    }
}

impl WriteReady for Uart {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.state() & TX_FULL == 0)
    }
}

impl Write for Uart {
    /// Takes as many bytes as there is room for without waiting: none, where [`WriteReady`] would have said so.
    fn write(&mut self, buffer: &[u8]) -> Result<usize, ErrorKind> {
        let mut count = 0;
        for &byte in buffer {
            if self.state() & TX_FULL != 0 {
                break;
            }
            // SAFETY: as in `steal`; `&mut self` makes this the only writer.
            unsafe { (&raw mut (*self.registers.as_ptr()).data).write_volatile(byte.into()) };
            count += 1;
        }
        Ok(count)
    }

    /// Nothing is kept back here.
    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
