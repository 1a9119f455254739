//! The numbers of a contract: what the control loop flies by, without names and units.

use crate::safety::Envelope;
use engram_image::limits::MAX_OBSERVATIONS;
use engram_image::{Contract, Reward};
use heapless::Vec;

/// Control period of a board whose contract comes with its image, as long as it has none, microseconds.
pub const PERIOD_WITHOUT_IMAGE_US: u32 = 20_000;

/// What is expected of an observation, in its channel's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Range {
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
}

/// The numbers of a contract. They are copied, since an image's contract lies in a slot that is written anew some day.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// [`Contract::digest`] of the whole contract; zeros without one.
    pub sha256: [u8; 32],
    /// Control period, microseconds.
    pub period_us: u32,
    /// Ranges of the observation channels, in their order.
    pub observations: Vec<Range, MAX_OBSERVATIONS>,
    /// Where the reward comes from.
    pub reward: Reward,
    /// Range and slew limits of the action channels.
    pub envelope: Envelope,
}

impl Terms {
    /// No channels.
    pub const NONE: Self = Self {
        sha256: [0; 32],
        period_us: PERIOD_WITHOUT_IMAGE_US,
        observations: Vec::new(),
        reward: Reward::External,
        envelope: Envelope::NONE,
    };

    /// The numbers of `contract`, which must be valid ([`Contract::validate`]).
    #[must_use]
    pub fn of(contract: &Contract<'_>) -> Self {
        let mut terms = Self::NONE;
        terms.take(contract);
        terms
    }

    /// Becomes [`Terms::of`] of `contract`, in place: they are too large to lie on the stack twice. `false` if they were.
    pub fn take(&mut self, contract: &Contract<'_>) -> bool {
        let sha256 = contract.digest();
        if self.sha256 == sha256 {
            return false;
        }
        self.sha256 = sha256;
        self.period_us = contract.period_us;
        self.observations.clear();
        for channel in &contract.observations {
            // Contracts have no more channels than there is room for.
            let _ = self.observations.push(Range {
                min: channel.min,
                max: channel.max,
            });
        }
        self.reward = contract.reward;
        self.envelope = Envelope::new(contract);
        true
    }
}
