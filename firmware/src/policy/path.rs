//! Which instructions a policy runs on, chosen when it is loaded.

use core::fmt;

use engram_image::limits::IMAGE_BYTES;
use engram_image::{Golden, Image, Parameters};
use engram_kernels::Line;

use super::golden::GoldenReplay;
use super::{GoldenDifference, Memory, Observer, PolicyError, WorkingMemory};

/// Everything that names each path once: `PATH(ARCHITECTURE, KERNELS) = NAME`, the fastest first. The kernels exist
/// on their architecture alone, the path's name everywhere.
macro_rules! packed_paths {
    ($($(#[$doc:meta])* $path:ident($arch:tt, $kernels:ty) = $name:literal;)+) => {
        /// A set of instructions that a policy can run on. All give the same words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Path {
            /// Plain Rust, on every machine; reads the image as it is.
            Portable,
            $($(#[$doc])* $path,)+
        }

        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        enum Token {
            Portable,
            $(#[cfg(target_arch = $arch)] $path($kernels),)+
        }

        // There is no heap here to put the larger ones into, and a policy is made once.
        #[allow(clippy::large_enum_variant)]
        enum Kind<'a> {
            Portable(Parameters<'a>),
            $(#[cfg(target_arch = $arch)] $path(super::packed::PackedImage<'a, $kernels>),)+
        }

        impl Path {
            /// Every path, the fastest first.
            pub const ALL: [Self; [$($name),+].len() + 1] = [$(Self::$path,)+ Self::Portable];

            /// The name in reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    Self::Portable => "portable",
                    $(Self::$path => $name,)+
                }
            }

            /// Whether this machine has the instructions.
            #[must_use]
            pub fn is_available(self) -> bool {
                match self {
                    Self::Portable => true,
                    $(#[cfg(target_arch = $arch)] Self::$path => <$kernels>::detect().is_some(),)+
                    #[allow(unreachable_patterns)]
                    _ => false,
                }
            }

            /// Lines that [`Path::pack`] packs `image` into; [`LINES`] are enough for all but contrived images.
            #[must_use]
            pub fn lines(self, image: &Image<'_>) -> usize {
                match self {
                    $(#[cfg(target_arch = $arch)]
                    Self::$path => super::packed::PackedImage::<$kernels>::lines(image),)+
                    _ => {
                        let _ = image;
                        0
                    }
                }
            }

            /// Packs `image` for this path into `lines` ([`Path::lines`] of them, or more), for [`Packed::policy`].
            ///
            /// It is left as it is, for [`Path::Portable`], where this machine does not have the path, where the
            /// lines are too few, and where the image has a shape that the path does not take.
            #[must_use]
            pub fn pack(self, image: &Image<'_>, lines: &mut [Line]) -> Packed {
                let packed = match self {
                    $(#[cfg(target_arch = $arch)]
                    Self::$path => <$kernels>::detect().and_then(|kernels| {
                        super::packed::PackedImage::pack(kernels, image, lines)?;
                        Some(Token::$path(kernels))
                    }),)+
                    _ => {
                        let _ = (image, lines);
                        None
                    }
                };
                Packed(packed.unwrap_or(Token::Portable))
            }

            /// Multiplies a map whose weights stay in the first-level cache `rounds` times, with as many tokens as the
            /// path takes together, for whoever takes the time; returns the multiply-accumulates of that. 0: [`Path::Portable`], a path that this machine does not
            /// have, or fewer lines than the map needs (512 do).
            #[must_use]
            pub fn products(self, rounds: u32, lines: &mut [Line]) -> u64 {
                let made = match self {
                    $(#[cfg(target_arch = $arch)]
                    Self::$path => <$kernels>::detect()
                        .and_then(|kernels| super::packed::products(kernels, rounds, lines)),)+
                    _ => {
                        let _ = (rounds, lines);
                        None
                    }
                };
                made.unwrap_or(0)
            }
        }

        impl Packed {
            /// The policy of an image that was packed into `lines` ([`Path::pack`]). Cheap: this may be asked for in
            /// every step. Lines that hold something else give meaningless words, never a panic.
            #[must_use]
            pub fn policy<'a>(
                self,
                parameters: impl Into<Parameters<'a>>,
                lines: &'a [Line],
            ) -> Policy<'a> {
                let parameters = parameters.into();
                let packed = match self.0 {
                    Token::Portable => {
                        let _ = lines;
                        None
                    }
                    $(#[cfg(target_arch = $arch)]
                    Token::$path(kernels) => {
                        super::packed::PackedImage::view(kernels, parameters, lines).map(Kind::$path)
                    })+
                };
                Policy(packed.unwrap_or(Kind::Portable(parameters)))
            }
        }

        impl Policy<'_> {
            /// What it reads of its image.
            #[must_use]
            pub fn parameters(&self) -> Parameters<'_> {
                match &self.0 {
                    Kind::Portable(parameters) => *parameters,
                    $(#[cfg(target_arch = $arch)]
                    Kind::$path(packed) => packed.parameters,)+
                }
            }

            /// The path it runs on.
            #[must_use]
            pub const fn path(&self) -> Path {
                match &self.0 {
                    Kind::Portable(_) => Path::Portable,
                    $(#[cfg(target_arch = $arch)] Kind::$path(_) => Path::$path,)+
                }
            }

            /// [`super::step`] on this path.
            ///
            /// # Errors
            /// [`PolicyError`] when the length of a slice is not the one in the image's configuration.
            pub fn step(
                &self,
                memory: &mut Memory,
                input: &WorkingMemory<'_>,
                words: &mut [i16],
                observer: &mut impl Observer,
            ) -> Result<(), PolicyError> {
                match &self.0 {
                    Kind::Portable(parameters) => super::step(*parameters, memory, input, words, observer),
                    $(#[cfg(target_arch = $arch)]
                    Kind::$path(packed) => {
                        super::step_on(packed.kernels, &packed.network(), memory, input, words, observer)
                    })+
                }
            }

            /// What it takes of a cache on this path.
            pub(super) fn cache(&self) -> super::memory::CacheBytes {
                let config = self.parameters().config;
                match &self.0 {
                    Kind::Portable(parameters) => super::cache_as_it_is(parameters.packing, config),
                    $(#[cfg(target_arch = $arch)]
                    Kind::$path(packed) => super::cache_on(packed.kernels, config),)+
                }
            }

            /// [`super::replay_golden`] on this path: `golden` is the image's.
            ///
            /// # Errors
            /// The first word that differs.
            pub fn replay_golden(
                &self,
                golden: &Golden<'_>,
                memory: &mut Memory,
            ) -> Result<(), GoldenDifference> {
                let mut replay = GoldenReplay::new();
                match &self.0 {
                    Kind::Portable(parameters) => {
                        replay.advance(*parameters, golden, memory, usize::MAX)
                    }
                    $(#[cfg(target_arch = $arch)]
                    Kind::$path(packed) => {
                        replay.advance_on(packed.kernels, &packed.network(), golden, memory, usize::MAX)
                    })+
                }
                .map(|_| ())
            }
        }
    };
}

packed_paths! {
    /// x86-64 with AVX-512 F, CD, DQ, BW, VL and VNNI.
    Avx512Vnni("x86_64", engram_kernels::Avx512Vnni) = "avx512-vnni";
    /// x86-64 with AVX2, FMA and AVX-VNNI.
    AvxVnni("x86_64", engram_kernels::AvxVnni) = "avx-vnni";
    /// x86-64 with AVX2 and FMA.
    Avx2("x86_64", engram_kernels::Avx2) = "avx2";
    /// 64-bit ARM with SDOT.
    Sdot("aarch64", engram_kernels::Sdot) = "sdot";
    /// Every other 64-bit ARM.
    Neon("aarch64", engram_kernels::Neon) = "neon";
}

impl Path {
    /// The fastest path of this machine.
    #[must_use]
    pub fn best() -> Self {
        let mut paths = Self::ALL.into_iter();
        paths
            .find(|path| path.is_available())
            .unwrap_or(Self::Portable)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Lines for an image as large as images may be. A shape whose packed weights take more, which only many
/// tiny matrices can, runs on [`Path::Portable`].
pub const LINES: usize = 2 * IMAGE_BYTES / size_of::<Line>();

/// What lines were packed for, and proof that this machine has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed(Token);

impl Packed {
    /// An image as it is, which runs everywhere.
    pub const PORTABLE: Self = Self(Token::Portable);
}

/// An image on a path: the policy that hosts and Linux boards run.
///
/// A memory belongs to one path as it belongs to one image: it must be cleared in between.
pub struct Policy<'a>(Kind<'a>);

impl<'a, T: Into<Parameters<'a>>> From<T> for Policy<'a> {
    /// On [`Path::Portable`], which needs no lines.
    fn from(parameters: T) -> Self {
        Self(Kind::Portable(parameters.into()))
    }
}

impl<'a> Policy<'a> {
    /// `image` on `path`, packed into `lines`: [`Path::pack`] and [`Packed::policy`] in one.
    #[must_use]
    pub fn new(path: Path, image: &'a Image<'a>, lines: &'a mut [Line]) -> Self {
        path.pack(image, lines).policy(image, lines)
    }
}
