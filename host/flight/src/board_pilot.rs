//! The policy on a board as a pilot, with the host's own policy beside it.

use std::time::{Duration, Instant};

use engram_firmware::policy::{WorkingMemory, bytes_with};
use engram_image::Contract;
use engram_kernels::{KvLayout, command_from_word};
use engram_link::{Action, HelloReply, Log, Pace, RequestedPace, Sensors, State, Telemetry};
use sha2::{Digest, Sha256};

use super::flight::PilotCard;
use super::mirror::Mirror;
use super::pilot::{Decision, Pilot};
use super::plan::FlightError;
use super::record::{Order, SampleRecord};
use super::recorder::Ending;
use crate::board::{
    BoardName, Client, NotForBoard, Patience, Transport, file_for, packed_for, printable,
};

/// Steps that a disarmed board gets to bring its command to the safe one. The slowest slew limit
/// there is (one word per step) needs more; nobody flies such a contract.
const SETTLING_STEPS: u32 = 2_000;

/// How long a board that makes its own steps may take for one.
const REAL_STEP: Duration = Duration::from_secs(1);

/// An image, and the file that a board gets of it.
#[derive(Clone, Copy, Debug)]
pub struct ImageFile<'a> {
    /// The image in rows, which the host's policy reads and the log keeps.
    pub rows: &'a [u8],
    /// The signed file, where it is signed: sent as it is. Otherwise `rows`.
    pub file: &'a [u8],
}

impl<'a> From<&'a [u8]> for ImageFile<'a> {
    /// An unsigned image in rows.
    fn from(rows: &'a [u8]) -> Self {
        Self { rows, file: rows }
    }
}

/// Hears how an upload gets on: bytes that have arrived, and bytes in all.
pub type UploadListener<'l> = &'l mut dyn FnMut(u32, u32);

/// A board that was made ready to fly one image.
pub struct BoardPilot<'a> {
    client: Client,
    hello: HelloReply,
    mirror: Mirror<'a>,
    period_us: u64,
    wipe_memory: bool,
    /// The newest step's time on the board's clock.
    board_us: u64,
    /// The board's clock at virtual time 0.
    epoch_us: u64,
    /// The last issued command, as the board reports it.
    issued: Vec<i16>,
    started: bool,
    first_of_trial: bool,
    before: Telemetry,
    uploaded: bool,
}

impl<'a> BoardPilot<'a> {
    /// Says hello, checks contracts, brings the image onto the board unless it is there already, packed for its
    /// kernels where it is unsigned, and lets the disarmed board settle on its safe command.
    ///
    /// # Errors
    /// [`FlightError`]: unreadable or refused image, other contract, silent or dead board.
    pub fn prepare(
        transport: Box<dyn Transport>,
        patience: Patience,
        image: ImageFile<'a>,
        plant: &str,
        contract: &Contract<'_>,
        wipe_memory: bool,
        on_upload: UploadListener<'_>,
    ) -> Result<Self, FlightError> {
        let mirror = Mirror::new(image.rows).map_err(FlightError::Image)?;
        if let Some(difference) = contract.difference(&mirror.image().contract) {
            return Err(FlightError::ImageContract {
                plant: plant.to_owned(),
                difference,
            });
        }
        let (mut client, hello) = Client::connect(transport, RequestedPace::Unchanged, patience)?;
        check_contract(&hello, &mirror.image().contract)?;
        if !hello.lock_step {
            return Err(FlightError::OwnSensors {
                board: printable(&hello.board),
            });
        }
        if hello.state != State::Disarmed {
            client.disarm()?;
        }
        if !hello.faults.is_empty() {
            client.reset_faults()?;
        }
        // A board that was on its way to the safe command is there now.
        client.hello(Pace::LockStep)?;
        let uploaded = hello.weights_sha256 != Some(mirror.image().weights_sha256);
        if uploaded {
            let file = match file_for(&hello, image.file) {
                // A board without a key flies the same policy unsigned: a rehearsal.
                Err(NotForBoard::Packing { .. }) if hello.signer.is_none() => {
                    packed_for(hello.packing, image.rows)
                }
                file => file?,
            };
            upload(&mut client, &file, on_upload)?;
        }
        let before = client.telemetry()?;
        let mut pilot = Self {
            client,
            hello,
            mirror,
            period_us: u64::from(contract.period_us),
            wipe_memory,
            board_us: 0,
            epoch_us: 0,
            issued: Vec::new(),
            started: false,
            first_of_trial: true,
            before,
            uploaded,
        };
        pilot.settle()?;
        pilot.epoch_us = pilot.board_us;
        Ok(pilot)
    }

