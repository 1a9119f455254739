//! The host's end of a conversation with a board: one question, one answer.
//!
//! Every message to the board carries a number, and its answer names that number. The numbers begin anywhere in 32
//! bits, so that another host's answers are not taken for this one's. A question that
//! stays unanswered is sent again *with the same number*; the board answers a number that it has
//! just seen from memory, without acting twice. So a lost, doubled or damaged frame costs time and
//! nothing else. What comes unasked (log lines; in real time, actions) is kept until it is drained, the newest
//! of it; whatever else arrives meanwhile is left out.
//!
//! Nothing here knows plants, images or policies.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use engram_link::{
    Action, Arrival, Command, Counters, FromBoard, FromBoardDecoder, HelloReply, Level, Log,
    PROTOCOL_VERSION, Pace, Reason, RequestedPace, Sensors, Telemetry, ToBoard, encode,
    limits::MAX_FRAME_BYTES,
};

use super::client_error::{ClientError, unexpected};
use super::defmt_log::DefmtLog;
use super::heard::{Heard, printable};
use super::transport::Transport;

/// How long a board may take to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Wait for an answer before the question is sent again.
    pub answer: Duration,
    /// How often a question is sent before the link counts as lost.
    pub attempts: u32,
    /// How long a board may take to come up before it says hello.
    pub boot: Duration,
    /// How long a board may take to erase the flash for an image: eight sectors of an STM32H743 take 18 s at most, by its data sheet.
    pub erase: Duration,
    /// How long verifying an image and replaying its golden trace may take.
    pub commit: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            answer: Duration::from_millis(250),
            attempts: 20,
            boot: Duration::from_secs(20),
            erase: Duration::from_secs(30),
            commit: Duration::from_secs(120),
        }
    }
}

/// A conversation with one board.
pub struct Client {
    transport: Box<dyn Transport>,
    patience: Patience,
    next: u32,
    decoder: FromBoardDecoder,
    /// Bytes that arrived behind the newest frame.
    pending: VecDeque<u8>,
    logs: VecDeque<Log>,
    actions: VecDeque<Action>,
    /// What the other end said first, in case it is no board.
    heard: Heard,
    last_error: Option<String>,
    /// The decoder of the board's defmt stream, once it is needed; `None` inside where there is none.
    defmt: Option<Option<DefmtLog>>,
    retransmissions: u64,
    pace: Pace,
}

impl Client {
    /// Says hello and waits until the board answers. `pace` is a [`Pace`], or a [`RequestedPace`] that leaves it as it is.
    ///
    /// # Errors
    /// [`ClientError::Protocol`] where the versions differ, [`ClientError::Silent`] where nobody
    /// answers, [`ClientError::Transport`] where the board is gone.
    pub fn connect(
        transport: Box<dyn Transport>,
        pace: impl Into<RequestedPace>,
        patience: Patience,
    ) -> Result<(Self, HelloReply), ClientError> {
        let mut client = Self {
            transport,
            patience,
            next: random_number(),
            decoder: FromBoardDecoder::new(),
            pending: VecDeque::new(),
            logs: VecDeque::new(),
            actions: VecDeque::new(),
            heard: Heard::default(),
            last_error: None,
            defmt: None,
            retransmissions: 0,
            pace: Pace::RealTime,
        };
        // Ends whatever half frame an earlier conversation may have left in the board's receiver.
        client.transport.write(&[0])?;
        let pace = pace.into();
        let hello = match client.hello(pace) {
            // Protocol 1 knew numbers of 16 bits and two paces: a board that speaks it says so when it can read the question.
            // The version is one that nobody speaks, so that no board that wakes up late does what it says.
            Err(silent @ ClientError::Silent { .. }) => {
                client.next &= 0xffff;
                match client.hello_once(u16::MAX, RequestedPace::LockStep, 1) {
                    Err(error @ ClientError::Protocol { board, .. })
                        if board != PROTOCOL_VERSION =>
                    {
                        return Err(error);
                    }
                    _ => return Err(silent),
                }
            }
            other => other?,
        };
        client.retransmissions = 0;
        Ok((client, hello))
    }

