//! Motor outputs: PWM of an STM32's timer, as `embedded_hal::pwm::SetDutyCycle`.

use embedded_hal::pwm::{ErrorKind, ErrorType, SetDutyCycle};

/// One channel of a running timer.
pub trait Channel {
    /// Sets for how many counts of each period the output is high, from the next period on.
    fn set_high(&mut self, counts: u16);
}

/// How a timer divides its clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The clock is divided by one more than this.
    pub prescaler: u16,
    /// Counts of a period: what a duty cycle of 100 % is.
    pub counts: u16,
}

/// A frequency that the timer does not reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a PWM of {hz} Hz: this timer, at {clock_hz} Hz, makes 1 Hz to {highest_hz} Hz")]
pub struct NoSuchFrequency {
    /// What was asked for.
    pub hz: u32,
    /// The timer's clock.
    pub clock_hz: u32,
    /// The highest that leaves [`LEAST_COUNTS`] in a period.
    pub highest_hz: u32,
}

/// The fewest counts in a period: a duty cycle is as fine as that.
pub const LEAST_COUNTS: u32 = 256;

impl Timing {
    /// Periods of `hz` from a clock of `clock_hz`, in as many counts as 16 bits take.
    ///
    /// # Errors
    /// [`NoSuchFrequency`]: 0, or so high that a period has less than [`LEAST_COUNTS`].
    pub fn of(hz: u32, clock_hz: u32) -> Result<Self, NoSuchFrequency> {
        let ticks = clock_hz.checked_div(hz).unwrap_or(0);
        let divider = ticks / u32::from(u16::MAX) + 1;
        let prescaler = u16::try_from(divider - 1).ok();
        match (prescaler, ticks.checked_div(divider)) {
            (Some(prescaler), Some(counts)) if counts >= LEAST_COUNTS => Ok(Self {
                prescaler,
                // By the choice of the divider it has 16 bits.
                counts: counts as u16,
            }),
            _ => Err(NoSuchFrequency {
                hz,
                clock_hz,
                highest_hz: clock_hz / LEAST_COUNTS,
            }),
        }
    }
}

/// The timers over these registers of a part (the same in all of them, a type of its own in each crate): `Timer`, and `MotorChannel`, which is a [`Channel`].
#[macro_export]
macro_rules! motor_timers {
    ($registers:ty) => {
        /// A timer with four channels.
        #[derive(Clone, Copy)]
        pub(crate) struct Timer(&'static $registers);

        impl Timer {
            /// Makes it count, with all four channels low, and gives these channels, 1 to 4, to their pins.
            pub(crate) fn start(self, timing: $crate::pwm::Timing, channels: &[u8]) {
                use $crate::pwm::Channel as _;
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

            /// Takes all four outputs low and keeps driving them: both channels of a mode register "forced inactive", for a pin of a channel that is
            /// turned off instead would float. A timer without a clock ignores this.
            fn force_low(self) {
                const FORCED_LOW: u32 = 0x4040;
                // SAFETY: the registers take these words.
                unsafe {
                    self.0.ccmr1_output().write(|w| w.bits(FORCED_LOW));
                    self.0.ccmr2_output().write(|w| w.bits(FORCED_LOW));
                }
            }
        }

        /// One channel, 1 to 4, of a timer.
        pub struct MotorChannel {
            pub(crate) timer: Timer,
            pub(crate) channel: u8,
        }

        impl $crate::pwm::Channel for MotorChannel {
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
    };
}

/// A motor's output.
#[derive(Debug)]
pub struct Output<C> {
    channel: C,
    counts: u16,
}

impl<C: Channel> Output<C> {
    /// An output that is low until it is told otherwise. `counts`: those of its timer's [`Timing`].
    pub fn new(mut channel: C, counts: u16) -> Self {
        channel.set_high(0);
        Self { channel, counts }
    }
}

/// A duty cycle beyond 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeyondMaximum;

impl embedded_hal::pwm::Error for BeyondMaximum {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl<C> ErrorType for Output<C> {
    type Error = BeyondMaximum;
}

impl<C: Channel> SetDutyCycle for Output<C> {
    fn max_duty_cycle(&self) -> u16 {
        self.counts
    }

    /// # Errors
    /// [`BeyondMaximum`], and the output stays as it was.
    fn set_duty_cycle(&mut self, duty: u16) -> Result<(), BeyondMaximum> {
        if duty > self.counts {
            return Err(BeyondMaximum);
        }
        self.channel.set_high(duty);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frequency_is_met_within_a_thousandth_with_the_finest_duty_cycle() {
        for (clock_hz, hz, prescaler, counts) in [
            // Brushed motors, ESCs, servos; then the same on the internal oscillator.
            (84_000_000, 20_000, 0, 4_200),
            (84_000_000, 400, 3, 52_500),
            (84_000_000, 50, 25, 64_615),
            (16_000_000, 20_000, 0, 800),
            (16_000_000, 400, 0, 40_000),
            (16_000_000, 50, 4, 64_000),
            (84_000_000, 328_125, 0, 256),
            (84_000_000, 1, 1_281, 65_522),
        ] {
            let timing = Timing::of(hz, clock_hz).expect("reached");
            assert_eq!(timing, Timing { prescaler, counts }, "{hz} of {clock_hz}");
            let made = f64::from(clock_hz) / f64::from(counts) / (f64::from(prescaler) + 1.0);
            assert!((made / f64::from(hz) - 1.0).abs() < 1e-3, "{made} Hz");
        }
        for hz in [0, 328_126, u32::MAX] {
            let error = Timing::of(hz, 84_000_000).expect_err("out of reach");
            assert_eq!((error.hz, error.highest_hz), (hz, 328_125));
        }
    }

    struct Told(Vec<u16>);

    impl Channel for &mut Told {
        fn set_high(&mut self, counts: u16) {
            self.0.push(counts);
        }
    }

    #[test]
    fn an_output_begins_low_and_takes_no_more_than_all() {
        let mut told = Told(Vec::new());
        let mut output = Output::new(&mut told, 4_200);
        assert_eq!(output.max_duty_cycle(), 4_200);
        output.set_duty_cycle(2_100).expect("half");
        assert_eq!(output.set_duty_cycle(4_201), Err(BeyondMaximum));
        output.set_duty_cycle_fully_on().expect("all");
        output.set_duty_cycle_fully_off().expect("nothing");
        assert_eq!(told.0, [0, 2_100, 4_200, 0]);
    }
}
