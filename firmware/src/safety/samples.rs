//! ENG-SAFE-01 to 06: may this sample enter the working memory?
//!
//! A sample that fails a check is kept out: what has entered lives on in keys and values.

use super::Settings;
use crate::sensors::Sample;
use crate::terms::Terms;
use engram_image::Reward;
use engram_link::{Fault, Faults};

/// Checks samples against the contract and against time.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SampleMonitor {
    margin: f32,
    age_us: u64,
    /// Time stamp of the newest sample.
    newest_us: Option<u64>,
    /// Time of the first step, from which the first sample is waited for.
    waiting_since_us: Option<u64>,
}

impl SampleMonitor {
    /// A monitor that has seen no sample.
    pub const fn new(settings: &Settings) -> Self {
        Self {
            margin: settings.range_margin,
            age_us: settings.sample_age_us as u64,
            newest_us: None,
            waiting_since_us: None,
        }
    }

    /// Forgets the newest time stamp.
    pub fn restart(&mut self) {
        self.newest_us = None;
        self.waiting_since_us = None;
    }

    /// No sample came in the step at `now_us`; returns the fault if the newest one is now too old.
    pub fn missing(&mut self, now_us: u64) -> Faults {
        let waiting_since = *self.waiting_since_us.get_or_insert(now_us);
        let newest = self.newest_us.unwrap_or(waiting_since);
        if now_us.saturating_sub(newest) > self.age_us {
            Fault::SampleAge.into()
        } else {
            Faults::NONE
        }
    }

    /// Checks a sample in the step at `now_us`; returns everything that is wrong with it.
    pub fn check(&mut self, sample: &Sample, terms: &Terms, now_us: u64) -> Faults {
        self.time(sample.time_us, now_us)
            .union(reward(sample.reward, &terms.reward))
            .union(self.values(&sample.observation, terms))
    }

    fn time(&mut self, time_us: u64, now_us: u64) -> Faults {
        let mut faults = Faults::NONE;
        if self.newest_us.is_some_and(|newest| time_us <= newest) {
            faults = faults.with(Fault::SampleRepeated);
        }
        // From the future: `checked_sub` fails.
        if now_us
            .checked_sub(time_us)
            .is_none_or(|age| age > self.age_us)
        {
            faults = faults.with(Fault::SampleAge);
        }
        if faults.is_empty() {
            self.newest_us = Some(time_us);
        }
        faults
    }

    fn values(&self, observation: &[f32], terms: &Terms) -> Faults {
        let mut faults = Faults::NONE;
        if observation.len() != terms.observations.len() {
            faults = faults.with(Fault::ObservationCount);
        }
        for (value, channel) in observation.iter().zip(&terms.observations) {
            let margin = (channel.max - channel.min) * self.margin;
            if !value.is_finite() {
                faults = faults.with(Fault::NonFinite);
            } else if *value < channel.min - margin || *value > channel.max + margin {
                faults = faults.with(Fault::ObservationRange);
            }
        }
        faults
    }
}

fn reward(sent: Option<f32>, kind: &Reward) -> Faults {
    match (kind, sent) {
        (Reward::Formula(_), _) => Faults::NONE,
        (Reward::External, None) => Fault::RewardMissing.into(),
        (Reward::External, Some(reward)) if !reward.is_finite() => Fault::NonFinite.into(),
        (Reward::External, Some(_)) => Faults::NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests_support::{contract, sample};

    fn terms() -> Terms {
        Terms::of(&contract())
    }

    const SETTINGS: Settings = Settings::for_period(20_000);

    fn check(change: impl Fn(&mut Sample)) -> Faults {
        let mut monitor = SampleMonitor::new(&SETTINGS);
        let mut sample = sample(1_000_000);
        change(&mut sample);
        monitor.check(&sample, &terms(), 1_000_000)
    }

    #[test]
    fn a_good_sample_passes() {
        assert_eq!(check(|_| {}), Faults::NONE);
    }

    #[test]
    fn eng_safe_01_numbers_must_be_finite() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for channel in 0..3 {
                assert_eq!(
                    check(|s| s.observation[channel] = bad),
                    Fault::NonFinite.into()
                );
            }
        }
        let mut external = terms();
        external.reward = Reward::External;
        let mut sample = sample(5);
        sample.reward = Some(f32::NAN);
        let mut monitor = SampleMonitor::new(&SETTINGS);
        assert_eq!(
            monitor.check(&sample, &external, 5),
            Fault::NonFinite.into()
        );
    }

    #[test]
    fn eng_safe_02_range_has_a_margin() {
        // rate: +-20 rad/s, so the margin is 4 rad/s.
        assert_eq!(check(|s| s.observation[2] = 24.0), Faults::NONE);
        assert_eq!(check(|s| s.observation[2] = -24.0), Faults::NONE);
        assert_eq!(
            check(|s| s.observation[2] = 24.001),
            Fault::ObservationRange.into()
        );
        assert_eq!(
            check(|s| s.observation[2] = -24.001),
            Fault::ObservationRange.into()
        );
    }

    #[test]
    fn eng_safe_03_the_number_of_observations_is_fixed() {
        assert_eq!(
            check(|s| s.observation.truncate(2)),
            Fault::ObservationCount.into()
        );
        assert_eq!(
            check(|s| s.observation.push(0.0).expect("fits")),
            Fault::ObservationCount.into()
        );
    }

    #[test]
    fn eng_safe_04_time_stamps_must_advance() {
        let mut monitor = SampleMonitor::new(&SETTINGS);
        assert_eq!(
            monitor.check(&sample(1_000_000), &terms(), 1_000_000),
            Faults::NONE
        );
        assert_eq!(
            monitor.check(&sample(1_000_000), &terms(), 1_020_000),
            Fault::SampleRepeated.into()
        );
        assert_eq!(
            monitor.check(&sample(999_999), &terms(), 1_020_000),
            Fault::SampleRepeated.into()
        );
        assert_eq!(
            monitor.check(&sample(1_000_001), &terms(), 1_020_000),
            Faults::NONE
        );
    }

    #[test]
    fn eng_safe_05_old_and_future_samples_are_refused() {
        assert_eq!(check(|s| s.time_us -= 50_000), Faults::NONE);
        assert_eq!(check(|s| s.time_us -= 50_001), Fault::SampleAge.into());
        assert_eq!(check(|s| s.time_us += 1), Fault::SampleAge.into());
    }

    #[test]
    fn eng_safe_05_missing_samples_are_tolerated_for_a_while() {
        let mut monitor = SampleMonitor::new(&SETTINGS);
        assert_eq!(monitor.missing(1_000_000), Faults::NONE);
        assert_eq!(monitor.missing(1_050_000), Faults::NONE);
        assert_eq!(monitor.missing(1_050_001), Fault::SampleAge.into());
        monitor.restart();
        assert_eq!(monitor.missing(9_000_000), Faults::NONE);
    }

    #[test]
    fn eng_safe_06_an_external_reward_must_come() {
        let mut external = terms();
        external.reward = Reward::External;
        let mut monitor = SampleMonitor::new(&SETTINGS);
        assert_eq!(
            monitor.check(&sample(5), &external, 5),
            Fault::RewardMissing.into()
        );
        let mut with = sample(6);
        with.reward = Some(1.0);
        assert_eq!(monitor.check(&with, &external, 6), Faults::NONE);
    }
}
