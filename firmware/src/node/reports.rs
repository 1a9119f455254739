//! What the node says about itself: hello and telemetry.

use super::{ContractSource, Node};
use crate::actuators::Actuators;
use crate::fallback::Fallback;
use crate::platform::Platform;
use crate::policy::{Memory, PACKING};
use crate::safety::{Fault, State};
use crate::sensors::Sensors;
use crate::store::ImageStore;
use crate::text::cut;
use crate::transmit::Kind;
use core::borrow::BorrowMut;
use engram_link::{FromBoard, HelloReply, PROTOCOL_VERSION, Pace, Telemetry};

impl<S, A, F, I, M, P> Node<S, A, F, I, M, P>
where
    S: Sensors,
    A: Actuators,
    F: Fallback,
    I: ImageStore,
    M: BorrowMut<Memory>,
    P: Platform,
{
    pub(super) fn hello_reply(&mut self, request: u32) -> FromBoard {
        let identity = self.platform.identity();
        let terms = self.control.terms();
        FromBoard::Hello(HelloReply {
            request,
            protocol: PROTOCOL_VERSION,
            firmware: cut(&identity.firmware),
            board: cut(&identity.board),
            contract_sha256: match self.contract {
                ContractSource::Board { .. } => Some(terms.sha256),
                ContractSource::Image => None,
            },
            period_us: terms.period_us,
            weights_sha256: self.slots.weights_sha256(),
            state: self.control.state(),
            faults: self.control.faults(),
            pace: self.pace,
            image_bytes: self.slots.capacity(),
            upload_bytes_per_period: terms.settings.upload_bytes_per_period,
            lock_step: Self::LOCK_STEP,
            cache_bytes: u32::try_from(self.memory.borrow().cache_bytes()).unwrap_or(u32::MAX),
            packing: PACKING.flag(),
            signer: self.slots.key().map(|key| key.0),
        })
    }

    /// While disarmed and settled the hash of the weights is computed anew, from the bytes in use; an image that
    /// changed under the runtime is dropped and latches [`Fault::ImageCorrupt`].
    pub(super) fn telemetry(&mut self, request: u32) -> FromBoard {
        let had_image = self.slots.weights_sha256().is_some();
        let disarmed = self.control.state() == State::Disarmed;
        // In real time once between two steps: whoever asks all the time must not cost the loop more than one pause.
        let again = self.pace == Pace::RealTime && self.rechecked;
        let check = had_image && disarmed && self.may_pause() && !again;
        self.rechecked |= check;
        let checked = if check { self.slots.recheck() } else { None };
        if check && checked.is_none() {
            self.control.latch(Fault::ImageCorrupt);
        }
        let identity = self.platform.identity();
        let counters = self.control.counters();
        FromBoard::Telemetry(Telemetry {
            request,
            state: self.control.state(),
            faults: self.control.faults(),
            steps: counters.steps,
            policy_steps: counters.policy_steps,
            missing_samples: counters.missing_samples,
            limited_commands: counters.limited_commands,
            deadline_misses: self.control.deadline_misses(),
            worst_step_us: self.worst_step_us,
            link: self.decoder.counters(),
            transmit_errors: self.transmit.dropped(Kind::Answer),
            telemetry_dropped: self.transmit.dropped(Kind::Telemetry),
            line_errors: self.line_errors,
            stack_bytes: identity.stack_bytes,
            worst_stack_bytes: self.platform.worst_stack_bytes(),
            ram_bytes: identity.ram_bytes,
            weights_sha256: self.slots.weights_sha256(),
            weights_checked: checked.is_some(),
        })
    }
}
