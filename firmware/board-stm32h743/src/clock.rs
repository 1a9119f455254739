//! Where the core's clock comes from: the internal oscillator and a PLL, or the oscillator alone. Every wait is bounded.
//!
//! Boards with this part have crystals of 8, 16 or 25 MHz, or a clock from elsewhere; a PLL that is set for another one than there is would drive the core
//! out of its range. The internal oscillator is the same on all of them.

/// How often a flag is looked at before it counts as never coming: at 64 MHz some 10 ms, where regulator and PLL need less than one.
pub const PATIENCE: u32 = 100_000;

/// PWR, RCC and the flash controller, as far as the clock needs them.
pub trait ClockControl {
    /// Says that the part is supplied by its own regulator, without which its voltage cannot be set.
    fn set_supply(&mut self);
    /// Whether the supply has been taken note of, and the core's voltage has settled.
    fn supply_is_ready(&self) -> bool;
    /// Whether the core's voltage is what was asked for.
    fn voltage_is_ready(&self) -> bool;
    /// Asks for the voltage that 400 MHz take.
    fn raise_voltage(&mut self);
    /// Sets the PLL to 400 MHz from the internal oscillator and turns it on.
    fn start_pll(&mut self);
    /// Whether the PLL has locked.
    fn pll_is_ready(&self) -> bool;
    /// Sets wait states and prescalers for 400 MHz, and asks for the PLL as the core's clock.
    fn select_pll(&mut self);
    /// Whether the core runs on the PLL.
    fn runs_on_pll(&self) -> bool;
    /// Takes [`ClockControl::select_pll`] back: the oscillator for the core, undivided for the buses.
    fn select_internal(&mut self);
}

/// What the core runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The PLL, at 400 MHz: what every revision of the part does, up to its highest temperature.
    Pll,
    /// The internal oscillator, at 64 MHz, since something did not come within [`PATIENCE`].
    Internal {
        /// What did not come.
        missing: &'static str,
    },
}

impl Clock {
    /// What did not come.
    #[must_use]
    pub const fn missing(self) -> Option<&'static str> {
        match self {
            Self::Internal { missing } => Some(missing),
            Self::Pll => None,
        }
    }

    /// Clock of TIM4, Hz: timers get twice the clock of a bus that is divided.
    #[must_use]
    pub const fn timer_hz(self) -> u32 {
        match self {
            Self::Pll => 200_000_000,
            Self::Internal { .. } => 64_000_000,
        }
    }

    /// Clock of the core and of SysTick, MHz.
    #[must_use]
    pub const fn core_mhz(self) -> u16 {
        match self {
            Self::Pll => 400,
            Self::Internal { .. } => 64,
        }
    }
}

/// Brings the core from its internal oscillator to the PLL; where that fails, leaves it where it is.
pub fn start(control: &mut impl ClockControl) -> Clock {
    control.set_supply();
    if !comes(|| control.supply_is_ready()) {
        return Clock::Internal {
            missing: "supply of the core",
        };
    }
    control.raise_voltage();
    if !comes(|| control.voltage_is_ready()) {
        return Clock::Internal {
            missing: "voltage for 400 MHz",
        };
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
        /// Looks until supply, voltage, PLL and switch are there.
        delays: [Option<u32>; 4],
        looks: [Cell<u32>; 4],
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
        fn set_supply(&mut self) {
            self.asked.push("supply");
        }
        fn supply_is_ready(&self) -> bool {
            self.look(0)
        }
        fn voltage_is_ready(&self) -> bool {
            self.look(1)
        }
        fn raise_voltage(&mut self) {
            self.asked.push("voltage");
        }
        fn start_pll(&mut self) {
            self.asked.push("pll");
        }
        fn pll_is_ready(&self) -> bool {
            self.look(2)
        }
        fn select_pll(&mut self) {
            self.asked.push("select");
        }
        fn runs_on_pll(&self) -> bool {
            self.look(3)
        }
        fn select_internal(&mut self) {
            self.asked.push("internal");
        }
    }

    #[test]
    fn every_wait_ends_and_says_what_did_not_come() {
        let ready = Some(40);
        let asked = ["supply", "voltage", "pll", "select", "internal"];
        let internal = |missing| Clock::Internal { missing };
        for (delays, clock, steps) in [
            ([ready; 4], Clock::Pll, 4),
            ([Some(PATIENCE - 1), ready, ready, ready], Clock::Pll, 4),
            (
                [None, ready, ready, ready],
                internal("supply of the core"),
                1,
            ),
            (
                [ready, None, ready, ready],
                internal("voltage for 400 MHz"),
                2,
            ),
            ([ready, ready, None, ready], internal("PLL lock"), 3),
            (
                [ready, ready, ready, None],
                internal("switch to the PLL"),
                5,
            ),
        ] {
            let mut part = Part {
                delays,
                ..Part::default()
            };
            assert_eq!(start(&mut part), clock);
            assert_eq!(part.asked, asked[..steps]);
            assert!(part.looks.iter().all(|looks| looks.get() <= PATIENCE));
        }
    }
}
