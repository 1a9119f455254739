//! An I2C bus, as `embedded_hal::i2c::I2c`: no wait without a bound, and no byte too many however late an interrupt makes us.
//!
//! The peripheral reads ahead: while a byte waits to be taken, the next one comes in, and only then is the clock held. So the end of a
//! read must be set up while the clock is held, which is why the last three bytes go their own way.

use embedded_hal::digital::{InputPin, OutputPin};
use embedded_hal::i2c::{ErrorKind, ErrorType, NoAcknowledgeSource, Operation};

/// How often a flag is looked at before the bus counts as hung. A look takes some 20 cycles of the core: half a millisecond at 168 MHz,
/// five at 16. A byte takes 23 us at 400 kHz; what is left is for devices that hold the clock.
pub const PATIENCE: u32 = 4_000;

/// What the peripheral says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// A start condition was sent: an address is wanted.
    pub started: bool,
    /// The device has acknowledged its address.
    pub addressed: bool,
    /// A byte may be given.
    pub may_send: bool,
    /// A byte has come.
    pub has_received: bool,
    /// All that was given is sent; or two bytes have come, and the clock is held until one is taken.
    pub finished: bool,
    /// Nobody acknowledged the address or the byte.
    pub unacknowledged: bool,
    /// Start or stop came in the middle of a byte.
    pub misplaced: bool,
    /// Somebody else drives the bus.
    pub lost: bool,
}

/// What follows the address at once, so that no interrupt comes in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Bytes.
    Bytes,
    /// Two bytes, of which the second is not acknowledged.
    TwoBytes,
    /// One byte that is not acknowledged, and then this end.
    OneByte(End),
}

/// How a run of bytes ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The bus is given back.
    Stop,
    /// Another run follows.
    Restart,
}

/// What the peripheral must know of its clock to make 400 kHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Its clock, MHz.
    pub mhz: u8,
    /// Cycles of its clock that the line is high; it is low twice as long.
    pub high: u16,
    /// The longest that the lines may rise, 300 ns, in cycles, and one more.
    pub rise: u8,
}

impl Timing {
    /// For a clock of `hz`, 4 to 50 MHz. The bus is no faster than 400 kHz.
    #[must_use]
    pub const fn of(hz: u32) -> Self {
        let mhz = hz / 1_000_000;
        Self {
            mhz: mhz as u8,
            high: hz.div_ceil(3 * 400_000) as u16,
            rise: (mhz * 3 / 10 + 1) as u8,
        }
    }
}

/// The registers of an I2C peripheral that is the master of its bus.
pub trait Registers {
    /// Turns the peripheral off and on again, at 400 kHz: whatever it waited for is forgotten.
    fn reset(&mut self);
    /// Whether the bus is busy, or a stop condition still under way.
    fn is_busy(&self) -> bool;
    /// The flags. Those of errors stay until [`Registers::forget_errors`].
    fn status(&self) -> Status;
    /// Clears the flags of errors.
    fn forget_errors(&mut self);
    /// Asks for a start condition.
    fn start(&mut self);
    /// Asks for a stop condition, or for a start condition instead, after the byte that is under way.
    fn end(&mut self, end: End);
    /// Gives a byte.
    fn send(&mut self, byte: u8);
    /// Takes a byte.
    fn receive(&mut self) -> u8;
    /// Whether bytes that come are acknowledged. `second`: this says so of the byte after the next one.
    fn acknowledge(&mut self, yes: bool, second: bool);
    /// Goes on after the address, with `next` set up before anything else happens.
    fn go_on(&mut self, next: Next);
}

/// An I2C bus. A clone is the same bus, for another device on it: registers that are there for ever can only be used from one thread, where a transfer is over
/// before the next one begins.
#[derive(Debug, Clone)]
pub struct I2c<R> {
    registers: R,
}

impl<R: Registers> I2c<R> {
    /// The bus at 400 kHz.
    pub fn new(mut registers: R) -> Self {
        registers.reset();
        Self { registers }
    }

    /// Waits for a flag.
    fn wait(
        &mut self,
        whose: NoAcknowledgeSource,
        flag: impl Fn(Status) -> bool,
    ) -> Result<(), ErrorKind> {
        for _ in 0..PATIENCE {
            let status = self.registers.status();
            if status.lost {
                return Err(ErrorKind::ArbitrationLoss);
            }
            if status.misplaced {
                return Err(ErrorKind::Bus);
            }
            if status.unacknowledged {
                return Err(ErrorKind::NoAcknowledge(whose));
            }
            if flag(status) {
                return Ok(());
            }
        }
        Err(ErrorKind::Other)
    }

    /// Waits for the start condition, says how the first bytes that come are acknowledged (not earlier: while a start is under way nobody may write to
    /// its register), and sends the address.
    fn address(&mut self, byte: u8, acknowledge: (bool, bool)) -> Result<(), ErrorKind> {
        self.wait(NoAcknowledgeSource::Address, |status| status.started)?;
        let (yes, second) = acknowledge;
        self.registers.acknowledge(yes, second);
        self.registers.send(byte);
        self.wait(NoAcknowledgeSource::Address, |status| status.addressed)
    }

