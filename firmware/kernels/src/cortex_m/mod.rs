//! Kernels of ARM microcontrollers: the Cortex-M7 (and M4) with its DSP instructions, the Cortex-M55 with its
//! vectors.

/// What the kernels of every core are, given the function that makes a map's sums and the core's own `requant` and
/// `attention`.
#[cfg(all(
    target_arch = "arm",
    any(feature = "cortex-m7", feature = "cortex-m55")
))]
macro_rules! of_every_core {
    ($acc:path) => {
        type Linear<'a> = Rows<'a>;
        type WideLinear<'a> = Rows<'a>;
        /// `[heads][window]` i32, little endian, by age; empty: no bias.
        type Biases<'a> = &'a [[u8; 4]];

        #[inline]
        fn run<R>(self, f: impl FnOnce() -> R) -> R {
            f()
        }

        #[inline]
        fn requantize(self, residual: &[i16], factor: Requant, out: &mut [i8]) {
            requant::requantize(residual, factor, out);
        }

        #[inline]
        fn linear_i8<const RECTIFY: bool, const T: usize>(
            self,
            map: Rows<'_>,
            inputs: [&[i8]; T],
            acc: &mut [i32],
            outs: [&mut [i8]; T],
        ) {
            for (input, out) in inputs.into_iter().zip(outs) {
                let acc = $acc(map, input, acc);
                if RECTIFY {
                    requant::to_relu_i8(map, acc, out);
                } else {
                    requant::to_i8(map, acc, out);
                }
            }
        }

        fn linear_add<const T: usize>(
            self,
            map: Rows<'_>,
            inputs: [&[i8]; T],
            acc: &mut [i32],
            onto: Onto<'_, T>,
        ) {
            let (residuals, next, requantized) = onto;
            let tokens = inputs.into_iter().zip(residuals).zip(requantized);
            for ((input, residual), requantized) in tokens {
                requant::add_i16(map, $acc(map, input, acc), residual);
                requant::requantize(residual, next, requantized);
            }
        }

        fn attend(self, attention: Attention<'_, &[[u8; 4]]>, hook: Option<&mut HeadHook<'_>>) {
            if KvLayout::attends(attention.shape) {
                attention::run(attention, hook);
            } else {
                portable::Portable.attend(attention, hook);
            }
        }
    };
}

#[cfg(all(
    target_arch = "arm",
    any(feature = "cortex-m7", feature = "cortex-m55")
))]
mod heads;
#[cfg(all(target_arch = "arm", feature = "cortex-m55"))]
pub mod m55;
#[cfg(all(target_arch = "arm", feature = "cortex-m7"))]
pub mod m7;
pub mod packing;
