//! Pieces of the loops.
//!
//! Registers: `v0` to `v7` weights, `v16` to `v23` sums, `v24` to `v31` inputs and products. Lines are read at `{w}`, an
//! input at `{i}`, `{n}` times.

/// Allows SDOT in what follows.
macro_rules! sdot_here {
    () => {
        ".arch_extension dotprod"
    };
}

/// Loads a line at `$at`, four tiles, and goes on to the next.
macro_rules! line {
    ($a:literal, $b:literal, $c:literal, $d:literal, $at:literal) => {
        concat!(
            "ld1 {{v",
            $a,
            ".4s, v",
            $b,
            ".4s, v",
            $c,
            ".4s, v",
            $d,
            ".4s}}, [{",
            $at,
            "}], #64\n"
        )
    };
}

/// `$op` of four sums and what is in four other registers.
macro_rules! four {
    ($op:literal, $a:literal, $b:literal, $c:literal, $d:literal, $x:literal, $y:literal, $z:literal, $u:literal) => {
        concat!(
            $op, " v", $a, ".4s, v", $a, ".4s, v", $x, ".4s\n", $op, " v", $b, ".4s, v", $b,
            ".4s, v", $y, ".4s\n", $op, " v", $c, ".4s, v", $c, ".4s, v", $z, ".4s\n", $op, " v",
            $d, ".4s, v", $d, ".4s, v", $u, ".4s\n",
        )
    };
}

/// Sums start at the biases; `m` is where the factors lie.
macro_rules! begin_32 {
    () => {
        concat!(
            line!("16", "17", "18", "19", "w"),
            line!("20", "21", "22", "23", "w"),
            "mov {m}, {w}\n",
            "add {w}, {w}, #256\n",
        )
    };
}

/// [`begin_32`] for sixteen rows.
macro_rules! begin_16 {
    () => {
        concat!(
            line!("16", "17", "18", "19", "w"),
            "mov {m}, {w}\n",
            "add {w}, {w}, #128\n"
        )
    };
}

/// Sums times factors, with shifts from [`crate::aarch64::requant::HIGH_SHIFT`] on: see [`crate::aarch64::requant::Factors`].
macro_rules! scale_32 {
    () => {
        concat!(
            line!("0", "1", "2", "3", "m"),
            line!("4", "5", "6", "7", "m"),
            four!("sqdmulh", "16", "17", "18", "19", "0", "1", "2", "3"),
            four!("sqdmulh", "20", "21", "22", "23", "4", "5", "6", "7"),
            line!("0", "1", "2", "3", "m"),
            line!("4", "5", "6", "7", "m"),
            four!("srshl", "16", "17", "18", "19", "0", "1", "2", "3"),
            four!("srshl", "20", "21", "22", "23", "4", "5", "6", "7"),
        )
    };
}

/// [`scale_32`] for sixteen rows.
macro_rules! scale_16 {
    () => {
        concat!(
            line!("0", "1", "2", "3", "m"),
            four!("sqdmulh", "16", "17", "18", "19", "0", "1", "2", "3"),
            line!("0", "1", "2", "3", "m"),
            four!("srshl", "16", "17", "18", "19", "0", "1", "2", "3"),
        )
    };
}

/// Adds the products of a tile with a quad of columns of `$x`.
macro_rules! sdot {
    ($sum:literal, $tile:literal, $x:literal, $quad:literal) => {
        concat!(
            "sdot v", $sum, ".4s, v", $tile, ".16b, v", $x, ".4b[", $quad, "]\n"
        )
    };
}

/// A quad of columns of sixteen rows, by SDOT.
macro_rules! sdot_16 {
    ($x:literal, $quad:literal) => {
        concat!(
            line!("0", "1", "2", "3", "w"),
            sdot!("16", "0", $x, $quad),
            sdot!("17", "1", $x, $quad),
            sdot!("18", "2", $x, $quad),
            sdot!("19", "3", $x, $quad),
        )
    };
}

/// A quad of columns of 32 rows, by SDOT.
macro_rules! sdot_32 {
    ($x:literal, $quad:literal) => {
        concat!(
            line!("0", "1", "2", "3", "w"),
            line!("4", "5", "6", "7", "w"),
            sdot!("16", "0", $x, $quad),
            sdot!("17", "1", $x, $quad),
            sdot!("18", "2", $x, $quad),
            sdot!("19", "3", $x, $quad),
            sdot!("20", "4", $x, $quad),
            sdot!("21", "5", $x, $quad),
            sdot!("22", "6", $x, $quad),
            sdot!("23", "7", $x, $quad),
        )
    };
}

