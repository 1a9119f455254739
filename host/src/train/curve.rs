//! `curve.csv`: one line per iteration, the same for the same seed.

use std::fmt::Write as _;
use std::path::Path;

use super::learner::Update;

/// One iteration's line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Iterations done, this one included.
    pub iteration: u64,
    /// Environment steps done.
    pub steps: u64,
    /// Mean reward per step of the trials that this iteration collected, exploration included.
    pub reward: f64,
    /// The same as a return: summed over the steps of one episode of the plant's protocol.
    pub episode_return: f64,
    /// Share of the returns' variance that the critic explained.
    pub explained: f64,
    /// What the updates told.
    pub update: Update,
}

const HEADER: &str =
    "iteration,steps,reward,return,kl,clipped,entropy,value_loss,explained,gradient,belief_error";

/// The text of `curve.csv`.
#[must_use]
pub fn render(points: &[Point]) -> String {
    let mut text = format!("{HEADER}\n");
    for point in points {
        let Point {
            iteration,
            steps,
            reward,
            episode_return,
            explained,
            update,
        } = point;
        let Update {
            kl,
            clipped,
            entropy,
            value_loss,
            gradient,
            belief_error,
        } = update;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{iteration},{steps},{reward:.6},{episode_return:.4},{kl:.6e},{clipped:.6},{entropy:.6},{value_loss:.6e},{explained:.6},{gradient:.6e},{belief_error:.6e}"
        );
    }
    text
}

/// A curve that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct CurveError {
    path: String,
    reason: String,
}

/// Reads a `curve.csv`.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn read(path: &Path) -> Result<Vec<Point>, CurveError> {
    let broken = |reason: String| CurveError {
        path: path.display().to_string(),
        reason,
    };
    let mut reader = csv::Reader::from_path(path).map_err(|error| broken(error.to_string()))?;
    let header = reader
        .headers()
        .map_err(|error| broken(error.to_string()))?;
    if header.iter().ne(HEADER.split(',')) {
        return Err(broken(format!("the columns are not {HEADER}")));
    }
    reader
        .deserialize::<[f64; 11]>()
        .map(|row| {
            let [
                iteration,
                steps,
                reward,
                episode_return,
                kl,
                clipped,
                entropy,
                value_loss,
                explained,
                gradient,
                belief_error,
            ] = row.map_err(|error| broken(error.to_string()))?;
            let update = Update {
                kl,
                clipped,
                entropy,
                value_loss,
                gradient,
                belief_error,
            };
            let (iteration, steps) = (iteration as u64, steps as u64);
            Ok(Point {
                iteration,
                steps,
                reward,
                episode_return,
                explained,
                update,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let update = Update {
            kl: 0.015625,
            clipped: 0.25,
            entropy: 0.5,
            value_loss: 0.125,
            gradient: 2.0,
            belief_error: 0.5,
        };
        let point = Point {
            iteration: 3,
            steps: 300,
            reward: 0.75,
            episode_return: 225.0,
            explained: 0.5,
            update,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("curve.csv");
        std::fs::write(&path, render(&[point, point])).unwrap();
        assert_eq!(read(&path).unwrap(), [point, point]);
        std::fs::write(&path, "a,b\n1,2\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("curve.csv"));
    }
}
