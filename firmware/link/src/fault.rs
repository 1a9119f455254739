//! The faults that the runtime can latch, one bit and one requirement each.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Declares the faults once: variant, bit, requirement, text.
macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $id:literal, $text:literal;)*) => {
        /// A reason to leave the armed state. `docs/src/safety.md` holds condition, bound and reaction.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// Every fault, in the order of the requirements.
            pub const ALL: &'static [Fault] = &[$(Fault::$name,)*];

            /// This fault's bit in [`Faults`].
            pub const fn bit(self) -> u32 {
                match self { $(Fault::$name => 1 << $bit,)* }
            }

            /// Requirement id, as in `docs/src/safety.md`.
            pub const fn requirement(self) -> &'static str {
                match self { $(Fault::$name => $id,)* }
            }

            /// One line for people.
            pub const fn text(self) -> &'static str {
                match self { $(Fault::$name => $text,)* }
            }
        }
    };
}

faults! {
    /// An observation or the reward is NaN or infinite.
    NonFinite = 0, "ENG-SAFE-01", "an observation or the reward is not a finite number";
    /// An observation lies further outside its contract range than the margin allows.
    ObservationRange = 1, "ENG-SAFE-02", "an observation is outside its contract range";
    /// The sample has another number of observations than the contract.
    ObservationCount = 2, "ENG-SAFE-03", "the sample has the wrong number of observations";
    /// The sample's own time stamp is not newer than the sample before.
    SampleRepeated = 3, "ENG-SAFE-04", "the sample's time stamp did not advance";
    /// The newest sample is too old, or lies in the future.
    SampleAge = 4, "ENG-SAFE-05", "the newest sample is too old, or from the future";
    /// The contract's reward is external and the sample brought none.
    RewardMissing = 5, "ENG-SAFE-06", "the sample lacks the external reward";
    /// A sensor driver reported a failure.
    SensorFailure = 6, "ENG-SAFE-07", "a sensor driver failed";
    /// The policy refused to run or gave no usable command.
    PolicyOutput = 7, "ENG-SAFE-08", "the policy gave no usable command";
    /// An actuator driver reported a failure.
    ActuatorFailure = 8, "ENG-SAFE-09", "an actuator driver failed";
    /// Nothing valid came over the link for too long.
    LinkLoss = 9, "ENG-SAFE-10", "the link was silent for too long";
    /// More control steps missed their deadline than the budget allows.
    DeadlineMisses = 10, "ENG-SAFE-11", "too many control steps missed their deadline";
    /// The clock of control steps ran backwards.
    ClockBackwards = 11, "ENG-SAFE-12", "the control clock ran backwards";
    /// The active image no longer verifies.
    ImageCorrupt = 12, "ENG-SAFE-13", "the active image no longer verifies";
}

/// A set of faults; latched until an explicit reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Faults(pub u32);

impl Faults {
    /// No fault.
    pub const NONE: Faults = Faults(0);

    /// Whether no fault is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `fault` is in the set.
    pub const fn contains(self, fault: Fault) -> bool {
        self.0 & fault.bit() != 0
    }

    /// Whether all of `other` is in the set.
    pub const fn contains_all(self, other: Faults) -> bool {
        other.0 & !self.0 == 0
    }

    /// The set with `fault` added.
    #[must_use]
    pub const fn with(self, fault: Fault) -> Faults {
        Faults(self.0 | fault.bit())
    }

    /// The union of two sets.
    #[must_use]
    pub const fn union(self, other: Faults) -> Faults {
        Faults(self.0 | other.0)
    }

    /// The faults in the set, in the order of the requirements.
    pub fn iter(self) -> impl Iterator<Item = Fault> {
        Fault::ALL
            .iter()
            .copied()
            .filter(move |fault| self.contains(*fault))
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Faults {
        Faults::NONE.with(fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.requirement())?;
        f.write_str(" (")?;
        f.write_str(self.text())?;
        f.write_str(")")
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut separator = "";
        for fault in self.iter() {
            f.write_str(separator)?;
            fault.fmt(f)?;
            separator = ", ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn bits_and_requirements_are_distinct() {
        let mut seen = 0;
        for (index, fault) in Fault::ALL.iter().enumerate() {
            assert_eq!(seen & fault.bit(), 0);
            seen |= fault.bit();
            assert_eq!(
                fault.requirement(),
                std::format!("ENG-SAFE-{:02}", index + 1)
            );
        }
    }

    #[test]
    fn sets_print_their_members() {
        assert_eq!(Faults::NONE.to_string(), "none");
        let two = Faults::from(Fault::LinkLoss).with(Fault::NonFinite);
        assert_eq!(
            two.to_string(),
            "ENG-SAFE-01 (an observation or the reward is not a finite number), ENG-SAFE-10 (the link was silent for too long)"
        );
        assert_eq!(two.iter().count(), 2);
    }
}
