//! What a flight log holds: the flight's description, one record per control step, and events.
//!
//! Everything that an action depends on is here bit for bit, so that a replay needs nothing else.
//! Times are virtual in lock-step: two equal flights give equal records.

use engram_link::{CommandSource, State};
use serde::{Deserialize, Serialize};

use super::exact;
use super::lateness::Lateness;

/// Version of the log's records. A reader refuses newer ones.
///
/// 1: the first. 2: the log says at its end what it holds (records of each part and their digests); messages carry the
/// wall clock; falls and diverged steps are told. 3: where the robot is, for 3-D views; what was asked for in flight.
pub const LOG_FORMAT: u32 = 3;

/// What was flown, where, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`LOG_FORMAT`] of the writer.
    pub format: u32,
    /// Version of the program that wrote the log.
    pub engram: String,
    /// The board as the user named it, or `host` for a controller that ran on the host.
    pub board: String,
    /// What the board said it is, with its firmware's version; empty for `host`.
    pub firmware: String,
    /// `policy` or `classical`.
    pub controller: String,
    /// Whether the memory was emptied before every step.
    pub wiped: bool,
    /// `lock-step` or `real time`.
    pub pace: String,
    /// The plant.
    pub plant: String,
    /// Seed of the hidden task, the start state and the sensors' noise.
    pub task_seed: u64,
    /// The hidden task at the start: name, value, unit of each parameter.
    pub task: Vec<(String, f32, String)>,
    /// The change, and when it comes (s); `None` where there is none.
    pub change: Option<(String, f64)>,
    /// The fault plan as given; empty for a clean wire.
    pub fault: String,
    /// Control period, microseconds.
    pub period_us: u32,
    /// Name, unit, smallest and largest value of each observation channel.
    pub observations: Vec<ChannelRecord>,
    /// Name, unit, smallest and largest value of each action channel.
    pub actions: Vec<ChannelRecord>,
    /// Whether the plant has a goal to hold.
    #[serde(default = "yes")]
    pub has_goal: bool,
    /// Names with units of the true state's entries.
    pub state_names: Vec<String>,
    /// SHA-256 of the contract, hexadecimal.
    pub contract_sha256: String,
    /// SHA-256 of the image file, hexadecimal; empty without an image.
    pub image_sha256: String,
    /// SHA-256 of the logical weights in the image, hexadecimal; empty without an image.
    pub weights_sha256: String,
}

/// Logs of format 1 do not tell.
fn yes() -> bool {
    true
}

/// One channel of the contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelRecord {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Smallest value, in the unit.
    pub min: f32,
    /// Largest value, in the unit.
    pub max: f32,
}

/// A sample as it was sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleRecord {
    /// When it was taken, microseconds.
    pub sample_us: u64,
    /// The observation, in the contract's order and units.
    #[serde(with = "exact::many")]
    pub observation: Vec<f32>,
    /// The external reward, where one was sent.
    #[serde(
        with = "exact::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub reward: Option<f32>,
    /// Whether an episode ended before it.
    pub done: bool,
}

/// A command that was sent to the board before a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Let the policy fly, with empty memory.
    Arm,
    /// Stop the policy.
    Disarm,
    /// Forget the latched faults.
    ResetFaults,
    /// Forget all working memories.
    ClearMemory,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// One control step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Running number in this log, from 0.
    pub step: u32,
    /// Time of the step, microseconds.
    pub now_us: u64,
    /// Episode of the trial, from 0.
    pub episode: u32,
    /// Steps of the board between the one before and this one that did not arrive, so that the log lacks them (real time).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost_before: u32,
    /// What was ordered right before the step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<Order>,
    /// The sample; `None` for a period without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<SampleRecord>,
    /// The controller's command words; empty where it did not run.
    pub words: Vec<i16>,
    /// The host's own words for the same step; empty where the policy did not run.
    pub expected: Vec<i16>,
    /// What left the envelope, as command words.
    pub issued: Vec<i16>,
    /// Who computed the issued command.
    pub source: CommandSource,
    /// The reward that entered the working memory.
    #[serde(with = "exact::one")]
    pub reward: f32,
    /// Where the board stood after the step.
    pub state: State,
    /// Latched faults after the step, one bit each.
    pub faults: u32,
    /// The issued command in the contract's units.
    #[serde(with = "exact::many")]
    pub command: Vec<f32>,
    /// The plant's true state at the step.
    #[serde(with = "exact::many")]
    pub plant: Vec<f32>,
    /// Whether the plant's goal is held; never in a step in which the episode ended by itself.
    pub holds: bool,
    /// Whether the plant's goal is lost altogether.
    pub fallen: bool,
    /// Whether the episode ended by itself in this step: the robot fell, or the simulation diverged.
    #[serde(default)]
    pub ended: bool,
    /// Whether the simulation diverged in this step and was set back.
    #[serde(default)]
    pub diverged: bool,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The dynamics changed.
    Change,
    /// Whoever watches asked for it: the memory wiped or kept, the end.
    Asked,
    /// An episode began.
    Episode,
    /// The robot fell.
    Fall,
    /// The simulation diverged.
    Diverged,
    /// The board's state or its faults changed.
    State,
    /// The board's words differ from the host's.
    Difference,
    /// Something happened to the link.
    Link,
    /// The flight ended.
    End,
}

