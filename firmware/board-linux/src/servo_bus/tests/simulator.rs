//! A bus of servos at the far end of a pseudo-terminal: packets, registers and motion, from the makers' manuals and with nothing of rustypot's.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serialport::{SerialPort as _, TTYPort};

use crate::servo_bus::Servo;

/// How fast a servo turns at most, steps a second: 3 rad/s.
const STEPS_PER_S: f64 = 1_956.0;
const BROADCAST: u8 = 254;

/// Addresses of the registers that the model knows.
pub(super) struct Table {
    pub(super) model: (usize, u16),
    pub(super) mode: (usize, u8),
    pub(super) torque: usize,
    pub(super) goal: usize,
    /// Smallest and largest goal.
    pub(super) limits: [usize; 2],
    pub(super) velocity: usize,
    pub(super) position: usize,
    /// Bytes of goal, velocity and position.
    wide: usize,
    /// Protocol 2, with negative numbers in two's complement; else sign and magnitude.
    second: bool,
}

pub(super) fn table(servo: Servo) -> Table {
    let (model, mode, torque, goal, limits, velocity, position, wide) = match servo {
        Servo::Sts3215 => ((3, 777), (33, 0), 40, 42, [9, 11], 58, 56, 2),
        Servo::Xl330 => ((0, 1_200), (11, 3), 64, 116, [52, 48], 128, 132, 4),
        Servo::Xl430 => ((0, 1_060), (11, 3), 64, 116, [52, 48], 128, 132, 4),
    };
    Table {
        model,
        mode,
        torque,
        goal,
        limits,
        velocity,
        position,
        wide,
        second: servo != Servo::Sts3215,
    }
}

/// One servo.
pub(super) struct Model {
    pub(super) id: u8,
    pub(super) registers: [u8; 256],
    /// It answers every write with this status byte.
    pub(super) write_status: u8,
    /// It has a supply. Without one it hears and says nothing.
    powered: bool,
    /// Steps.
    position: f64,
    moved: Instant,
}

impl Model {
    fn new(id: u8, table: &Table, position: u16) -> Self {
        let mut registers = [0; 256];
        registers[table.model.0..][..2].copy_from_slice(&table.model.1.to_le_bytes());
        registers[table.mode.0] = table.mode.1;
        registers[table.limits[1]..][..2].copy_from_slice(&4_095_u16.to_le_bytes());
        Self {
            id,
            registers,
            write_status: 0,
            powered: true,
            position: position.into(),
            moved: Instant::now(),
        }
    }

    /// The register, not what the servo makes of it.
    pub(super) fn goal(&self, table: &Table) -> u16 {
        self.wide(table.goal)
    }

    fn wide(&self, address: usize) -> u16 {
        u16::from_le_bytes([self.registers[address], self.registers[address + 1]])
    }

    fn set(&mut self, table: &Table, address: usize, data: &[u8]) {
        if !self.powered {
            return;
        }
        self.registers[address..][..data.len()].copy_from_slice(data);
        // People have seen an STS3215 turn its torque on when a goal is written (lerobot, issue 3585).
        if address == table.goal && !table.second {
            self.registers[table.torque] = 1;
        }
    }

    pub(super) fn torque(&self, table: &Table) -> bool {
        self.registers[table.torque] != 0
    }

    /// Somebody turns it to this step.
    pub(super) fn put(&mut self, position: u16) {
        self.position = position.into();
    }

    pub(super) fn loses_supply(&mut self) {
        self.powered = false;
    }

    /// Its supply is back: it has fallen to this step, is limp, and remembers no goal.
    pub(super) fn regains_supply(&mut self, table: &Table, position: u16) {
        self.powered = true;
        self.registers[table.torque] = 0;
        self.registers[table.goal..][..table.wide].fill(0);
        self.put(position);
    }

