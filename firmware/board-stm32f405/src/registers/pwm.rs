//! The registers of the timers that drive the motors: TIM2, TIM3 and TIM4.

use stm32f4xx_hal::pac::{TIM2, TIM3, TIM4, tim3::RegisterBlock};

engram_cortex_m::motor_timers!(RegisterBlock);

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
}

/// Takes all motor outputs low, whoever holds them, and keeps driving them.
///
/// # Safety
/// Nobody sets an output any more.
pub(crate) unsafe fn motors_off() {
    // SAFETY: the caller says that nobody else uses the registers any more.
    let (tim2, tim3, tim4) = unsafe { (TIM2::steal(), TIM3::steal(), TIM4::steal()) };
    for timer in [Timer::tim2(tim2), Timer::tim3(tim3), Timer::tim4(tim4)] {
        timer.force_low();
    }
}