    /// What the log says about this board; `board` is the user's name for it.
    #[must_use]
    pub fn card(&self, board: &str, image: &[u8]) -> PilotCard {
        PilotCard {
            board: board.to_owned(),
            firmware: printable(&format!("{} ({})", self.hello.firmware, self.hello.board)),
            controller: "policy".to_owned(),
            image_sha256: hex::encode(Sha256::digest(image)),
            weights_sha256: hex::encode(self.mirror.image().weights_sha256),
        }
    }

    /// What the board said hello with.
    #[must_use]
    pub fn hello(&self) -> &HelloReply {
        &self.hello
    }

    /// Whether the image had to be sent (else it was active already).
    #[must_use]
    pub fn uploaded(&self) -> bool {
        self.uploaded
    }

    /// The conversation, for tests that disturb it.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Real time: the board was armed from outside; the next step begins a trial.
    pub(super) fn begin_trial(&mut self) {
        self.mirror.clear();
        self.first_of_trial = true;
        self.started = false;
    }

    /// Real time: the order that belongs before the step now being recorded.
    pub(super) fn take_first_order(&mut self) -> Option<Order> {
        (!std::mem::replace(&mut self.started, true)).then_some(Order::Arm)
    }

    /// Remembers the last issued command.
    pub(super) fn note_issued(&mut self, action: &Action) {
        self.issued = action.issued.to_vec();
    }

    /// The last issued command in the contract's units.
    pub(super) fn command(&self, contract: &Contract<'_>) -> Vec<f32> {
        contract
            .actions
            .iter()
            .zip(&self.issued)
            .map(|(channel, word)| command_from_word(*word, channel.min, channel.max))
            .collect()
    }

    /// Makes disarmed steps until the issued command stays where it is; in real time the board makes them.
    fn settle(&mut self) -> Result<(), FlightError> {
        for _ in 0..SETTLING_STEPS {
            let Some(action) = self.disarmed_step()? else {
                break;
            };
            let still = action.issued.as_slice() == self.issued;
            self.note_issued(&action);
            if still && action.state == State::Disarmed {
                break;
            }
        }
        Ok(())
    }

    /// Static RAM of the board if it lent this policy just the cache that it takes; 0 where it does not know its RAM.
    fn ram_bytes(&self, telemetry: &Telemetry) -> u32 {
        let board = self.hello.board.parse::<BoardName>().ok();
        let kv_layout = board
            .and_then(BoardName::kv_layout)
            .unwrap_or(KvLayout::PLAIN);
        let [_, needed] = bytes_with(kv_layout, &self.mirror.image().config);
        match telemetry.ram_bytes.checked_sub(self.hello.cache_bytes) {
            Some(rest) => rest.saturating_add(u32::try_from(needed).unwrap_or(u32::MAX)),
            None => 0,
        }
    }

    fn disarmed_step(&mut self) -> Result<Option<Action>, FlightError> {
        if self.client.pace() == Pace::RealTime {
            return Ok(self.client.next_action(Instant::now() + REAL_STEP)?);
        }
        self.board_us += self.period_us;
        Ok(Some(self.client.tick(self.board_us)?))
    }

    /// Arms before the first step; empties the memory before the others if asked to.
    fn give_orders(&mut self) -> Result<Vec<Order>, FlightError> {
        let order = if !self.started {
            self.client.arm()?;
            self.started = true;
            self.first_of_trial = true;
            Order::Arm
        } else if self.wipe_memory {
            self.client.clear_memory()?;
            Order::ClearMemory
        } else {
            return Ok(Vec::new());
        };
        self.mirror.clear();
        Ok(vec![order])
    }

