//! The progress bar of a training run; where standard error is no terminal, a line now and then.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::curve::Point;

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Tells how far a run is: steps, return, steps per second, time left.
pub struct Progress {
    bar: ProgressBar,
    total: u64,
    first: u64,
    begun: Instant,
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
        let template = "{prefix} [{bar:30}] {pos}/{len} steps  {msg}";
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar.set_prefix(label.to_owned());
        bar.set_position(steps);
        let now = Instant::now();
        Self {
            bar,
            total,
            first: steps,
            begun: now,
            last_line: (!quiet).then_some(now),
            terminal,
        }
    }

    /// Environment steps per second since this process began.
    #[must_use]
    pub fn steps_per_s(&self, steps: u64) -> f64 {
        (steps - self.first) as f64 / self.begun.elapsed().as_secs_f64().max(1e-9)
    }

    /// After an iteration.
    pub fn tell(&mut self, point: &Point) {
        let rate = self.steps_per_s(point.steps);
        let left_s = (self.total - point.steps.min(self.total)) as f64 / rate;
        let message = format!(
            "return {:.1}  {rate:.0} steps/s  {} left",
            point.episode_return,
            minutes(left_s)
        );
        self.bar.set_position(point.steps);
        self.bar.set_message(message.clone());
        if let Some(last) = &mut self.last_line
            && !self.terminal
            && last.elapsed() >= LINE_EVERY
        {
            *last = Instant::now();
            eprintln!(
                "{} {}/{} steps  {message}",
                self.bar.prefix(),
                point.steps,
                self.total
            );
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
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

    #[test]
    fn times_read_well() {
        assert_eq!(minutes(75.4), "1:15");
        assert_eq!(minutes(3.0), "0:03");
        assert_eq!(minutes(f64::INFINITY), "5999:59");
    }

    #[test]
    fn a_quiet_run_tells_nothing_and_counts_from_where_it_began() {
        let mut progress = Progress::new("test", 100, 1000, true);
        progress.tell(&Point {
            steps: 200,
            ..Point::default()
        });
        assert!(progress.steps_per_s(200) > 0.0 && progress.steps_per_s(100) == 0.0);
    }
}
