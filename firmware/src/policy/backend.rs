//! Which instructions a policy runs on, chosen when it is loaded.

use core::fmt;

use engram_image::limits::IMAGE_BYTES;
use engram_image::{Golden, Image, Packing, Parameters};
#[cfg(target_arch = "arm")]
use engram_kernels::cortex_m;
use engram_kernels::{CacheLine, Kernels, TOKENS};

use super::golden::{GoldenDifference, replay};
use super::memory::{CacheBytes, largest};
use super::network::ImageAsItLies;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
use super::packed::PackedImage;
use super::{AttentionHook, Memory, PolicyError, WorkingMemory};

/// Everything that names each backend once: `BACKEND(NETWORK, KERNELS) = NAME, if CONDITION`, the fastest of a machine
/// first. The kernels exist under their condition alone, the backend's name everywhere.
macro_rules! backends {
    ($d:tt $($(#[$doc:meta])* $backend:ident($network:ident, $kernels:ty) = $name:literal, if $condition:meta;)+) => {
        /// A set of instructions that a policy can run on. All give the same words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Backend {
            $($(#[$doc])* $backend,)+
        }

        /// The kernels of a backend: proof that this machine has it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Token {
            $(#[cfg($condition)] $backend($kernels),)+
        }

        // There is no heap here to put the larger ones into, and a policy is made once.
        #[allow(clippy::large_enum_variant)]
        enum Kind<'a> {
            $(#[cfg($condition)] $backend($network<'a, $kernels>),)+
        }

        impl Backend {
            /// Every backend, the fastest of a machine first.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$backend,)+];

            /// The name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$backend => $name,)+
                }
            }
        }

        /// The most that the rings of any backend of this program take; see [`engram_kernels::KvLayout::most`].
        pub(super) const fn kv_bytes(channels: usize, plain: usize) -> [usize; 2] {
            let mut most = [plain; 2];
            $(#[cfg($condition)]
            {
                let [keys, values] = <$kernels as Kernels>::KV_LAYOUT.most(channels, plain);
                most = [largest(&[keys, most[0]]), largest(&[values, most[1]])];
            })+
            most
        }

        /// Tokens that the kernels of some backend of this program compute together.
        pub(super) const fn most_tokens() -> usize {
            let mut most = 1;
            $(#[cfg($condition)]
            if <$kernels as Kernels>::TOGETHER {
                most = TOKENS;
            })+
            most
        }

        impl Packed {
            /// The policy of an image that was packed into `lines` ([`Backend::pack`]). Cheap: this may be asked for in
            /// every step. Lines that hold something else give meaningless words, never a panic.
            #[must_use]
            pub fn policy<'a>(
                self,
                parameters: impl Into<Parameters<'a>>,
                lines: &'a [CacheLine],
            ) -> Policy<'a> {
                let parameters = parameters.into();
                let kind = match self.0 {
                    $(#[cfg($condition)]
                    Token::$backend(kernels) => {
                        $network::view(kernels, parameters, lines).map(Kind::$backend)
                    })+
                };
                Policy(kind.unwrap_or(Kind::Portable(ImageAsItLies { kernels: engram_kernels::Portable, parameters })))
            }
        }

        impl Policy<'_> {
            /// The backend that it runs on.
            #[must_use]
            pub const fn backend(&self) -> Backend {
                match &self.0 {
                    $(#[cfg($condition)] Kind::$backend(_) => Backend::$backend,)+
                }
            }
        }

        /// An expression with the types of a backend's kernels and network and what makes its token, or another where
        /// this program does not have the backend.
        macro_rules! on_backend {
            ($d backend:expr, ($d kernels:ident, $d network:ident, $d token:ident) => $d work:expr, $d otherwise:expr) => {
                match $d backend {
                    $(#[cfg($condition)]
                    Backend::$backend => {
                        #[allow(dead_code)]
                        type $d kernels = $kernels;
                        #[allow(dead_code)]
                        type $d network<'a> = $network<'a, $kernels>;
                        let $d token = Token::$backend;
                        $d work
                    })+
                    #[allow(unreachable_patterns)]
                    _ => $d otherwise,
                }
            };
        }

        /// An expression with what holds a policy's network.
        macro_rules! on_held {
            ($d policy:expr, $d held:ident => $d work:expr) => {
                match &$d policy.0 {
                    $(#[cfg($condition)] Kind::$backend($d held) => $d work,)+
                }
            };
        }
    };
}