    /// The host's words for a step in which the board's policy ran.
    pub(super) fn mirror_step(
        &mut self,
        sample: &SampleRecord,
        action: &Action,
    ) -> Result<(Vec<i16>, Vec<Vec<f32>>), FlightError> {
        if action.words.is_empty() {
            return Ok((Vec::new(), Vec::new()));
        }
        let input = WorkingMemory {
            observation: &sample.observation,
            issued: &self.issued,
            reward: action.reward,
            done: sample.done && !self.first_of_trial,
        };
        let expected = self
            .mirror
            .step(&input)
            .map_err(FlightError::Policy)?
            .to_vec();
        self.first_of_trial = false;
        Ok((expected, self.mirror.attention()))
    }
}

/// Refuses a board with a contract of its own that is not the image's.
fn check_contract(hello: &HelloReply, contract: &Contract<'_>) -> Result<(), FlightError> {
    let wanted = contract.digest();
    match hello.contract_sha256 {
        Some(own) if own != wanted => Err(FlightError::BoardContract {
            board: hex::encode(own),
            image: hex::encode(wanted),
        }),
        _ => Ok(()),
    }
}

/// Sends and activates an image on a disarmed board.
pub(super) fn upload(
    client: &mut Client,
    image: &[u8],
    on_upload: UploadListener<'_>,
) -> Result<(), FlightError> {
    let length = u32::try_from(image.len()).unwrap_or(u32::MAX);
    client.upload(image, |offset| on_upload(offset, length), |_| Ok(()))?;
    client.commit()?;
    Ok(())
}

impl Pilot for BoardPilot<'_> {
    fn decide(&mut self, now_us: u64, sample: &SampleRecord) -> Result<Decision, FlightError> {
        let orders = self.give_orders()?;
        self.board_us = self.epoch_us + now_us;
        let action = self.client.step(Sensors {
            now_us: self.board_us,
            sample_us: self.epoch_us + sample.sample_us,
            observation: sample.observation.iter().copied().collect(),
            reward: sample.reward,
            done: sample.done,
        })?;
        let (expected, attention) = self.mirror_step(sample, &action)?;
        self.note_issued(&action);
        Ok(Decision {
            orders,
            words: action.words.to_vec(),
            expected,
            issued: self.issued.clone(),
            source: action.source,
            reward: action.reward,
            state: action.state,
            faults: action.faults.0,
            attention,
        })
    }

    fn wipe_memory(&mut self, every_step: bool) {
        self.wipe_memory = every_step;
    }

    fn drain_logs(&mut self) -> Vec<Log> {
        self.client.drain_logs().collect()
    }

    fn end(&mut self) -> Ending {
        let mut ending = Ending {
            weights_sha256_before: weights(&self.before),
            ..Ending::default()
        };
        // A dead board tells nothing; what it said before stays.
        if self.client.disarm().is_ok()
            && self.settle().is_ok()
            && let Ok(after) = self.client.telemetry()
        {
            ending.deadline_misses = after
                .deadline_misses
                .wrapping_sub(self.before.deadline_misses);
            ending.board_receive_errors =
                received_wrong(&after).wrapping_sub(received_wrong(&self.before));
            ending.board_frames_dropped = dropped(&after).wrapping_sub(dropped(&self.before));
            ending.weights_sha256_after = weights(&after);
            ending.worst_stack_bytes = after.worst_stack_bytes;
            ending.ram_bytes = self.ram_bytes(&after);
            ending.worst_step_us = after.worst_step_us;
        }
        ending.faults_injected = self.client.faults_injected();
        ending.retransmissions = self.client.retransmissions();
        ending.host_receive_errors = self.client.received().errors();
        ending
    }
}

/// What the board received and could not use, errors of its line included.
fn received_wrong(telemetry: &Telemetry) -> u32 {
    telemetry.link.errors().wrapping_add(telemetry.line_errors)
}

/// What the board could not send.
fn dropped(telemetry: &Telemetry) -> u32 {
    telemetry
        .transmit_errors
        .wrapping_add(telemetry.telemetry_dropped)
}

/// The hash of the weights in use, hexadecimal; empty without an image.
fn weights(telemetry: &Telemetry) -> String {
    telemetry
        .weights_sha256
        .map(hex::encode)
        .unwrap_or_default()
}
