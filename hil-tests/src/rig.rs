//! One board under test, and a policy flying on it step by step.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use engram_firmware::policy::WorkingMemory;
use engram_flight::board::{
    self, BoardName, Client, ClientError, Patience, Transport, UnknownBoard, packed_for,
};
use engram_flight::{EnvelopeCheck, Mirror};
use engram_image::Contract;
use engram_link::limits::MAX_FRAME_BYTES;
use engram_link::{Action, HelloReply, Pace, Reason, Sensors, State, ToBoard, encode};

use crate::sample_image::USUAL;

/// The reason why a board refused; anything else that came is an error.
///
/// # Errors
/// Success, or another failure.
pub fn refusal<T: fmt::Debug>(result: Result<T, ClientError>) -> Result<Reason> {
    match result {
        Err(ClientError::Refused { reason, .. }) => Ok(*reason),
        other => bail!("not refused: {other:?}"),
    }
}

/// A frame with a number of its own, to be sent past the client.
///
/// # Errors
/// A message that does not fit.
pub fn frame(number: u32, message: &ToBoard) -> Result<Vec<u8>> {
    let mut bytes = [0; MAX_FRAME_BYTES];
    let length = encode(number, message, &mut bytes)?;
    Ok(bytes[..length].to_vec())
}

/// A sample of a period that ends at `now_us`, good in every respect and different at any time.
#[must_use]
pub fn good_sample(contract: &Contract<'_>, now_us: u64) -> Sensors {
    let phase = (now_us as f32 * 1e-6) * 3.0;
    let channels = contract.observations.iter().zip(1_u16..);
    Sensors {
        now_us,
        sample_us: now_us,
        observation: channels
            .map(|(channel, number)| {
                let middle = f32::midpoint(channel.min, channel.max);
                middle + (channel.max - middle) * (phase * f32::from(number)).sin()
            })
            .collect(),
        // Only contracts with an external one look at it.
        reward: Some(0.5),
        done: false,
    }
}

/// A board to test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One that can be started here.
    Board(BoardName),
    /// One that waits at the end of a serial line.
    Port(String),
}

impl FromStr for Target {
    type Err = UnknownBoard;

    fn from_str(text: &str) -> Result<Self, UnknownBoard> {
        if text.starts_with('/') {
            return Ok(Self::Port(text.to_owned()));
        }
        text.parse().map(Self::Board)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Board(board) => board.fmt(f),
            Self::Port(port) => f.write_str(port),
        }
    }
}

/// Starts one board as often as a case needs it.
#[derive(Debug, Clone)]
pub struct Rig {
    target: Target,
}

impl Rig {
    /// A rig for one board.
    #[must_use]
    pub fn new(target: Target) -> Self {
        Self { target }
    }

    /// The board.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Time-outs for tests: short enough that injected losses cost little. A slow machine then asks
    /// again without need, which changes nothing but a counter.
    #[must_use]
    pub fn patience() -> Patience {
        Patience {
            answer: Duration::from_millis(120),
            attempts: 60,
            ..Patience::default()
        }
    }

    /// A freshly started board (or the one on the port, as it is).
    ///
    /// # Errors
    /// When something is missing: that is a failure, never a reason to leave a case out.
    pub fn transport(&self) -> Result<Box<dyn Transport>> {
        Ok(match &self.target {
            Target::Board(board) => board::open(*board)?,
            Target::Port(port) => board::open_port(port, board::DEFAULT_BAUD)?,
        })
    }

    /// The same with `image` in the board's flash, if images are programmed into that from outside.
    ///
    /// # Errors
    /// As [`Rig::transport`].
    pub fn transport_for(&self, image: &[u8]) -> Result<Box<dyn Transport>> {
        match &self.target {
            Target::Board(board) => Ok(board::open_for(*board, image)?),
            Target::Port(_) => self.transport(),
        }
    }

    /// A conversation with a board that is disarmed and without faults.
    ///
    /// # Errors
    /// As [`Rig::transport`], or a silent board.
    pub fn client(&self) -> Result<(Client, HelloReply)> {
        Self::client_over(self.transport()?)
    }

