//! What this processor allows, asked of the operating system: the crate has no standard library to ask.

/// Whether SDOT may be used, and SQRDMLAH, which every processor with SDOT has.
pub(super) fn dotprod() -> bool {
    // What the program was compiled for, and every Mac with such a processor.
    if cfg!(any(target_feature = "dotprod", target_os = "macos")) {
        return true;
    }
    announced()
}

/// Whether Linux says that the processor has it.
#[cfg(target_os = "linux")]
fn announced() -> bool {
    /// The entry of the auxiliary vector with the capabilities.
    const AT_HWCAP: usize = 16;
    /// The dot product instructions SDOT and UDOT.
    const HWCAP_ASIMDDP: usize = 1 << 20;
    /// SQRDMLAH and SQRDMLSH.
    const HWCAP_ASIMDRDM: usize = 1 << 12;
    const NEEDED: usize = HWCAP_ASIMDDP | HWCAP_ASIMDRDM;
    unsafe extern "C" {
        fn getauxval(entry: usize) -> usize;
    }
    // SAFETY: every C library for Linux has it with these types; it reads what the kernel gave the process.
    let capabilities = unsafe { getauxval(AT_HWCAP) };
    capabilities & NEEDED == NEEDED
}

/// Nobody to ask.
#[cfg(not(target_os = "linux"))]
fn announced() -> bool {
    false
}
