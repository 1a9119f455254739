//! How the core of an STM32 comes to its clock, step by step, or stays on the oscillator that it started on. Every wait is bounded.

/// How often a flag is looked at before it counts as never coming: some 50 ms on an STM32F405, where a crystal needs 2 ms and the PLL 0.3 ms, and some
/// 10 ms on an STM32H743, where regulator and PLL need less than one.
pub const PATIENCE: u32 = 100_000;

/// The registers of a part, as far as its clock needs them.
pub trait ClockControl {
    /// Something on the way to the PLL.
    type Step: Copy + 'static;
    /// All of them in their order, and what is missing where one does not come. The last one is the switch of the core.
    const STEPS: &'static [(Self::Step, &'static str)];
    /// Asks for a step.
    fn ask(&mut self, step: Self::Step);
    /// Whether it has come.
    fn has_come(&self, step: Self::Step) -> bool;
    /// Takes the last step back: the oscillator for the core, undivided for the buses.
    fn stay(&mut self);
}

/// Brings the core from its internal oscillator to the PLL; where that fails, leaves it where it is.
///
/// # Errors
/// What did not come.
pub fn start<C: ClockControl>(control: &mut C) -> Result<(), &'static str> {
    let mut steps = C::STEPS;
    while let [(step, name), rest @ ..] = steps {
        control.ask(*step);
        if !(0..PATIENCE).any(|_| control.has_come(*step)) {
            if rest.is_empty() {
                // Else the core might run on the PLL some day, and the clock count too fast.
                control.stay();
            }
            return Err(name);
        }
        steps = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// A part whose steps come after some looks, or never.
    struct Part {
        delays: [Option<u32>; 3],
        looks: [Cell<u32>; 3],
        asked: Vec<usize>,
    }

    const STAYED: usize = 99;

    impl ClockControl for Part {
        type Step = usize;
        const STEPS: &'static [(usize, &'static str)] =
            &[(0, "crystal"), (1, "lock"), (2, "switch")];

        fn ask(&mut self, step: usize) {
            self.asked.push(step);
        }
        fn has_come(&self, step: usize) -> bool {
            let looks = self.looks[step].get() + 1;
            self.looks[step].set(looks);
            self.delays[step].is_some_and(|delay| looks > delay)
        }
        fn stay(&mut self) {
            self.asked.push(STAYED);
        }
    }

    #[test]
    fn every_wait_ends_and_says_what_did_not_come() {
        let ready = Some(40);
        for (delays, result, asked) in [
            ([ready; 3], Ok(()), vec![0, 1, 2]),
            ([Some(PATIENCE - 1), ready, ready], Ok(()), vec![0, 1, 2]),
            ([None, ready, ready], Err("crystal"), vec![0]),
            ([ready, None, ready], Err("lock"), vec![0, 1]),
            ([ready, ready, None], Err("switch"), vec![0, 1, 2, STAYED]),
        ] {
            let mut part = Part {
                delays,
                looks: Default::default(),
                asked: Vec::new(),
            };
            assert_eq!(start(&mut part), result);
            assert_eq!(part.asked, asked);
            assert!(part.looks.iter().all(|looks| looks.get() <= PATIENCE));
        }
    }
}
