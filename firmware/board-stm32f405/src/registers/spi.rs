//! The registers of SPI1.

use embedded_hal::spi::{Mode, Phase, Polarity};
use stm32f4xx_hal::pac;

use engram_cortex_m::spi::Registers;

/// SPI1 as the master of its bus.
pub struct SpiRegisters(pub(crate) pac::SPI1);

impl Registers for SpiRegisters {
    fn configure(&mut self, mode: Mode, divider: u8) {
        // Mode and clock are set while it is off.
        self.0.cr1().modify(|_, w| w.spe().clear_bit());
        self.0.cr1().write(|w| {
            let w = w.cpol().bit(mode.polarity == Polarity::IdleHigh);
            let w = w.cpha().bit(mode.phase == Phase::CaptureOnSecondTransition);
            let w = w.mstr().set_bit().ssm().set_bit().ssi().set_bit();
            w.br().set(divider & 7).spe().set_bit()
        });
    }

    fn may_send(&self) -> bool {
        self.0.sr().read().txe().bit_is_set()
    }

    fn send(&mut self, byte: u8) {
        self.0.dr().write(|w| w.dr().set(byte.into()));
    }

    fn has_received(&self) -> bool {
        self.0.sr().read().rxne().bit_is_set()
    }

    fn receive(&mut self) -> u8 {
        self.0.dr().read().dr().bits() as u8
    }
}
