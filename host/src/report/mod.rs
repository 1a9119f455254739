//! Figures and the HTML report.
//!
//! A report shows traces, tables and curves that it gets. The one thing that it judges itself is when a flight has recovered
//! ([`FlightTrace::recovery_s`](crate::evaluate::FlightTrace::recovery_s)), which must agree with evaluation and flight.
//! Figures are SVG text without colours of their own (see [`svg::STYLE`]), so that one figure serves light and dark pages; no
//! font is read when they are drawn.

mod attention;
mod channels;
pub(crate) mod curves;
mod drawing;
mod flight;
pub(crate) mod flights;
mod memory;
pub(crate) mod page;
mod panel;
mod pendulum;
mod picture;
mod plot;
mod quadrotor;
mod svg;
pub(crate) mod training;

pub(crate) use flight::trace as flight_trace;
