//! Figures and the HTML report.
//!
//! A report shows traces, tables and curves that it gets. The one thing that it judges itself is when a flight has recovered
//! ([`FlightTrace::recovery_s`]), which must agree with evaluation and flight. Figures are SVG text without colours of their own (see [`svg::STYLE`]), so
//! that one figure serves light and dark pages; no font is read when they are drawn.

pub(crate) mod figures;
mod flight;
pub(crate) mod page;
pub(crate) mod panel;
pub(crate) mod picture;
pub(crate) mod rewards;
pub(crate) mod svg;
pub(crate) mod trace;
pub(crate) mod training;

pub(crate) use flight::trace as flight_trace;
pub(crate) use trace::{Attention, FlightTrace, names};
