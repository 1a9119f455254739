//! What differs between the two machines of this board: all else is the same source.

#![expect(
    dead_code,
    reason = "the firmware and what counts instructions use a part each"
)]

use engram_firmware::platform::bytes_of_build;
use engram_image::Packing;

/// A machine of QEMU.
pub(crate) struct Machine {
    /// The board's name, as in `engram boards`.
    pub(crate) name: &'static str,
    /// Clock of the core, MHz.
    pub(crate) mhz: u16,
    /// Address of UART0.
    pub(crate) uart0: usize,
    /// UART0's interrupt line.
    pub(crate) uart0_interrupt: u16,
    /// The order of weights that its kernels read.
    pub(crate) packing: Packing,
    /// Bytes of cache that the board lends to policies: its one capacity. `ENGRAM_CACHE_BYTES` sets another at build time.
    pub(crate) cache_bytes: usize,
    /// Where QEMU loads the image whose steps are counted.
    pub(crate) image: usize,
    /// How much of the suite of all kernels is run: of the small shapes one in so many, and so many others. A few seconds of
    /// QEMU, which takes its time for vectors.
    pub(crate) suite: (usize, u32),
}

/// Room for every policy: these machines have megabytes.
const CACHE_BYTES: usize = bytes_of_build(option_env!("ENGRAM_CACHE_BYTES"), 256 * 1024);

/// mps2-an500, a Cortex-M7.
const AN500: Machine = Machine {
    name: "qemu-m7",
    mhz: 25,
    uart0: 0x4000_4000,
    uart0_interrupt: 0,
    packing: Packing::CortexM,
    cache_bytes: CACHE_BYTES,
    image: 0x0010_0000,
    suite: (61, 48),
};

/// mps3-an547, a Cortex-M55.
const AN547: Machine = Machine {
    name: "qemu-m55",
    mhz: 32,
    uart0: 0x5930_3000,
    uart0_interrupt: 43,
    packing: Packing::Rows,
    cache_bytes: CACHE_BYTES,
    image: 0x0100_0000,
    suite: (131, 20),
};

/// The kernels of AN500.
#[cfg(all(feature = "bench", not(feature = "m55")))]
pub(crate) type Kernels = engram_kernels::cortex_m::m7::CortexM7;
/// The kernels of AN547.
#[cfg(all(feature = "bench", feature = "m55"))]
pub(crate) type Kernels = engram_kernels::cortex_m::m55::CortexM55;

/// The one that this is built for.
pub(crate) const MACHINE: Machine = if cfg!(feature = "m55") { AN547 } else { AN500 };
