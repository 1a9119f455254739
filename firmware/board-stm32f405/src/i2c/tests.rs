//! The bus against a model of the peripheral and of one device, whose time passes while the processor is elsewhere.

use std::cell::RefCell;

use embedded_hal::digital::{InputPin, OutputPin};
use embedded_hal::i2c::I2c as _;

use super::*;

const DEVICE: u8 = 0x68;

/// What the bus has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Start,
    Address(u8),
    /// A byte for the device.
    Got(u8),
    /// A byte of the device, and whether it was acknowledged.
    Gave(u8, bool),
    Stop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle,
    WantsStart,
    Started,
    SendsAddress(u8),
    Addressed(u8),
    Sends,
    Receives,
    Refused,
}

/// What is wrong with the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// No flag ever comes.
    Dead,
    /// Somebody holds it.
    Busy,
    Lost,
    Misplaced,
    /// The device takes so many bytes.
    Takes(usize),
    /// The clock is held for ever after so many bytes of the device.
    Gives(u8),
}

struct State {
    phase: Phase,
    fault: Fault,
    /// Two registers: the one that is read and written, and the one on the line.
    data: Option<u8>,
    line: Option<u8>,
    acknowledges: bool,
    second: bool,
    end: Option<End>,
    given: u8,
    seen: Vec<Seen>,
    looks: u32,
    resets: u32,
    /// Of the time that passes.
    random: u32,
}

struct Model(RefCell<State>);

impl State {
    fn random(&mut self, below: u32) -> u32 {
        self.random = (self.random.wrapping_mul(1_664_525)).wrapping_add(1_013_904_223);
        (self.random >> 16) % below
    }

    fn finish(&mut self) {
        match self.end.take() {
            Some(End::Stop) => {
                self.seen.push(Seen::Stop);
                self.phase = Phase::Idle;
            }
            Some(End::Restart) => self.phase = Phase::WantsStart,
            None => {}
        }
    }

    /// One thing happens on the bus.
    fn tick(&mut self) {
        if self.fault == Fault::Dead {
            return;
        }
        match self.phase {
            Phase::WantsStart => {
                self.seen.push(Seen::Start);
                self.phase = Phase::Started;
            }
            Phase::SendsAddress(byte) => {
                self.seen.push(Seen::Address(byte));
                let there = byte >> 1 == DEVICE;
                self.phase = if there {
                    Phase::Addressed(byte)
                } else {
                    Phase::Refused
                };
            }
            Phase::Sends => match (self.line.take(), self.data) {
                (Some(byte), _) => {
                    self.seen.push(Seen::Got(byte));
                    let got = |seen: &&Seen| matches!(seen, Seen::Got(_));
                    if self.fault == Fault::Takes(self.seen.iter().filter(got).count()) {
                        self.phase = Phase::Refused;
                    }
                }
                (None, Some(_)) => self.line = self.data.take(),
                (None, None) => self.finish(),
            },
            Phase::Receives if self.fault == Fault::Gives(self.given) => {}
            // The clock is held, unless the end was asked for.
            Phase::Receives if self.line.is_some() => self.finish(),
            Phase::Receives => {
                self.given += 1;
                // Where this is about the byte after the next one, the next one is acknowledged.
                let acknowledged = self.acknowledges || std::mem::take(&mut self.second);
                self.seen.push(Seen::Gave(self.given, acknowledged));
                match self.data {
                    None => self.data = Some(self.given),
                    Some(_) => self.line = Some(self.given),
                }
                self.finish();
            }
            Phase::Refused => self.finish(),
            Phase::Idle | Phase::Started | Phase::Addressed(_) => {}
        }
    }

    /// The processor is elsewhere, for no time or for long.
    fn pass(&mut self) {
        for _ in 0..[0, 1, 2, 9][self.random(4) as usize] {
            self.tick();
        }
    }
}

impl Model {
    fn new(fault: Fault, random: u32) -> Self {
        Self(RefCell::new(State {
            phase: Phase::Idle,
            fault,
            data: None,
            line: None,
            acknowledges: false,
            second: false,
            end: None,
            given: 0,
            seen: Vec::new(),
            looks: 0,
            resets: 0,
            random,
        }))
    }
}

impl Registers for Model {
    fn reset(&mut self) {
        let state = self.0.get_mut();
        state.resets += 1;
        (state.phase, state.data, state.line, state.end) = (Phase::Idle, None, None, None);
    }

    fn is_busy(&self) -> bool {
        let mut state = self.0.borrow_mut();
        state.pass();
        state.looks += 1;
        state.fault == Fault::Busy || state.phase != Phase::Idle
    }

