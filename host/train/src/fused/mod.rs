//! Fused operations of the learner, with hand-written backward passes.
//!
//! candle builds a graph of small operations; for networks as small as these its bookkeeping and memory
//! traffic would cost several times the arithmetic. The operations here ([`Encoder`], [`Mlp`], [`gru()`])
//! are what training spends its time on. Each is a candle `CustomOp` on the CPU; on any other
//! device plain candle operations do the same, among them [`banded_attention`], which has no fused version of its
//! own because the encoder contains it, and [`linear()`]. Tests hold both against each other and against finite differences.
//! Nothing here knows of policies or rewards.

mod encoder;
pub(crate) mod functions;
mod gru;
mod mlp;
mod plain;
pub(crate) mod product;

use std::cell::Cell;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor};

pub use encoder::{Encoder, EncoderShape, Tokens, Window};
pub use gru::{Sequences, gru, gru_plain};
pub use mlp::Mlp;
pub use plain::{Band, banded_attention, linear};

/// Memory that passes of an operation used and later ones will use again: taking it anew from the system, page
/// by page, would cost a sixth of the learner's time.
#[derive(Debug, Default)]
struct Pool<T>(Mutex<Vec<T>>);

impl<T: Default> Pool<T> {
    fn take(&self) -> T {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.pop().unwrap_or_default()
    }

    fn give(&self, used: T) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(used);
    }
}

/// What a forward pass keeps for its backward pass, out of a pool and back into it.
#[derive(Debug)]
struct Kept<T: Default> {
    idle: Arc<Pool<T>>,
    held: Mutex<Option<T>>,
}

impl<T: Default> Kept<T> {
    fn new(idle: Arc<Pool<T>>) -> Self {
        let held = Mutex::default();
        Self { idle, held }
    }

    /// Runs the forward pass, and keeps what it leaves.
    fn forward(&self, pass: impl FnOnce(&mut T)) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        pass(held.get_or_insert_with(|| self.idle.take()));
    }

    /// Runs the backward pass on what the forward pass left.
    fn backward<R>(&self, pass: impl FnOnce(&mut T) -> Result<R>) -> Result<R> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        match held.as_mut() {
            Some(kept) => pass(kept),
            None => candle_core::bail!("a backward pass without a forward pass"),
        }
    }
}

impl<T: Default> Drop for Kept<T> {
    fn drop(&mut self) {
        let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(used) = held.take() {
            self.idle.give(used);
        }
    }
}

thread_local! {
    static PLAIN: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread must do without fused operations; see [`with_plain`].
pub(crate) fn plain_asked() -> bool {
    PLAIN.get()
}

/// Runs `body` with plain candle operations alone if `plain`, as on a device that has no fused ones: tests
/// show by it, without such a device, what one would compute. A fused operation that is reached all the
/// same is an error there.
pub fn with_plain<R>(plain: bool, body: impl FnOnce() -> R) -> R {
    let before = PLAIN.replace(plain);
    let result = body();
    PLAIN.set(before);
    result
}

/// The values of a contiguous f32 tensor that lies in CPU memory.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    if plain_asked() {
        candle_core::bail!("a fused operation was called where only plain ones exist");
    }
    let values = storage.as_slice::<f32>()?;
    match layout
        .contiguous_offsets()
        .and_then(|(start, end)| values.get(start..end))
    {
        Some(values) => Ok(values),
        None => candle_core::bail!("a fused operation needs contiguous tensors, got {layout:?}"),
    }
}

/// Calls `body` with the tensor's values in row-major order, without copying if they lie so already.
fn with_values<R>(tensor: &Tensor, body: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => body(slice(storage, layout)?),
        _ => candle_core::bail!("a fused operation's backward pass needs tensors in CPU memory"),
    }
}

/// Whether the fused version can run: f32 in CPU memory.
pub(super) fn on_cpu(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32 && !plain_asked()
}

#[cfg(test)]
mod tests;
