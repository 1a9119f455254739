//! Observations by the names and units of the contract, and the one time stamp of several sensors.

use engram_firmware::DriverError;
use engram_firmware::sensors::Sample;
use engram_image::limits::MAX_OBSERVATIONS;
use engram_image::{Channel, ChannelKind, Contract};
use heapless::Vec;

use crate::ChannelError;
use crate::order::order;

/// Puts `N` measured quantities into the order of a contract. What is measured and not asked for is left out.
#[derive(Debug, Clone)]
pub struct Channels<const N: usize> {
    /// For each observation, which of the quantities it is.
    order: Vec<u8, MAX_OBSERVATIONS>,
}

impl<const N: usize> Channels<N> {
    /// `measured` says of each quantity its name, its unit and the range in which it can be measured (the full scale of the device). The order is
    /// that of the numbers that [`Channels::write`] takes.
    ///
    /// # Errors
    /// [`ChannelError`] if an observation of the contract is not among them, has another unit, or a range that the device cannot measure.
    pub fn new<'a>(
        contract: &Contract<'a>,
        measured: &[Channel<'a>; N],
    ) -> Result<Self, ChannelError<'a>> {
        let order = order(
            ChannelKind::Observation,
            contract.observations.iter().copied(),
            |number| measured.get(usize::from(number)).copied(),
        )?;
        Ok(Self { order })
    }

    /// Writes the whole sample: `values` in the order of [`Channels::new`] and in its units, all true at `time_us`. No reward, no end of an episode: a
    /// robot's author who has one of these sets it afterwards.
    ///
    /// # Errors
    /// None that [`Channels::new`] lets through.
    pub fn write(
        &self,
        sample: &mut Sample,
        time_us: u64,
        values: &[f32; N],
    ) -> Result<(), DriverError> {
        sample.observation.clear();
        for number in &self.order {
            let value = values.get(usize::from(*number));
            let value = value.copied().ok_or(DriverError::Device)?;
            let room = sample.observation.push(value);
            room.map_err(|_| DriverError::Device)?;
        }
        sample.time_us = time_us;
        sample.reward = None;
        sample.done = false;
        Ok(())
    }
}

/// Makes one time stamp of those of several sensors.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Alignment {
    max_age_us: u64,
    last_us: Option<u64>,
}

impl Alignment {
    /// No part of a sample may be older than `max_age_us`, microseconds: less than the sample age limit of the safety ladder (2.5 control periods),
    /// which looks at the time stamp that comes out of here.
    #[must_use]
    pub const fn new(max_age_us: u64) -> Self {
        Self {
            max_age_us,
            last_us: None,
        }
    }

    /// When the sample was taken of whose parts these are the times, microseconds on the clock of the control steps: the oldest of them.
    ///
    /// # Errors
    /// [`DriverError::NotReady`] if a part is too old, if the oldest one is that of the sample before (a time stamp that does not advance is a frozen
    /// sensor to the safety ladder), or if there is none.
    pub fn time_us(&mut self, now_us: u64, parts_us: &[u64]) -> Result<u64, DriverError> {
        let oldest_us = *parts_us.iter().min().ok_or(DriverError::NotReady)?;
        let is_new = self.last_us.is_none_or(|last_us| oldest_us > last_us);
        if !is_new || now_us.saturating_sub(oldest_us) > self.max_age_us {
            return Err(DriverError::NotReady);
        }
        self.last_us = Some(oldest_us);
        Ok(oldest_us)
    }
}

#[cfg(test)]
mod tests {
    use engram_image::{ActionChannel, List, Reward};

    use super::*;

    const CONTRACT: Contract<'static> = Contract {
        period_us: 10_000,
        observations: List::from_slice(&[
            Channel::new("rate", "rad/s", [-30.0, 30.0]),
            Channel::new("cos_angle", "1", [-1.0, 1.0]),
        ]),
        actions: List::from_slice(&[ActionChannel::new("torque", "Nm", [-1.0, 1.0])
            .with_slew_per_s(1.0)
            .with_safe(0.0)]),
        reward: Reward::External,
    };
    /// Another order, and one more, than the contract's.
    const MEASURED: [Channel<'static>; 3] = [
        Channel::new("sin_angle", "1", [-1.0, 1.0]),
        Channel::new("cos_angle", "1", [-1.0, 1.0]),
        Channel::new("rate", "rad/s", [-34.9, 34.9]),
    ];

    #[test]
    fn values_are_written_in_the_order_of_the_contract() {
        let channels = Channels::new(&CONTRACT, &MEASURED).expect("fits");
        let mut sample = Sample::new();
        sample.observation.push(7.0).expect("room");
        (sample.reward, sample.done) = (Some(1.0), true);
        assert_eq!(channels.write(&mut sample, 70, &[0.6, 0.8, -2.0]), Ok(()));
        assert_eq!(sample.observation.as_slice(), [-2.0, 0.8]);
        let rest = (sample.time_us, sample.reward, sample.done);
        assert_eq!(rest, (70, None, false));
    }

    #[test]
    fn what_does_not_fit_is_named_with_both_sides() {
        let kind = ChannelKind::Observation;
        let range = |has| ChannelError::Range {
            kind,
            name: "rate",
            unit: "rad/s",
            wants: [-30.0, 30.0],
            has,
        };
        let cases = [
            (
                Channel::new("gyro_z", "rad/s", [-34.9, 34.9]),
                ChannelError::Missing {
                    kind,
                    name: "rate",
                    unit: "rad/s",
                },
            ),
            (
                Channel::new("rate", "deg/s", [-34.9, 34.9]),
                ChannelError::Unit {
                    kind,
                    name: "rate",
                    wants: "rad/s",
                    gives: "deg/s",
                },
            ),
            (
                Channel::new("rate", "rad/s", [-4.36, 4.36]),
                range([-4.36, 4.36]),
            ),
            (
                Channel::new("rate", "rad/s", [-34.9, 29.9]),
                range([-34.9, 29.9]),
            ),
            (
                Channel::new("cos_angle", "rad/s", [-34.9, 34.9]),
                ChannelError::Duplicate {
                    kind,
                    name: "cos_angle",
                },
            ),
        ];
        for (rate, error) in cases {
            let [sin, cos, _] = MEASURED;
            let refused = Channels::new(&CONTRACT, &[sin, cos, rate]).err();
            assert_eq!(refused, Some(error));
        }
        let no_number = Channel::new("rate", "rad/s", [f32::NAN, 34.9]);
        let refused = Channels::new(&CONTRACT, &[MEASURED[1], no_number]);
        assert!(matches!(refused, Err(ChannelError::Range { .. })));
    }

    #[test]
    fn a_sample_is_as_old_as_its_oldest_part() {
        let mut alignment = Alignment::new(15_000);
        let not_ready = Err(DriverError::NotReady);
        for (now_us, parts_us, expected, why) in [
            (20_000, [19_000, 18_000], Ok(18_000), "the older one"),
            (30_000, [29_000, 18_000], not_ready, "nothing new of it"),
            (30_000, [29_000, 17_000], not_ready, "backwards"),
            (33_002, [29_000, 18_001], not_ready, "too old, by 1 us"),
            (33_002, [29_000, 18_002], Ok(18_002), "just young enough"),
            // A time stamp from the future is the safety ladder's business.
            (40_000, [50_000, 60_000], Ok(50_000), "from the future"),
        ] {
            assert_eq!(alignment.time_us(now_us, &parts_us), expected, "{why}");
        }
        assert_eq!(Alignment::new(1).time_us(0, &[]), not_ready);
    }
}