    fn status(&self) -> Status {
        let mut state = self.0.borrow_mut();
        state.pass();
        state.looks += 1;
        let sends = state.phase == Phase::Sends;
        let both = (state.data.is_some(), state.line.is_some());
        Status {
            started: state.phase == Phase::Started,
            addressed: matches!(state.phase, Phase::Addressed(_)),
            may_send: sends && !both.0,
            has_received: !sends && both.0,
            finished: both == (!sends, !sends),
            unacknowledged: state.phase == Phase::Refused,
            misplaced: state.fault == Fault::Misplaced,
            lost: state.fault == Fault::Lost,
        }
    }

    fn forget_errors(&mut self) {}

    fn start(&mut self) {
        let state = self.0.get_mut();
        assert_eq!(state.phase, Phase::Idle);
        state.phase = Phase::WantsStart;
    }

    fn end(&mut self, end: End) {
        let state = self.0.get_mut();
        state.pass();
        state.end = Some(end);
        // While the clock is held nothing is under way: the end comes at once.
        if state.line.is_some() {
            state.finish();
        }
    }

    fn send(&mut self, byte: u8) {
        let state = self.0.get_mut();
        state.pass();
        match state.phase {
            Phase::Started => state.phase = Phase::SendsAddress(byte),
            _ => assert_eq!(state.data.replace(byte), None, "a byte was lost"),
        }
    }

    fn receive(&mut self) -> u8 {
        let state = self.0.get_mut();
        state.pass();
        let byte = state.data.take().expect("a byte has come");
        state.data = state.line.take();
        byte
    }

    fn acknowledge(&mut self, yes: bool, second: bool) {
        let state = self.0.get_mut();
        state.pass();
        assert_ne!(state.phase, Phase::WantsStart, "a start may be lost");
        (state.acknowledges, state.second) = (yes, second);
    }

    fn go_on(&mut self, next: Next) {
        let state = self.0.get_mut();
        state.pass();
        let Phase::Addressed(byte) = state.phase else {
            panic!("no address was acknowledged: {:?}", state.phase)
        };
        state.phase = if byte & 1 == 1 {
            Phase::Receives
        } else {
            Phase::Sends
        };
        match next {
            Next::Bytes => {}
            Next::TwoBytes => state.acknowledges = false,
            Next::OneByte(end) => state.end = Some(end),
        }
    }
}

fn seen(bus: &mut I2c<Model>) -> Vec<Seen> {
    let state = bus.registers.0.get_mut();
    // Until the stop is through.
    for _ in 0..20 {
        state.tick();
    }
    state.given = 0;
    std::mem::take(&mut state.seen)
}

fn gave(count: u8) -> impl Iterator<Item = Seen> {
    (1..=count).map(move |byte| Seen::Gave(byte, byte < count))
}

#[test]
fn every_byte_comes_once_and_the_last_is_not_acknowledged_however_late_the_processor_is() {
    let [to, from] = [DEVICE << 1, DEVICE << 1 | 1].map(|byte| [Seen::Start, Seen::Address(byte)]);
    for random in 0..400 {
        let mut bus = I2c::new(Model::new(Fault::None, random));
        for count in 1..=8 {
            let expected: Vec<u8> = (1..=count).collect();
            let mut bytes = vec![0; count.into()];
            bus.read(DEVICE, &mut bytes).expect("answers");
            assert_eq!(bytes, expected);
            let only_read: Vec<_> = from.into_iter().chain(gave(count)).collect();
            assert_eq!(seen(&mut bus), [&only_read[..], &[Seen::Stop]].concat());

            bus.write_read(DEVICE, &[0x3B, 7], &mut bytes)
                .expect("answers");
            assert_eq!(bytes, expected);
            let written = [&to[..], &[Seen::Got(0x3B), Seen::Got(7)]].concat();
            assert_eq!(
                seen(&mut bus),
                [&written[..], &only_read, &[Seen::Stop]].concat()
            );

            // Two buffers are one read; a write may follow.
            let (a, b) = bytes.split_at_mut(usize::from(count) / 2);
            let mut operations = vec![Operation::Read(b), Operation::Write(&[9])];
            if !a.is_empty() {
                operations.insert(0, Operation::Read(a));
            }
            bus.transaction(DEVICE, &mut operations).expect("answers");
            assert_eq!(bytes, expected);
            let end = [to[0], to[1], Seen::Got(9), Seen::Stop];
            assert_eq!(seen(&mut bus), [&only_read[..], &end].concat());
        }
        // An empty write asks whether the device is there.
        bus.write(DEVICE, &[]).expect("answers");
        assert_eq!(seen(&mut bus), [to[0], to[1], Seen::Stop]);
        assert_eq!(bus.registers.0.get_mut().resets, 1, "none but the first");
    }
}

