//! The registers of the timer that drives the motors, TIM4.

use stm32h7::stm32h743::{TIM4, tim3::RegisterBlock};

engram_cortex_m::motor_timers!(RegisterBlock);

impl Timer {
    /// TIM4.
    pub(crate) fn tim4(_: TIM4) -> Self {
        // SAFETY: this takes the only handle of registers that are there for ever.
        Self(unsafe { &*TIM4::ptr() })
    }
}

/// Takes all motor outputs low, whoever holds them, and keeps driving them.
///
/// # Safety
/// Nobody sets an output any more.
pub(crate) unsafe fn motors_off() {
    // SAFETY: the caller says that nobody else uses the registers any more.
    Timer::tim4(unsafe { TIM4::steal() }).force_low();
}
