//! What the node does with each message of the host.

use super::Node;
use crate::actuators::Actuators;
use crate::fallback::Fallback;
use crate::platform::Platform;
use crate::policy::Memory;
use crate::safety::State;
use crate::sensors::Sensors;
use crate::slots::Upload;
use crate::store::ImageStore;
use crate::transmit::Kind;
use core::borrow::BorrowMut;
use engram_link::{
    Arrival, Command, Frame, FromBoard, PROTOCOL_VERSION, Pace, Reason, RequestedPace, ToBoard,
    UploadChunk, UploadProgress,
};

impl<S, A, F, I, M, P> Node<S, A, F, I, M, P>
where
    S: Sensors,
    A: Actuators,
    F: Fallback,
    I: ImageStore,
    M: BorrowMut<Memory>,
    P: Platform,
{
    /// Carries out one message and answers it, unless it is late or a retry.
    // Its own frame, see `Node::step`.
    #[inline(never)]
    pub(super) fn handle(&mut self, frame: Frame<ToBoard>) {
        let request = frame.sequence;
        let command = frame.message.command();
        if command == Command::Disarm {
            // ENG-SAFE-16: stopping knows no order, no conversation and no repetition.
            self.disarm();
            return self.answer_past(request, command, Ok(()));
        }
        match self.decoder.arrival() {
            Arrival::Next | Arrival::AfterGap(_) => {
                let result = self.carry_out(frame);
                self.answer(outcome(request, command, result));
            }
            Arrival::Opening => self.open(frame),
            Arrival::Repeated => self.answer_again(request),
            Arrival::Late => {
                let newest = self.decoder.newest_sequence().unwrap_or(request);
                self.answer_past(request, command, Err(Reason::LateFrame { newest }));
            }
        }
    }

    /// A hello whose number is none of the present conversation's. It is answered; but a refused one changes nothing, and
    /// the frames of the host that flies the board stay the ones that are taken until it has landed (ENG-SAFE-17).
    fn open(&mut self, frame: Frame<ToBoard>) {
        let request = frame.sequence;
        let command = frame.message.command();
        let flying = self.control.is_flying();
        let result = self.carry_out(frame);
        let begins = result.is_ok() && !flying;
        let answer = outcome(request, command, result);
        if begins {
            self.decoder.begin_conversation(request);
            self.answer(answer);
        } else if let Some(answer) = answer {
            self.send(Kind::Answer, &answer);
        }
    }

    /// Sends the answer to the newest frame, and keeps it for a retry.
    fn answer(&mut self, answer: Option<FromBoard>) {
        if let Some(answer) = &answer {
            self.send(Kind::Answer, answer);
        }
        self.answer = answer;
    }

    /// Answers another frame than the newest, whose answer may still be asked for again.
    pub(super) fn answer_past(
        &mut self,
        request: u32,
        command: Command,
        result: Result<(), Reason>,
    ) {
        let done = FromBoard::Done { request, command };
        if let Some(answer) = outcome(request, command, result.map(|()| Some(done))) {
            self.send(Kind::Answer, &answer);
        }
    }

    /// An `UploadCommit` that waited for the safe command is carried out where there is one.
    pub(super) fn take_up_commit(&mut self) {
        if self.may_pause()
            && let Some(request) = self.waiting_commit.take()
        {
            let result = self.commit();
            self.conclude_commit(request, result);
        }
    }

    /// Answers an `UploadCommit` that waited.
    pub(super) fn conclude_commit(&mut self, request: u32, result: Result<(), Reason>) {
        let command = Command::UploadCommit;
        if self.decoder.newest_sequence() == Some(request) {
            let done = FromBoard::Done { request, command };
            self.answer(outcome(request, command, result.map(|()| Some(done))));
        } else {
            self.answer_past(request, command, result);
        }
    }

    /// The frame came twice: by a retry of the host, or by the wire. It was carried out once.
    fn answer_again(&mut self, request: u32) {
        if let Some(answer) = self.answer.take() {
            if answer.request() == Some(request) {
                self.send(Kind::Answer, &answer);
            }
            self.answer = Some(answer);
        }
    }

    /// `Ok(None)`: there is nothing to answer now.
    fn carry_out(&mut self, frame: Frame<ToBoard>) -> Result<Option<FromBoard>, Reason> {
        let request = frame.sequence;
        let command = frame.message.command();
        match frame.message {
            ToBoard::Hello { protocol, pace } => {
                return self.hello(request, protocol, pace).map(Some);
            }
            _ if !self.greeted => return Err(Reason::NoHello),
            ToBoard::Sensors(sensors) => return self.sensors(request, &sensors),
            ToBoard::Tick { now_us } => {
                if self.pace != Pace::LockStep {
                    return Err(Reason::NotLockStep);
                }
                self.check_order(now_us)?;
                return self.lock_step(request, now_us).map(Some);
            }
            ToBoard::Arm => self.arm()?,
            // Taken before anything else is looked at, see `handle`.
            ToBoard::Disarm => {}
            ToBoard::ResetFaults => self.control.reset_faults().map_err(Reason::NotStopped)?,
            ToBoard::ClearMemory => self.memory.borrow_mut().clear(),
            ToBoard::UploadBegin { length, sha256 } => {
                return self.begin_upload(request, length, sha256).map(Some);
            }
            ToBoard::UploadChunk(chunk) => return self.chunk(request, &chunk).map(Some),
            ToBoard::UploadStatus => {
                return Ok(Some(progress(request, &self.slots.status()?)));
            }
            ToBoard::UploadCommit => {
                self.require_disarmed()?;
                if !self.may_pause() {
                    if let Some(earlier) = self.waiting_commit.replace(request) {
                        self.conclude_commit(earlier, Err(Reason::NotSettled));
                    }
                    return Ok(None);
                }
                self.commit()?;
            }
            ToBoard::Telemetry => return Ok(Some(self.telemetry(request))),
        }
        Ok(Some(FromBoard::Done { request, command }))
    }

    fn hello(
        &mut self,
        request: u32,
        protocol: u16,
        pace: RequestedPace,
    ) -> Result<FromBoard, Reason> {
        if protocol != PROTOCOL_VERSION {
            return Err(Reason::Protocol {
                board: PROTOCOL_VERSION,
                host: protocol,
            });
        }
        let pace = match pace {
            RequestedPace::LockStep => Pace::LockStep,
            RequestedPace::RealTime => Pace::RealTime,
            RequestedPace::Unchanged => self.pace,
        };
        if pace != self.pace {
            self.may_change_to(pace)?;
            // The command is the safe one now: nothing has to wait any more.
            self.take_up_commit();
        }
        // Virtual time may start anew; the board's own never does.
        if pace == Pace::LockStep || pace != self.pace {
            self.control.restart_clock();
        }
        self.pace = pace;
        self.greeted = true;
        Ok(self.hello_reply(request))
    }

    /// ENG-SAFE-15: nobody else makes control steps in lock-step, so nothing may be on its way then.
    fn may_change_to(&self, pace: Pace) -> Result<(), Reason> {
        if pace == Pace::LockStep && !Self::LOCK_STEP {
            return Err(Reason::NoLockStep);
        }
        match self.control.state() {
            State::Disarmed | State::SafeStop if pace == Pace::LockStep && !self.is_settled() => {
                Err(Reason::NotSettled)
            }
            State::Disarmed | State::SafeStop => Ok(()),
            state => Err(Reason::PaceFixed(state)),
        }
    }

    fn sensors(
        &mut self,
        request: u32,
        sensors: &engram_link::Sensors,
    ) -> Result<Option<FromBoard>, Reason> {
        if self.pace == Pace::LockStep {
            self.check_order(sensors.now_us)?;
        }
        self.control
            .sensors()
            .inject(sensors)
            .map_err(|_| Reason::NotInjectable)?;
        match self.pace {
            Pace::LockStep => self.lock_step(request, sensors.now_us).map(Some),
            Pace::RealTime => {
                self.newest_request = request;
                Ok(None)
            }
        }
    }

    /// One control step in virtual time.
    fn lock_step(&mut self, request: u32, now_us: u64) -> Result<FromBoard, Reason> {
        self.newest_request = request;
        let (report, _) = self.step(now_us);
        self.watch_trial();
        Ok(FromBoard::Action(self.action(now_us, report)))
    }

    /// Virtual time must advance: a message of the past makes no step.
    fn check_order(&self, now_us: u64) -> Result<(), Reason> {
        match self.control.last_us() {
            Some(newest_us) if now_us <= newest_us => Err(Reason::OutOfOrder {
                newest_us,
                got_us: now_us,
            }),
            _ => Ok(()),
        }
    }

    // Its own frame, see `Node::step`: a commit runs on that of `carry_out`.
    #[inline(never)]
    fn begin_upload(
        &mut self,
        request: u32,
        length: u32,
        sha256: [u8; 32],
    ) -> Result<FromBoard, Reason> {
        let resumed = self.slots.resumed(length, &sha256).is_some();
        if !resumed && length <= self.slots.capacity() {
            self.make_way()?;
        }
        let upload = self.slots.begin(length, sha256)?;
        Ok(progress(request, &upload))
    }

    fn chunk(&mut self, request: u32, chunk: &UploadChunk) -> Result<FromBoard, Reason> {
        if self.slots.write_stalls() {
            self.require_rest()?;
        } else if self.control.state() != State::Disarmed {
            let length = u32::try_from(chunk.data.len()).unwrap_or(u32::MAX);
            let bytes_per_period = self.control.terms().settings.upload_bytes_per_period;
            let share = self.upload_share.checked_sub(length);
            self.upload_share = share.ok_or(Reason::UploadShare { bytes_per_period })?;
        }
        let upload = self.slots.chunk(chunk.offset, &chunk.data)?;
        Ok(progress(request, &upload))
    }
}

/// The answer to what was carried out or refused; `Ok(None)` has none now.
fn outcome(
    request: u32,
    command: Command,
    result: Result<Option<FromBoard>, Reason>,
) -> Option<FromBoard> {
    result.unwrap_or_else(|reason| {
        Some(FromBoard::Refused {
            request,
            command,
            reason,
        })
    })
}

fn progress(request: u32, upload: &Upload) -> FromBoard {
    FromBoard::UploadProgress(UploadProgress {
        request,
        offset: upload.offset,
        length: upload.length,
        sha256: upload.sha256,
    })
}
