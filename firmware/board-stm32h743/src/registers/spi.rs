//! The registers of SPI1.

use embedded_hal::spi::{Mode, Phase, Polarity};
use engram_cortex_m::spi::Registers;
use stm32h7::stm32h743 as pac;

/// SPI1 as the master of its bus: bytes, without an end that is known beforehand.
pub struct SpiRegisters(pub(crate) pac::SPI1);

impl Registers for SpiRegisters {
    fn configure(&mut self, mode: Mode, divider: u8) {
        // Mode and clock are set while it is off. Nobody selects it, so that it stays the master.
        self.0.cr1().write(|w| w.ssi().set_bit());
        // SAFETY: 7 is frames of 8 bits, each of which is a packet of the queue; the divider has three bits.
        (self.0.cfg1())
            .write(|w| unsafe { w.dsize().bits(7).fthlv().bits(0).mbr().bits(divider & 7) });
        self.0.cfg2().write(|w| {
            let w = w.cpol().bit(mode.polarity == Polarity::IdleHigh);
            let w = w.cpha().bit(mode.phase == Phase::CaptureOnSecondTransition);
            // Its pins rest as the mode says while it is off.
            w.master().set_bit().ssm().set_bit().afcntr().set_bit()
        });
        // What came too late for an exchange that was given up, and a clash with another master.
        self.0
            .ifcr()
            .write(|w| w.ovrc().clear_bit_by_one().modfc().clear_bit_by_one());
        (self.0.cr1()).write(|w| w.ssi().set_bit().spe().set_bit());
        (self.0.cr1()).modify(|_, w| w.cstart().set_bit());
    }

    fn may_send(&self) -> bool {
        self.0.sr().read().txp().bit_is_set()
    }

    fn send(&mut self, byte: u8) {
        // SAFETY: the register takes any byte.
        self.0.txdr8().write(|w| unsafe { w.bits(byte) });
    }

    fn has_received(&self) -> bool {
        self.0.sr().read().rxp().bit_is_set()
    }

    fn receive(&mut self) -> u8 {
        self.0.rxdr8().read().bits()
    }
}
