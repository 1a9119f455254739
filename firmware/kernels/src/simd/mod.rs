//! What the kernels of all vector instructions of hosts share.

pub(crate) mod packed;