    /// It has moved towards its goal since the last time.
    fn move_on(&mut self, table: &Table) {
        let seconds = self.moved.elapsed().as_secs_f64();
        self.moved = Instant::now();
        let mut velocity = 0.0;
        if self.torque(table) {
            let [least, most] = table.limits.map(|limit| self.wide(limit));
            let goal = self.goal(table).clamp(least, most);
            let way = f64::from(goal) - self.position;
            let step = way.clamp(-STEPS_PER_S * seconds, STEPS_PER_S * seconds);
            self.position += step;
            velocity = if way == step { 0.0 } else { step / seconds };
        }
        let velocity = match table.second {
            // 0.229 revolutions a minute of 4096 steps.
            true => (velocity / (0.229 / 60.0 * 4_096.0)) as i32,
            false if velocity < 0.0 => 0x8000 | -velocity as i32,
            false => velocity as i32,
        };
        let wide = table.wide;
        let position = self.position.round() as i32;
        for (address, value) in [(table.velocity, velocity), (table.position, position)] {
            self.registers[address..][..wide].copy_from_slice(&value.to_le_bytes()[..wide]);
        }
    }
}

/// What goes wrong with the answer to a question to all servos.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    Lost,
    /// The bit of this number is another one.
    Flip(usize),
    Late(Duration),
    WrongId,
    /// Status byte.
    Alarm(u8),
}

/// What goes wrong, with whose answers, and for how many questions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Injection {
    pub(super) fault: Fault,
    /// `None`: all.
    pub(super) id: Option<u8>,
    pub(super) questions: usize,
}

pub(super) struct State {
    pub(super) servos: Vec<Model>,
    pub(super) injection: Option<Injection>,
    /// When the first question came whose answer was spoiled since the injection.
    pub(super) first_bad: Option<Instant>,
    /// When each question to all servos came.
    pub(super) questions: Vec<Instant>,
    /// When goals were written to all servos.
    pub(super) goals: Vec<Instant>,
    /// The position that servos report is the number of the question instead.
    pub(super) counting: bool,
    /// Packets with a wrong checksum.
    pub(super) damaged: usize,
    /// Length in bits of the newest answer.
    pub(super) answer_bits: usize,
}

/// Runs until it is dropped, which unplugs it.
pub(super) struct Simulator {
    state: Arc<Mutex<State>>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Keeps the pseudo-terminal alive while the bus has not opened it.
    far_end: Option<TTYPort>,
    pub(super) path: &'static str,
}

impl Simulator {
    /// Servos 1, 2, ... stand at these steps.
    pub(super) fn start(servo: Servo, positions: &[u16]) -> Self {
        let table = table(servo);
        let servos = (1..).zip(positions);
        let servos = servos.map(|(id, position)| Model::new(id, &table, *position));
        let state = Arc::new(Mutex::new(State {
            servos: servos.collect(),
            injection: None,
            first_bad: None,
            questions: Vec::new(),
            goals: Vec::new(),
            counting: false,
            damaged: 0,
            answer_bits: 0,
        }));
        let (port, far_end) = TTYPort::pair().expect("a pseudo-terminal");
        let end = Arc::new(AtomicBool::new(false));
        let wire = Wire {
            port,
            table,
            state: state.clone(),
            received: Vec::new(),
            waiting: VecDeque::new(),
        };
        let ended = end.clone();
        Self {
            state,
            end,
            thread: Some(std::thread::spawn(move || wire.run(&ended))),
            path: far_end.name().expect("a path").leak(),
            far_end: Some(far_end),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    pub(super) fn inject(&self, injection: Injection) {
        let mut state = self.state();
        state.first_bad = None;
        state.injection = Some(injection);
    }

    pub(super) fn unplug(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("no panic");
        }
        self.far_end = None;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
    }
}

struct Wire {
    port: TTYPort,
    table: Table,
    state: Arc<Mutex<State>>,
    received: Vec<u8>,
    /// Answers and when they leave.
    waiting: VecDeque<(Instant, Vec<u8>)>,
}

impl Wire {
    fn run(mut self, end: &AtomicBool) {
        let mut bytes = [0; 256];
        while !end.load(Ordering::Relaxed) {
            let due = self.waiting.front().map(|(due, _)| *due);
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            let patience = Duration::from_millis(20);
            let patience = left.map_or(patience, |left| left.min(patience));
            self.port.set_timeout(patience).expect("a TTY");
            if let Ok(count) = self.port.read(&mut bytes) {
                self.received.extend_from_slice(&bytes[..count]);
            }
            while let Some((id, instruction, parameters)) = self.packet() {
                self.obey(id, instruction, &parameters);
            }
            let now = Instant::now();
            while let Some((_, answer)) = self.waiting.pop_front_if(|(due, _)| *due <= now) {
                let _ = self.port.write_all(&answer); // the host may be gone
            }
        }
    }

