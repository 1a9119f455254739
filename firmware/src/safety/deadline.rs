//! ENG-SAFE-11: control steps must begin and end on time.

use super::Settings;

/// Counts control steps that began early or late, or took too long.
///
/// A single miss is survivable and is only counted. The fault comes when misses outrun forgiveness:
/// each miss adds `forgiving_steps`, each step on time takes one away, and the level may not exceed
/// `deadline_misses * forgiving_steps`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DeadlineMonitor {
    period_us: u64,
    jitter_us: u64,
    duration_us: u64,
    forgiving: u32,
    limit: u32,
    level: u32,
    last_start_us: Option<u64>,
    misses: u32,
}

impl DeadlineMonitor {
    /// A monitor for steps every `period_us`.
    pub const fn new(period_us: u32, settings: &Settings) -> Self {
        Self {
            period_us: period_us as u64,
            jitter_us: settings.start_jitter_us as u64,
            duration_us: settings.step_duration_us as u64,
            forgiving: settings.forgiving_steps,
            limit: settings
                .deadline_misses
                .saturating_mul(settings.forgiving_steps),
            level: 0,
            last_start_us: None,
            misses: 0,
        }
    }

    /// Another period and other bounds, afresh; the count of misses goes on.
    pub fn adopt(&mut self, period_us: u32, settings: &Settings) {
        *self = Self {
            misses: self.misses,
            ..Self::new(period_us, settings)
        };
    }

    /// Starts afresh; the count of misses goes on.
    pub fn restart(&mut self) {
        self.level = 0;
        self.last_start_us = None;
    }

    /// A step begins at `now_us`; returns whether the budget is used up.
    pub fn begin(&mut self, now_us: u64) -> bool {
        let missed = self.last_start_us.is_some_and(|last| {
            now_us.saturating_sub(last).abs_diff(self.period_us) > self.jitter_us
        });
        self.last_start_us = Some(now_us);
        if missed {
            self.miss();
        } else {
            self.level = self.level.saturating_sub(1);
        }
        self.exhausted()
    }

    /// The step took `duration_us`; returns whether the budget is used up.
    pub fn end(&mut self, duration_us: u64) -> bool {
        if duration_us > self.duration_us {
            self.miss();
        }
        self.exhausted()
    }

    /// Misses since the board started; wraps.
    pub const fn misses(&self) -> u32 {
        self.misses
    }

    const fn exhausted(&self) -> bool {
        self.level > self.limit
    }

    fn miss(&mut self) {
        self.misses = self.misses.wrapping_add(1);
        self.level = self.level.saturating_add(self.forgiving);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings::for_period(20_000);

    #[test]
    fn eng_safe_11_tolerates_the_budget_and_not_one_more() {
        let mut monitor = DeadlineMonitor::new(20_000, &SETTINGS);
        let mut now = 0;
        assert!(!monitor.begin(now));
        for miss in 1..=4 {
            now += 40_000;
            assert_eq!(monitor.begin(now), miss == 4, "miss {miss}");
        }
        assert_eq!(monitor.misses(), 4);
    }

    #[test]
    fn eng_safe_11_steps_that_come_too_early_use_the_budget_up() {
        let mut monitor = DeadlineMonitor::new(20_000, &SETTINGS);
        monitor.begin(0);
        for miss in 1..=4_u64 {
            assert_eq!(monitor.begin(miss * 9_000), miss == 4, "miss {miss}");
        }
    }

    #[test]
    fn eng_safe_11_forgives_with_time() {
        let mut monitor = DeadlineMonitor::new(20_000, &SETTINGS);
        let mut now = 0;
        for _ in 0..50 {
            now += 40_000;
            assert!(!monitor.begin(now));
            for _ in 0..100 {
                now += 20_000;
                assert!(!monitor.begin(now));
            }
        }
        assert_eq!(monitor.misses(), 49);
    }

    #[test]
    fn eng_safe_11_allows_jitter_and_counts_long_steps() {
        let mut monitor = DeadlineMonitor::new(20_000, &SETTINGS);
        monitor.begin(0);
        monitor.begin(30_000);
        monitor.begin(40_000);
        assert!(!monitor.end(15_000));
        assert_eq!(monitor.misses(), 0);
        monitor.begin(70_001);
        monitor.end(15_001);
        assert_eq!(monitor.misses(), 2);
        monitor.begin(80_000);
        assert_eq!(monitor.misses(), 3, "early by more than half a period");
        monitor.restart();
        assert!(!monitor.begin(u64::MAX));
        assert_eq!(monitor.misses(), 3);
    }
}
