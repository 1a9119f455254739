//! Every capacity of the controller, in one place.
//!
//! The reader refuses whatever exceeds these, so that the runtime may size its arrays by them.
//! No other file may hold a capacity of its own.

/// Observation channels of a contract.
pub const MAX_OBSERVATIONS: usize = 128;
/// Action channels of a contract.
pub const MAX_ACTIONS: usize = 32;
/// Entries of one working memory: observation, last action, last reward, done.
pub const MAX_INPUTS: usize = MAX_OBSERVATIONS + MAX_ACTIONS + 2;
/// Encoder layers.
pub const MAX_LAYERS: usize = 8;
/// Attention heads of one layer.
pub const MAX_HEADS: usize = 16;
/// Width `d` of the residual stream.
pub const MAX_MODEL: usize = 128;
/// Width of a feed-forward block.
pub const MAX_FF: usize = 512;
/// Working memories that one layer attends to.
pub const MAX_WINDOW: usize = 512;
/// Columns of the widest matrix.
pub const MAX_COLUMNS: usize = MAX_FF;
/// Width of a hidden layer of the head.
pub const MAX_HIDDEN: usize = 128;
/// Bytes of one of the two key/value rings: `layers * window * model` may not exceed it.
pub const KV_BYTES: usize = 65_536;
/// Entries of the ring of embedded working memories: `window * model` of a `slot` policy may not exceed it.
pub const SLOT_ENTRIES: usize = 8_192;
/// Bytes of a channel's name.
pub const NAME_BYTES: usize = 24;
/// Bytes of a channel's unit.
pub const UNIT_BYTES: usize = 12;
/// Bytes of the provenance texts (plant, version).
pub const TEXT_BYTES: usize = 32;
/// Bytes of a whole image; one slot of a board holds this much.
pub const IMAGE_BYTES: usize = 1 << 20;
/// Steps of a golden trace.
pub const MAX_GOLDEN_STEPS: usize = 4_096;
/// Matrices of one image: the embedding, four of every layer, four of the head.
pub const MAX_MATRICES: usize = 1 + 4 * MAX_LAYERS + 4;