#[test]
fn every_fault_of_the_bus_is_an_error_after_a_bounded_time_and_the_next_transfer_begins_anew() {
    use NoAcknowledgeSource::{Address, Data};
    for (fault, address, error, resets) in [
        (Fault::Dead, DEVICE, ErrorKind::Other, 2),
        (Fault::Busy, DEVICE, ErrorKind::Bus, 2),
        (Fault::Lost, DEVICE, ErrorKind::ArbitrationLoss, 2),
        (Fault::Misplaced, DEVICE, ErrorKind::Bus, 2),
        (Fault::None, 0x11, ErrorKind::NoAcknowledge(Address), 1),
        (Fault::Takes(1), DEVICE, ErrorKind::NoAcknowledge(Data), 1),
        (Fault::Gives(0), DEVICE, ErrorKind::Other, 2),
        (Fault::Gives(2), DEVICE, ErrorKind::Other, 2),
        (Fault::Gives(4), DEVICE, ErrorKind::Other, 2),
    ] {
        for random in 0..50 {
            let mut bus = I2c::new(Model::new(fault, random));
            let result = bus.write_read(address, &[1, 2], &mut [0; 5]);
            assert_eq!(result, Err(error), "{fault:?}");
            let state = bus.registers.0.get_mut();
            assert!(state.looks <= PATIENCE + 100, "{} looks", state.looks);
            assert_eq!(state.resets, resets, "{fault:?}");
            state.fault = Fault::None;
            seen(&mut bus);
            let mut bytes = [0; 3];
            bus.write_read(DEVICE, &[1], &mut bytes).expect("answers");
            assert_eq!(bytes, [1, 2, 3]);
        }
    }
}

#[test]
fn a_transfer_of_nothing_does_nothing() {
    let mut bus = I2c::new(Model::new(Fault::None, 0));
    assert_eq!(bus.transaction(DEVICE, &mut []), Ok(()));
    assert_eq!(bus.read(DEVICE, &mut []), Err(ErrorKind::Other));
    assert_eq!(seen(&mut bus), []);
}

/// Both lines of a bus whose device holds the data line for so many clocks.
#[derive(Default)]
struct Lines {
    clock: bool,
    data: bool,
    clocks: u32,
    held: u32,
}

struct Line<'a>(&'a RefCell<Lines>, bool);

impl embedded_hal::digital::ErrorType for Line<'_> {
    type Error = core::convert::Infallible;
}

impl OutputPin for Line<'_> {
    fn set_low(&mut self) -> Result<(), Self::Error> {
        self.set_state(false.into())
    }
    fn set_high(&mut self) -> Result<(), Self::Error> {
        self.set_state(true.into())
    }
    fn set_state(&mut self, state: embedded_hal::digital::PinState) -> Result<(), Self::Error> {
        let mut lines = self.0.borrow_mut();
        let high = state == embedded_hal::digital::PinState::High;
        if self.1 {
            lines.clocks += u32::from(high && !lines.clock);
            lines.clock = high;
        } else {
            lines.data = high;
        }
        Ok(())
    }
}

impl InputPin for Line<'_> {
    fn is_high(&mut self) -> Result<bool, Self::Error> {
        let lines = self.0.borrow();
        Ok(if self.1 {
            lines.clock
        } else {
            lines.data && lines.clocks > lines.held
        })
    }
    fn is_low(&mut self) -> Result<bool, Self::Error> {
        self.is_high().map(|high| !high)
    }
}

#[test]
fn a_device_that_was_left_in_a_byte_lets_go() {
    // The first clock is the one that raises the line; the last is that of the stop.
    for (held, clocks, free_at_the_end) in
        [(0, 2, true), (3, 5, true), (9, 11, true), (99, 11, false)]
    {
        let lines = RefCell::new(Lines {
            held,
            ..Lines::default()
        });
        let (mut clock, mut data) = (Line(&lines, true), Line(&lines, false));
        let mut pauses = 0;
        assert_eq!(
            free(&mut clock, &mut data, || pauses += 1),
            free_at_the_end,
            "held for {held}"
        );
        assert_eq!(lines.borrow().clocks, clocks, "held for {held}");
        assert!(pauses <= 22);
    }
}

#[test]
fn the_bus_is_never_faster_than_400_khz() {
    for (hz, high, rise, made_hz) in [(42_000_000, 35, 13, 400_000), (16_000_000, 14, 5, 380_952)] {
        let timing = Timing::of(hz);
        assert_eq!((timing.high, timing.rise), (high, rise));
        assert_eq!(hz / (3 * u32::from(timing.high)), made_hz);
    }
}
