//! Who uses which cores: trials are collected on all of them, candle's matrix products on one each.
//!
//! candle asks the environment how many threads a product may use and splits even those that take
//! microseconds; with two threads that makes training less than half as fast. The learner is parallel
//! already (its shards), so products get one thread. The answer can only be given through the
//! environment, and safe code cannot change its own: the process starts itself anew, once, before it
//! has done anything. Results do not depend on any of this.

use std::num::NonZero;

/// What candle and rayon read.
const PRODUCTS: &str = "RAYON_NUM_THREADS";
/// How many threads collect trials, handed to the restarted process.
const TRIALS: &str = "ENGRAM_TRIAL_THREADS";

/// Gives matrix products one thread and trials all cores, or as many as `RAYON_NUM_THREADS` says.
///
/// Call it before anything else that uses threads. On systems that cannot replace a process, and
/// where that fails, nothing changes but the speed.
pub fn arrange() {
    match number(TRIALS) {
        Some(trials) => {
            // Fails only where a pool exists already, and then that one serves.
            let _ = rayon::ThreadPoolBuilder::new()
                .num_threads(trials)
                .build_global();
        }
        None => restart(),
    }
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

#[cfg(unix)]
fn restart() {
    use std::os::unix::process::CommandExt;

    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    let trials = number(PRODUCTS).unwrap_or_else(cores);
    let Ok(program) = std::env::current_exe() else {
        return;
    };
    let error = std::process::Command::new(program)
        .args(std::env::args_os().skip(1))
        .env(PRODUCTS, "1")
        .env(TRIALS, trials.to_string())
        .exec();
    tracing::warn!("training will be slower than it could be: {error}");
}

#[cfg(not(unix))]
fn restart() {}
