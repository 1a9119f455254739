//! Where the core's clock comes from: crystal and PLL, or what there is without them. Every wait is bounded.

/// How often a flag is looked at before it counts as never coming: at 16 MHz some 50 ms, where a crystal needs 2 ms and
/// the PLL 0.3 ms.
pub const PATIENCE: u32 = 100_000;

/// RCC and the flash controller, as far as the clock needs them.
pub trait ClockControl {
    /// Whether the oscillator that a part starts on says that it runs.
    fn internal_is_ready(&self) -> bool;
    /// Turns the crystal's oscillator on.
    fn start_crystal(&mut self);
    /// Whether the crystal oscillates.
    fn crystal_is_ready(&self) -> bool;
    /// Sets the PLL to 168 MHz from the crystal and turns it on.
    fn start_pll(&mut self);
    /// Whether the PLL has locked.
    fn pll_is_ready(&self) -> bool;
    /// Sets wait states and prescalers for 168 MHz, and asks for the PLL as the core's clock.
    fn select_pll(&mut self);
    /// Whether the core runs on the PLL.
    fn runs_on_pll(&self) -> bool;
    /// Takes [`ClockControl::select_pll`] back: the internal oscillator for the core, undivided for the buses.
    fn select_internal(&mut self);
}

/// What the core runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The PLL, at 168 MHz.
    Pll,
    /// The internal oscillator, at 16 MHz, since nothing better came within [`PATIENCE`].
    Internal {
        /// What did not come.
        missing: &'static str,
    },
    /// Nothing answers where a part has its clock control: an emulator, whose core is said to run at 168 MHz.
    Emulated,
}

impl Clock {
    /// Clock of the core and of SysTick, MHz.
    #[must_use]
    pub const fn core_mhz(self) -> u16 {
        match self {
            Self::Pll | Self::Emulated => 168,
            Self::Internal { .. } => 16,
        }
    }

    /// What did not come.
    #[must_use]
    pub const fn missing(self) -> Option<&'static str> {
        match self {
            Self::Internal { missing } => Some(missing),
            Self::Pll | Self::Emulated => None,
        }
    }

    /// Clock of the bus that USART2, I2C1 and I2C3 lie on, Hz.
    #[must_use]
    pub const fn apb1_hz(self) -> u32 {
        match self {
            Self::Pll | Self::Emulated => 42_000_000,
            Self::Internal { .. } => 16_000_000,
        }
    }

    /// Clock of the bus that SPI1 lies on, and of TIM2, TIM3 and TIM4, Hz: timers get twice the clock of a bus that is divided.
    #[must_use]
    pub const fn apb2_hz(self) -> u32 {
        match self {
            Self::Pll | Self::Emulated => 84_000_000,
            Self::Internal { .. } => 16_000_000,
        }
    }
}

/// Brings the core from its internal oscillator to the PLL; where that fails, leaves it where it is.
pub fn start(control: &mut impl ClockControl) -> Clock {
    if !control.internal_is_ready() {
        return Clock::Emulated;
    }
    control.start_crystal();
    if !comes(|| control.crystal_is_ready()) {
        return Clock::Internal { missing: "crystal" };
    }
    control.start_pll();
    if !comes(|| control.pll_is_ready()) {
        return Clock::Internal {
            missing: "PLL lock",
        };
    }
    control.select_pll();
    if !comes(|| control.runs_on_pll()) {
        // Else the core might run on the PLL some day, and the clock count too fast.
        control.select_internal();
        return Clock::Internal {
            missing: "switch to the PLL",
        };
    }
    Clock::Pll
}

fn comes(flag: impl Fn() -> bool) -> bool {
    (0..PATIENCE).any(|_| flag())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A part whose flags come after some looks, or never.
    #[derive(Default)]
    struct Part {
        internal: bool,
        /// Looks until crystal, PLL and switch are there.
        delays: [Option<u32>; 3],
        looks: [Cell<u32>; 3],
        asked: Vec<&'static str>,
    }

    impl Part {
        fn look(&self, flag: usize) -> bool {
            let looks = self.looks[flag].get() + 1;
            self.looks[flag].set(looks);
            self.delays[flag].is_some_and(|delay| looks > delay)
        }
    }

    impl ClockControl for Part {
        fn internal_is_ready(&self) -> bool {
            self.internal
        }
        fn start_crystal(&mut self) {
            self.asked.push("crystal");
        }
        fn crystal_is_ready(&self) -> bool {
            self.look(0)
        }
        fn start_pll(&mut self) {
            self.asked.push("pll");
        }
        fn pll_is_ready(&self) -> bool {
            self.look(1)
        }
        fn select_pll(&mut self) {
            self.asked.push("select");
        }
        fn runs_on_pll(&self) -> bool {
            self.look(2)
        }
        fn select_internal(&mut self) {
            self.asked.push("internal");
        }
    }

    #[test]
    fn every_wait_ends_and_says_what_did_not_come() {
        let ready = Some(40);
        let asked = ["crystal", "pll", "select", "internal"];
        let internal = |missing| Clock::Internal { missing };
        for (delays, clock, steps) in [
            ([ready, ready, ready], Clock::Pll, 3),
            ([Some(PATIENCE - 1), ready, ready], Clock::Pll, 3),
            ([None, ready, ready], internal("crystal"), 1),
            ([ready, None, ready], internal("PLL lock"), 2),
            ([ready, ready, None], internal("switch to the PLL"), 4),
        ] {
            let mut part = Part {
                internal: true,
                delays,
                ..Part::default()
            };
            assert_eq!(start(&mut part), clock);
            assert_eq!(part.asked, asked[..steps]);
            assert!(part.looks.iter().all(|looks| looks.get() <= PATIENCE));
        }
    }

    #[test]
    fn registers_that_read_zero_are_an_emulator_and_are_left_alone() {
        let mut stub = Part::default();
        assert_eq!(start(&mut stub), Clock::Emulated);
        assert!(stub.asked.is_empty());
    }
}
