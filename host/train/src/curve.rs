//! `curve.csv`: one line per iteration, the same for the same seed.

use std::fmt::Write as _;
use std::path::Path;

use engram_export::checkpoint::folder;

use super::episodes::Episodes;
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
    /// The same summed over the steps of one episode of the plant's protocol, as if a fall cost nothing but its step.
    pub episode_return: f64,
    /// Share of the returns' variance that the critic explained.
    pub explained: f64,
    /// What the updates told.
    pub update: Update,
    /// What became of the episodes; not known of iterations that an earlier version made.
    pub episodes: Option<Episodes>,
    /// How far the trials' returns differ from each other, over how far the advantages do; below
    /// [`LEAST_SIGNAL`](super::batch::LEAST_SIGNAL) the critic was not asked, and at 0 the policy was left as it was. Not known of such iterations either.
    pub signal: Option<f64>,
}

impl Point {
    /// Return of an episode that ends with a fall; of a point that an earlier version wrote, the return that falls cost
    /// nothing of.
    #[must_use]
    pub fn achieved_return(&self) -> f64 {
        self.episodes
            .map_or(self.episode_return, |episodes| episodes.undisturbed_return)
    }
}

const HEADER: &str = "iteration,steps,reward,return,kl,clipped,entropy,value_loss,explained,gradient,belief_error,undisturbed_return,falls,diverged_steps,signal";
/// Columns at the end that the files of earlier versions do not have.
const NEW_COLUMNS: usize = 4;

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
            episodes,
            signal,
        } = point;
        let Update {
            kl,
            clipped,
            entropy,
            value_loss,
            gradient,
            belief_error,
        } = update;
        let signal = signal.map_or_else(String::new, |signal| format!("{signal:.6e}"));
        let episodes = episodes.map_or_else(
            || ",,".to_owned(),
            |Episodes {
                 undisturbed_return,
                 falls,
                 diverged_steps,
             }| { format!("{undisturbed_return:.4},{falls:.6},{diverged_steps}") },
        );
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{iteration},{steps},{reward:.6},{episode_return:.4},{kl:.6e},{clipped:.6},{entropy:.6},{value_loss:.6e},{explained:.6},{gradient:.6e},{belief_error:.6e},{episodes},{signal}"
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

/// Reads the curve of a run's folder. Files of earlier versions say nothing of episodes; their points have none.
///
/// # Errors
/// Names the file and what is wrong with it.
pub fn read(dir: &Path) -> Result<Vec<Point>, CurveError> {
    let rows = read_rows::<15>(dir, CURVE_FILE, HEADER, NEW_COLUMNS)?;
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
            undisturbed_return,
            falls,
            diverged_steps,
            signal,
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
            episodes: (!undisturbed_return.is_nan()).then_some(Episodes {
                undisturbed_return,
                falls,
                diverged_steps: diverged_steps as u64,
            }),
            signal: (!signal.is_nan()).then_some(signal),
        }
    });
    Ok(points.collect())
}

/// Reads a file of numbers whose first line is `header`. It may lack the last `newer` columns, or their numbers: these
/// are NaN then.
pub(super) fn read_rows<const COLUMNS: usize>(
    dir: &Path,
    name: &str,
    header: &str,
    newer: usize,
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
    let older = header.split(',').take(COLUMNS - newer);
    if found.iter().ne(header.split(',')) && found.iter().ne(older) {
        return Err(broken(format!("the columns are not {header}")));
    }
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|error| broken(error.to_string()))?;
        let mut numbers = [f64::NAN; COLUMNS];
        for (column, (number, text)) in numbers.iter_mut().zip(&row).enumerate() {
            if text.is_empty() && column >= COLUMNS - newer {
                continue;
            }
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
            episodes: Some(Episodes {
                undisturbed_return: 112.5,
                falls: 0.25,
                diverged_steps: 7,
            }),
            signal: Some(2.5),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(CURVE_FILE);
        std::fs::write(&path, render(&[point, point])).unwrap();
        assert_eq!(read(folder.path()).unwrap(), [point, point]);
        // A run of an earlier version that goes on: its first points stay without.
        let older = Point {
            episodes: None,
            signal: None,
            ..point
        };
        let text = render(&[older]).replace(",undisturbed_return,falls,diverged_steps,signal", "");
        std::fs::write(&path, text.replace(",,,,", "")).unwrap();
        assert_eq!(read(folder.path()).unwrap(), [older]);
        std::fs::write(&path, render(&[older, point])).unwrap();
        assert_eq!(read(folder.path()).unwrap(), [older, point]);
        for wrong in [
            render(&[point]).replace("belief_error,", ""),
            render(&[point]).replace("0.500000,", ","),
            "a,b\n1,2\n".to_owned(),
            render(&[point]).replace("225", "many"),
        ] {
            std::fs::write(&path, wrong).unwrap();
            let error = read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("curve.csv"), "{error}");
        }
    }
}
