//! The whole robot on the host: mocked drivers, a host at the other end of the serial line.

use std::boxed::Box;
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

use embedded_hal_mock::eh1::digital::{Mock as Pin, State, Transaction as Set};
use embedded_hal_mock::eh1::i2c::{Mock as I2cMock, Transaction};
use embedded_hal_mock::eh1::pwm::{Mock as Pwm, Transaction as Duty};
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use engram_firmware::fallback::NoFallback;
use engram_firmware::node::{ContractSource, Node, Parts};
use engram_firmware::platform::{Clock, Identity, Platform};
use engram_firmware::policy::{LargestMemory, Memory};
use engram_firmware::safety::Settings;
use engram_firmware::store::RamStore;
use engram_link::{
    Encoder, FromBoard, FromBoardDecoder, PROTOCOL_VERSION, Pace, Reason, RequestedPace, ToBoard,
};

use crate::actuators::motor;
use crate::contract::CONTRACT;
use crate::sensors::PendulumSensors;

/// Gives the bytes of `host`, and then fails, as an unplugged adapter does.
struct Serial {
    host: VecDeque<u8>,
    sent: Vec<u8>,
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

impl WriteReady for Serial {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(true)
    }
}

impl Write for Serial {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.sent.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// A clock that the test moves.
#[derive(Clone, Default)]
struct Board(Rc<Cell<u64>>);

impl Clock for Board {
    fn now_us(&mut self) -> u64 {
        self.0.get()
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

pub(crate) const GYRO_ADDRESS: u8 = 0x68;

/// What is said to a gyro that has its values after power-up.
pub(crate) fn gyro_start() -> Vec<Transaction> {
    let settings = [
        (0x6B, 0x40, 0x00),
        (0x6B, 0x00, 0x01),
        (0x1B, 0, 0x18),
        (0x1C, 0, 0x18),
    ];
    let transactions = settings.map(|(register, before, after)| {
        [
            Transaction::write_read(GYRO_ADDRESS, vec![register], vec![before]),
            Transaction::write(GYRO_ADDRESS, vec![register, after]),
        ]
    });
    transactions.concat()
}

/// A new sample with this rate about z.
pub(crate) fn gyro_reading(rate_z: i16) -> Vec<Transaction> {
    let mut measured = vec![0; 12];
    measured.extend(rate_z.to_be_bytes());
    vec![
        Transaction::write_read(GYRO_ADDRESS, vec![0x3A], vec![1]),
        Transaction::write_read(GYRO_ADDRESS, vec![0x3B], measured),
    ]
}

/// A magnet is there, at this angle.
pub(crate) fn encoder_reading(raw: u16) -> Vec<Transaction> {
    vec![
        Transaction::write_read(0x36, vec![0x0B], vec![0x20]),
        Transaction::write_read(0x36, vec![0x0C], raw.to_be_bytes().into()),
    ]
}

#[test]
fn the_contract_is_valid() {
    assert_eq!(CONTRACT.validate(), Ok(()));
}

#[test]
fn eng_safe_15_makes_a_step_in_every_period_whatever_the_host_asks_for_and_the_line_does() {
    const STEPS: usize = 5;
    let reading = [gyro_reading(16), encoder_reading(0x400)].concat();
    let mut bus = I2cMock::new(&[gyro_start(), vec![reading; STEPS].concat()].concat());
    // The safe command once at the start, and then in every step.
    let mut duties = vec![Duty::set_duty_cycle(0); 1 + STEPS];
    duties.insert(0, Duty::max_duty_cycle(1_000));
    let mut pwm = Pwm::new(&duties);
    let mut direction = Pin::new(&vec![Set::set(State::High); 1 + STEPS]);
    let board = Board::default();
    let mut host = Encoder::new();
    let mut from_host = VecDeque::new();
    for pace in [RequestedPace::LockStep, RequestedPace::Unchanged] {
        let hello = ToBoard::Hello {
            protocol: PROTOCOL_VERSION,
            pace,
        };
        from_host.extend(host.frame(&hello).expect("fits"));
    }
    let mut uart = Serial {
        host: from_host,
        sent: Vec::new(),
    };
    let sensors = PendulumSensors::new(bus.clone(), board.clone(), 0.0);
    let mut node = Node::new(Parts {
        contract: ContractSource::Board {
            contract: &CONTRACT,
            settings: Settings::for_period(CONTRACT.period_us),
        },
        key: None,
        pace: Pace::RealTime,
        sensors: sensors.expect("they fit the contract"),
        actuators: motor(pwm.clone(), direction.clone()).expect("fits the contract"),
        fallback: NoFallback,
        store: RamStore::new(vec![0; 1_024], vec![0; 1_024]),
        memory: Box::<LargestMemory>::default() as Box<Memory>,
        platform: board.clone(),
    });
    for step in 0..STEPS as u64 {
        let now_us = 1_000 + step * u64::from(CONTRACT.period_us);
        board.0.set(now_us);
        for _ in 0..10 {
            node.turn(&mut uart);
        }
    }

    let mut decoder = FromBoardDecoder::new();
    let answers = uart.sent.iter().filter_map(|byte| decoder.push(*byte));
    let answers: Vec<_> = answers
        .map(|frame| frame.expect("intact").message)
        .collect();
    let [
        FromBoard::Refused { reason, .. },
        FromBoard::Hello(hello),
        actions @ ..,
    ] = answers.as_slice()
    else {
        panic!("{answers:?}")
    };
    assert_eq!(*reason, Reason::NoLockStep);
    assert_eq!(hello.contract_sha256, Some(CONTRACT.digest()));
    assert_eq!((hello.pace, hello.lock_step), (Pace::RealTime, false));
    assert_eq!(actions.len(), STEPS);
    for (number, action) in (1..).zip(actions) {
        let FromBoard::Action(action) = action else {
            panic!("{action:?}")
        };
        assert_eq!((action.step, action.request), (number, 0));
        assert_eq!(action.issued.as_slice(), [0]);
        assert!(action.faults.is_empty());
    }
    bus.done();
    pwm.done();
    direction.done();
}
