//! The registers of I2C1 or I2C3.

use stm32f4xx_hal::pac::i2c1::RegisterBlock;

use crate::i2c::{End, Next, Registers, Status, Timing};

/// An I2C peripheral; nobody but a clone has its registers.
#[derive(Clone)]
pub struct I2cRegisters {
    registers: &'static RegisterBlock,
    timing: Timing,
}

impl I2cRegisters {
    /// Its clock and its pins are on already.
    pub(crate) fn new(registers: &'static RegisterBlock, timing: Timing) -> Self {
        Self { registers, timing }
    }

    /// Clears the flag of the address, and with it lets the clock go.
    fn clear_address(&self) {
        let _ = self.registers.sr1().read();
        let _ = self.registers.sr2().read();
    }
}

impl Registers for I2cRegisters {
    fn reset(&mut self) {
        let (registers, timing) = (self.registers, self.timing);
        registers.cr1().write(|w| w.swrst().set_bit());
        registers.cr1().reset();
        // SAFETY: the fields take these numbers: `Timing` is made for this clock.
        unsafe {
            registers.cr2().write(|w| w.freq().bits(timing.mhz));
            registers.trise().write(|w| w.trise().bits(timing.rise));
            registers
                .ccr()
                .write(|w| w.f_s().set_bit().ccr().bits(timing.high));
        }
        registers.cr1().write(|w| w.pe().set_bit());
    }

    fn is_busy(&self) -> bool {
        let stopping = self.registers.cr1().read().stop().bit_is_set();
        stopping || self.registers.sr2().read().busy().bit_is_set()
    }

    fn status(&self) -> Status {
        let status = self.registers.sr1().read();
        Status {
            started: status.sb().bit_is_set(),
            addressed: status.addr().bit_is_set(),
            may_send: status.tx_e().bit_is_set(),
            has_received: status.rx_ne().bit_is_set(),
            finished: status.btf().bit_is_set(),
            unacknowledged: status.af().bit_is_set(),
            misplaced: status.berr().bit_is_set(),
            lost: status.arlo().bit_is_set(),
        }
    }

    fn forget_errors(&mut self) {
        // Zeros clear them, ones change nothing, and the other flags only read.
        // SAFETY: the register takes any word.
        unsafe { self.registers.sr1().write(|w| w.bits(0)) };
    }

    fn start(&mut self) {
        self.registers.cr1().modify(|_, w| w.start().set_bit());
    }

    fn end(&mut self, end: End) {
        self.registers.cr1().modify(|_, w| match end {
            End::Stop => w.stop().set_bit(),
            End::Restart => w.start().set_bit(),
        });
    }

    fn send(&mut self, byte: u8) {
        // SAFETY: the register takes any byte.
        self.registers
            .dr()
            .write(|w| unsafe { w.bits(byte.into()) });
    }

    fn receive(&mut self) -> u8 {
        self.registers.dr().read().bits() as u8
    }

    fn acknowledge(&mut self, yes: bool, second: bool) {
        self.registers
            .cr1()
            .modify(|_, w| w.ack().bit(yes).pos().bit(second));
    }

    fn go_on(&mut self, next: Next) {
        cortex_m::interrupt::free(|_| {
            self.clear_address();
            match next {
                Next::Bytes => {}
                Next::TwoBytes => {
                    self.registers.cr1().modify(|_, w| w.ack().clear_bit());
                }
                Next::OneByte(end) => self.end(end),
            }
        });
    }
}
