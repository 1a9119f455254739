//! The image format as a whole: what is written is read back, and nothing else is accepted.

/// Calls a check with each row of a table, one a line: what is tried, and what is to come of it.
macro_rules! each {
    ($check:ident: $($($given:expr),+ => $expected:expr;)*) => {
        $($check($($given),+, $expected);)*
    };
}

mod contract;
mod corpus;
mod damage;
mod golden_file;
mod header;
mod layout;
mod lies;
mod mutations;
mod packing;
mod round_trip;
mod sample;
mod tree;
