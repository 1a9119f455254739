//! ENG-SAFE-10: the host must be heard from regularly.

/// Watches for silence on the link, on the clock of the control steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LinkWatch {
    last_heard_us: Option<u64>,
}

impl LinkWatch {
    /// Starts afresh: the silence counts from the next step.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// A step begins at `now_us`; `heard` says whether an intact frame came since the step before.
    /// Returns whether the silence before that was longer than `silence_us`, or still is; `None` never complains.
    pub fn lost(&mut self, now_us: u64, heard: bool, silence_us: Option<u32>) -> bool {
        let last = *self.last_heard_us.get_or_insert(now_us);
        if heard {
            self.last_heard_us = Some(now_us);
        }
        silence_us.is_some_and(|silence| now_us.saturating_sub(last) > silence.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SILENCE_US: Option<u32> = Some(200_000);

    #[test]
    fn eng_safe_10_silence_is_noticed_at_the_bound() {
        let mut watch = LinkWatch::default();
        assert!(!watch.lost(1_000_000, false, SILENCE_US));
        assert!(!watch.lost(1_100_000, true, SILENCE_US));
        assert!(!watch.lost(1_300_000, false, SILENCE_US));
        assert!(watch.lost(1_300_001, false, SILENCE_US));
        watch.restart();
        assert!(!watch.lost(9_000_000, false, SILENCE_US));
    }

    #[test]
    fn eng_safe_10_a_gap_is_noticed_when_the_next_frame_ends_it() {
        let mut watch = LinkWatch::default();
        assert!(!watch.lost(0, true, SILENCE_US));
        assert!(watch.lost(400_000, true, SILENCE_US));
        assert!(!watch.lost(420_000, true, SILENCE_US));
    }

    #[test]
    fn eng_safe_10_is_off_for_a_robot_without_host() {
        let mut watch = LinkWatch::default();
        assert!(!watch.lost(0, false, None));
        assert!(!watch.lost(u64::MAX, false, None));
    }
}
