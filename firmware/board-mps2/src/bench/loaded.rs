//! The image that QEMU loaded.

#![expect(unsafe_code, reason = "memory that the linker does not know")]

use engram_image::header::{HEADER_BYTES, Header};
use engram_image::limits::IMAGE_BYTES;

use crate::machine::MACHINE;

/// The bytes where QEMU loads the image; the image's own header says how many of them belong to it.
pub(crate) fn image() -> &'static [u8] {
    let start = core::ptr::with_exposed_provenance::<u8>(MACHINE.image);
    // SAFETY: the script has QEMU load the image there, into readable memory that nothing writes.
    let header = unsafe { core::slice::from_raw_parts(start, HEADER_BYTES) };
    let length = Header::read(header).map_or(0, |header| header.total_length as usize);
    // SAFETY: as above; QEMU loaded the whole file.
    unsafe { core::slice::from_raw_parts(start, length.min(IMAGE_BYTES)) }
}
