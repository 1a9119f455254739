//! ENG-SAFE-11: control steps must begin and end on time.

use super::Settings;

/// Counts control steps that began early or late, or took too long.
///
/// A single miss is survivable and is only counted. The fault comes when misses outrun forgiveness:
/// each miss adds `forgiving_steps`, each step on time takes one away, and the level may not exceed
/// `deadline_misses * forgiving_steps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DeadlineMonitor {
    level: u32,
    last_start_us: Option<u64>,
    misses: u32,
}

impl DeadlineMonitor {
    /// Starts afresh; the count of misses goes on.
    pub fn restart(&mut self) {
        self.level = 0;
        self.last_start_us = None;
    }

    /// A step begins at `now_us`, which is due every `period_us`; returns whether the budget is used up.
    pub fn begin(&mut self, now_us: u64, period_us: u32, settings: &Settings) -> bool {
        let missed = self.last_start_us.is_some_and(|last| {
            let late_us = now_us.saturating_sub(last).abs_diff(period_us.into());
            late_us > settings.start_jitter_us.into()
        });
        self.last_start_us = Some(now_us);
        if missed {
            self.miss(settings);
        } else {
            self.level = self.level.saturating_sub(1);
        }
        self.exhausted(settings)
    }

    /// The step took `duration_us`; returns whether the budget is used up.
    pub fn end(&mut self, duration_us: u64, settings: &Settings) -> bool {
        if duration_us > settings.step_duration_us.into() {
            self.miss(settings);
        }
        self.exhausted(settings)
    }

    /// Misses since the board started; wraps.
    pub const fn misses(&self) -> u32 {
        self.misses
    }

    const fn exhausted(&self, settings: &Settings) -> bool {
        let limit = (settings.deadline_misses).saturating_mul(settings.forgiving_steps);
        self.level > limit
    }

    fn miss(&mut self, settings: &Settings) {
        self.misses = self.misses.wrapping_add(1);
        self.level = self.level.saturating_add(settings.forgiving_steps);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings::for_period(20_000);

    impl DeadlineMonitor {
        fn step(&mut self, now_us: u64) -> bool {
            self.begin(now_us, 20_000, &SETTINGS)
        }
    }

    #[test]
    fn eng_safe_11_steps_that_come_too_late_or_too_early_use_the_budget_up() {
        for us in [40_000, 9_000] {
            let mut monitor = DeadlineMonitor::default();
            assert!(!monitor.step(0));
            for miss in 1..=4 {
                assert_eq!(monitor.step(miss * us), miss == 4, "miss {miss}");
            }
            assert_eq!(monitor.misses(), 4);
        }
    }

    #[test]
    fn eng_safe_11_forgives_with_time() {
        let mut monitor = DeadlineMonitor::default();
        let mut now = 0;
        for _ in 0..50 {
            now += 40_000;
            assert!(!monitor.step(now));
            for _ in 0..100 {
                now += 20_000;
                assert!(!monitor.step(now));
            }
        }
        assert_eq!(monitor.misses(), 49);
    }

    #[test]
    fn eng_safe_11_allows_jitter_and_counts_long_steps() {
        let mut monitor = DeadlineMonitor::default();
        monitor.step(0);
        monitor.step(30_000);
        monitor.step(40_000);
        assert!(!monitor.end(15_000, &SETTINGS));
        assert_eq!(monitor.misses(), 0);
        monitor.step(70_001);
        monitor.end(15_001, &SETTINGS);
        assert_eq!(monitor.misses(), 2);
        monitor.step(80_000);
        assert_eq!(monitor.misses(), 3, "early by more than half a period");
        monitor.restart();
        assert!(!monitor.step(u64::MAX));
        assert_eq!(monitor.misses(), 3);
    }
}
