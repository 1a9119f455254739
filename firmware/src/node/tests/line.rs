//! ENG-SAFE-14: a line that takes nothing, floods or fails delays no control step.

use super::*;
use crate::tests_support::image_for;
use engram_link::Fault;
use std::collections::VecDeque;

/// A line that takes `room` bytes and then no more, and brings what it was given.
#[derive(Default)]
struct Line {
    incoming: VecDeque<u8>,
    room: usize,
    taken: Vec<u8>,
    /// Every look at it fails, as on a device that is gone.
    gone: bool,
    /// It says that it is ready, and then reads and takes nothing.
    ended: bool,
    reads: u32,
}

impl embedded_io::ErrorType for Line {
    type Error = embedded_io::ErrorKind;
}

impl ReadReady for Line {
    fn read_ready(&mut self) -> Result<bool, Self::Error> {
        if self.gone {
            return Err(embedded_io::ErrorKind::NotConnected);
        }
        Ok(self.ended || !self.incoming.is_empty())
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        assert!(
            self.ended || !self.incoming.is_empty(),
            "this would wait for ever"
        );
        self.reads += 1;
        let count = buffer.len().min(self.incoming.len());
        for (place, byte) in buffer.iter_mut().zip(self.incoming.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}

impl WriteReady for Line {
    fn write_ready(&mut self) -> Result<bool, Self::Error> {
        if self.gone {
            return Err(embedded_io::ErrorKind::NotConnected);
        }
        Ok(self.ended || self.room > 0)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        assert!(self.ended || self.room > 0, "this would wait for ever");
        let count = bytes.len().min(self.room);
        self.room -= count;
        self.taken.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// The next period's step, after which the line is served as a board does.
fn turn(rig: &mut Rig, line: &mut Line) -> (State, i16, u64) {
    let now_us = rig.next_period();
    rig.node.tick(now_us);
    for _ in 0..20 {
        rig.node.serve(line);
    }
    (rig.node.state(), rig.node.control().issued()[0], now_us)
}

/// Flies until the command is not the safe one.
fn away_from_safe(rig: &mut Rig) -> i16 {
    for _ in 0..100 {
        rig.sample();
        let action = rig.tick();
        assert_eq!(action.state, State::Armed);
        if action.issued[0].unsigned_abs() > 500 {
            return action.issued[0];
        }
    }
    panic!(
        "the test's policy commands too little: {}",
        rig.node.control().issued()[0]
    )
}

#[test]
fn eng_safe_14_a_host_that_stops_reading_and_sending_delays_no_step() {
    let mut rig = Rig::in_real_time();
    let last = away_from_safe(&mut rig);
    let mut line = Line {
        room: 64,
        ..Line::default()
    };
    let mut steps = Vec::new();
    for _ in 0..500 {
        steps.push(turn(&mut rig, &mut line));
    }
    // The sample is too old after 2.5 periods, the third of which begins here; one step holds, the next moves.
    let states: Vec<State> = steps.iter().map(|step| step.0).collect();
    assert_eq!(states[..2], [State::Armed, State::Hold]);
    assert!(states[2..].iter().all(|state| *state == State::SafeStop));
    assert_eq!(steps[1].1, last);
    assert!(steps[2].1.unsigned_abs() < last.unsigned_abs());
    assert_eq!(steps[20].1, 0);
    assert_eq!(line.taken.len(), 64);
    // The host is back: what waited comes in whole frames, what did not fit was counted.
    line.room = usize::MAX;
    for _ in 0..20 {
        rig.node.serve(&mut line);
    }
    let mut decoder = FromBoardDecoder::new();
    let frames = line.taken.iter().filter_map(|byte| decoder.push(*byte));
    let frames: Vec<_> = frames.map(|frame| frame.expect("whole").message).collect();
    let telemetry = rig.telemetry();
    assert_eq!(frames.len() + telemetry.telemetry_dropped as usize, 500);
    assert!(telemetry.telemetry_dropped > 400, "{telemetry:?}");
    assert_eq!(telemetry.transmit_errors, 0);
}

#[test]
fn eng_safe_14_a_flood_of_questions_takes_a_bounded_piece_of_time() {
    let mut rig = Rig::in_real_time();
    away_from_safe(&mut rig);
    let mut line = Line::default();
    for _ in 0..2_000 {
        line.incoming.extend(rig.frame(&ToBoard::Telemetry));
    }
    let waiting = line.incoming.len();
    rig.node.serve(&mut line);
    assert_eq!(
        (line.reads, waiting - line.incoming.len()),
        (1, RECEIVE_BYTES)
    );
    let mut states = Vec::new();
    for _ in 0..10 {
        states.push(turn(&mut rig, &mut line).0);
    }
    // No sample among all these frames: the ladder is as prompt as in silence.
    assert_eq!(states[..3], [State::Armed, State::Hold, State::SafeStop]);
    while !line.incoming.is_empty() {
        rig.node.serve(&mut line);
    }
    rig.sent();
    let telemetry = rig.telemetry();
    assert!(telemetry.transmit_errors > 1_900, "{telemetry:?}");
    // Answers never take the room of telemetry.
    assert_eq!(telemetry.telemetry_dropped, 0);
}

#[test]
fn eng_safe_14_a_device_that_is_gone_is_a_lost_link() {
    let mut rig = Rig::in_real_time();
    away_from_safe(&mut rig);
    let mut line = Line {
        gone: true,
        ..Line::default()
    };
    for _ in 0..30 {
        turn(&mut rig, &mut line);
    }
    assert_eq!(rig.node.state(), State::SafeStop);
    assert!(
        rig.node.faults().contains(Fault::LinkLoss) || rig.node.faults().contains(Fault::SampleAge)
    );
    assert!(rig.node.is_settled());
    rig.sent();
    assert!(rig.telemetry().line_errors >= 30);
}

#[test]
fn eng_safe_14_a_line_that_has_ended_is_counted_and_left() {
    let mut rig = Rig::flying();
    let now_us = rig.next_period();
    let frame = rig.frame(&good(now_us));
    rig.node.receive(&frame);
    let mut line = Line {
        ended: true,
        ..Line::default()
    };
    assert!(!rig.node.serve(&mut line));
    assert_eq!(rig.node.state(), State::Armed);
    assert_eq!(rig.sent().len(), 1, "the answer still waits");
    assert_eq!(rig.telemetry().line_errors, 1);
}

#[test]
fn a_board_that_turns_steps_by_its_clock_and_by_the_period_that_an_image_brings() {
    let mut rig = Rig::with(ContractSource::Image, Pace::RealTime, ReportedActuators);
    let fast = Contract {
        period_us: 5_000,
        ..CONTRACT
    };
    let mut line = Line::default();
    for contract in [CONTRACT, fast] {
        rig.node.install(&image_for(contract, 1)).expect("taken");
        let before = rig.node.control().counters().steps;
        for _ in 0..200_000 / 500 {
            rig.node.platform().now_us += 500;
            assert!(!rig.node.turn(&mut line));
        }
        let steps = rig.node.control().counters().steps - before;
        // The step that was due already is made by the period from before.
        let late = 20_000 / contract.period_us;
        assert!(
            steps.abs_diff(200_000 / contract.period_us) <= late,
            "{steps}"
        );
        assert!(rig.node.remaining_us() <= u64::from(contract.period_us));
        // A turn that comes late makes one step, not all that were missed, and the next comes in its time.
        let mut steps_after = |us: u64| {
            let before = rig.node.control().counters().steps;
            rig.node.platform().now_us += us;
            for _ in 0..3 {
                rig.node.turn(&mut line);
            }
            rig.node.control().counters().steps - before
        };
        let period_us = u64::from(contract.period_us);
        assert_eq!(steps_after(3 * period_us + period_us / 3), 1);
        assert_eq!(steps_after(period_us / 3), 0);
        assert_eq!(steps_after(period_us), 1);
    }
}
