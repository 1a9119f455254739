//! ENG-SAFE-10: the host must be heard from regularly.

/// Watches for silence on the link, on the clock of the control steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct LinkWatch {
    silence_us: Option<u64>,
    last_heard_us: Option<u64>,
}

impl LinkWatch {
    /// A watch that allows this much silence; `None` never complains.
    pub const fn new(silence_us: Option<u32>) -> Self {
        Self {
            silence_us: match silence_us {
                Some(us) => Some(us as u64),
                None => None,
            },
            last_heard_us: None,
        }
    }

    /// Starts afresh: the silence counts from the next step.
    pub fn restart(&mut self) {
        self.last_heard_us = None;
    }

    /// A step begins at `now_us`; `heard` says whether an intact frame came since the step before.
    /// Returns whether the silence before that was too long, or still is.
    pub fn lost(&mut self, now_us: u64, heard: bool) -> bool {
        let last = *self.last_heard_us.get_or_insert(now_us);
        if heard {
            self.last_heard_us = Some(now_us);
        }
        self.silence_us
            .is_some_and(|silence| now_us.saturating_sub(last) > silence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eng_safe_10_silence_is_noticed_at_the_bound() {
        let mut watch = LinkWatch::new(Some(200_000));
        assert!(!watch.lost(1_000_000, false));
        assert!(!watch.lost(1_100_000, true));
        assert!(!watch.lost(1_300_000, false));
        assert!(watch.lost(1_300_001, false));
        watch.restart();
        assert!(!watch.lost(9_000_000, false));
    }

    #[test]
    fn eng_safe_10_a_gap_is_noticed_when_the_next_frame_ends_it() {
        let mut watch = LinkWatch::new(Some(200_000));
        assert!(!watch.lost(0, true));
        assert!(watch.lost(400_000, true));
        assert!(!watch.lost(420_000, true));
    }

    #[test]
    fn eng_safe_10_is_off_for_a_robot_without_host() {
        let mut watch = LinkWatch::new(None);
        assert!(!watch.lost(0, false));
        assert!(!watch.lost(u64::MAX, false));
    }
}
