//! The SPI bus, as `embedded_hal::spi::SpiBus`: byte by byte, and no wait without a bound.

use core::convert::Infallible;

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::OutputPin;
use embedded_hal::spi::{ErrorKind, ErrorType, MODE_3, Mode, SpiBus};
use embedded_hal_bus::spi::ExclusiveDevice;

/// How often a flag is looked at before the bus counts as dead. A byte at the slowest clock takes 4,100 cycles of an STM32F405's core and 12,800
/// of an STM32H743's; a look takes more than four.
pub const PATIENCE: u32 = 4_000;
/// The clock that a bus begins with, Hz: what every IMU takes.
pub const FIRST_HZ: u32 = 1_000_000;

/// The registers of an SPI peripheral that is the master of its bus.
pub trait Registers {
    /// Turns the bus on, anew: its clock is that of the peripheral by `2 << divider`, 0 to 7.
    fn configure(&mut self, mode: Mode, divider: u8);
    /// Whether a byte may be given.
    fn may_send(&self) -> bool;
    /// Gives a byte.
    fn send(&mut self, byte: u8);
    /// Whether a byte has come.
    fn has_received(&self) -> bool;
    /// Takes it.
    fn receive(&mut self) -> u8;
}

/// The bus gave no sign within [`PATIENCE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silent;

impl embedded_hal::spi::Error for Silent {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

/// An SPI bus.
#[derive(Debug)]
pub struct Spi<R> {
    registers: R,
    clock_hz: u32,
}

/// A device that is alone on its bus, chosen by `P`, with waits of `D`.
pub type Device<R, P, D> = ExclusiveDevice<Spi<R>, P, D>;

impl<R: Registers> Spi<R> {
    /// The bus in mode 3 at [`FIRST_HZ`]. `clock_hz`: of the peripheral.
    pub fn new(registers: R, clock_hz: u32) -> Self {
        let mut spi = Self {
            registers,
            clock_hz,
        };
        spi.set(MODE_3, FIRST_HZ);
        spi
    }

    /// Sets mode and clock. The clock is the fastest that does not exceed `hz`, or else the slowest there is.
    pub fn set(&mut self, mode: Mode, hz: u32) {
        let fits = |divider: &u8| self.clock_hz >> (divider + 1) <= hz;
        let divider = (0..7).find(fits).unwrap_or(7);
        self.registers.configure(mode, divider);
    }

    /// The device on this bus that `select`, while it is low, chooses. It is alone there.
    pub fn device<P, D>(self, select: P, delay: D) -> Device<R, P, D>
    where
        P: OutputPin<Error = Infallible>,
        D: DelayNs,
    {
        let Ok(device) = ExclusiveDevice::new(self, select, delay);
        device
    }

    fn exchange(&mut self, byte: u8) -> Result<u8, Silent> {
        wait(|| self.registers.may_send())?;
        self.registers.send(byte);
        wait(|| self.registers.has_received())?;
        Ok(self.registers.receive())
    }
}

fn wait(flag: impl Fn() -> bool) -> Result<(), Silent> {
    if (0..PATIENCE).any(|_| flag()) {
        Ok(())
    } else {
        Err(Silent)
    }
}

impl<R> ErrorType for Spi<R> {
    type Error = Silent;
}

impl<R: Registers> SpiBus for Spi<R> {
    fn read(&mut self, words: &mut [u8]) -> Result<(), Silent> {
        for word in words {
            *word = self.exchange(0)?;
        }
        Ok(())
    }

    fn write(&mut self, words: &[u8]) -> Result<(), Silent> {
        for word in words {
            self.exchange(*word)?;
        }
        Ok(())
    }

    fn transfer(&mut self, read: &mut [u8], write: &[u8]) -> Result<(), Silent> {
        let common = read.len().min(write.len());
        for (into, from) in read.iter_mut().zip(write) {
            *into = self.exchange(*from)?;
        }
        self.read(read.get_mut(common..).unwrap_or_default())?;
        self.write(write.get(common..).unwrap_or_default())
    }

    fn transfer_in_place(&mut self, words: &mut [u8]) -> Result<(), Silent> {
        for word in words {
            *word = self.exchange(*word)?;
        }
        Ok(())
    }

    /// Every byte that was given has come back: nothing is under way.
    fn flush(&mut self) -> Result<(), Silent> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A device that answers each byte with its complement; or, without a clock, none.
    #[derive(Default)]
    struct Complement {
        dead: bool,
        looks: Cell<u32>,
        answer: Option<u8>,
        got: Vec<u8>,
        dividers: Vec<u8>,
    }

    impl Registers for Complement {
        fn configure(&mut self, mode: Mode, divider: u8) {
            assert_eq!(mode, MODE_3);
            self.dividers.push(divider);
        }
        fn may_send(&self) -> bool {
            true
        }
        fn send(&mut self, byte: u8) {
            assert_eq!(self.answer, None, "a byte that came was not taken");
            self.got.push(byte);
            self.answer = Some(!byte);
        }
        fn has_received(&self) -> bool {
            self.looks.set(self.looks.get() + 1);
            !self.dead && self.looks.get().is_multiple_of(3)
        }
        fn receive(&mut self) -> u8 {
            self.answer.take().expect("a byte has come")
        }
    }

    #[test]
    fn every_byte_is_exchanged_for_one() {
        let mut spi = Spi::new(Complement::default(), 84_000_000);
        let mut read = [0; 4];
        spi.transfer(&mut read, &[1, 2]).expect("alive");
        assert_eq!(read, [!1, !2, !0, !0]);
        spi.transfer(&mut read[..1], &[3, 4, 5]).expect("alive");
        spi.transfer_in_place(&mut read).expect("alive");
        assert_eq!(read, [3, 2, 0, 0]);
        spi.flush().expect("alive");
        let got = [1, 2, 0, 0, 3, 4, 5, !3, !2, !0, !0];
        assert_eq!(spi.registers.got, got);
    }

    #[test]
    fn the_clock_is_the_fastest_that_is_not_too_fast() {
        let mut spi = Spi::new(Complement::default(), 84_000_000);
        for hz in [u32::MAX, 42_000_000, 41_999_999, 10_500_000, 330_000, 1] {
            spi.set(MODE_3, hz);
        }
        // 84 MHz by 128 is 656 kHz, the first that 1 MHz allows.
        assert_eq!(spi.registers.dividers, [6, 0, 0, 1, 2, 7, 7]);
        assert_eq!(
            Spi::new(Complement::default(), 16_000_000)
                .registers
                .dividers,
            [3]
        );
    }

    #[test]
    fn a_dead_bus_is_an_error_after_a_bounded_time() {
        let dead = Complement {
            dead: true,
            ..Complement::default()
        };
        let mut spi = Spi::new(dead, 84_000_000);
        assert_eq!(spi.write(&[1, 2, 3]), Err(Silent));
        assert_eq!(spi.registers.looks.get(), PATIENCE);
    }
}
