//! What makes a process of Linux a real-time one: SCHED_FIFO, memory that stays, one CPU.

use std::hint::black_box;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::unistd::Pid;

use crate::system;

/// Bytes of stack that are there before the first step: more than any step has been seen to use.
const STACK_BYTES: usize = 512 * 1024;

/// What to ask the kernel for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RealTime {
    /// Priority under SCHED_FIFO, 1 to 99. With one, all memory of the process is locked, too, now and from now on.
    pub priority: Option<u8>,
    /// The one CPU to run on.
    pub cpu: Option<usize>,
}

/// What the kernel did not give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RealTimeError {
    /// The process may not run there, or there is no such CPU.
    #[error(
        "cannot run on CPU {cpu} alone: {cause}; `nproc --all` counts the CPUs from 0, `taskset -p $$` says which are allowed"
    )]
    Cpu {
        /// The CPU in question.
        cpu: usize,
        /// The kernel's words.
        cause: Errno,
    },
    /// Memory cannot be locked.
    #[error("cannot lock the memory of the process: {0}; {RIGHTS}")]
    Memory(Errno),
    /// No real-time priority.
    #[error("cannot run with real-time priority {priority}: {cause}; {RIGHTS}")]
    Priority {
        /// The priority in question.
        priority: u8,
        /// The kernel's words.
        cause: Errno,
    },
}

/// Where the rights come from.
const RIGHTS: &str = "give the program the rights (sudo setcap cap_sys_nice,cap_ipc_lock=ep PROGRAM), or its service (LimitRTPRIO=99 and \
    LimitMEMLOCK=infinity in the unit), or its user (rtprio 99 and memlock unlimited in /etc/security/limits.conf, then log in anew)";

impl RealTime {
    /// Asks for all of it, for the calling thread; what allocates and what waits for a disk comes before.
    ///
    /// # Errors
    /// [`RealTimeError`] names the first thing that the kernel does not give, and where the right to it comes from.
    pub fn enter(self) -> Result<(), RealTimeError> {
        if let Some(cpu) = self.cpu {
            only(cpu).map_err(|cause| RealTimeError::Cpu { cpu, cause })?;
        }
        if let Some(priority) = self.priority {
            let all = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE;
            mlockall(all).map_err(RealTimeError::Memory)?;
            touch_stack();
            system::set_fifo(priority)
                .map_err(|cause| RealTimeError::Priority { priority, cause })?;
        }
        Ok(())
    }
}

/// Keeps the calling thread on one CPU.
fn only(cpu: usize) -> Result<(), Errno> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// Takes the pages that the stack may grow into, so that no step has to fault for them.
#[inline(never)]
fn touch_stack() {
    black_box(&mut [0_u8; STACK_BYTES]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_asked_for_is_nothing_done() {
        assert_eq!(RealTime::default().enter(), Ok(()));
    }

    #[test]
    fn what_is_not_given_says_what_to_do() {
        let no_such = RealTime {
            cpu: Some(1_000),
            ..RealTime::default()
        };
        let error = no_such.enter().expect_err("no such CPU").to_string();
        assert!(
            error.contains("CPU 1000") && error.contains("nproc"),
            "{error}"
        );
        for error in [
            RealTimeError::Memory(Errno::ENOMEM).to_string(),
            RealTimeError::Priority {
                priority: 80,
                cause: Errno::EPERM,
            }
            .to_string(),
        ] {
            for word in ["setcap", "limits.conf", "LimitRTPRIO"] {
                assert!(error.contains(word), "{error}");
            }
        }
    }
}
