//! `timing.csv`: how long each iteration took. Times are of this machine and this day, and differ from run to
//! run; that is why they are not in `curve.csv`, which does not.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use engram_export::checkpoint::folder;

use super::curve::CurveError;

/// Name of the file.
pub const TIMING_FILE: &str = "timing.csv";

const HEADER: &str = "iteration,steps,unix_s,rollout_s,learner_s,total_s,rollout_steps_per_s,learner_steps_per_s,steps_per_s";

/// How long one iteration took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Lap {
    /// Iterations done, this one included.
    pub iteration: u64,
    /// Environment steps of this iteration.
    pub steps: u64,
    /// When it ended, seconds since 1970.
    pub unix_s: f64,
    /// Seconds of collecting trials.
    pub rollout_s: f64,
    /// Seconds of the updates.
    pub learner_s: f64,
    /// Seconds of the whole iteration: the two above and what is between them.
    pub total_s: f64,
}

/// Environment steps per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// While trials were collected.
    pub rollout: f64,
    /// While the learner went over them, all its passes together.
    pub learner: f64,
    /// Over all.
    pub total: f64,
}

impl Lap {
    /// The rates of this iteration.
    #[must_use]
    pub fn rates(&self) -> Rates {
        rates(&[*self])
    }
}

/// The mean rates over some iterations.
#[must_use]
pub fn rates(laps: &[Lap]) -> Rates {
    let steps: u64 = laps.iter().map(|lap| lap.steps).sum();
    let rate =
        |seconds: fn(&Lap) -> f64| steps as f64 / laps.iter().map(seconds).sum::<f64>().max(1e-9);
    Rates {
        rollout: rate(|lap| lap.rollout_s),
        learner: rate(|lap| lap.learner_s),
        total: rate(|lap| lap.total_s),
    }
}

/// Seconds since 1970; 0 where the clock is set before that.
#[must_use]
pub fn unix_s() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}

/// The text of `timing.csv`.
#[must_use]
pub fn render(laps: &[Lap]) -> String {
    let mut text = format!("{HEADER}\n");
    for lap in laps {
        let Lap {
            iteration,
            steps,
            unix_s,
            rollout_s,
            learner_s,
            total_s,
        } = lap;
        let rates = lap.rates();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{iteration},{steps},{unix_s:.3},{rollout_s:.6},{learner_s:.6},{total_s:.6},{:.1},{:.1},{:.1}",
            rates.rollout, rates.learner, rates.total
        );
    }
    text
}

/// Reads the timing of a run's folder; none where the file is missing, as in runs of earlier versions.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn read(dir: &Path) -> Result<Vec<Lap>, CurveError> {
    if !folder::holds(dir, TIMING_FILE) {
        return Ok(Vec::new());
    }
    let rows = super::curve::read_rows::<9>(dir, TIMING_FILE, HEADER, 0)?;
    let laps = rows.into_iter().map(|row| {
        let [iteration, steps, unix_s, rollout_s, learner_s, total_s, ..] = row;
        Lap {
            iteration: iteration as u64,
            steps: steps as u64,
            unix_s,
            rollout_s,
            learner_s,
            total_s,
        }
    });
    Ok(laps.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let lap = Lap {
            iteration: 2,
            steps: 600,
            unix_s: 1_800_000_000.125,
            rollout_s: 0.5,
            learner_s: 1.0,
            total_s: 2.0,
        };
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()).unwrap(), []);
        std::fs::write(folder.path().join(TIMING_FILE), render(&[lap, lap])).unwrap();
        assert_eq!(read(folder.path()).unwrap(), [lap, lap]);
        let expected = Rates {
            rollout: 1200.0,
            learner: 600.0,
            total: 300.0,
        };
        assert_eq!(lap.rates(), expected);
        assert_eq!(rates(&[lap, lap]), expected);
        std::fs::write(folder.path().join(TIMING_FILE), "a,b\n1,2\n").unwrap();
        let error = read(folder.path()).unwrap_err().to_string();
        assert!(error.contains("timing.csv"), "{error}");
    }
}
