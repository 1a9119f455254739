//! Words that both sides use for what the runtime is doing.

use core::fmt;
use serde::{Deserialize, Serialize};

/// Where the runtime stands on the safety ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    SafeStop,
}

impl State {
    /// Name as it appears in logs and texts.
    pub const fn name(self) -> &'static str {
        match self {
            State::Disarmed => "disarmed",
            State::Armed => "armed",
            State::Hold => "hold",
            State::Fallback => "fallback",
            State::SafeStop => "safe stop",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who computed an issued command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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

impl fmt::Display for CommandSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CommandSource::Policy => "policy",
            CommandSource::Held => "held",
            CommandSource::Fallback => "fallback",
            CommandSource::Safe => "safe",
        })
    }
}

/// Which clock makes control steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Pace {
    /// Virtual time: each `Sensors` or `Tick` message makes exactly one control step, at its `now_us`. Only
    /// where sensors are injected and actuators merely report: nobody else makes steps meanwhile.
    LockStep,
    /// The board's own timer makes the steps; `Sensors` messages only bring the latest sample.
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

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pace::LockStep => "lock-step",
            Pace::RealTime => "real time",
        })
    }
}

/// The kind of a message to the board, echoed in its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Command {
    /// Opens a conversation.
    Hello,
    /// A sample.
    Sensors,
    /// A period without a sample.
    Tick,
    /// Let the policy fly.
    Arm,
    /// Stop the policy; issue the safe command.
    Disarm,
    /// Forget the latched faults.
    ResetFaults,
    /// Forget all working memories.
    ClearMemory,
    /// Announce an image.
    UploadBegin,
    /// A piece of the announced image.
    UploadChunk,
    /// Verify the uploaded image, replay its golden trace, activate it.
    UploadCommit,
    /// Ask how much of the image has arrived.
    UploadStatus,
    /// Ask for counters and hashes.
    Telemetry,
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Command::Hello => "hello",
            Command::Sensors => "sensors",
            Command::Tick => "tick",
            Command::Arm => "arm",
            Command::Disarm => "disarm",
            Command::ResetFaults => "reset-faults",
            Command::ClearMemory => "clear-memory",
            Command::UploadBegin => "upload-begin",
            Command::UploadChunk => "upload-chunk",
            Command::UploadCommit => "upload-commit",
            Command::UploadStatus => "upload-status",
            Command::Telemetry => "telemetry",
        })
    }
}