    fn send(&mut self, address: u8, run: &[Operation<'_>], end: End) -> Result<(), ErrorKind> {
        self.address(address << 1, (true, false))?;
        self.registers.go_on(Next::Bytes);
        let mut any = false;
        for operation in run {
            if let Operation::Write(bytes) = operation {
                for byte in *bytes {
                    self.wait(NoAcknowledgeSource::Data, |status| status.may_send)?;
                    self.registers.send(*byte);
                    any = true;
                }
            }
        }
        if any {
            self.wait(NoAcknowledgeSource::Data, |status| status.finished)?;
        }
        self.registers.end(end);
        Ok(())
    }

    fn receive(
        &mut self,
        address: u8,
        run: &mut [Operation<'_>],
        end: End,
    ) -> Result<(), ErrorKind> {
        let all: usize = run.iter().map(length).sum();
        self.address(address << 1 | 1, (all > 1, all == 2))?;
        self.registers.go_on(match all {
            1 => Next::OneByte(end),
            2 => Next::TwoBytes,
            _ => Next::Bytes,
        });
        let mut left = all;
        for operation in run {
            if let Operation::Read(bytes) = operation {
                for byte in &mut **bytes {
                    // What of the last three comes is not taken before the clock is held, but for the very last.
                    let holds = left == 3 || (left == 2 && all > 1);
                    self.wait(NoAcknowledgeSource::Data, |status| {
                        if holds {
                            status.finished
                        } else {
                            status.has_received
                        }
                    })?;
                    match left {
                        3 => self.registers.acknowledge(false, false),
                        2 => self.registers.end(end),
                        _ => {}
                    }
                    *byte = self.registers.receive();
                    left = left.saturating_sub(1);
                }
            }
        }
        Ok(())
    }

    fn transact(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        for _ in 0..PATIENCE {
            if !self.registers.is_busy() {
                break;
            }
        }
        if self.registers.is_busy() {
            return Err(ErrorKind::Bus);
        }
        self.registers.start();
        let mut rest = operations;
        while let Some(first) = rest.first() {
            let reads = is_read(first);
            let same = (rest.iter()).take_while(|operation| is_read(operation) == reads);
            let Some((run, after)) = rest.split_at_mut_checked(same.count()) else {
                break;
            };
            let end = if after.is_empty() {
                End::Stop
            } else {
                End::Restart
            };
            if reads {
                self.receive(address, run, end)?;
            } else {
                self.send(address, run, end)?;
            }
            rest = after;
        }
        Ok(())
    }
}

fn is_read(operation: &Operation<'_>) -> bool {
    matches!(operation, Operation::Read(_))
}

fn length(operation: &Operation<'_>) -> usize {
    match operation {
        Operation::Read(bytes) => bytes.len(),
        Operation::Write(bytes) => bytes.len(),
    }
}

impl<R> ErrorType for I2c<R> {
    type Error = ErrorKind;
}

impl<R: Registers> embedded_hal::i2c::I2c for I2c<R> {
    /// # Errors
    /// What happened on the bus; `Other`: nothing, for too long. Afterwards the bus is free, as far as the peripheral can free it. A read of no bytes
    /// does not exist on this bus, and is `Other` too.
    fn transaction(
        &mut self,
        address: u8,
        operations: &mut [Operation<'_>],
    ) -> Result<(), ErrorKind> {
        let nothing = |run: &Operation<'_>| is_read(run) && length(run) == 0;
        if operations.is_empty() {
            return Ok(());
        }
        if operations.iter().any(nothing) {
            return Err(ErrorKind::Other);
        }
        let result = self.transact(address, operations);
        match result {
            Ok(()) => {}
            Err(ErrorKind::NoAcknowledge(_)) => {
                self.registers.forget_errors();
                self.registers.end(End::Stop);
            }
            Err(_) => self.registers.reset(),
        }
        result
    }
}

/// Frees a bus whose device was left in the middle of a byte, by a reset of the part say, and still holds the data line: it gets clocks until it lets
/// go, nine at most, and then a stop condition. Both lines are open-drain outputs; `pause` takes half a period. Returns whether the line is free.
pub fn free<C: OutputPin, D: OutputPin + InputPin>(
    clock: &mut C,
    data: &mut D,
    mut pause: impl FnMut(),
) -> bool {
    let _ = (data.set_high(), clock.set_high());
    pause();
    for _ in 0..9 {
        if data.is_high().unwrap_or(false) {
            break;
        }
        let _ = clock.set_low();
        pause();
        let _ = clock.set_high();
        pause();
    }
    let _ = (clock.set_low(), data.set_low());
    pause();
    let _ = clock.set_high();
    pause();
    let _ = data.set_high();
    pause();
    data.is_high().unwrap_or(false)
}

#[cfg(test)]
mod tests;
