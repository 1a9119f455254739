//! A serial port on which nothing waits beyond one deadline, however the bytes trickle in.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use serialport::{
    ClearBuffer, DataBits, FlowControl, Parity, Result, SerialPort, StopBits, TTYPort,
};

/// Bytes that Linux keeps for a serial line until they are read.
const KERNEL_BYTES: usize = 4_096;

/// A port as rustypot asks for it. Its timeout runs anew for every piece that is read, and a servo that babbles would keep it for seconds: here
/// all reads and writes of an exchange end at [`DeadlinePort::deadline`].
pub(super) struct DeadlinePort {
    port: TTYPort,
    deadline: Instant,
    gone: bool,
}

impl DeadlinePort {
    pub(super) fn new(port: TTYPort) -> Self {
        Self {
            port,
            deadline: Instant::now(),
            gone: false,
        }
    }

    /// Begins an exchange, which is over at `deadline`. What came before it is thrown away; returns how many bytes that were.
    ///
    /// They are read away: `tcflush` may wait in the kernel for the thread that brings bytes, however long that gets no time.
    pub(super) fn begin(&mut self, deadline: Instant) -> usize {
        let mut stray = 0;
        let mut bytes = [0; 256];
        let _ = self.port.set_timeout(Duration::ZERO); // cannot fail for a TTY
        // As much as the kernel keeps, no more: a servo may babble.
        for _ in 0..KERNEL_BYTES / bytes.len() {
            match self.port.read(&mut bytes) {
                Ok(count @ 1..) => stray += count,
                // What is wrong with it the exchange finds out.
                _ => break,
            }
        }
        self.deadline = deadline;
        stray
    }

    /// Whether the device has failed in another way than by silence. It stays gone.
    pub(super) fn gone(&self) -> bool {
        self.gone
    }

    /// Runs `operation` with what is left of the time.
    fn in_time<T>(
        &mut self,
        operation: impl FnOnce(&mut TTYPort) -> io::Result<T>,
    ) -> io::Result<T> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        let _ = self.port.set_timeout(left); // cannot fail for a TTY
        let result = operation(&mut self.port);
        if let Err(error) = &result {
            let kind = error.kind();
            self.gone |= !matches!(
                kind,
                ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::WouldBlock
            );
        }
        result
    }
}

impl Read for DeadlinePort {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.in_time(|port| port.read(out))?;
        // Ready, and nothing in it: the far end has hung up.
        self.gone |= count == 0 && !out.is_empty();
        Ok(count)
    }
}

impl Write for DeadlinePort {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.in_time(|port| port.write(bytes))
    }

    /// Every `write` has handed its bytes to the operating system already.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SerialPort for DeadlinePort {
    /// None: [`DeadlinePort::begin`] has thrown away what was there. Rustypot would sleep for 5 to 20 ms over what came since.
    fn bytes_to_read(&self) -> Result<u32> {
        Ok(0)
    }

    fn timeout(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// The deadline stays.
    fn set_timeout(&mut self, _: Duration) -> Result<()> {
        Ok(())
    }

    fn name(&self) -> Option<String> {
        self.port.name()
    }

    fn baud_rate(&self) -> Result<u32> {
        self.port.baud_rate()
    }

    fn data_bits(&self) -> Result<DataBits> {
        self.port.data_bits()
    }

    fn flow_control(&self) -> Result<FlowControl> {
        self.port.flow_control()
    }

    fn parity(&self) -> Result<Parity> {
        self.port.parity()
    }

    fn stop_bits(&self) -> Result<StopBits> {
        self.port.stop_bits()
    }

    fn set_baud_rate(&mut self, baud: u32) -> Result<()> {
        self.port.set_baud_rate(baud)
    }

    fn set_data_bits(&mut self, bits: DataBits) -> Result<()> {
        self.port.set_data_bits(bits)
    }

    fn set_flow_control(&mut self, control: FlowControl) -> Result<()> {
        self.port.set_flow_control(control)
    }

    fn set_parity(&mut self, parity: Parity) -> Result<()> {
        self.port.set_parity(parity)
    }

    fn set_stop_bits(&mut self, bits: StopBits) -> Result<()> {
        self.port.set_stop_bits(bits)
    }

    fn write_request_to_send(&mut self, level: bool) -> Result<()> {
        self.port.write_request_to_send(level)
    }

    fn write_data_terminal_ready(&mut self, level: bool) -> Result<()> {
        self.port.write_data_terminal_ready(level)
    }

    fn read_clear_to_send(&mut self) -> Result<bool> {
        self.port.read_clear_to_send()
    }

    fn read_data_set_ready(&mut self) -> Result<bool> {
        self.port.read_data_set_ready()
    }

    fn read_ring_indicator(&mut self) -> Result<bool> {
        self.port.read_ring_indicator()
    }

    fn read_carrier_detect(&mut self) -> Result<bool> {
        self.port.read_carrier_detect()
    }

    fn bytes_to_write(&self) -> Result<u32> {
        self.port.bytes_to_write()
    }

    fn clear(&self, buffer: ClearBuffer) -> Result<()> {
        self.port.clear(buffer)
    }

    fn try_clone(&self) -> Result<Box<dyn SerialPort>> {
        self.port.try_clone()
    }

    fn set_break(&self) -> Result<()> {
        self.port.set_break()
    }

    fn clear_break(&self) -> Result<()> {
        self.port.clear_break()
    }
}
