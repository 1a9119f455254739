//! The numbers that the control loop flies by: those of a contract, without names and units, and the bounds of the safety ladder.

use crate::safety::{Envelope, Settings};
use engram_image::limits::MAX_OBSERVATIONS;
use engram_image::{Contract, Reward};
use heapless::Vec;

/// Control period of a board whose contract comes with its image, as long as it has none, microseconds.
const PERIOD_WITHOUT_IMAGE_US: u32 = 20_000;

/// What is expected of an observation, in its channel's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Range {
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
}

/// The numbers of a contract, and the bounds that go with it. They are copied, since an image's contract lies in a slot that is written anew some day.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// [`Contract::digest`] of the whole contract; zeros without one.
    pub sha256: [u8; 32],
    /// Control period, microseconds.
    pub period_us: u32,
    /// Bounds of the safety ladder.
    pub settings: Settings,
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
        settings: Settings::for_period(PERIOD_WITHOUT_IMAGE_US),
        observations: Vec::new(),
        reward: Reward::External,
        envelope: Envelope::NONE,
    };

    /// The numbers of `contract`, which must be valid ([`Contract::validate`]).
    #[must_use]
    pub fn of(contract: &Contract<'_>, settings: Settings) -> Self {
        let mut terms = Self::NONE;
        terms.take(contract, contract.digest(), settings);
        terms
    }

    /// Becomes [`Terms::of`] these, in place: they are too large to lie on the stack twice. `sha256` is the contract's digest. `false` if the contract was this one;
    /// nothing changes then.
    pub fn take(&mut self, contract: &Contract<'_>, sha256: [u8; 32], settings: Settings) -> bool {
        if self.sha256 == sha256 {
            return false;
        }
        self.sha256 = sha256;
        self.period_us = contract.period_us;
        self.settings = settings;
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
