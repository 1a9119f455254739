//! The progress bar of a training run; where standard error is no terminal, a line now and then.

use std::io::{IsTerminal, Write as _, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::curve::Point;
use super::timing::{Lap, rates};

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Iterations that the shown rates are the mean of.
const RECENT: usize = 10;

/// Tells how far a run is: steps, return, steps per second, time left.
pub struct Progress {
    bar: ProgressBar,
    total: u64,
    last_line: Option<Instant>,
    terminal: bool,
}

impl Progress {
    /// For a run that has done `steps` of `total` environment steps. `quiet` shows nothing.
    #[must_use]
    pub fn new(label: &str, steps: u64, total: u64, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let target = if terminal {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let template = "{prefix} [{bar:24}] {pos}/{len} steps  {msg}";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_prefix(label.to_owned());
        bar.set_position(steps);
        Self {
            bar,
            total,
            last_line: (!quiet).then(Instant::now),
            terminal,
        }
    }

    /// After an iteration; `laps` are all so far.
    pub fn tell(&mut self, point: &Point, laps: &[Lap]) {
        let message = message(point, laps, self.total);
        self.bar.set_position(point.steps);
        self.bar.set_message(message.clone());
        if let Some(last) = &mut self.last_line
            && !self.terminal
            && last.elapsed() >= LINE_EVERY
        {
            *last = Instant::now();
            // A line that nobody can read any more (a full disk, a closed pipe) is no reason to end a training.
            let (prefix, steps, total) = (self.bar.prefix(), point.steps, self.total);
            let line = format!("{prefix} {steps}/{total} steps  {message}\n");
            let _ = stderr().write_all(line.as_bytes());
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn message(point: &Point, laps: &[Lap], total: u64) -> String {
    let rates = rates(&laps[laps.len().saturating_sub(RECENT)..]);
    let left_s = (total - point.steps.min(total)) as f64 / rates.total;
    format!(
        "{}  {} steps/s (rollout {}, learner {})  {} left",
        achieved(point),
        short(rates.total),
        short(rates.rollout),
        short(rates.learner),
        minutes(left_s)
    )
}

/// What the robot achieves, exploration included: the return of an episode that ends with a fall, and how many do.
#[must_use]
pub fn achieved(point: &Point) -> String {
    let mut text = format!("return {:.1}", point.achieved_return());
    if let Some(episodes) = point.episodes {
        text.push_str(&format!("  falls {:.2}/episode", episodes.falls));
        if episodes.diverged_steps > 0 {
            text.push_str(&format!("  diverged steps {}", episodes.diverged_steps));
        }
    }
    if point.signal == Some(0.0) {
        text.push_str("  no signal");
    }
    text
}

/// A rate in three digits or so.
fn short(rate: f64) -> String {
    if rate < 1e4 {
        format!("{rate:.0}")
    } else {
        format!("{:.1}k", rate / 1e3)
    }
}

fn minutes(seconds: f64) -> String {
    // A rate of 0 gives infinity, which casts to the largest number.
    let seconds = seconds.round().min(359_999.0) as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Episodes;

    #[test]
    fn times_read_well() {
        assert_eq!(minutes(75.4), "1:15");
        assert_eq!(minutes(3.0), "0:03");
        assert_eq!(minutes(f64::INFINITY), "5999:59");
    }

    #[test]
    fn the_line_tells_recent_rates_and_the_time_left() {
        let lap = |seconds: f64| Lap {
            steps: 1000,
            rollout_s: 0.025 * seconds,
            learner_s: 0.1 * seconds,
            total_s: 0.2 * seconds,
            ..Lap::default()
        };
        let point = Point {
            steps: 12_000,
            episode_return: 97.0,
            episodes: Some(Episodes {
                undisturbed_return: 39.125,
                falls: 0.875,
                diverged_steps: 0,
            }),
            ..Point::default()
        };
        let laps = [[lap(50.0); 2].as_slice(), &[lap(1.0); 10]].concat();
        assert_eq!(
            message(&point, &laps, 312_000),
            "return 39.1  falls 0.88/episode  5000 steps/s (rollout 40.0k, learner 10.0k)  1:00 left"
        );
        let spoiled = Point {
            episodes: Some(Episodes {
                diverged_steps: 12,
                ..Episodes::default()
            }),
            ..point
        };
        assert!(message(&spoiled, &[], 312_000).contains("diverged steps 12"));
        let silent = Point {
            signal: Some(0.0),
            ..point
        };
        assert!(message(&silent, &[], 312_000).contains("no signal"));
        assert!(message(&point, &[], 312_000).contains("return"));
        let mut quiet = Progress::new("test", 0, 312_000, true);
        quiet.tell(&point, &laps);
        quiet.finish();
    }
}
