//! Figures and the HTML report.
//!
//! A report only shows: it gets traces, tables and curves, and computes nothing that another module
//! would have to agree with. Figures are SVG text without colours of their own (see [`svg::STYLE`]), so
//! that one figure serves light and dark pages; no font is read when they are drawn.

pub mod figures;
pub mod page;
pub mod panel;
pub mod picture;
pub mod rewards;
pub mod svg;
pub mod trace;
pub mod training;

pub use trace::{Attention, FlightTrace, names};
