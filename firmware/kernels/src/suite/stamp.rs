//! The suite as tests, one for every case and path.

use std::cell::RefCell;
use std::vec;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{Case, Mismatch, SWEEP, Subject, Trial};
use crate::CacheLine;

/// Enough for 512 rows of 512 columns, packed as int16.
const ROOM_BYTES: usize = 1 << 21;

/// Of the small shapes one in so many, and as many random seeds; an emulator takes its time.
const STRIDE: usize = if cfg!(target_arch = "aarch64") { 3 } else { 1 };
const CASES: u32 = if cfg!(target_arch = "aarch64") {
    64
} else {
    512
};

/// Runs a case for the seeds of the sweep and for random ones, of which the smallest that fails is told.
pub(crate) fn test<K: Subject>(kernels: Option<K>, name: &'static str, case: Case<K>) {
    let Some(kernels) = kernels else {
        std::eprintln!("nothing was tested: this machine does not have the path");
        return;
    };
    let room = RefCell::new(vec![CacheLine::ZERO; ROOM_BYTES / size_of::<CacheLine>()]);
    let run = |seed| {
        case(Trial::new(kernels, name, seed, &mut room.borrow_mut()))
            .map_err(|mismatch: Mismatch| TestCaseError::fail(std::format!("{mismatch}")))
    };
    for seed in (0..SWEEP).step_by(STRIDE) {
        run(seed).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    let default = ProptestConfig::default();
    let config = ProptestConfig {
        // More where PROPTEST_CASES says so.
        cases: default.cases.max(CASES),
        failure_persistence: None,
        ..default
    };
    let outcome = TestRunner::new(config).run(&any::<u32>(), run);
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Every case of the suite as a test of some kernels that pack at run time, `$detect` gives them where the machine
/// has them.
macro_rules! stamp {
    ($detect:expr) => {
        mod suite {
            use super::*;
            use $crate::suite::stamp_tests;

            $crate::suite::every_case!(stamp_tests [$detect] refusals least_weight foreign_lines);
        }
    };
}

macro_rules! stamp_tests {
    ([$detect:expr] $($case:ident)+) => {
        $(
            #[test]
            fn $case() {
                $crate::suite::test($detect, stringify!($case), $crate::suite::$case);
            }
        )+
    };
}
pub(crate) use {stamp, stamp_tests};
