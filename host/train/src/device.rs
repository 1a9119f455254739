//! Where the learner computes: on the processor, or on an NVIDIA GPU in builds with the feature `cuda`.
//!
//! A GPU that cannot be used must never end a run: each way in which it can be missing has words here, and
//! the processor serves instead. Nearly all of this is compiled without the feature too, so that it
//! cannot rot unseen.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};

use candle_core::{Result, Tensor};

pub use candle_core::Device;

/// What the user asks for.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    strum::Display,
    strum::EnumIter,
    strum::EnumMessage,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum DeviceName {
    /// The best there is.
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA GPU.
    Cuda,
    /// The processor, by the operations that a GPU would run: slow, for tests.
    CpuPlain,
}

/// Why there is no GPU to compute on.
#[derive(Debug, thiserror::Error)]
pub enum NoGpu {
    /// The program cannot use one.
    #[error(
        "this program was built without CUDA (cargo build --release --features cuda makes one with it)"
    )]
    NotBuilt,
    /// No driver is installed.
    #[error("there is no NVIDIA driver here (library 'cuda' cannot be loaded)")]
    Driver,
    /// A library of the CUDA toolkit is not installed, or too old.
    #[error("CUDA cannot be used: {0}; LD_LIBRARY_PATH must lead to the CUDA libraries")]
    Library(String),
    /// Driver and libraries are there, but no usable device.
    #[error("there is no usable NVIDIA GPU here: {0}")]
    Device(String),
    /// The device gives wrong results.
    #[error("the NVIDIA GPU miscalculates: 54 came out as {0}")]
    Wrong(f32),
}

/// Chooses the learner's device, and says which one it is and why.
///
/// The second part of the answer is the device's name for reports: `cpu`, or `cuda` and the GPU's name.
#[must_use]
pub fn choose(asked: DeviceName) -> (Device, String) {
    let threads = rayon::current_num_threads();
    let gpu = match asked {
        DeviceName::Cpu | DeviceName::CpuPlain => None,
        DeviceName::Auto | DeviceName::Cuda => Some(gpu()),
    };
    match gpu {
        Some(Ok((device, name))) => {
            tracing::info!("learner on the GPU ({name}), trials on {threads} threads");
            return (device, format!("cuda: {name}"));
        }
        Some(Err(reason)) if asked == DeviceName::Cuda => {
            tracing::warn!("{reason}; the learner runs on the CPU instead");
        }
        Some(Err(NoGpu::NotBuilt)) | None => {}
        Some(Err(reason)) => tracing::info!("{reason}"),
    }
    tracing::info!("learner on the CPU, trials on {threads} threads");
    (Device::Cpu, "cpu".to_owned())
}

/// The first GPU, proven to compute, and its name.
///
/// cudarc panics where a library or one of its functions is missing; that is caught, and turned into words.
/// The stream is one of its own, not the calling thread's, so that any thread may use the device.
fn gpu() -> std::result::Result<(Device, String), NoGpu> {
    if !candle_core::utils::cuda_is_available() {
        return Err(NoGpu::NotBuilt);
    }
    let hook = take_hook();
    set_hook(Box::new(|_| {}));
    let found = catch_unwind(AssertUnwindSafe(|| {
        let device = Device::new_cuda_with_stream(0)?;
        let name = name(&device)?;
        Ok((probe(&device)?, device, name))
    }));
    set_hook(hook);
    let (result, device, name) = found
        .map_err(|panic| missing(&*panic))?
        .map_err(|error| unusable(&error))?;
    if result == PROBE {
        Ok((device, name))
    } else {
        Err(NoGpu::Wrong(result))
    }
}

/// What [`probe`] gives.
const PROBE: f32 = 54.0;

/// A little of everything that training needs: copies, cuBLAS and a kernel of candle's own, which fails
/// where the kernels were built for another generation of GPUs.
fn probe(device: &Device) -> Result<f32> {
    let x = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], device)?;
    x.matmul(&x)?.relu()?.sum_all()?.to_scalar()
}

/// What the driver says, without the backtrace that candle's errors may carry.
fn unusable(error: &candle_core::Error) -> NoGpu {
    let text = error.to_string();
    NoGpu::Device(text.lines().next().unwrap_or_default().to_owned())
}

/// What a panic of the library loader means.
fn missing(panic: &(dyn Any + Send)) -> NoGpu {
    let text = match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.as_str(),
        (None, Some(text)) => text,
        (None, None) => "it panicked without a word",
    };
    // 'Unable to dynamically load the "cuda" shared library - searched for ...'
    match text.split('"').nth(1) {
        Some("cuda" | "nvcuda") if text.contains("shared library") => NoGpu::Driver,
        Some(library) if text.contains("shared library") => {
            NoGpu::Library(format!("library '{library}' cannot be loaded"))
        }
        _ => NoGpu::Library(text.to_owned()),
    }
}

#[cfg(feature = "cuda")]
fn name(device: &Device) -> Result<String> {
    let name = device.as_cuda_device()?.cuda_stream().context().name();
    name.map_err(candle_core::Error::wrap)
}

#[cfg(not(feature = "cuda"))]
fn name(_: &Device) -> Result<String> {
    Err(candle_core::Error::NotCompiledWithCudaSupport)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_absence_has_words() {
        let words = |text: &str| missing(&text.to_owned()).to_string();
        let load = |name: &str| {
            format!(
                "Unable to dynamically load the \"{name}\" shared library - searched for library names: [\"lib{name}.so\"]."
            )
        };
        assert!(words(&load("cuda")).contains("no NVIDIA driver"));
        assert!(words(&load("cublas")).contains("library 'cublas'"));
        assert!(words("undefined symbol: cuGraphConditional").contains("undefined symbol"));
        assert!(missing(&"plain").to_string().contains("plain"));
        assert!(missing(&7).to_string().contains("without a word"));
        let error = candle_core::Error::Msg("no device is detected\n   0: backtrace".to_owned());
        assert!(
            unusable(&error)
                .to_string()
                .ends_with("no device is detected")
        );
    }

    #[test]
    fn the_probe_computes() {
        assert!((probe(&Device::Cpu).unwrap() - PROBE).abs() < 1e-6);
    }

    /// Whatever this machine has, a request is answered with a device that computes.
    #[test]
    fn there_is_always_a_device() {
        for asked in [DeviceName::Auto, DeviceName::Cpu, DeviceName::Cuda] {
            let (device, name) = choose(asked);
            assert!((probe(&device).unwrap() - PROBE).abs() < 1e-6);
            assert_eq!(device.is_cpu(), name == "cpu");
        }
    }
}