/// Adds the products of a line with a quad of columns, whose halves are in all of `v28` and of `v29`. Pairs of
/// products stay below 2^15: see [`crate::aarch64::dot::dot`].
macro_rules! pairs {
    ($s0:literal, $s1:literal, $s2:literal, $s3:literal) => {
        concat!(
            line!("0", "1", "2", "3", "w"),
            "smull v24.8h, v0.8b, v28.8b\n",
            "smull v25.8h, v1.8b, v28.8b\n",
            "smull v26.8h, v2.8b, v28.8b\n",
            "smull v27.8h, v3.8b, v28.8b\n",
            "smlal2 v24.8h, v0.16b, v29.16b\n",
            "smlal2 v25.8h, v1.16b, v29.16b\n",
            "smlal2 v26.8h, v2.16b, v29.16b\n",
            "smlal2 v27.8h, v3.16b, v29.16b\n",
            "sadalp v",
            $s0,
            ".4s, v24.8h\n",
            "sadalp v",
            $s1,
            ".4s, v25.8h\n",
            "sadalp v",
            $s2,
            ".4s, v26.8h\n",
            "sadalp v",
            $s3,
            ".4s, v27.8h\n",
        )
    };
}

/// The halves of a quad of columns, numbers `$a` and `$b` of `$x`, for [`pairs`].
macro_rules! halves {
    ($x:literal, $a:literal, $b:literal) => {
        concat!(
            "dup v28.8h, v",
            $x,
            ".h[",
            $a,
            "]\n",
            "dup v29.8h, v",
            $x,
            ".h[",
            $b,
            "]\n"
        )
    };
}

/// A quad of columns of sixteen rows, without SDOT.
macro_rules! pairs_16 {
    ($x:literal, "0") => {
        concat!(halves!($x, "0", "1"), pairs!("16", "17", "18", "19"))
    };
    ($x:literal, "1") => {
        concat!(halves!($x, "2", "3"), pairs!("16", "17", "18", "19"))
    };
    ($x:literal, "2") => {
        concat!(halves!($x, "4", "5"), pairs!("16", "17", "18", "19"))
    };
    ($x:literal, "3") => {
        concat!(halves!($x, "6", "7"), pairs!("16", "17", "18", "19"))
    };
}

/// A quad of columns of 32 rows, without SDOT.
macro_rules! pairs_32 {
    ($x:literal, $quad:tt) => {
        concat!(pairs_16!($x, $quad), pairs!("20", "21", "22", "23"))
    };
}

/// Four quads of columns.
macro_rules! run {
    ($rows:ident, $x:literal) => {
        concat!(
            $rows!($x, "0"),
            $rows!($x, "1"),
            $rows!($x, "2"),
            $rows!($x, "3")
        )
    };
}

/// All runs of columns.
macro_rules! runs {
    ($rows:ident) => {
        concat!(
            "2:\n",
            "ldr q31, [{i}], #16\n",
            run!($rows, "31"),
            "subs {n}, {n}, #1\n",
            "b.ne 2b\n"
        )
    };
}

/// Eight runs of columns, loaded at `{i}`.
macro_rules! load_eight {
    () => {
        concat!(
            line!("24", "25", "26", "27", "i"),
            line!("28", "29", "30", "31", "i")
        )
    };
}

/// Eight runs of columns that are loaded, by SDOT.
macro_rules! eight {
    () => {
        concat!(
            run!(sdot_32, "24"),
            run!(sdot_32, "25"),
            run!(sdot_32, "26"),
            run!(sdot_32, "27"),
            run!(sdot_32, "28"),
            run!(sdot_32, "29"),
            run!(sdot_32, "30"),
            run!(sdot_32, "31"),
        )
    };
}

/// All runs of columns, eight at a time, by SDOT.
macro_rules! eights {
    () => {
        concat!(
            "2:\n",
            load_eight!(),
            eight!(),
            "subs {n}, {n}, #1\n",
            "b.ne 2b\n"
        )
    };
}

/// A group goes back to the beginning of the input.
macro_rules! again {
    () => {
        "mov {i}, {x}\nmov {n}, {r}\n"
    };
}
