//! The registers of the pins.

use core::convert::Infallible;

use embedded_hal::digital::{ErrorType, OutputPin};
use stm32h7::stm32h743::gpioa::RegisterBlock;
use stm32h7::stm32h743::{GPIOA, GPIOC, GPIOD};

/// One of the ports, whose registers are all the same.
#[derive(Clone, Copy)]
pub(crate) struct Port(&'static RegisterBlock);

impl Port {
    /// Port A.
    pub(crate) fn a(_: GPIOA) -> Self {
        // SAFETY: this takes the only handle of registers that are there for ever.
        Self(unsafe { &*GPIOA::ptr() })
    }

    /// Port C.
    pub(crate) fn c(_: GPIOC) -> Self {
        // SAFETY: as for port A; the ports differ in what their registers hold after a reset alone.
        Self(unsafe { &*GPIOC::ptr().cast() })
    }

    /// Port D.
    pub(crate) fn d(_: GPIOD) -> Self {
        // SAFETY: as for port C.
        Self(unsafe { &*GPIOD::ptr().cast() })
    }

    /// Gives a pin, 0 to 15, to a peripheral. `pull_up`: it rests high where nothing is plugged in.
    pub(crate) fn give(self, pin: u8, function: u8, pull_up: bool) {
        let (pin, function) = (u32::from(pin & 15), u32::from(function & 15));
        let within = 4 * (pin & 7);
        let four = |bits: u32| bits & !(15 << within) | function << within;
        // SAFETY: the fields take these numbers, and other pins keep theirs.
        unsafe {
            if pin < 8 {
                self.0.afrl().modify(|r, w| w.bits(four(r.bits())));
            } else {
                self.0.afrh().modify(|r, w| w.bits(four(r.bits())));
            }
            let pull = u32::from(pull_up);
            (self.0.pupdr())
                .modify(|r, w| w.bits(r.bits() & !(3 << (2 * pin)) | pull << (2 * pin)));
        }
        self.set_mode(pin, 2);
    }

    /// Makes a pin, 0 to 15, an output, which begins high.
    pub(crate) fn output(self, pin: u8) -> Output {
        let mut output = Output {
            port: self,
            pin: pin & 15,
        };
        let Ok(()) = output.set_high();
        self.set_mode(output.pin.into(), 1);
        output
    }

    fn set_mode(self, pin: u32, mode: u32) {
        // SAFETY: the field takes these numbers, and other pins keep theirs.
        (self.0.moder())
            .modify(|r, w| unsafe { w.bits(r.bits() & !(3 << (2 * pin)) | mode << (2 * pin)) });
    }
}

/// A pin that is an output.
pub struct Output {
    port: Port,
    pin: u8,
}

impl ErrorType for Output {
    type Error = Infallible;
}

impl OutputPin for Output {
    fn set_low(&mut self) -> Result<(), Infallible> {
        // SAFETY: ones act on their pin, zeros on none.
        (self.port.0.bsrr()).write(|w| unsafe { w.bits(1 << (16 + u32::from(self.pin))) });
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        // SAFETY: as above.
        (self.port.0.bsrr()).write(|w| unsafe { w.bits(1 << u32::from(self.pin)) });
        Ok(())
    }
}
