//! MuJoCo's messages, sent to `tracing`. Without this it would write MUJOCO_LOG.TXT into the current folder.
//!
//! Besides the model of a task, the only module of the feature that holds unsafe code: installing a handler writes a
//! global of the C library.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::sync::{Mutex, Once, PoisonError};

use mujoco_rs::logging::set_log_handler;
use mujoco_rs::wrappers::mj_logging::{MjLogMessage, MjtLogLevel};

/// Sends MuJoCo's messages to `tracing`, from the first call on. Every use of MuJoCo in this crate begins with it.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    // SAFETY: no thread may use MuJoCo meanwhile. A model is loaded only after this returned, nothing else of MuJoCo
    // is used without a model, and `call_once` lets every other caller wait until the handler is set.
    INSTALLED.call_once(|| unsafe { set_log_handler(forward) });
}

/// What MuJoCo says of an attribute that later versions will not know.
const DEPRECATED: &str = "deprecated";

fn forward(message: &MjLogMessage) {
    let place = message.func().unwrap_or("MuJoCo");
    let subject = message.subject();
    let body = message.body().unwrap_or_default();
    match message.level() {
        // Gymnasium's half-cheetah holds an attribute that MuJoCo warns of; nobody who trains can do anything about it.
        MjtLogLevel::mjLOG_WARNING if subject.contains(DEPRECATED) || body.contains(DEPRECATED) => {
            tracing::debug!("{place}: {subject} {body}");
        }
        MjtLogLevel::mjLOG_ERROR => tracing::error!("{place}: {subject} {body}"),
        MjtLogLevel::mjLOG_WARNING => match times(&format!("{place}: {subject} {body}")) {
            1..SHOWN => tracing::warn!("{place}: {subject} {body}"),
            SHOWN => tracing::warn!(
                "{place}: {subject} {body} ({SHOWN} of this kind so far; more are shown with ENGRAM_LOG=debug)"
            ),
            _ => tracing::debug!("{place}: {subject} {body}"),
        },
        _ => tracing::debug!("{place}: {subject} {body}"),
    }
}

/// So many warnings of a kind are shown; a simulation that runs away in every step would write without end.
const SHOWN: u32 = 3;
/// Kinds that are told apart; warnings beyond them count as one kind.
const KINDS: usize = 64;

/// How often a warning of this kind has come, this time included. Numbers make no difference of kind.
fn times(warning: &str) -> u32 {
    static SEEN: Mutex<Option<HashMap<String, u32>>> = Mutex::new(None);
    let mut kind: String = warning
        .chars()
        .filter(|letter| !letter.is_ascii_digit())
        .collect();
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = seen.get_or_insert_default();
    if seen.len() >= KINDS && !seen.contains_key(&kind) {
        kind.clear();
    }
    let count = seen.entry(kind).or_default();
    *count = count.saturating_add(1);
    *count
}

#[cfg(test)]
mod tests {
    use super::times;

    #[test]
    fn warnings_that_differ_in_numbers_are_of_one_kind() {
        let warning = |time: u32| times(&format!("log-test at DOF {time}. Time = {time}.5"));
        assert_eq!([1, 2, 30].map(warning), [1, 2, 3]);
        assert_eq!(times("log-test of another kind"), 1);
        for kind in 0..100u8 {
            let name: String = (0..kind).map(|_| 'x').collect();
            times(&name);
        }
        assert_eq!(
            times("log-test of a kind too many"),
            times("log-test, still too many") - 1
        );
    }
}
