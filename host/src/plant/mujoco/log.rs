//! MuJoCo's messages, sent to `tracing`. Without this it would write MUJOCO_LOG.TXT into the current folder.
//!
//! The only module of the feature that holds unsafe code: installing a handler writes a global of the C library.
#![allow(unsafe_code)]

use std::sync::Once;

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
        MjtLogLevel::mjLOG_WARNING => tracing::warn!("{place}: {subject} {body}"),
        _ => tracing::debug!("{place}: {subject} {body}"),
    }
}
