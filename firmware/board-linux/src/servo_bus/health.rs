//! What a bus has seen so far, for whoever wants to know; no control step needs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::wire::Failure;

/// Written by the thread of the bus.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) questions: AtomicU32,
    pub(super) stray: AtomicU32,
    lost: AtomicU32,
    damaged: AtomicU32,
    late: AtomicU32,
    alarms: AtomicU32,
}

impl Counters {
    pub(super) fn count(counter: &AtomicU32) {
        counter.fetch_add(1, Relaxed);
    }

    pub(super) fn failed(&self, failure: Failure) {
        match failure {
            Failure::Lost { .. } => Self::count(&self.lost),
            Failure::Damaged { .. } => Self::count(&self.damaged),
            Failure::Late { .. } => Self::count(&self.late),
            Failure::Alarm { .. } => Self::count(&self.alarms),
            Failure::Gone => {}
        }
    }
}

/// How a bus is. Cheap to clone; nobody waits for anybody.
#[derive(Debug, Clone, Default)]
pub struct Health(pub(super) Arc<Counters>);

/// Counts since the start; they wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Questions to all servos.
    pub questions: u32,
    /// Questions that a servo gave no whole answer to in time.
    pub lost: u32,
    /// Questions with a damaged answer, or one of another servo.
    pub damaged: u32,
    /// Answers to an older question.
    pub late: u32,
    /// Questions that a servo answered with an alarm.
    pub alarms: u32,
    /// Times that bytes were found on the bus which nobody had asked for any more, at most two in a period.
    pub stray: u32,
}

impl Health {
    /// Counts since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let of = |counter: &AtomicU32| counter.load(Relaxed);
        Counts {
            questions: of(&self.0.questions),
            lost: of(&self.0.lost),
            damaged: of(&self.0.damaged),
            late: of(&self.0.late),
            alarms: of(&self.0.alarms),
            stray: of(&self.0.stray),
        }
    }
}
