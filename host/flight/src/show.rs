//! The live view: one line of plain words, rewritten in place on a terminal.
//!
//! Where standard error is no terminal (a file, CI) a line is printed twice a second of flight. Where it cannot be
//! written (a pipe that nobody reads, a terminal that is gone, a full disk) nothing more is shown, and the flight goes on.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use super::record::{Event, EventKind, Header, Step};
use super::recorder::Watcher;

/// Columns of a bar.
const BAR: usize = 25;
/// Lines per second of flight where nothing can be rewritten.
const LINES_PER_S: f64 = 2.0;

/// Draws a flight on standard error.
pub struct Show {
    terminal: bool,
    began: Option<Instant>,
    next_line_s: f64,
    change_s: Option<f64>,
    line_open: bool,
    /// Nobody can see it any more.
    blind: bool,
}

impl Show {
    /// A view; on a terminal it slows a faster flight down to real time, to be watched.
    #[must_use]
    pub fn new() -> Self {
        Self {
            terminal: std::io::stderr().is_terminal(),
            began: None,
            next_line_s: 0.0,
            change_s: None,
            line_open: false,
            blind: false,
        }
    }

    fn print(&mut self, text: &str) {
        if !self.blind {
            let mut to = std::io::stderr();
            let shown = to.write_all(text.as_bytes()).and_then(|()| to.flush());
            self.blind = shown.is_err();
        }
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.line_open) {
            self.print("\n");
        }
    }
}

impl Default for Show {
    fn default() -> Self {
        Self::new()
    }
}

impl Watcher for Show {
    fn step(&mut self, header: &Header, step: &Step, _: &[Vec<f32>], time_s: f64) {
        if self.blind {
            return;
        }
        if self.terminal {
            let began = *self.began.get_or_insert_with(Instant::now);
            let due = began + Duration::from_secs_f64(time_s);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let line = line(header, step, time_s, self.change_s);
        if self.terminal {
            self.print(&format!("\r\x1b[2K{line}"));
            self.line_open = true;
        } else if time_s >= self.next_line_s {
            self.print(&format!("{line}\n"));
            self.next_line_s = time_s + 1.0 / LINES_PER_S;
        }
    }

    fn event(&mut self, event: &Event) {
        self.end_line();
        let what = match event.kind {
            EventKind::Change => {
                self.change_s = Some(event.time_s);
                "the dynamics change: "
            }
            EventKind::State => "the controller is ",
            EventKind::Difference => "DIFFERENCE at ",
            EventKind::Asked => "asked for: ",
            EventKind::Fall
            | EventKind::Diverged
            | EventKind::Episode
            | EventKind::Link
            | EventKind::End => "",
        };
        self.print(&format!(">> {:.2} s: {what}{}\n", event.time_s, event.text));
    }
}

/// One line: time, state as a bar, command as a bar, and what it means.
fn line(header: &Header, step: &Step, time_s: f64, change_s: Option<f64>) -> String {
    let mut text = format!("{time_s:6.2} s");
    if let (Some(name), Some(value)) = (header.state_names.first(), step.plant.first()) {
        // "angle_rad" is shown in degrees; anything else as it is.
        let (label, shown, unit, share) = match name.strip_suffix("_rad") {
            Some(label) => {
                let angle = wrap(*value);
                (label, angle.to_degrees(), "°", angle / std::f32::consts::PI)
            }
            None => (name.as_str(), *value, "", value.tanh()),
        };
        text.push_str(&format!("  {label} {} {shown:+6.0}{unit}", marker(share)));
    }
    if let (Some(channel), Some(command)) = (header.actions.first(), step.command.first()) {
        let half = (channel.max - channel.min) / 2.0;
        let share = (command - (channel.min + half)) / half;
        text.push_str(&format!(
            "  {} {} {command:+6.1} {}",
            channel.name,
            gauge(share),
            channel.unit
        ));
    }
    text.push_str(match (header.has_goal, step.holds, step.fallen) {
        (_, _, _) if step.ended => "  ended ",
        (true, true, _) => "  holds ",
        (true, false, true) => "  hangs ",
        _ => "  moving",
    });
    if step.state != engram_link::State::Armed {
        text.push_str(&format!("  [{}]", step.state));
    }
    if let Some(change_s) = change_s.filter(|change_s| time_s >= *change_s) {
        text.push_str(&format!("  {:.1} s after the change", time_s - change_s));
    }
    text
}

/// `angle` in rad moved into `[-pi, pi)`.
fn wrap(angle: f32) -> f32 {
    use std::f32::consts::{PI, TAU};
    (angle + PI).rem_euclid(TAU) - PI
}

fn column(share: f32) -> usize {
    let middle = (BAR / 2) as f32;
    (middle + share.clamp(-1.0, 1.0) * middle).round() as usize
}

/// A mark at `share` of the bar, -1 left, 1 right.
fn marker(share: f32) -> String {
    let at = column(share);
    let cells = (0..BAR).map(|place| match place {
        place if place == at => 'O',
        place if place == BAR / 2 => '|',
        _ => ' ',
    });
    format!("[{}]", cells.collect::<String>())
}

/// A bar from the middle to `share`.
fn gauge(share: f32) -> String {
    let (at, middle) = (column(share), BAR / 2);
    let cells = (0..BAR).map(|place| match place {
        place if place == middle => '|',
        place if (at..middle).contains(&place) || (middle + 1..=at).contains(&place) => '#',
        _ => ' ',
    });
    format!("[{}]", cells.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_point_where_the_value_is() {
        assert_eq!(marker(0.0).find('O'), Some(1 + BAR / 2));
        assert_eq!(marker(-1.0).find('O'), Some(1));
        assert_eq!(marker(9.0).find('O'), Some(BAR));
        assert_eq!(gauge(0.0).matches('#').count(), 0);
        assert_eq!(gauge(1.0).matches('#').count(), BAR / 2);
        assert!(gauge(-0.5).find('#') < gauge(-0.5).find('|'));
    }

    #[test]
    fn angles_wrap() {
        assert!((wrap(3.5) - (3.5 - std::f32::consts::TAU)).abs() < 1e-5);
        assert!((wrap(-0.5) + 0.5).abs() < 1e-6);
    }
}
