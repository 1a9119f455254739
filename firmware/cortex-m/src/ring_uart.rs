//! The main loop's end of a serial line whose registers an interrupt alone touches: two rings, nothing here waits.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, Ordering};

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};

use crate::Sleep;
use crate::ring::Ring;

/// Bytes that wait for the line.
const TO_SEND_BYTES: usize = 256;

/// What interrupt and main loop share; a static of the board.
#[derive(Debug)]
pub struct Ends {
    /// Bytes that wait for the main loop, which is away for a control step at most: room for 11 ms of the line.
    pub received: Ring<1024>,
    /// Bytes that wait for the line.
    pub to_send: Ring<TO_SEND_BYTES>,
    /// A byte was damaged, or found no room, since the last look.
    damaged: AtomicBool,
}

impl Ends {
    /// Nothing waits.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        Self {
            received: Ring::new(),
            to_send: Ring::new(),
            damaged: AtomicBool::new(false),
        }
    }

    /// For the interrupt: a byte was damaged or found no room.
    pub fn note_damage(&self) {
        self.damaged.store(true, Ordering::Relaxed);
    }
}

/// The interrupt of a line.
pub trait Interrupted {
    /// What it shares with the main loop.
    fn ends() -> &'static Ends;
    /// Asks for it: there is something to send.
    fn ask();
}

/// The serial line to the host.
pub struct RingUart<I>(PhantomData<I>);

impl<I: Interrupted> RingUart<I> {
    /// Over a line that is on.
    #[expect(clippy::new_without_default, reason = "there is one of it")]
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<I: Interrupted> Sleep for RingUart<I> {
    fn sleep(&mut self) {
        // With interrupts off none is lost between the check and the sleep, which a pending one ends all the same.
        cortex_m::interrupt::free(|_| {
            if I::ends().received.waiting() == 0 {
                cortex_m::asm::wfi();
            }
        });
    }
}

impl<I> ErrorType for RingUart<I> {
    type Error = ErrorKind;
}

impl<I: Interrupted> ReadReady for RingUart<I> {
    /// # Errors
    /// Once for bytes that were damaged or found no room since the last call.
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        if I::ends().damaged.swap(false, Ordering::Relaxed) {
            return Err(ErrorKind::Other);
        }
        Ok(I::ends().received.waiting() > 0)
    }
}

impl<I: Interrupted> Read for RingUart<I> {
    /// Takes what is there without waiting; nothing, where [`ReadReady`] would have said so.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        let mut count = 0;
        let received = core::iter::from_fn(|| I::ends().received.take());
        for (place, byte) in buffer.iter_mut().zip(received) {
            *place = byte;
            count += 1;
        }
        Ok(count)
    }
}

impl<I: Interrupted> WriteReady for RingUart<I> {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(I::ends().to_send.waiting() < TO_SEND_BYTES)
    }
}

impl<I: Interrupted> Write for RingUart<I> {
    /// Takes as many bytes as there is room for without waiting: none, where [`WriteReady`] would have said so.
    fn write(&mut self, buffer: &[u8]) -> Result<usize, ErrorKind> {
        let to_send = &I::ends().to_send;
        let count = buffer.iter().take_while(|byte| to_send.put(**byte)).count();
        I::ask();
        Ok(count)
    }

    /// The interrupt sends what waits.
    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
