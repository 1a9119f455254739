//! What a receiver learns from the running numbers: loss, duplicates, reordering.

/// The furthest that a number may be ahead of the newest and count as newer.
const AHEAD: u32 = 32_767;

/// How a frame arrived, relative to the newest one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Arrival {
    /// The first frame, or the next number.
    Next,
    /// This many frames are missing before it.
    AfterGap(u32),
    /// The same number as the newest frame: a duplicate or a retry.
    Repeated,
    /// Any other number: an older one (reordered, or a late duplicate), or one of another conversation.
    Late,
    /// A hello with such a number: whether it begins the numbers anew is for the receiver to say
    /// ([`crate::Decoder::begin_conversation`]).
    Opening,
}

/// Follows one direction's running numbers (wrapping, 32 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) struct SequenceMonitor {
    newest: Option<u32>,
}

impl SequenceMonitor {
    /// A monitor that takes any first number.
    pub(crate) const fn new() -> Self {
        Self { newest: None }
    }

    /// Takes the number of a frame that arrived intact.
    ///
    /// Numbers up to 32 767 ahead of the newest count as newer, all others as late: a stray frame of another
    /// host, which counts from a random number of its own, is then taken for late and not for the next.
    pub(crate) fn observe(&mut self, sequence: u32) -> Arrival {
        let arrival = self.look_at(sequence);
        if matches!(arrival, Arrival::Next | Arrival::AfterGap(_)) {
            self.newest = Some(sequence);
        }
        arrival
    }

    /// What [`SequenceMonitor::observe`] would say; nothing changes.
    pub(crate) const fn look_at(&self, sequence: u32) -> Arrival {
        let Some(newest) = self.newest else {
            return Arrival::Next;
        };
        match sequence.wrapping_sub(newest) {
            0 => Arrival::Repeated,
            1 => Arrival::Next,
            ahead @ 2..=AHEAD => Arrival::AfterGap(ahead.wrapping_sub(1)),
            _ => Arrival::Late,
        }
    }

    /// The newest number; `None` before the first.
    pub(crate) const fn newest(&self) -> Option<u32> {
        self.newest
    }

    /// The other side starts anew with this number.
    pub(crate) fn restart(&mut self, sequence: u32) {
        self.newest = Some(sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_repetition_and_lateness_are_told_apart() {
        let mut monitor = SequenceMonitor::new();
        assert_eq!(monitor.observe(u32::MAX - 1), Arrival::Next);
        assert_eq!(monitor.observe(u32::MAX), Arrival::Next);
        assert_eq!(monitor.observe(0), Arrival::Next);
        assert_eq!(monitor.observe(0), Arrival::Repeated);
        assert_eq!(monitor.observe(4), Arrival::AfterGap(3));
        assert_eq!(monitor.observe(2), Arrival::Late);
        assert_eq!(monitor.observe(u32::MAX), Arrival::Late);
        assert_eq!(monitor.observe(4 + AHEAD + 1), Arrival::Late);
        assert_eq!(monitor.observe(1 << 31), Arrival::Late);
        assert_eq!(monitor.observe(5), Arrival::Next);
        monitor.restart(39_999);
        assert_eq!(monitor.observe(40_000), Arrival::Next);
    }
}
