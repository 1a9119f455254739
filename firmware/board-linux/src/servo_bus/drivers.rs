//! The drivers that a node is given: both hand over in bounded time, without a lock, without the heap.

use std::thread::JoinHandle;
use std::time::Instant;

use embedded_io::ErrorKind;
use engram_firmware::DriverError;
use engram_firmware::actuators::Actuators;
use engram_firmware::sensors::{Sample, Sensors};
use engram_image::limits::MAX_ACTIONS;
use rtrb::{Consumer, Producer};

use super::cycle::{Command, Report};

/// Reports that may wait for a control step, and commands that may wait for the bus.
pub(super) const REPORTS: usize = 4;
pub(super) const COMMANDS: usize = 2;

/// The joints' sensors. A sample that no step has seen yet, or [`DriverError::NotReady`]; an alarm of a servo is [`DriverError::Device`], a
/// bus whose thread has ended (the port is gone, the control loop was dead for too long) [`ErrorKind::NotConnected`].
#[derive(Debug)]
pub struct BusSensors {
    pub(super) reports: Consumer<Report>,
}

impl Sensors for BusSensors {
    fn read(&mut self, sample: &mut Sample) -> Result<(), DriverError> {
        let mut read = if self.reports.is_abandoned() {
            Err(ErrorKind::NotConnected.into())
        } else {
            Err(DriverError::NotReady)
        };
        // No more than there is room for: the bus may go on meanwhile.
        for _ in 0..REPORTS {
            match self.reports.pop() {
                Ok(Report::Sample(_)) if read == Err(DriverError::Device) => {}
                Ok(Report::Sample(newest)) => {
                    sample.clone_from(&newest);
                    read = Ok(());
                }
                Ok(Report::Alarm) => read = Err(DriverError::Device),
                Err(_) => break,
            }
        }
        read
    }
}

/// The joints' targets. Dropping it ends the bus, and waits for that.
#[derive(Debug)]
pub struct BusActuators {
    /// `None` only while it is dropped.
    pub(super) commands: Option<Producer<Command>>,
    pub(super) actions: usize,
    /// `None` only while it is dropped.
    pub(super) thread: Option<JoinHandle<()>>,
}

impl Actuators for BusActuators {
    fn write(&mut self, command: &[f32]) -> Result<(), DriverError> {
        if command.len() != self.actions {
            return Err(DriverError::Device);
        }
        let gone = DriverError::Io(ErrorKind::NotConnected);
        let commands = self.commands.as_mut().ok_or(gone)?;
        if commands.is_abandoned() {
            return Err(gone);
        }
        let mut targets = [0.0; MAX_ACTIONS];
        for (place, target) in targets.iter_mut().zip(command) {
            *place = *target;
        }
        let command = Command {
            posted: Instant::now(),
            targets,
        };
        // Full: the thread of the bus hangs.
        let posted = commands.push(command);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
        posted.map_err(|_| DriverError::Io(ErrorKind::TimedOut))
    }
}

impl Drop for BusActuators {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join(); // it has nothing more to say
        }
    }
}
