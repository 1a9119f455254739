//! The whole robot on the host: mocked drivers, a host at the other end of the serial line.

use std::boxed::Box;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::vec;
use std::vec::Vec;

use embedded_hal_mock::eh1::digital::{Mock as Pin, State, Transaction as Set};
use embedded_hal_mock::eh1::i2c::{Mock as I2cMock, Transaction};
use embedded_hal_mock::eh1::pwm::{Mock as Pwm, Transaction as Duty};
use embedded_io::{ErrorKind, ErrorType};
use engram_firmware::platform::Identity;
use engram_link::{Encoder, FromBoard, FromBoardDecoder, PROTOCOL_VERSION, ToBoard};

use super::*;

/// Gives the bytes of `host`, and then fails, which ends the flight.
struct Serial {
    host: VecDeque<u8>,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl ErrorType for Serial {
    type Error = ErrorKind;
}

impl ReadReady for Serial {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        if self.host.is_empty() {
            Err(ErrorKind::BrokenPipe)
        } else {
            Ok(true)
        }
    }
}

impl Read for Serial {
    fn read(&mut self, out: &mut [u8]) -> Result<usize, ErrorKind> {
        let count = out.len().min(self.host.len());
        for (place, byte) in out.iter_mut().zip(self.host.drain(..count)) {
            *place = byte;
        }
        Ok(count)
    }
}

impl Write for Serial {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.sent
            .lock()
            .expect("one thread")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

struct Board;

impl Clock for Board {
    fn now_us(&mut self) -> u64 {
        1_000
    }
}

impl Platform for Board {
    fn identity(&self) -> Identity {
        Identity {
            board: "test",
            firmware: "template",
            stack_bytes: 0,
            ram_bytes: 0,
        }
    }
}

#[test]
fn the_contract_is_valid() {
    assert_eq!(CONTRACT.validate(), Ok(()));
}

#[test]
fn answers_the_host_reads_the_sensors_and_keeps_still_while_disarmed() {
    let mut encoder = I2cMock::new(&[Transaction::write_read(0x36, vec![0x0C], vec![0x04, 0x00])]);
    let mut gyro = I2cMock::new(&[
        Transaction::write(0x68, vec![0x6B, 0x00]),
        Transaction::write(0x68, vec![0x1B, 0x18]),
        Transaction::write_read(0x68, vec![0x47], vec![0x00, 0x10]),
    ]);
    let mut pwm = Pwm::new(&[Duty::max_duty_cycle(1_000), Duty::set_duty_cycle(0)]);
    let mut direction = Pin::new(&[Set::set(State::High)]);
    let hello = ToBoard::Hello {
        protocol: PROTOCOL_VERSION,
        pace: Pace::RealTime,
    };
    let sent = Arc::new(Mutex::new(Vec::new()));
    let robot = Robot {
        encoder: encoder.clone(),
        gyro: gyro.clone(),
        clock: Board,
        pwm: pwm.clone(),
        direction: direction.clone(),
        uart: Serial {
            host: Encoder::new()
                .frame(&hello)
                .expect("fits")
                .iter()
                .copied()
                .collect(),
            sent: Arc::clone(&sent),
        },
        platform: Board,
        slots: [vec![0; 1_024].leak(), vec![0; 1_024].leak()],
        memory: Box::leak(Box::new(Memory::new())),
    };
    assert_eq!(fly(robot), Err(SensorError::Io(ErrorKind::BrokenPipe)));

    let mut decoder = FromBoardDecoder::new();
    let answers: Vec<_> = sent
        .lock()
        .expect("one thread")
        .iter()
        .filter_map(|byte| decoder.push(*byte))
        .collect();
    let [Ok(hello), Ok(action)] = answers.as_slice() else {
        panic!("{answers:?}")
    };
    let FromBoard::Hello(hello) = &hello.message else {
        panic!("{hello:?}")
    };
    assert_eq!(hello.contract_sha256, CONTRACT.digest());
    let FromBoard::Action(action) = &action.message else {
        panic!("{action:?}")
    };
    assert_eq!((action.step, action.issued.as_slice()), (1, [0].as_slice()));
    assert!(action.faults.is_empty());
    encoder.done();
    gyro.done();
    pwm.done();
    direction.done();
}