/// Something that happened in a flight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Seconds since the flight began.
    pub time_s: f64,
    /// The step before which it happened.
    pub step: u32,
    /// What it is about.
    pub kind: EventKind,
    /// In words.
    pub text: String,
}

/// Where the policy looked in one step, by the host's own computation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attention {
    /// The step.
    pub step: u32,
    /// For each layer, the share of attention on each age (0 is the newest memory), averaged over
    /// the heads.
    #[serde(with = "exact::rows")]
    pub layers: Vec<Vec<f32>>,
}

/// How a flight went; the keys of `engram fly --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The board.
    pub board: String,
    /// The plant.
    pub plant: String,
    /// `policy` or `classical`.
    pub controller: String,
    /// Control steps flown, those that did not arrive left out.
    pub steps: u32,
    /// Steps of the board that did not arrive (real time): from the first of them on no words are compared.
    #[serde(default)]
    pub steps_lost: u32,
    /// Steps in which the policy ran on the board and on the host.
    pub words_compared: u32,
    /// Whether every command word of the board equals the host's; `None` where nothing was compared.
    pub words_equal: Option<bool>,
    /// The first word that differs.
    pub first_difference: Option<Difference>,
    /// Control steps that missed their deadline.
    pub deadline_misses: u32,
    /// Faults that were put on the wire on purpose.
    pub faults_injected: u64,
    /// Frames that were sent again.
    pub retransmissions: u64,
    /// Damaged frames that the board received.
    pub board_receive_errors: u32,
    /// Answers, actions and log lines that the board dropped because the line took nothing; logs of format 1 do not tell.
    #[serde(default)]
    pub board_frames_dropped: u32,
    /// Damaged frames that the host received.
    pub host_receive_errors: u32,
    /// Issued commands outside the contract's range or slew limit, by the host's own count.
    pub envelope_violations: u32,
    /// Faults that the board latched, in words.
    pub faults: Vec<String>,
    /// Where the board stood at the end.
    pub final_state: String,
    /// Hash of the weights on the board before the flight; empty where none flew.
    pub weights_sha256_before: String,
    /// The same after the flight, computed anew by the board.
    pub weights_sha256_after: String,
    /// Whether the plant's goal was held through the last second; `None` for a plant without a goal.
    pub holds_at_end: Option<bool>,
    /// Share of the steps in which it was held; `None` for a plant without a goal, and without steps.
    pub held_share: Option<f64>,
    /// Seconds from the change until the goal was held for good; `None` if never, without a change, or without a goal.
    pub recovery_s: Option<f64>,
    /// How often the robot fell: its episode ended by itself, or it lost altogether a goal that it had held.
    #[serde(default)]
    pub falls: u32,
    /// Steps in which the simulation diverged and was set back; they are no falls.
    #[serde(default)]
    pub diverged_steps: u32,
    /// Deepest stack on the board, bytes; 0 where it cannot say.
    pub worst_stack_bytes: u32,
    /// Static RAM of the board if it lent this policy just the cache that it takes, bytes; 0 where it cannot say.
    #[serde(default)]
    pub ram_bytes: u32,
    /// Longest control step by the board's own clock, microseconds; 0 where it has none.
    pub worst_step_us: u32,
    /// How late steps came in real time; `None` in lock-step, and without a step.
    #[serde(default)]
    pub lateness: Option<Lateness>,
    /// Why the flight ended early; `None` when it flew to its end.
    pub ended_early: Option<String>,
    /// The flight log; `None` where none was written.
    pub log: Option<String>,
    /// Whether the log holds the whole flight; not so where the disk was full, say, or steps of the board did not arrive.
    #[serde(default)]
    pub log_complete: bool,
}

/// The first place where two computations of the same flight differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The step.
    pub step: u32,
    /// The field: `words[0]`, `issued[1]`, `state` and so on.
    pub field: String,
    /// What the host computes.
    pub expected: String,
    /// What the board sent, or the log holds.
    pub got: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "step {}, {}: expected {}, got {}",
            self.step, self.field, self.expected, self.got
        )
    }
}

#[cfg(test)]
pub(super) fn example_step(step: u32) -> Step {
    Step {
        step,
        now_us: u64::from(step) * 20_000,
        episode: 0,
        lost_before: 0,
        orders: if step == 0 {
            vec![Order::Arm]
        } else {
            Vec::new()
        },
        sample: Some(SampleRecord {
            sample_us: u64::from(step) * 20_000,
            observation: vec![0.1, -1.0, f32::MIN_POSITIVE],
            reward: None,
            done: false,
        }),
        words: vec![-7],
        expected: vec![-7],
        issued: vec![-7],
        source: CommandSource::Policy,
        reward: 0.25,
        state: State::Armed,
        faults: 0,
        command: vec![-0.0026],
        plant: vec![3.1, 0.0],
        holds: false,
        fallen: true,
        ended: false,
        diverged: false,
    }
}
