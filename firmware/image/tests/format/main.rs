//! The image format as a whole: what is written is read back, and nothing else is accepted.

mod corpus;
mod damage;
mod golden_file;
mod layout;
mod lies;
mod mutations;
mod packing;
mod round_trip;
mod sample;
mod tree;
