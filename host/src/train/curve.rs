//! `curve.csv`: one line per iteration, the same for the same seed.

use std::fmt::Write as _;
use std::path::Path;

use engram_export::checkpoint::folder;

use super::learner::Update;

/// Name of the file.
pub const CURVE_FILE: &str = "curve.csv";

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

/// A curve or a timing that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct CurveError {
    path: String,
    reason: String,
}

/// Reads the curve of a run's folder.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn read(dir: &Path) -> Result<Vec<Point>, CurveError> {
    let rows = read_rows::<11>(dir, CURVE_FILE, HEADER)?;
    let points = rows.into_iter().map(|row| {
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
        ] = row;
        let update = Update {
            kl,
            clipped,
            entropy,
            value_loss,
            gradient,
            belief_error,
        };
        let (iteration, steps) = (iteration as u64, steps as u64);
        Point {
            iteration,
            steps,
            reward,
            episode_return,
            explained,
            update,
        }
    });
    Ok(points.collect())
}

/// Reads a file of numbers whose first line is `header`.
pub(super) fn read_rows<const COLUMNS: usize>(
    dir: &Path,
    name: &str,
    header: &str,
) -> Result<Vec<[f64; COLUMNS]>, CurveError> {
    let broken = |reason: String| CurveError {
        path: dir.join(name).display().to_string(),
        reason,
    };
    let text = folder::read(dir, name).map_err(|error| broken(error.to_string()))?;
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let found = reader
        .headers()
        .map_err(|error| broken(error.to_string()))?;
    if found.iter().ne(header.split(',')) {
        return Err(broken(format!("the columns are not {header}")));
    }
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| broken(error.to_string()))?;
        let mut numbers = [0.0; COLUMNS];
        for (number, text) in numbers.iter_mut().zip(&row) {
            *number = text
                .parse()
                .map_err(|_| broken(format!("'{text}' is not a number")))?;
        }
        rows.push(numbers);
    }
    Ok(rows)
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
        let path = folder.path().join(CURVE_FILE);
        std::fs::write(&path, render(&[point, point])).unwrap();
        assert_eq!(read(folder.path()).unwrap(), [point, point]);
        for wrong in [
            "a,b\n1,2\n".to_owned(),
            render(&[point]).replace("225", "many"),
        ] {
            std::fs::write(&path, wrong).unwrap();
            let error = read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("curve.csv"), "{error}");
        }
    }
}
