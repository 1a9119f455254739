//! One example of each message, strategies for arbitrary ones, and what every test does with frames.

use engram_link::limits::*;
use engram_link::*;
use heapless::Vec;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Messages with their names, one a line.
macro_rules! named {
    ($($name:literal => $message:expr;)*) => {
        std::vec![$(($name, $message)),*]
    };
}

fn list<T: Clone, const N: usize>(items: &[T]) -> Vec<T, N> {
    Vec::from_slice(items).expect("fits")
}

fn text<const N: usize>(text: &str) -> heapless::String<N> {
    text.try_into().expect("fits")
}

fn chunk(offset: u32, data: &[u8]) -> ToBoard {
    let data = list(data);
    ToBoard::UploadChunk(UploadChunk { offset, data })
}

/// Every message to the board once, the longest ones at full length.
pub(crate) fn to_board() -> std::vec::Vec<(&'static str, ToBoard)> {
    let sensors = Sensors {
        now_us: 20_000,
        sample_us: 19_000,
        observation: list(&[1.0, 0.0, -0.5]),
        reward: None,
        done: false,
    };
    let full = Sensors {
        now_us: u64::MAX,
        sample_us: u64::MAX,
        observation: list(&[-1.5e-30; MAX_OBSERVATIONS]),
        reward: Some(-0.25),
        done: true,
    };
    named! {
        "hello" => ToBoard::Hello { protocol: PROTOCOL_VERSION, pace: RequestedPace::LockStep };
        "sensors" => ToBoard::Sensors(sensors);
        "sensors-full" => ToBoard::Sensors(full);
        "tick" => ToBoard::Tick { now_us: 40_000 };
        "arm" => ToBoard::Arm;
        "disarm" => ToBoard::Disarm;
        "reset-faults" => ToBoard::ResetFaults;
        "clear-memory" => ToBoard::ClearMemory;
        "upload-begin" => ToBoard::UploadBegin { length: 123_456, sha256: [0xa5; 32] };
        "upload-chunk" => chunk(512, &[0, 1, 2, 0, 255]);
        "upload-chunk-full" => chunk(u32::MAX, &[7; CHUNK_BYTES]);
        "upload-commit" => ToBoard::UploadCommit;
        "upload-status" => ToBoard::UploadStatus;
        "telemetry" => ToBoard::Telemetry;
    }
}

/// Every message from the board once, the longest ones at full length.
pub(crate) fn from_board() -> std::vec::Vec<(&'static str, FromBoard)> {
    let refused = |reason| FromBoard::Refused {
        request: 9,
        command: Command::UploadCommit,
        reason,
    };
    let hello = HelloReply {
        request: 1,
        protocol: PROTOCOL_VERSION,
        firmware: text("engram-firmware 0.1.0"),
        board: text("qemu-m7"),
        contract_sha256: Some([0x11; 32]),
        period_us: 20_000,
        weights_sha256: Some([0x22; 32]),
        state: State::Disarmed,
        faults: Faults::NONE,
        pace: Pace::LockStep,
        image_bytes: 1 << 20,
        upload_bytes_per_period: 2048,
        lock_step: true,
        cache_bytes: 65_536,
        packing: 2,
        signer: Some([0x33; 32]),
    };
    let action = Action {
        request: 2,
        now_us: 20_000,
        step: 1,
        words: list(&[-32_767]),
        issued: list(&[-12_000]),
        source: CommandSource::Policy,
        reward: -1.25,
        state: State::Armed,
        faults: Faults::NONE,
    };
    let held = Action {
        words: Vec::new(),
        issued: list(&[i16::MIN; MAX_ACTIONS]),
        source: CommandSource::Held,
        state: State::Hold,
        faults: Faults::from(Fault::SampleAge).with(Fault::LinkLoss),
        ..action.clone()
    };
    let progress = UploadProgress {
        request: 5,
        offset: 1024,
        length: 123_456,
        sha256: [0xa5; 32],
    };
    let telemetry = Telemetry {
        request: 3,
        state: State::SafeStop,
        faults: Faults::from(Fault::DeadlineMisses),
        steps: 1000,
        policy_steps: 900,
        missing_samples: 3,
        limited_commands: 17,
        deadline_misses: 4,
        worst_step_us: 812,
        link: Counters {
            frames: 1003,
            crc_errors: 1,
            stuffing_errors: 2,
            overflows: 3,
            unknown_messages: 4,
            lost: 5,
            repeated: 6,
            late: 7,
        },
        transmit_errors: 8,
        telemetry_dropped: 9,
        line_errors: 10,
        stack_bytes: 65_536,
        worst_stack_bytes: 9_000,
        ram_bytes: 300_000,
        weights_sha256: None,
        weights_checked: false,
    };
    let error = text("step 3, action 0: expected 12, got 13");
    let unsigned = text("not signed");
    let line = text(&"x".repeat(LOG_BYTES));
    named! {
        "hello-reply" => FromBoard::Hello(hello);
        "action" => FromBoard::Action(action);
        "action-held" => FromBoard::Action(held);
        "done" => FromBoard::Done { request: 4, command: Command::Arm };
        "refused-protocol" => refused(Reason::Protocol { board: 1, host: 2 });
        "refused-no-hello" => refused(Reason::NoHello);
        "refused-late-frame" => refused(Reason::LateFrame { newest: 12 });
        "refused-pace-fixed" => refused(Reason::PaceFixed(State::Armed));
        "refused-not-disarmed" => refused(Reason::NotDisarmed(State::Armed));
        "refused-not-stopped" => refused(Reason::NotStopped(State::Hold));
        "refused-no-image" => refused(Reason::NoImage);
        "refused-faults-latched" => refused(Reason::FaultsLatched(Faults::from(Fault::NonFinite)));
        "refused-not-injectable" => refused(Reason::NotInjectable);
        "refused-not-lock-step" => refused(Reason::NotLockStep);
        "refused-out-of-order" => refused(Reason::OutOfOrder { newest_us: 40_000, got_us: 20_000 });
        "refused-no-upload" => refused(Reason::NoUpload);
        "refused-image-too-long" => refused(Reason::ImageTooLong { length: 2_000_000, most: 1 << 20 });
        "refused-upload-offset" => refused(Reason::UploadOffset { expected: 512, got: 1024 });
        "refused-upload-incomplete" => refused(Reason::UploadIncomplete { offset: 512, length: 1000 });
        "refused-upload-share" => refused(Reason::UploadShare { bytes_per_period: 2048 });
        "refused-store" => refused(Reason::Store);
        "refused-image" => refused(Reason::Image { stage: ImageStage::Golden, text: error });
        "refused-signature" => refused(Reason::Image { stage: ImageStage::Signature, text: unsigned });
        "upload-progress" => FromBoard::UploadProgress(progress);
        "refused-no-lock-step" => refused(Reason::NoLockStep);
        "refused-not-settled" => refused(Reason::NotSettled);
        "telemetry-reply" => FromBoard::Telemetry(telemetry);
        "log-text" => FromBoard::Log(Log::Text { level: Level::Warn, text: line });
        "log-defmt" => FromBoard::Log(Log::Defmt(list(&[0, 1, 2, 3])));
    }
}

