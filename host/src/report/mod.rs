//! Figures and the HTML report.
//!
//! A report shows traces, tables and curves that it gets. The one thing that it judges itself is when a flight has recovered
//! ([`FlightTrace::recovery_s`]), which must agree with evaluation and flight. Figures are SVG text without colours of their own (see [`svg::STYLE`]), so
//! that one figure serves light and dark pages; no font is read when they are drawn.

pub mod figures;
mod flight;
pub mod page;
pub mod panel;
pub mod picture;
pub mod rewards;
pub mod svg;
pub mod trace;
pub mod training;

pub use flight::trace as flight_trace;
pub use trace::{Attention, FlightTrace, names};
