//! ENG-SAFE-01 to 06: may this sample enter the working memory?
//!
//! A sample that fails a check is kept out: what has entered lives on in keys and values.

use crate::sensors::Sample;
use crate::terms::Terms;
use engram_image::Reward;
use engram_link::{Fault, Faults};

/// Checks samples against the contract and against time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SampleMonitor {
    /// Time stamp of the newest sample.
    newest_us: Option<u64>,
    /// Time of the first step, from which the first sample is waited for.
    waiting_since_us: Option<u64>,
}

impl SampleMonitor {
    /// Forgets the newest time stamp.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// No sample came in the step at `now_us`; returns the fault if the newest one is now too old.
    pub fn missing(&mut self, terms: &Terms, now_us: u64) -> Faults {
        let waiting_since = *self.waiting_since_us.get_or_insert(now_us);
        let newest = self.newest_us.unwrap_or(waiting_since);
        if now_us.saturating_sub(newest) > terms.settings.sample_age_us.into() {
            Fault::SampleAge.into()
        } else {
            Faults::NONE
        }
    }

    /// Checks a sample in the step at `now_us`; returns everything that is wrong with it.
    pub fn check(&mut self, sample: &Sample, terms: &Terms, now_us: u64) -> Faults {
        self.time(sample.time_us, terms, now_us)
            .union(reward(sample.reward, &terms.reward))
            .union(values(&sample.observation, terms))
    }

    fn time(&mut self, time_us: u64, terms: &Terms, now_us: u64) -> Faults {
        let mut faults = Faults::NONE;
        if self.newest_us.is_some_and(|newest| time_us <= newest) {
            faults = faults.with(Fault::SampleRepeated);
        }
        // From the future: `checked_sub` fails.
        if now_us
            .checked_sub(time_us)
            .is_none_or(|age| age > terms.settings.sample_age_us.into())
        {
            faults = faults.with(Fault::SampleAge);
        }
        if faults.is_empty() {
            self.newest_us = Some(time_us);
        }
        faults
    }
}

fn values(observation: &[f32], terms: &Terms) -> Faults {
    let mut faults = Faults::NONE;
    if observation.len() != terms.observations.len() {
        faults = faults.with(Fault::ObservationCount);
    }
    for (value, channel) in observation.iter().zip(&terms.observations) {
        let margin = (channel.max - channel.min) * terms.settings.range_margin;
        if !value.is_finite() {
            faults = faults.with(Fault::NonFinite);
        } else if *value < channel.min - margin || *value > channel.max + margin {
            faults = faults.with(Fault::ObservationRange);
        }
    }
    faults
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
    use crate::safety::Settings;
    use crate::tests_support::{CONTRACT, sample};

    const NONE: Faults = Faults::NONE;

    fn terms() -> Terms {
        Terms::of(&CONTRACT, Settings::for_period(20_000))
    }

    fn external() -> Terms {
        Terms {
            reward: Reward::External,
            ..terms()
        }
    }

    /// What a monitor that has seen no sample says to a changed one.
    fn check(terms: &Terms, change: impl Fn(&mut Sample)) -> Faults {
        let mut sample = sample(1_000_000);
        change(&mut sample);
        SampleMonitor::default().check(&sample, terms, 1_000_000)
    }

    fn good(change: impl Fn(&mut Sample)) {
        assert_eq!(check(&terms(), change), NONE);
    }

    fn refused(fault: Fault, change: impl Fn(&mut Sample)) {
        assert_eq!(check(&terms(), change), fault.into());
    }

    #[test]
    fn a_good_sample_passes() {
        good(|_| {});
    }

    #[test]
    fn eng_safe_01_numbers_must_be_finite() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for channel in 0..3 {
                refused(Fault::NonFinite, |s| s.observation[channel] = bad);
            }
        }
        let faults = check(&external(), |s| s.reward = Some(f32::NAN));
        assert_eq!(faults, Fault::NonFinite.into());
    }

    #[test]
    fn eng_safe_02_range_has_a_margin() {
        // rate: +-20 rad/s, so the margin is 4 rad/s.
        for sign in [1.0, -1.0] {
            good(|s| s.observation[2] = sign * 24.0);
            refused(Fault::ObservationRange, |s| {
                s.observation[2] = sign * 24.001;
            });
        }
    }

    #[test]
    fn eng_safe_03_the_number_of_observations_is_fixed() {
        refused(Fault::ObservationCount, |s| s.observation.truncate(2));
        refused(Fault::ObservationCount, |s| {
            s.observation.push(0.0).expect("fits");
        });
    }

    #[test]
    fn eng_safe_04_time_stamps_must_advance() {
        let mut monitor = SampleMonitor::default();
        for (time_us, faults) in [
            (1_000_000, NONE),
            (1_000_000, Fault::SampleRepeated.into()),
            (999_999, Fault::SampleRepeated.into()),
            (1_000_001, NONE),
        ] {
            let got = monitor.check(&sample(time_us), &terms(), 1_020_000);
            assert_eq!(got, faults, "{time_us}");
        }
    }

    #[test]
    fn eng_safe_05_old_and_future_samples_are_refused() {
        good(|s| s.time_us -= 50_000);
        refused(Fault::SampleAge, |s| s.time_us -= 50_001);
        refused(Fault::SampleAge, |s| s.time_us += 1);
    }

    #[test]
    fn eng_safe_05_missing_samples_are_tolerated_for_a_while() {
        let mut monitor = SampleMonitor::default();
        assert_eq!(monitor.missing(&terms(), 1_000_000), NONE);
        assert_eq!(monitor.missing(&terms(), 1_050_000), NONE);
        let faults = monitor.missing(&terms(), 1_050_001);
        assert_eq!(faults, Fault::SampleAge.into());
        monitor.restart();
        assert_eq!(monitor.missing(&terms(), 9_000_000), NONE);
    }

    #[test]
    fn eng_safe_06_an_external_reward_must_come() {
        let faults = check(&external(), |_| {});
        assert_eq!(faults, Fault::RewardMissing.into());
        assert_eq!(check(&external(), |s| s.reward = Some(1.0)), NONE);
    }
}