    /// The next whole packet with a right checksum: id, instruction, parameters.
    fn packet(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let (header, id, count): (&[u8], usize, usize) = match self.table.second {
            true => (&[0xFF, 0xFF, 0xFD, 0x00], 4, 2),
            false => (&[0xFF, 0xFF], 2, 1),
        };
        loop {
            let begin = self
                .received
                .windows(header.len())
                .position(|w| w == header)?;
            self.received.drain(..begin);
            let rest = id + 1 + count;
            let length = self.received.get(id + 1..rest)?;
            let length = length
                .iter()
                .rev()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            if self.received.len() < rest + length {
                return None;
            }
            let packet: Vec<u8> = self.received.drain(..rest + length).collect();
            let (body, check) = packet.split_at(packet.len() - count);
            if check == checksum(self.table.second, body) {
                let parameters = &body[rest + 1..];
                let parameters = match self.table.second {
                    true => unstuffed(parameters),
                    false => parameters.into(),
                };
                return Some((packet[id], packet[rest], parameters));
            }
            self.state.lock().expect("no panic").damaged += 1;
        }
    }

    fn obey(&mut self, id: u8, instruction: u8, parameters: &[u8]) {
        let state = self.state.clone();
        let mut state = state.lock().expect("no panic");
        for servo in &mut state.servos {
            servo.move_on(&self.table);
        }
        // Addresses and lengths have as many bytes as the packet's length.
        let wide = if self.table.second { 2 } else { 1 };
        let (number, rest) = (
            parameters.first().map(|n| usize::from(*n)),
            parameters.get(wide..),
        );
        match (instruction, number, rest) {
            (0x02, Some(address), Some(&[count, ..])) => {
                let servo = state.servos.iter().find(|servo| servo.id == id);
                if let Some(servo) = servo {
                    let data = &servo.registers[address..][..count.into()];
                    let answer = self.answer(id, 0, data);
                    self.waiting.push_back((Instant::now(), answer));
                }
            }
            (0x03, Some(address), Some(data)) => {
                let servo = state.servos.iter_mut().find(|servo| servo.id == id);
                if let Some(servo) = servo {
                    servo.set(&self.table, address, data);
                    let answer = self.answer(id, servo.write_status, &[]);
                    self.waiting.push_back((Instant::now(), answer));
                }
            }
            (0x82, Some(address), Some(&[count, ref ids @ ..])) if id == BROADCAST => {
                self.question(&mut state, address, count.into(), &ids[wide - 1..]);
            }
            (0x83, Some(address), Some(&[count, ref pieces @ ..])) if id == BROADCAST => {
                let count = usize::from(count);
                for piece in pieces[wide - 1..].chunks_exact(count + 1) {
                    let servo = state.servos.iter_mut().find(|servo| servo.id == piece[0]);
                    if let Some(servo) = servo {
                        servo.set(&self.table, address, &piece[1..]);
                    }
                }
                if address == self.table.goal {
                    state.goals.push(Instant::now());
                }
            }
            other => panic!("no servo knows {other:?}"),
        }
    }

