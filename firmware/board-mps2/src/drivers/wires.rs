//! Buses, pins and waits that lead nowhere: all answer, and never the compiler.

use core::convert::Infallible;
use core::hint::black_box;
use core::sync::atomic::{AtomicU16, Ordering};

use embedded_hal::delay::DelayNs;
use embedded_hal::digital::{self, OutputPin};
use embedded_hal::i2c::{self, I2c};
use embedded_hal::pwm::{self, SetDutyCycle};
use embedded_hal::spi::{self, SpiDevice};

/// Any of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wires;

/// The time stamp of the next sample in the ICM's FIFO.
static COUNT: AtomicU16 = AtomicU16::new(0);

/// Lets the ICM's counter go on.
pub(crate) fn count_on(ticks: u16) {
    COUNT.fetch_add(ticks, Ordering::Relaxed);
}

impl Wires {
    /// A sample of the ICM as it comes out of its FIFO, behind status and length: 1 g upwards, turning about z.
    pub(crate) fn burst(self) -> [u8; 24] {
        let [high, low] = COUNT.load(Ordering::Relaxed).to_be_bytes();
        black_box([
            0, 0, 0, 20, 0x78, 0, 0, 0, 0, 0x08, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, high, low, 0, 0, 0,
        ])
    }

    fn answer(self, bytes: &mut [u8]) {
        if bytes.len() == 24 {
            for (to, from) in bytes.iter_mut().zip(self.burst()) {
                *to = from;
            }
            return;
        }
        let register = match bytes {
            [] | [_] => 0x21, // AS5600: magnet seen; MPU-6050: a sample is there
            _ => 0x47,        // ICM-42688-P
        };
        for byte in bytes {
            *byte = black_box(register);
        }
    }
}

/// Errors are there for the compiler, which must not know that there is none.
fn outcome<E>(error: E) -> Result<(), E> {
    if black_box(false) { Err(error) } else { Ok(()) }
}

impl spi::ErrorType for Wires {
    type Error = spi::ErrorKind;
}

impl SpiDevice for Wires {
    fn transaction(
        &mut self,
        operations: &mut [spi::Operation<'_, u8>],
    ) -> Result<(), spi::ErrorKind> {
        for operation in operations {
            match operation {
                spi::Operation::Read(bytes)
                | spi::Operation::Transfer(bytes, _)
                | spi::Operation::TransferInPlace(bytes) => self.answer(bytes),
                spi::Operation::Write(bytes) => {
                    black_box(bytes);
                }
                spi::Operation::DelayNs(_) => {}
            }
        }
        outcome(spi::ErrorKind::Other)
    }
}

impl i2c::ErrorType for Wires {
    type Error = i2c::ErrorKind;
}

impl I2c for Wires {
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [i2c::Operation<'_>],
    ) -> Result<(), i2c::ErrorKind> {
        for operation in operations {
            match (address, operation) {
                // BMI088: its identities, else as the others.
                (0x18, i2c::Operation::Read([byte])) => *byte = black_box(0x1E),
                (0x69, i2c::Operation::Read([byte])) => *byte = black_box(0x0F),
                (_, i2c::Operation::Read(bytes)) => self.answer(bytes),
                (_, i2c::Operation::Write(bytes)) => {
                    black_box(bytes);
                }
            }
        }
        outcome(i2c::ErrorKind::Other)
    }
}

impl pwm::ErrorType for Wires {
    type Error = pwm::ErrorKind;
}

impl SetDutyCycle for Wires {
    fn max_duty_cycle(&self) -> u16 {
        black_box(42_000)
    }

    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), pwm::ErrorKind> {
        black_box(duty);
        outcome(pwm::ErrorKind::Other)
    }
}

impl digital::ErrorType for Wires {
    type Error = Infallible;
}

impl OutputPin for Wires {
    fn set_low(&mut self) -> Result<(), Infallible> {
        black_box(false);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        black_box(true);
        Ok(())
    }
}

impl DelayNs for Wires {
    fn delay_ns(&mut self, ns: u32) {
        black_box(ns);
    }
}
