//! The classical adaptive controller that the policies are compared with.
//!
//! Recursive least squares identifies `angle'' = a·sin(angle) + b·rate + c·command` from the same noisy
//! observations that a policy sees; an extended Kalman filter with the identified model estimates the
//! state; an energy law swings up, an LQR for the identified linearisation holds. It knows the form of
//! the equation, the sensors' noise and the range of the parameters (a policy knows as much from its
//! training), and it does not know the task. It never sees the true state.
//!
//! Its commands pass the same envelope as a policy's, and it is told what was issued.

mod cascade;
mod controller;
mod identify;
mod observer;
mod pilot;
mod riccati;
mod window;

pub(crate) use cascade::{Cascade, Gains};
pub(crate) use controller::{Classical, Limits, Tuning};
pub(crate) use identify::RecursiveLeastSquares;
pub(crate) use observer::{Model, Observer};
pub(crate) use pilot::ClassicalPilot;
pub(crate) use riccati::{Feedback, solve};
pub(crate) use window::Window;

/// `angle` in rad moved into `[-π, π)`.
#[must_use]
pub(crate) fn wrap(angle: f64) -> f64 {
    use std::f64::consts::{PI, TAU};
    (angle + PI).rem_euclid(TAU) - PI
}