    /// All servos are asked: answers, or what becomes of them.
    fn question(&mut self, state: &mut State, address: usize, count: usize, ids: &[u8]) {
        let now = Instant::now();
        state.questions.push(now);
        let number = state.questions.len() as u16;
        let mut injection = state.injection.filter(|injection| injection.questions > 0);
        if let Some(injection) = &mut injection {
            state.first_bad.get_or_insert(now);
            injection.questions -= 1;
            state.injection = Some(*injection);
        }
        for id in ids {
            let servo = state.servos.iter_mut().find(|servo| servo.id == *id);
            let Some(servo) = servo.filter(|servo| servo.powered) else {
                continue;
            };
            if state.counting {
                servo.registers[self.table.position..][..2].copy_from_slice(&number.to_le_bytes());
            }
            let data = &servo.registers[address..][..count];
            let fault = injection.filter(|injection| injection.id.is_none_or(|bad| bad == *id));
            let (due, answer) = match fault.map(|injection| injection.fault) {
                None => (now, self.answer(*id, 0, data)),
                Some(Fault::Lost) => continue,
                Some(Fault::WrongId) => (now, self.answer(*id + 1, 0, data)),
                Some(Fault::Alarm(status)) => (now, self.answer(*id, status, data)),
                Some(Fault::Late(by)) => (now + by, self.answer(*id, 0, data)),
                Some(Fault::Flip(bit)) => {
                    let mut answer = self.answer(*id, 0, data);
                    let bit = bit % (8 * answer.len());
                    answer[bit / 8] ^= 1 << (bit % 8);
                    (now, answer)
                }
            };
            state.answer_bits = 8 * answer.len();
            let place = self.waiting.partition_point(|(other, _)| *other <= due);
            self.waiting.insert(place, (due, answer));
        }
    }

    fn answer(&self, id: u8, status: u8, data: &[u8]) -> Vec<u8> {
        let mut answer = match self.table.second {
            true => {
                let data = stuffed(data);
                let length = (data.len() as u16 + 4).to_le_bytes();
                let mut answer = vec![
                    0xFF, 0xFF, 0xFD, 0x00, id, length[0], length[1], 0x55, status,
                ];
                answer.extend(data);
                answer
            }
            false => [&[0xFF, 0xFF, id, data.len() as u8 + 2, status], data].concat(),
        };
        answer.extend(checksum(self.table.second, &answer));
        answer
    }
}

/// Of a packet up to the checksum.
fn checksum(second: bool, packet: &[u8]) -> Vec<u8> {
    if !second {
        let sum = packet[2..]
            .iter()
            .fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        return vec![!sum];
    }
    // CRC-16, polynomial 0x8005, from 0, most significant bit first.
    let mut crc = 0_u16;
    for byte in packet {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x8005 };
        }
    }
    crc.to_le_bytes().into()
}

const HEADER: [u8; 3] = [0xFF, 0xFF, 0xFD];

/// Protocol 2: the pattern of the header is followed by one more 0xFD.
fn stuffed(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in data {
        out.push(*byte);
        if out.ends_with(&HEADER) {
            out.push(0xFD);
        }
    }
    out
}

fn unstuffed(data: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut bytes = data.iter();
    while let Some(byte) = bytes.next() {
        out.push(*byte);
        if out.ends_with(&HEADER) {
            bytes.next();
        }
    }
    out
}

#[test]
fn packets_are_those_of_the_manuals() {
    // Feetech's and ROBOTIS' own examples: a ping of servo 1.
    assert_eq!(checksum(false, &[0xFF, 0xFF, 0x01, 0x02, 0x01]), [0xFB]);
    assert_eq!(
        checksum(true, &[0xFF, 0xFF, 0xFD, 0x00, 0x01, 0x03, 0x00, 0x01]),
        [0x19, 0x4E]
    );
    assert_eq!(
        stuffed(&[1, 0xFF, 0xFF, 0xFD, 2]),
        [1, 0xFF, 0xFF, 0xFD, 0xFD, 2]
    );
    assert_eq!(
        unstuffed(&[1, 0xFF, 0xFF, 0xFD, 0xFD, 2]),
        [1, 0xFF, 0xFF, 0xFD, 2]
    );
}