    /// The same over a given transport.
    ///
    /// # Errors
    /// As [`Rig::client`].
    pub fn client_over(transport: Box<dyn Transport>) -> Result<(Client, HelloReply)> {
        let (mut client, hello) = Client::connect(transport, Pace::LockStep, Self::patience())?;
        if hello.state != State::Disarmed {
            client.disarm()?;
        }
        client.reset_faults()?;
        Ok((client, hello))
    }

    /// Says on the console that something was not tried on this board, and why.
    pub fn not_tried(&self, what: &str, why: &str) {
        println!("{}: {what} was not tried: {why}", self.target);
    }

    /// Whether a slot of the board holds `file`; where it does not, the board must refuse it with both numbers.
    ///
    /// # Errors
    /// Another refusal, or none.
    pub fn has_room(client: &mut Client, file: &[u8]) -> Result<bool> {
        // In flash it depends on the image that is there.
        let hello = client.hello(Pace::LockStep)?;
        let (length, most) = (file.len() as u32, hello.image_bytes);
        if length > most {
            let why = refusal(client.upload_begin(length, [1; 32]))?;
            ensure!(why == Reason::ImageTooLong { length, most }, "{why:?}");
            println!(
                "{}: refused {length} bytes, a slot holds {most}",
                hello.board
            );
        }
        Ok(length <= most)
    }

    /// Brings `image` onto a board and activates it.
    ///
    /// # Errors
    /// What the board refuses.
    pub fn install(client: &mut Client, image: &[u8]) -> Result<()> {
        client.upload(image, |_| {}, |_| Ok(()))?;
        client.commit()?;
        Ok(())
    }

    /// A board that flies `image`, armed, before its first step.
    ///
    /// # Errors
    /// As [`Rig::client`] and [`Rig::install`].
    pub fn armed<'a>(&self, image: &'a [u8]) -> Result<Flyer<'a>> {
        Flyer::arm(self.client()?.0, image)
    }

    /// A board that flies `image` in the order of weights that its kernels read: from a slot, or else from the flash; `None` where it
    /// has room for it in neither, or too little cache.
    ///
    /// # Errors
    /// As [`Rig::armed`] and [`Rig::has_room`].
    pub fn armed_if_it_fits<'a>(&self, image: &'a [u8]) -> Result<Option<(Flyer<'a>, HelloReply)>> {
        let (mut client, hello) = self.client()?;
        let file = packed_for(hello.packing, image);
        if Self::has_room(&mut client, &file)? {
            return Ok(Some((Flyer::arm_with(client, image, &file)?, hello)));
        }
        let (client, hello) = Self::client_over(self.transport_for(image)?)?;
        Ok(match hello.weights_sha256 {
            Some(_) => Some((Flyer::arm_installed(client, image)?, hello)),
            None => None,
        })
    }

    /// A board that has flown [the usual image](USUAL) for `steps`.
    ///
    /// # Errors
    /// As [`Rig::armed`] and [`Flyer::cruise`].
    pub fn cruising(&self, steps: u32) -> Result<Flyer<'static>> {
        let mut flyer = self.armed(&USUAL)?;
        flyer.cruise(steps)?;
        Ok(flyer)
    }
}

/// A board in flight, driven step by step, with the host's policy and its check of the envelope beside it.
pub struct Flyer<'a> {
    /// The conversation.
    pub client: Client,
    /// The newest step.
    pub last: Action,
    mirror: Mirror<'a>,
    envelope: EnvelopeCheck,
    first_of_trial: bool,
}

impl<'a> Flyer<'a> {
    /// Installs `image`, lets the board settle on its safe command and arms it.
    ///
    /// # Errors
    /// What the board refuses.
    pub fn arm(client: Client, image: &'a [u8]) -> Result<Self> {
        Self::arm_with(client, image, image)
    }

    /// Brings `file` onto the board, which is `image` in another order of the weights, and arms it.
    ///
    /// # Errors
    /// What the board refuses.
    pub fn arm_with(mut client: Client, image: &'a [u8], file: &[u8]) -> Result<Self> {
        Rig::install(&mut client, file)?;
        Self::arm_installed(client, image)
    }

