//! Words that both sides use for what the runtime is doing.

use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr};

/// Where the runtime stands on the safety ladder.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, IntoStaticStr,
)]
#[strum(serialize_all = "lowercase")]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum State {
    /// The policy does not run; the safe command is issued. Images may be activated.
    Disarmed,
    /// The policy flies.
    Armed,
    /// A fault came: the last issued command is held for a bounded time.
    Hold,
    /// The robot author's fallback controller flies, for a bounded time.
    Fallback,
    /// The command moves to the safe command within the slew limit and stays there.
    #[strum(serialize = "safe stop")]
    SafeStop,
}

impl State {
    /// Name as it appears in logs and texts.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Who computed an issued command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display)]
#[strum(serialize_all = "lowercase")]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CommandSource {
    /// The policy, in this step, after range and slew limits.
    Policy,
    /// Nobody: the last issued command was issued again (no sample came, or a fault is being held).
    Held,
    /// The robot author's fallback controller, after range and slew limits.
    Fallback,
    /// The contract's safe command, approached within the slew limit.
    Safe,
}

/// Which clock makes control steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display)]
#[strum(serialize_all = "kebab-case")]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Pace {
    /// Virtual time: each `Sensors` or `Tick` message makes exactly one control step, at its `now_us`. Only
    /// where sensors are injected and actuators merely report: nobody else makes steps meanwhile.
    LockStep,
    /// The board's own timer makes the steps; `Sensors` messages only bring the latest sample.
    #[strum(serialize = "real time")]
    RealTime,
}

/// What a hello asks of the pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RequestedPace {
    /// [`Pace::LockStep`]; refused where sensors or actuators are real, or the command is not the safe one.
    LockStep,
    /// [`Pace::RealTime`].
    RealTime,
    /// As it is.
    Unchanged,
}

impl From<Pace> for RequestedPace {
    fn from(pace: Pace) -> Self {
        match pace {
            Pace::LockStep => Self::LockStep,
            Pace::RealTime => Self::RealTime,
        }
    }
}
