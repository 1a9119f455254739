//! Calls to the kernel that no safe function of a library makes.
#![allow(unsafe_code)]

use std::os::fd::RawFd;

use libc::c_int;
use nix::errno::Errno;

nix::ioctl_readwrite!(
    /// `WDIOC_SETTIMEOUT`: seconds in, seconds that the driver took out.
    watchdog_set_timeout,
    b'W',
    6,
    c_int
);

/// `struct watchdog_info`.
#[repr(C)]
#[derive(Default)]
struct WatchdogInfo {
    options: u32,
    _firmware_version: u32,
    _identity: [u8; 32],
}

nix::ioctl_read!(
    /// `WDIOC_GETSUPPORT`: what the driver can do.
    watchdog_get_support,
    b'W',
    0,
    WatchdogInfo
);

/// Puts the calling thread under SCHED_FIFO.
pub(crate) fn set_fifo(priority: u8) -> Result<(), Errno> {
    let parameters = libc::sched_param {
        sched_priority: priority.into(),
    };
    // SAFETY: the structure lives through the call, which only reads it.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    Errno::result(result).map(drop)
}

/// Sets how long a watchdog waits, in seconds; returns what its driver made of it.
pub(crate) fn set_watchdog(device: RawFd, seconds: c_int) -> Result<c_int, Errno> {
    let mut seconds = seconds;
    // SAFETY: the call reads and writes this one number.
    unsafe { watchdog_set_timeout(device, &raw mut seconds) }?;
    Ok(seconds)
}

/// What a watchdog's driver says that it can do: flags `WDIOF_*`.
pub(crate) fn watchdog_options(device: RawFd) -> Result<u32, Errno> {
    let mut info = WatchdogInfo::default();
    // SAFETY: the call writes this one structure, which has the kernel's layout.
    unsafe { watchdog_get_support(device, &raw mut info) }?;
    Ok(info.options)
}