/// Any message that carries numbers from outside, or one of the others.
pub(crate) fn any_to_board() -> impl Strategy<Value = ToBoard> {
    let sensors = (
        any::<(u64, u64, Option<f32>, bool)>(),
        vec(any::<f32>(), 0..=MAX_OBSERVATIONS),
    );
    let sensors = sensors.prop_map(|((now_us, sample_us, reward, done), observation)| {
        ToBoard::Sensors(Sensors {
            now_us,
            sample_us,
            observation: list(&observation),
            reward,
            done,
        })
    });
    let chunks = (any::<u32>(), vec(any::<u8>(), 0..=CHUNK_BYTES));
    let chunks = chunks.prop_map(|(offset, data)| chunk(offset, &data));
    prop_oneof![
        sensors,
        chunks,
        select(to_board()).prop_map(|(_, message)| message)
    ]
}

/// Any action, or one of the other messages from the board.
pub(crate) fn any_from_board() -> impl Strategy<Value = FromBoard> {
    let action = (
        any::<(u32, u64, u32, f32, u32)>(),
        vec(any::<i16>(), 0..=MAX_ACTIONS),
    );
    let action = action.prop_map(|((request, now_us, step, reward, faults), words)| {
        FromBoard::Action(Action {
            request,
            now_us,
            step,
            words: list(&words),
            issued: list(&words),
            source: CommandSource::Policy,
            reward,
            state: State::Armed,
            faults: Faults(faults),
        })
    });
    prop_oneof![
        action,
        select(from_board()).prop_map(|(_, message)| message)
    ]
}

/// The bytes of one frame.
pub(crate) fn frame<M: Message>(sequence: u32, message: &M) -> std::vec::Vec<u8> {
    let mut out = [0; MAX_FRAME_BYTES];
    let length = encode(sequence, message, &mut out).expect("every message fits");
    out[..length].to_vec()
}

/// Everything that a fresh decoder makes of `bytes`.
pub(crate) fn decode<M: Message>(
    bytes: &[u8],
) -> (std::vec::Vec<Result<Frame<M>, DecodeError>>, Counters) {
    let mut decoder = Decoder::<M>::new();
    let results = bytes
        .iter()
        .filter_map(|byte| decoder.push(*byte))
        .collect();
    (results, decoder.counters())
}

/// The message comes out of its frame as it went in, and nothing else is counted.
pub(crate) fn survives<M: Message>(sequence: u32, message: &M) {
    let bytes = frame(sequence, message);
    let (results, counters) = decode::<M>(&bytes);
    assert_eq!((counters.frames, counters.errors()), (1, 0));
    let [Ok(got)] = results.as_slice() else {
        panic!("one frame is not one frame: {}", hexadecimal(&bytes));
    };
    // Equal to the bit, so that NaN equals itself.
    assert_eq!(frame(got.sequence, &got.message), bytes);
}

/// Two digits for each byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> std::string::String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Stuffs a body of our own making behind a right CRC: what passes the CRC may still be nonsense.
pub(crate) fn sealed(body: &[u8]) -> std::vec::Vec<u8> {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(body);
    let payload = [body, &crc.to_le_bytes()].concat();
    let mut out = vec![0; payload.len() + payload.len() / 254 + 2];
    let length = cobs::try_encode(&payload, &mut out).expect("fits");
    out.truncate(length);
    out.push(0);
    out
}

/// The body of one frame; `None` where its stuffing is broken or no CRC is inside.
pub(crate) fn body(frame: &[u8]) -> Option<std::vec::Vec<u8>> {
    let mut bytes = frame.strip_suffix(&[0])?.to_vec();
    let length = cobs::decode_in_place(&mut bytes).ok()?;
    bytes.truncate(length.checked_sub(4)?);
    Some(bytes)
}
