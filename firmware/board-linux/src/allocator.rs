//! An allocator that ends the process when the thread that flies allocates after the start.
//!
//! Memory that is asked for in flight may have to come from the kernel, which takes as long as it takes. Set as the
//! program's `#[global_allocator]`, [`StartUpOnly`] makes that a failure that is seen at once instead of a step that is late one day.
//! Exempt are threads other than the one that called [`forbid`], which no control step waits for, and what runs in [`allow`].
//! Giving memory back is not forbidden.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::Write as _;

use engram_firmware::DriverError;
use engram_firmware::actuators::Actuators;
use engram_firmware::sensors::{Sample, Sensors};
use nix::unistd::alarm;

thread_local! {
    // Neither its start nor its end allocates.
    static FORBIDDEN: Cell<bool> = const { Cell::new(false) };
}

/// From now on an allocation of this thread ends the process, where [`StartUpOnly`] is its allocator.
pub fn forbid() {
    FORBIDDEN.set(true);
}

/// From now on this thread may allocate again.
pub(crate) fn permit() {
    FORBIDDEN.set(false);
}

/// Runs `what` with allocations allowed: for what is rare, or known to take what it gave back a moment ago.
pub fn allow<T>(what: impl FnOnce() -> T) -> T {
    let was = FORBIDDEN.replace(false);
    let result = what();
    FORBIDDEN.set(was);
    result
}

/// Sensors or actuators whose drivers allocate in every transfer, as those of linux-embedded-hal do: a short list that is given back at once,
/// for which the C library asks the kernel for nothing.
#[derive(Debug)]
pub struct Allocating<D>(pub D);

impl<D: Sensors> Sensors for Allocating<D> {
    fn read(&mut self, sample: &mut Sample) -> Result<(), DriverError> {
        allow(|| self.0.read(sample))
    }
}

impl<D: Actuators> Actuators for Allocating<D> {
    fn write(&mut self, command: &[f32]) -> Result<(), DriverError> {
        allow(|| self.0.write(command))
    }
}

/// The system's allocator, until [`forbid`].
#[derive(Debug, Clone, Copy)]
pub struct StartUpOnly;

/// Ends the process if this thread may not allocate.
fn check(bytes: usize) {
    if FORBIDDEN.get() {
        FORBIDDEN.set(false); // what is said below may
        // Where standard error takes nothing, this signal ends the process.
        alarm::set(1);
        let _ = writeln!(
            std::io::stderr(),
            "engram-board-linux: {bytes} bytes were to be allocated in flight: the process ends here"
        );
        std::process::abort();
    }
}

// SAFETY: every call goes to the system's allocator as it came; the check before it takes no memory, and returns or ends the process.
unsafe impl GlobalAlloc for StartUpOnly {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: what the caller promises is what is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        check(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        check(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