    /// Says hello (again), choosing the pace. A board whose command is still on its way to the safe one is asked again.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn hello(&mut self, pace: impl Into<RequestedPace>) -> Result<HelloReply, ClientError> {
        let pace = pace.into();
        let attempts = attempts_within(self.patience.boot, self.patience.answer);
        let deadline = Instant::now() + self.patience.boot;
        loop {
            match self.hello_once(PROTOCOL_VERSION, pace, attempts) {
                Err(error)
                    if matches!(error.refusal(), Some(Reason::NotSettled))
                        && Instant::now() < deadline =>
                {
                    std::thread::sleep(Duration::from_millis(20));
                }
                result => return result,
            }
        }
    }

    fn hello_once(
        &mut self,
        protocol: u16,
        pace: RequestedPace,
        attempts: u32,
    ) -> Result<HelloReply, ClientError> {
        let message = ToBoard::Hello { protocol, pace };
        match self.ask_patiently(&message, self.patience.answer, attempts) {
            Ok(FromBoard::Hello(reply)) if reply.protocol == PROTOCOL_VERSION => {
                self.pace = reply.pace;
                Ok(reply)
            }
            Ok(FromBoard::Hello(reply)) => Err(ClientError::Protocol {
                board: reply.protocol,
                host: PROTOCOL_VERSION,
            }),
            Ok(other) => Err(unexpected(Command::Hello, &other)),
            Err(error) => match error.refusal() {
                Some(&Reason::Protocol { board, .. }) => Err(ClientError::Protocol {
                    board,
                    host: PROTOCOL_VERSION,
                }),
                _ => Err(error),
            },
        }
    }

    /// Waits otherwise from now on.
    pub fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// Asks and waits for the one answer, sending the question again when none comes.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the board's reason, or as [`Client::connect`].
    pub fn ask(&mut self, message: &ToBoard) -> Result<FromBoard, ClientError> {
        match message {
            // Asking again would only queue up behind the work.
            ToBoard::UploadCommit => {
                let attempts = attempts_within(self.patience.commit, Duration::from_secs(5));
                self.ask_patiently(message, Duration::from_secs(5), attempts)
            }
            // Here asking now and then does, for the question may have been lost.
            ToBoard::UploadBegin { .. } => {
                let each = Duration::from_secs(1);
                self.ask_in_turn(message, each, attempts_within(self.patience.erase, each))
            }
            _ => self.ask_in_turn(message, self.patience.answer, self.patience.attempts),
        }
    }

    /// Where another host has said hello meanwhile, this one says it again and asks under a number of the conversation that
    /// begins so. A board that is flown by the other refuses that, too.
    fn ask_in_turn(
        &mut self,
        message: &ToBoard,
        answer: Duration,
        attempts: u32,
    ) -> Result<FromBoard, ClientError> {
        let result = self.ask_patiently(message, answer, attempts);
        match &result {
            Err(error) if matches!(error.refusal(), Some(Reason::LateFrame { .. })) => {
                self.hello_once(PROTOCOL_VERSION, RequestedPace::Unchanged, attempts)?;
                self.ask_patiently(message, answer, attempts)
            }
            _ => result,
        }
    }

    fn ask_patiently(
        &mut self,
        message: &ToBoard,
        answer: Duration,
        attempts: u32,
    ) -> Result<FromBoard, ClientError> {
        let command = message.command();
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        let mut buffer = [0; MAX_FRAME_BYTES];
        let length = encode(sequence, message, &mut buffer)
            .map_err(|cause| ClientError::Encode { command, cause })?;
        let frame = buffer.get(..length).unwrap_or_default();
        let began = Instant::now();
        for attempt in 0..attempts {
            if attempt > 0 {
                self.retransmissions += 1;
            }
            self.transport.write(frame)?;
            self.heard.sent(frame);
            let deadline = Instant::now() + answer;
            while let Some(got) = self.receive(deadline)? {
                if got.request() != Some(sequence) || comes_unasked(&got, command) {
                    self.keep(got);
                    if Instant::now() >= deadline {
                        break;
                    }
                    continue;
                }
                return match got {
                    FromBoard::Refused { reason, .. } => {
                        let reason = Box::new(reason);
                        Err(ClientError::Refused { command, reason })
                    }
                    other => Ok(other),
                };
            }
        }
        Err(ClientError::Silent {
            command,
            attempts,
            waited_s: began.elapsed().as_secs_f64(),
            last_words: self.last_words(),
        })
    }

    /// What explains that the board fell silent.
    fn last_words(&self) -> String {
        if let Some(words) = &self.last_error {
            return format!("; the last error it logged: {words}");
        }
        if self.decoder.counters().frames == 0 {
            return self.heard.to_string();
        }
        String::new()
    }

    /// Waits until `deadline` for the next intact frame; `None` when none came, however much else did.
    fn receive(&mut self, deadline: Instant) -> Result<Option<FromBoard>, ClientError> {
        let mut over = false;
        loop {
            let wait = deadline.saturating_duration_since(Instant::now());
            // One byte at a time would cost a system call each; what follows a frame in the same
            // read is taken from `pending` next time.
            while let Some(byte) = self.pending.pop_front() {
                if let Some(Ok(frame)) = self.decoder.push(byte) {
                    if self.decoder.arrival() == Arrival::Opening {
                        self.decoder.begin_conversation(frame.sequence);
                    }
                    return Ok(Some(frame.message));
                }
            }
            if over {
                return Ok(None);
            }
            let mut raw = [0; 1024];
            let count = self.transport.read(&mut raw, wait)?;
            // What arrived by the deadline still counts.
            over = count == 0 || wait.is_zero();
            let raw = raw.get(..count).unwrap_or_default();
            self.heard.bytes(raw);
            self.pending.extend(raw);
        }
    }

    fn keep(&mut self, message: FromBoard) {
        // A board that talks without end must not take all memory.
        while self.actions.len() >= KEPT {
            self.actions.pop_front();
        }
        while self.logs.len() >= KEPT {
            self.logs.pop_front();
        }
        match message {
            FromBoard::Log(Log::Defmt(bytes)) => self.keep_defmt(&bytes),
            FromBoard::Log(log) => self.keep_log(log),
            FromBoard::Action(action) if self.pace == Pace::RealTime => {
                self.actions.push_back(action);
            }
            // The second answer to a question that was asked twice.
            _ => {}
        }
    }

    /// Keeps defmt bytes as words, or as they are where nothing is known to decode them with.
    fn keep_defmt(&mut self, bytes: &[u8]) {
        if self.defmt.is_none() {
            self.defmt = Some(self.transport.firmware().and_then(DefmtLog::open));
        }
        match &mut self.defmt {
            Some(Some(decoder)) => {
                for log in decoder.take(bytes) {
                    self.keep_log(log);
                }
            }
            _ => self
                .logs
                .push_back(Log::Defmt(bytes.iter().copied().collect())),
        }
    }

    fn keep_log(&mut self, log: Log) {
        if let Log::Text { level, text } = &log {
            let text = printable(text);
            match level {
                Level::Debug | Level::Info => tracing::debug!("board: {text}"),
                Level::Warn => tracing::warn!("board: {text}"),
                Level::Error => {
                    tracing::error!("board: {text}");
                    self.last_error = Some(text);
                }
            }
        }
        self.logs.push_back(log);
    }

    /// Asks for something that is answered by "done".
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn command(&mut self, message: &ToBoard) -> Result<(), ClientError> {
        match self.ask(message)? {
            FromBoard::Done { .. } => Ok(()),
            other => Err(unexpected(message.command(), &other)),
        }
    }

    /// Lets the policy fly, with empty memory.
    ///
    /// # Errors
    /// [`ClientError::Refused`] without an image or with latched faults.
    pub fn arm(&mut self) -> Result<(), ClientError> {
        self.command(&ToBoard::Arm)
    }

    /// Stops the policy.
    ///
    /// # Errors
    /// As [`Client::ask`]; the board never refuses this.
    pub fn disarm(&mut self) -> Result<(), ClientError> {
        self.command(&ToBoard::Disarm)
    }

    /// Forgets the latched faults.
    ///
    /// # Errors
    /// [`ClientError::Refused`] unless disarmed or in safe stop.
    pub fn reset_faults(&mut self) -> Result<(), ClientError> {
        self.command(&ToBoard::ResetFaults)
    }

    /// Forgets all working memories.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn clear_memory(&mut self) -> Result<(), ClientError> {
        self.command(&ToBoard::ClearMemory)
    }

    /// One lock-step control step with a sample.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn step(&mut self, sensors: Sensors) -> Result<Action, ClientError> {
        self.make_step(&ToBoard::Sensors(sensors))
    }

    /// One lock-step control step in which no sample came.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn tick(&mut self, now_us: u64) -> Result<Action, ClientError> {
        self.make_step(&ToBoard::Tick { now_us })
    }

    fn make_step(&mut self, message: &ToBoard) -> Result<Action, ClientError> {
        match self.ask(message)? {
            FromBoard::Action(action) => Ok(action),
            other => Err(unexpected(message.command(), &other)),
        }
    }

    /// Counters and hashes.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn telemetry(&mut self) -> Result<Telemetry, ClientError> {
        match self.ask(&ToBoard::Telemetry)? {
            FromBoard::Telemetry(telemetry) => Ok(telemetry),
            other => Err(unexpected(Command::Telemetry, &other)),
        }
    }

    /// Sends a message once and does not wait (real time: a late sample is worth nothing). Returns
    /// the number of its frame, which later actions name.
    ///
    /// # Errors
    /// [`ClientError::Transport`] when the board is gone.
    pub fn send(&mut self, message: &ToBoard) -> Result<u32, ClientError> {
        let sequence = self.next;
        self.next = self.next.wrapping_add(1);
        let mut buffer = [0; MAX_FRAME_BYTES];
        let command = message.command();
        let length = encode(sequence, message, &mut buffer)
            .map_err(|cause| ClientError::Encode { command, cause })?;
        self.transport
            .write(buffer.get(..length).unwrap_or_default())?;
        Ok(sequence)
    }

    /// Real time: the next action, waiting until `deadline`; `None` when none came.
    ///
    /// # Errors
    /// [`ClientError::Transport`] when the board is gone.
    pub fn next_action(&mut self, deadline: Instant) -> Result<Option<Action>, ClientError> {
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Ok(Some(action));
            }
            match self.receive(deadline)? {
                Some(message) => self.keep(message),
                None => return Ok(None),
            }
        }
    }

    /// Who makes control steps, by the newest hello.
    #[must_use]
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// Real time: forgets the actions that came so far.
    pub fn discard_actions(&mut self) {
        self.actions.clear();
    }

    /// Takes the log lines that came so far.
    pub fn drain_logs(&mut self) -> impl Iterator<Item = Log> {
        self.logs.drain(..)
    }

    /// What this end received, and what was wrong with it.
    #[must_use]
    pub fn received(&self) -> Counters {
        self.decoder.counters()
    }

    /// Questions that were sent again.
    #[must_use]
    pub fn retransmissions(&self) -> u64 {
        self.retransmissions
    }

    /// Faults that the transport injected on purpose.
    #[must_use]
    pub fn faults_injected(&self) -> u64 {
        self.transport.faults_injected()
    }

    /// The transport, to be told things that are none of the protocol's business (a test that
    /// kills the board).
    pub fn transport(&mut self) -> &mut dyn Transport {
        &mut *self.transport
    }

    /// Ends the conversation and gives the wire back, the board still running behind it.
    #[must_use]
    pub fn into_transport(self) -> Box<dyn Transport> {
        self.transport
    }
}

/// Most log lines, and most actions, that are kept until they are drained.
const KEPT: usize = 4_096;

/// A number that two hosts do not begin at by accident.
fn random_number() -> u32 {
    // The keys of a `RandomState` are the operating system's random numbers.
    RandomState::new().hash_one(()) as u32
}

/// Whether `got` is no answer to `command`, whatever number it carries: in real time an action names the newest sample.
fn comes_unasked(got: &FromBoard, command: Command) -> bool {
    let asks_for_a_step = matches!(command, Command::Sensors | Command::Tick);
    matches!(got, FromBoard::Action(_)) && !asks_for_a_step
}

fn attempts_within(total: Duration, each: Duration) -> u32 {
    let each = each.as_millis().max(1);
    u32::try_from(total.as_millis().div_ceil(each))
        .unwrap_or(u32::MAX)
        .max(1)
}