backends! {
    $
    /// x86-64 with AVX-512 F, CD, DQ, BW, VL and VNNI.
    Avx512Vnni(PackedImage, engram_kernels::Avx512Vnni) = "avx512-vnni", if target_arch = "x86_64";
    /// x86-64 with AVX2, FMA and AVX-VNNI.
    AvxVnni(PackedImage, engram_kernels::AvxVnni) = "avx-vnni", if target_arch = "x86_64";
    /// x86-64 with AVX2 and FMA.
    Avx2(PackedImage, engram_kernels::Avx2) = "avx2", if target_arch = "x86_64";
    /// 64-bit ARM with SDOT.
    Sdot(PackedImage, engram_kernels::Sdot) = "sdot", if target_arch = "aarch64";
    /// Every other 64-bit ARM.
    Neon(PackedImage, engram_kernels::Neon) = "neon", if target_arch = "aarch64";
    /// The DSP instructions of the Cortex-M7 and M4, for images that are packed for them.
    CortexM7(ImageAsItLies, cortex_m::m7::CortexM7) = "cortex-m7", if all(target_arch = "arm", feature = "cortex-m7");
    /// The vectors of the Cortex-M55; reads the image as it is.
    CortexM55(ImageAsItLies, cortex_m::m55::CortexM55) = "cortex-m55", if all(target_arch = "arm", feature = "cortex-m55");
    /// Plain Rust, on every machine; reads the image as it is.
    Portable(ImageAsItLies, engram_kernels::Portable) = "portable", if all();
}

impl Backend {
    /// Whether this machine has the instructions.
    #[must_use]
    pub fn is_available(self) -> bool {
        on_backend!(self, (Own, Network, _token) => Own::detect().is_some(), false)
    }

    /// The fastest backend of this machine.
    #[must_use]
    pub fn best() -> Self {
        let mut backends = Self::ALL.into_iter();
        backends
            .find(|backend| backend.is_available())
            .unwrap_or(Self::Portable)
    }

    /// Lines that [`Backend::pack`] packs `image` into; [`LINES`] are enough for all but contrived images.
    #[must_use]
    pub fn lines(self, image: &Image<'_>) -> usize {
        on_backend!(self, (Own, Network, _token) => Network::lines(image), 0)
    }

    /// Packs `image` for this backend into `lines` ([`Backend::lines`] of them, or more), for [`Packed::policy`].
    ///
    /// It is left as it is, for [`Backend::Portable`], where this machine does not have the backend, where the
    /// lines are too few, and where the image has a shape or a packing that the backend does not take.
    #[must_use]
    pub fn pack(self, image: &Image<'_>, lines: &mut [CacheLine]) -> Packed {
        let packed = on_backend!(self, (Own, Network, token) => Own::detect().and_then(|kernels| {
            Network::pack(kernels, image, lines)?;
            Some(token(kernels))
        }), None);
        Packed(packed.unwrap_or(Token::Portable(engram_kernels::Portable)))
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Lines for an image as large as images may be. A shape whose packed weights take more, which only many
/// tiny matrices can, runs on [`Backend::Portable`].
pub const LINES: usize = 2 * IMAGE_BYTES / size_of::<CacheLine>();

/// What lines were packed for, and proof that this machine has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed(Token);

/// An image on a backend: what runs, on boards and hosts.
///
/// A memory belongs to one backend as it belongs to one image: it must be cleared in between.
pub struct Policy<'a>(Kind<'a>);

impl<'a> From<&'a Image<'a>> for Policy<'a> {
    /// On the fastest backend of this program that reads the image as it is, without lines.
    fn from(image: &'a Image<'a>) -> Self {
        let backend = match image.packing {
            Packing::CortexM => Backend::CortexM7,
            Packing::Rows => Backend::CortexM55,
        };
        backend.pack(image, &mut []).policy(image, &[])
    }
}

impl<'a> Policy<'a> {
    /// `image` on `backend`, packed into `lines`: [`Backend::pack`] and [`Packed::policy`] in one.
    #[must_use]
    pub fn new(backend: Backend, image: &'a Image<'a>, lines: &'a mut [CacheLine]) -> Self {
        backend.pack(image, lines).policy(image, lines)
    }

    /// What it reads of its image, its weights as they lie there.
    #[must_use]
    pub fn parameters(&self) -> Parameters<'_> {
        on_held!(self, held => held.parameters)
    }

    /// One control step of the policy: takes `input` into `memory` and writes one word per action.
    ///
    /// `memory` must have been cleared since another policy used it; otherwise the words are defined
    /// but mean nothing. An image that did not come from the reader and contradicts its own
    /// configuration likewise gives meaningless words, never a panic.
    ///
    /// # Errors
    /// [`PolicyError`] when the length of a slice is not the one in the image's configuration, or the image
    /// is packed for another program ([`super::runs`]).
    pub fn step(
        &self,
        memory: &mut Memory,
        input: &WorkingMemory<'_>,
        words: &mut [i16],
        hook: &mut impl AttentionHook,
    ) -> Result<(), PolicyError> {
        on_held!(self, held => super::step_on(&held.network(), memory, input, words, hook))
    }

    /// Replays `golden`, its image's, on `memory`, which is cleared before and after.
    ///
    /// # Errors
    /// The first word that differs.
    pub fn replay_golden(
        &self,
        golden: &Golden<'_>,
        memory: &mut Memory,
    ) -> Result<(), GoldenDifference> {
        on_held!(self, held => replay(&held.network(), golden, memory))
    }

    /// What it takes of a cache.
    pub(super) fn cache(&self) -> CacheBytes {
        on_held!(self, held => held.network().cache)
    }
}
