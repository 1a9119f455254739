//! The numbers behind the safety ladder. A board or robot chooses them at compile time.

/// Bounds of the safety ladder. The defaults follow from the control period.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Settings {
    /// ENG-SAFE-02: how far an observation may lie outside its contract range, as a share of the range's width.
    pub range_margin: f32,
    /// ENG-SAFE-05: oldest sample that a step may stand on, microseconds.
    pub sample_age_us: u32,
    /// ENG-SAFE-10: longest silence of the link, microseconds; `None` for a robot that flies without host.
    pub link_silence_us: Option<u32>,
    /// ENG-SAFE-11: how much sooner or later than one period after its predecessor a step may begin, microseconds.
    pub start_jitter_us: u32,
    /// ENG-SAFE-11: how long a step may take in real time, microseconds.
    pub step_duration_us: u32,
    /// ENG-SAFE-11: deadline misses that are tolerated; one is forgiven per [`Self::forgiving_steps`].
    pub deadline_misses: u32,
    /// ENG-SAFE-11: steps on time that forgive one miss.
    pub forgiving_steps: u32,
    /// ENG-SAFE-14: how long the last issued command is held after a fault, microseconds. It ends at the first step
    /// after that.
    pub hold_us: u32,
    /// How long the fallback controller may fly after hold, microseconds.
    pub fallback_us: u32,
    /// Bytes of image upload taken between two control steps while not disarmed.
    pub upload_bytes_per_period: u32,
}

impl Settings {
    /// The defaults for a control period: samples may be 2.5 periods old, the link silent for 10, steps
    /// early or late by half a period and last 3/4 of one, 3 misses are tolerated (one forgiven per 100 steps), hold
    /// lasts one step (it is over after half a period) and a fallback 2 s.
    pub const fn for_period(period_us: u32) -> Self {
        Self {
            range_margin: 0.1,
            sample_age_us: period_us.saturating_mul(2).saturating_add(period_us / 2),
            link_silence_us: Some(period_us.saturating_mul(10)),
            start_jitter_us: period_us / 2,
            step_duration_us: period_us / 4 * 3,
            deadline_misses: 3,
            forgiving_steps: 100,
            hold_us: period_us / 2,
            fallback_us: 2_000_000,
            upload_bytes_per_period: 2 * engram_link::limits::CHUNK_BYTES as u32,
        }
    }
}
