//! The floor of a product: reading as many lines as its weights have.

#[cfg(target_arch = "x86_64")]
use crate::Avx512Vnni as Widest;
use crate::Line;
#[cfg(target_arch = "aarch64")]
use crate::Neon as Widest;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
use crate::Packing;

/// What reads lines once each, with the widest loads of this machine; what it gives depends on all bits.
///
/// Which loads there are is asked here, once: on a virtual machine the answer takes microseconds.
pub fn line_reader() -> impl Fn(&[Line]) -> u64 + Copy {
    #[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
    let kernels = Widest::detect();
    move |lines| {
        #[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
        if let Some(kernels) = kernels {
            return kernels.read(lines);
        }
        plain(lines)
    }
}

/// Reads lines in words.
fn plain(lines: &[Line]) -> u64 {
    let mut bits = [0; 8];
    for line in lines {
        let words: [u64; 8] = bytemuck::must_cast(line.0);
        for (bits, word) in bits.iter_mut().zip(words) {
            *bits |= word;
        }
    }
    bits.iter().fold(0, |all, &bits| all | bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        let mut lines = [Line::ZERO; 9];
        assert_eq!((line_reader()(&lines), plain(&lines)), (0, 0));
        for index in 0..9 {
            lines[index].0[8 * (index % 8)] = 1 << (index % 8);
            assert_ne!(line_reader()(&lines[index..=index]), 0);
        }
        assert_eq!((line_reader()(&lines), plain(&lines)), (255, 255));
    }
}
