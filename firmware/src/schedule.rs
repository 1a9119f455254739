//! When the next control step is due, for boards that keep their own time.

/// Fixed rate without drift. Two steps are at least half a period apart, and after a long delay it starts anew: nothing
/// is caught up in a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Schedule {
    period_us: u64,
    due_us: u64,
}

impl Schedule {
    /// One step per `period_us`, the first one at once.
    pub const fn new(period_us: u32) -> Self {
        Self {
            // `as` because `From` is not const; it widens.
            period_us: period_us as u64,
            due_us: 0,
        }
    }

    /// Another period, from the next step on.
    pub const fn set_period_us(&mut self, period_us: u32) {
        self.period_us = period_us as u64;
    }

    /// Whether a step is due at `now_us`. If so, this step counts as made.
    pub const fn take(&mut self, now_us: u64) -> bool {
        if now_us < self.due_us {
            return false;
        }
        let on_time_us = self.due_us.saturating_add(self.period_us);
        let soonest_us = now_us.saturating_add(self.period_us.div_ceil(2));
        self.due_us = if on_time_us <= now_us {
            now_us.saturating_add(self.period_us)
        } else if on_time_us < soonest_us {
            soonest_us
        } else {
            on_time_us
        };
        true
    }

    /// When the next step is due, by the clock that [`Schedule::take`] is told.
    pub const fn due_us(&self) -> u64 {
        self.due_us
    }

    /// Microseconds until the next step is due; 0 if it is.
    pub const fn remaining_us(&self, now_us: u64) -> u64 {
        self.due_us.saturating_sub(now_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_rate_and_does_not_catch_up() {
        let mut schedule = Schedule::new(100);
        assert!(schedule.take(1_000), "the first step comes at once");
        assert!(!schedule.take(1_099));
        assert_eq!(
            (schedule.remaining_us(1_099), schedule.due_us()),
            (1, 1_100)
        );
        // Late by 30: the one after is on time again.
        assert!(schedule.take(1_130));
        assert_eq!(schedule.remaining_us(1_130), 70);
        assert!(schedule.take(1_200));
        // Late by more than half a period: the one after keeps its distance, and the rate goes on from there.
        assert!(schedule.take(1_371));
        assert_eq!(schedule.remaining_us(1_371), 50);
        assert!(schedule.take(1_421));
        assert_eq!(schedule.remaining_us(1_421), 100);
        assert!(schedule.take(1_521));
        // More than a period late: no burst.
        assert!(schedule.take(1_950));
        assert!(!schedule.take(2_049));
        assert!(schedule.take(2_050));
    }
}
