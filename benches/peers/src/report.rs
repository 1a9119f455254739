//! Tables and JSON.

use std::fmt;

use serde::Serialize;

use crate::compare::Difference;
use crate::floor::Floor;
use crate::timing::Cost;

/// One contender at one shape.
pub(crate) struct Row {
    pub(crate) engine: &'static str,
    pub(crate) function: &'static str,
    pub(crate) variant: String,
    /// Whether its function is Engram's at every step.
    pub(crate) is_equal: bool,
    pub(crate) difference: Difference,
    pub(crate) cost: Cost,
}

/// All contenders at one shape; Engram's integers are the first.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) floor: Floor,
    pub(crate) rows: Vec<Row>,
}

/// How many times longer than Engram's integers the fastest peers take.
#[derive(Serialize)]
struct Best {
    /// Of ONNX Runtime alone, the same function.
    onnxruntime_equal: Option<f64>,
    /// Of all peers, the same function.
    equal: Option<f64>,
    /// Of all peers, the whole window where that is another function past the first `N` steps.
    window: Option<f64>,
}

#[derive(Serialize)]
struct JsonRow<'a> {
    engine: &'a str,
    function: &'a str,
    variant: &'a str,
    equal_function: bool,
    steps_compared: usize,
    largest_difference: f64,
    rms_difference: f64,
    median_us: f64,
    min_us: f64,
    allocations: f64,
    times_engram: f64,
    times_engram_min: f64,
}

#[derive(Serialize)]
struct JsonTable<'a> {
    name: &'a str,
    /// Those that no engine can leave out.
    macs: u64,
    clock_ghz: f64,
    /// The least time of those multiply-accumulates; none without AVX-512 VNNI.
    floor_us: Option<f64>,
    contenders: Vec<JsonRow<'a>>,
    times_engram_best: Best,
    times_engram_best_min: Best,
}

impl Table {
    /// How many times Engram's, by `cost`.
    fn times(&self, row: &Row, cost: Of) -> f64 {
        let engram = self.rows.first().map_or(f64::NAN, |row| cost(&row.cost));
        cost(&row.cost) / engram
    }

    fn best(&self, cost: Of, takes_part: impl Fn(&Row) -> bool) -> Option<f64> {
        let peers = self.rows.iter().filter(|row| row.engine != "engram");
        peers
            .filter(|row| takes_part(row))
            .map(|row| self.times(row, cost))
            .min_by(f64::total_cmp)
    }

    /// How many times the floor the fastest ONNX Runtime of the same function takes at least.
    fn over_floor(&self, floor_us: f64) -> Option<f64> {
        self.rows
            .iter()
            .filter(|row| row.engine == "onnxruntime" && row.is_equal)
            .map(|row| row.cost.min_us / floor_us)
            .min_by(f64::total_cmp)
    }

    fn bests(&self, cost: Of) -> Best {
        Best {
            onnxruntime_equal: self.best(cost, |row| row.is_equal && row.engine == "onnxruntime"),
            equal: self.best(cost, |row| row.is_equal),
            window: self.best(cost, |row| !row.is_equal),
        }
    }
}

/// Which time of a cost.
type Of = fn(&Cost) -> f64;

/// The median.
const MEDIAN: Of = |cost| cost.median_us;
/// The fastest.
const MIN: Of = |cost| cost.min_us;

/// What `--json` prints.
pub(crate) fn json(tables: &[Table]) -> impl Serialize {
    let shapes: Vec<_> = tables
        .iter()
        .map(|table| JsonTable {
            name: table.name,
            macs: table.floor.macs,
            clock_ghz: table.floor.clock_ghz,
            floor_us: table.floor.us(),
            contenders: table
                .rows
                .iter()
                .map(|row| JsonRow {
                    engine: row.engine,
                    function: row.function,
                    variant: &row.variant,
                    equal_function: row.is_equal,
                    steps_compared: row.difference.steps,
                    largest_difference: row.difference.largest,
                    rms_difference: row.difference.rms,
                    median_us: row.cost.median_us,
                    min_us: row.cost.min_us,
                    allocations: row.cost.allocations,
                    times_engram: table.times(row, MEDIAN),
                    times_engram_min: table.times(row, MIN),
                })
                .collect(),
            times_engram_best: table.bests(MEDIAN),
            times_engram_best_min: table.bests(MIN),
        })
        .collect();
    serde_json::json!({ "shapes": serde_json::json!(shapes) })
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Floor { macs, clock_ghz } = self.floor;
        write!(
            f,
            "{}: {macs} multiply-accumulates, {clock_ghz:.2} GHz",
            self.name
        )?;
        if let Some(floor_us) = self.floor.us() {
            write!(f, "; by vpdpbusd alone {floor_us:.2} us")?;
            if let Some(times) = self.over_floor(floor_us) {
                write!(f, ", the best ONNX Runtime takes {times:.1} times as long")?;
            }
        }
        writeln!(f)?;
        writeln!(
            f,
            "| engine | function | variant | differs at most | rms | median us | min us | allocations | times Engram | by minima |"
        )?;
        writeln!(f, "|---|---|---|--:|--:|--:|--:|--:|--:|--:|")?;
        for row in &self.rows {
            let other = if row.is_equal {
                ""
            } else {
                " (another function)"
            };
            writeln!(
                f,
                "| {} | {}{other} | {} | {:.1e} | {:.1e} | {:.2} | {:.2} | {:.0} | {:.1} | {:.1} |",
                row.engine,
                row.function,
                row.variant,
                row.difference.largest,
                row.difference.rms,
                row.cost.median_us,
                row.cost.min_us,
                row.cost.allocations,
                self.times(row, MEDIAN),
                self.times(row, MIN)
            )?;
        }
        let (medians, minima) = (self.bests(MEDIAN), self.bests(MIN));
        for (what, median, min) in [
            (
                "best ONNX Runtime, the same function",
                medians.onnxruntime_equal,
                minima.onnxruntime_equal,
            ),
            ("best peer, the same function", medians.equal, minima.equal),
            ("best peer, the whole window", medians.window, minima.window),
        ] {
            if let (Some(median), Some(min)) = (median, min) {
                writeln!(f, "{what}: {median:.1} times Engram, {min:.1} by minima")?;
            }
        }
        Ok(())
    }
}
