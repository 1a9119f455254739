//! The registers of the timers that drive the motors: TIM2, TIM3 and TIM4.

use stm32f4xx_hal::pac::{TIM2, TIM3, TIM4, tim3::RegisterBlock};

use engram_cortex_m::pwm::{Channel, Timing};

/// Both channels of a mode register "forced inactive": a pin of a channel that is turned off instead would float.
const FORCED_LOW: u32 = 0x4040;

/// A timer with four channels.
#[derive(Clone, Copy)]
pub(crate) struct Timer(&'static RegisterBlock);

impl Timer {
    /// TIM2. It counts 32 bits, of which this uses 16.
    pub(crate) fn tim2(_: TIM2) -> Self {
        // SAFETY: this takes the only handle of registers that are there for ever, and those of TIM2 lie as those of TIM3 do.
        Self(unsafe { &*TIM2::ptr().cast() })
    }

    /// TIM3.
    pub(crate) fn tim3(_: TIM3) -> Self {
        // SAFETY: this takes the only handle of registers that are there for ever.
        Self(unsafe { &*TIM3::ptr() })
    }

    /// TIM4.
    pub(crate) fn tim4(_: TIM4) -> Self {
        // SAFETY: as for TIM3.
        Self(unsafe { &*TIM4::ptr() })
    }

    /// Makes it count, with all four channels low, and gives these channels, 1 to 4, to their pins.
    pub(crate) fn start(self, timing: Timing, channels: &[u8]) {
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
        // SAFETY: the registers take these words.
        unsafe {
            registers.psc().write(|w| w.bits(timing.prescaler.into()));
            let reload = timing.counts.saturating_sub(1);
            registers.arr().write(|w| w.bits(reload.into()));
            registers.ccmr1_output().write(|w| w.bits(MODE_1_BUFFERED));
            registers.ccmr2_output().write(|w| w.bits(MODE_1_BUFFERED));
            let enabled = channels.iter().fold(0, |all, channel| {
                all | 1_u32 << (4 * (u32::from(*channel).saturating_sub(1) & 3))
            });
            registers.ccer().write(|w| w.bits(enabled));
        }
        registers.egr().write(|w| w.ug().set_bit());
        registers
            .cr1()
            .write(|w| w.arpe().set_bit().cen().set_bit());
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
    for timer in [TIM2::ptr().cast(), TIM3::ptr(), TIM4::ptr()] {
        let timer: *const RegisterBlock = timer;
        // SAFETY: the caller says that nobody else uses the registers any more; those of TIM2 lie as those of TIM3 do, and a timer without
        // a clock ignores this.
        unsafe {
            (*timer).ccmr1_output().write(|w| w.bits(FORCED_LOW));
            (*timer).ccmr2_output().write(|w| w.bits(FORCED_LOW));
        }
    }
}
