//! The registers of the timer that drives the motors, TIM4.

use engram_cortex_m::pwm::{Channel, Timing};
use stm32h7::stm32h743::{TIM4, tim3::RegisterBlock};

/// A timer with four channels.
#[derive(Clone, Copy)]
pub(crate) struct Timer(&'static RegisterBlock);

impl Timer {
    /// TIM4.
    pub(crate) fn tim4(_: TIM4) -> Self {
        // SAFETY: this takes the only handle of registers that are there for ever.
        Self(unsafe { &*TIM4::ptr() })
    }

    /// Makes it count, and gives all four channels, low, to their pins.
    pub(crate) fn start(self, timing: Timing) {
        let registers = self.0;
        for channel in 1..=4 {
            MotorChannel {
                timer: self,
                channel,
            }
            .set_high(0);
        }
        // What is set acts from the next period on, so that no pulse is cut.
        const MODE_1_BUFFERED: u32 = 0x6868;
        const ALL_FOUR: u32 = 0x1111;
        let reload = timing.counts.saturating_sub(1);
        // SAFETY: the registers take these words.
        unsafe {
            registers.psc().write(|w| w.bits(timing.prescaler.into()));
            registers.arr().write(|w| w.bits(reload.into()));
            (registers.ccmr1_output()).write(|w| w.bits(MODE_1_BUFFERED));
            (registers.ccmr2_output()).write(|w| w.bits(MODE_1_BUFFERED));
            registers.ccer().write(|w| w.bits(ALL_FOUR));
        }
        registers.egr().write(|w| w.ug().set_bit());
        (registers.cr1()).write(|w| w.arpe().set_bit().cen().set_bit());
    }
}

/// One channel, 1 to 4, of a timer.
pub struct MotorChannel {
    pub(crate) timer: Timer,
    pub(crate) channel: u8,
}

impl Channel for MotorChannel {
    fn set_high(&mut self, counts: u16) {
        let registers = self.timer.0;
        let compare = match self.channel {
            1 => registers.ccr1(),
            2 => registers.ccr2(),
            3 => registers.ccr3(),
            _ => registers.ccr4(),
        };
        // SAFETY: the register takes any number of 16 bits.
        compare.write(|w| unsafe { w.bits(counts.into()) });
    }
}

/// Takes all motor outputs low, whoever holds them, and keeps driving them.
///
/// # Safety
/// Nobody sets an output any more.
pub(crate) unsafe fn motors_off() {
    // Both channels of a mode register "forced inactive": a pin of a channel that is turned off instead would float.
    const FORCED_LOW: u32 = 0x4040;
    // SAFETY: the caller says that nobody else uses the registers any more; those of a timer without a clock ignore this.
    unsafe {
        let timer = TIM4::steal();
        timer.ccmr1_output().write(|w| w.bits(FORCED_LOW));
        timer.ccmr2_output().write(|w| w.bits(FORCED_LOW));
    }
}