    /// The same for a board that has `image` already.
    ///
    /// # Errors
    /// What the board refuses.
    pub fn arm_installed(mut client: Client, image: &'a [u8]) -> Result<Self> {
        let mirror = Mirror::new(image)?;
        let contract = &mirror.image().contract;
        let mut last = client.tick(contract.period_us.into())?;
        // A board on a port may still be on the way to its safe command from an earlier case.
        for _ in 1..100 {
            last = client.tick(last.now_us + u64::from(contract.period_us))?;
        }
        let mut flyer = Self {
            client,
            last,
            envelope: EnvelopeCheck::new(contract),
            mirror,
            first_of_trial: true,
        };
        flyer.rearm()?;
        Ok(flyer)
    }

    /// Control period, microseconds.
    #[must_use]
    pub fn period_us(&self) -> u64 {
        self.mirror.image().contract.period_us.into()
    }

    /// Arms a disarmed board: a new trial.
    ///
    /// # Errors
    /// What the board refuses.
    pub fn rearm(&mut self) -> Result<()> {
        self.client.arm()?;
        self.mirror.clear();
        self.first_of_trial = true;
        Ok(())
    }

    /// Disarms the board, resets its faults and arms it anew.
    ///
    /// # Errors
    /// What the board refuses.
    pub fn restart(&mut self) -> Result<()> {
        self.client.disarm()?;
        self.client.reset_faults()?;
        self.rearm()
    }

    /// Empties the policy's memory, here and on the board.
    ///
    /// # Errors
    /// A dead board.
    pub fn clear_memory(&mut self) -> Result<()> {
        self.client.clear_memory()?;
        self.mirror.clear();
        Ok(())
    }

    /// The next period's sample, good in every respect.
    #[must_use]
    pub fn good_sample(&self) -> Sensors {
        let now_us = self.last.now_us + self.period_us();
        good_sample(&self.mirror.image().contract, now_us)
    }

    /// One step with a good sample.
    ///
    /// # Errors
    /// As [`Flyer::follow`].
    pub fn good_step(&mut self) -> Result<Action> {
        self.step(|_| {})
    }

    /// One step with a sample that is good but for what `change` does to it.
    ///
    /// # Errors
    /// As [`Flyer::follow`].
    pub fn step(&mut self, change: impl FnOnce(&mut Sensors)) -> Result<Action> {
        let mut sample = self.good_sample();
        change(&mut sample);
        let action = self.client.step(sample.clone())?;
        self.follow(&sample, action)
    }

    /// One period without a sample.
    ///
    /// # Errors
    /// As [`Flyer::follow`].
    pub fn tick(&mut self) -> Result<Action> {
        let sample = self.good_sample();
        let action = self.client.tick(sample.now_us)?;
        ensure!(action.words.is_empty(), "the policy ran without a sample");
        self.follow(&sample, action)
    }

    /// Follows a step that was made on `sample`: where the board's policy ran, its words must be the host's.
    ///
    /// # Errors
    /// Words that differ, or a command outside the envelope.
    pub fn follow(&mut self, sample: &Sensors, action: Action) -> Result<Action> {
        if !action.words.is_empty() {
            let input = WorkingMemory {
                observation: &sample.observation,
                issued: &self.last.issued,
                reward: action.reward,
                done: sample.done && !self.first_of_trial,
            };
            let expected = self.mirror.step(&input)?;
            self.first_of_trial = false;
            ensure!(
                action.words.as_slice() == expected,
                "step {}: the board's words are {:?}, the host's {expected:?}",
                action.step,
                action.words
            );
        }
        ensure!(
            !self.envelope.step(action.now_us, &action.issued),
            "step {}: issued {:?} breaks the envelope",
            action.step,
            action.issued
        );
        self.last = action.clone();
        Ok(action)
    }

    /// Flies `steps` good steps and checks that the policy flew all of them.
    ///
    /// # Errors
    /// The first step that was not the policy's.
    pub fn cruise(&mut self, steps: u32) -> Result<Action> {
        for _ in 0..steps {
            let action = self.good_step()?;
            ensure!(
                action.state == State::Armed
                    && action.faults.is_empty()
                    && !action.words.is_empty(),
                "step {}: {} with faults {}",
                action.step,
                action.state,
                action.faults
            );
        }
        Ok(self.last.clone())
    }
}
