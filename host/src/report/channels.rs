//! Any plant, by its channels: what it is judged by, what was measured, and what was commanded.

use super::drawing::Drawing;
use super::plot::{Curve, Plot, line};
use crate::evaluate::{FlightTrace, Signals};

/// Curves of one panel; a figure has so many colours.
const TOGETHER: usize = 4;
/// Panels of measured channels that a figure shows.
const MOST_PANELS: usize = 8;

/// A plant without a drawing of its own.
pub(super) struct Channels;

impl Drawing for Channels {
    fn compared(&self, flights: &[FlightTrace]) -> Plot {
        let curves = flights.iter().map(judged).collect();
        let name = flights.first().map(|flight| flight.judged().0);
        Plot::fitting(
            &format!(
                "{}, under each controller on the same task",
                name.unwrap_or_default()
            ),
            curves,
        )
    }

    fn plots(&self, flight: &FlightTrace) -> Vec<Plot> {
        let mut plots = vec![Plot::fitting(&flight.judged().0, vec![judged(flight)])];
        plots.extend(panels(&flight.observation, MOST_PANELS, "measured"));
        // What can be measured is there already.
        let measured = |name: &str| {
            let known = flight.observation.channels.iter();
            known.into_iter().any(|known| name.starts_with(&known.0))
        };
        if !(flight.state.channels.iter()).all(|(name, _)| measured(name)) {
            plots.extend(panels(&flight.state, TOGETHER, "true state"));
        }
        plots
    }
}

fn judged(flight: &FlightTrace) -> Curve {
    Curve {
        class: line(flight),
        values: numbers(flight.judged().1),
        ..Curve::default()
    }
}

/// The numbers of a curve.
pub(super) fn numbers(values: impl IntoIterator<Item = f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
}

/// A channel's unit, or what its name ends with where that tells it.
fn unit((name, unit): &(String, String)) -> &str {
    const ENDS: [&str; 4] = ["_rad_per_s", "_m_per_s", "_rad", "_m"];
    if !unit.is_empty() {
        return unit;
    }
    let end = ENDS.into_iter().find(|end| name.ends_with(end));
    end.unwrap_or_default()
}

/// Neighbours of one unit together, at most `most` panels.
fn panels(signals: &Signals, most: usize, what: &str) -> Vec<Plot> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, channel) in signals.channels.iter().enumerate() {
        match groups.last_mut() {
            Some(group)
                if group.len() < TOGETHER && unit(&signals.channels[group[0]]) == unit(channel) =>
            {
                group.push(index);
            }
            _ => groups.push(vec![index]),
        }
    }
    let left_out: usize = groups.iter().skip(most).map(Vec::len).sum();
    groups.truncate(most);
    let last = groups.len().saturating_sub(1);
    let plot = |(panel, group): (usize, Vec<usize>)| {
        let unit = match signals.channels[group[0]].1.as_str() {
            "" | "1" => String::new(),
            unit => format!(", {unit}"),
        };
        let more = if panel == last && left_out > 0 {
            format!(" ({left_out} more channels are not shown)")
        } else {
            String::new()
        };
        let curve = |(colour, channel): (usize, &usize)| Curve {
            name: signals.channels[*channel].0.clone(),
            class: format!("line s{colour}"),
            values: numbers(signals.channel(*channel)),
            ..Curve::default()
        };
        let curves = group.iter().enumerate().map(curve).collect();
        Plot::fitting(&format!("{what}{unit}{more}"), curves)
    };
    groups.into_iter().enumerate().map(plot).collect()
}

/// The commands: up to four actions have a panel each, more share them. `wanted` adds what the controller asked for.
pub(super) fn commands(flight: &FlightTrace, wanted: bool) -> Vec<Plot> {
    let signals = &flight.issued;
    if signals.channels.len() > TOGETHER {
        return panels(signals, MOST_PANELS, "issued commands");
    }
    let colour = if wanted {
        line(flight)
    } else {
        "line s0".to_owned()
    };
    let plot = |channel: usize| {
        let curve = |signals: &Signals, class: String| Curve {
            class,
            values: numbers(signals.channel(channel)),
            held: true,
            ..Curve::default()
        };
        let mut curves = Vec::new();
        if wanted {
            curves.push(curve(&flight.wanted, format!("{colour} thin faint")));
        }
        curves.push(curve(signals, colour.clone()));
        let heading = match (channel, wanted) {
            (0, true) => format!("commands, wanted (thin) and issued: {}", signals.label(0)),
            (0, false) => format!(
                "issued commands of the {}: {}",
                flight.name,
                signals.label(0)
            ),
            _ => signals.label(channel),
        };
        Plot::fitting(&heading, curves)
    };
    (0..signals.channels.len()).map(plot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_of_one_unit_share_a_panel_and_what_is_left_out_is_said() {
        let state = ["x_m", "y_m", "attitude", "turn_rad_per_s", "roll_rad_per_s"];
        let state = panels(&Signals::new(state.map(|name| (name, ""))), 8, "true state");
        assert_eq!(
            state
                .iter()
                .map(|plot| plot.curves.len())
                .collect::<Vec<_>>(),
            [2, 1, 2]
        );
        let names: Vec<String> = (0..23).map(|k| format!("c{k}")).collect();
        let unit = |k: usize| if k < 3 { "m" } else { "rad" };
        let mut signals =
            Signals::new(names.iter().enumerate().map(|(k, n)| (n.as_str(), unit(k))));
        signals.push((0..23u8).map(f32::from));
        let plots = panels(&signals, 3, "measured");
        let sizes: Vec<usize> = plots.iter().map(|plot| plot.curves.len()).collect();
        assert_eq!(sizes, [3, 4, 4]);
        assert_eq!(plots[0].heading, "measured, m");
        assert_eq!(
            plots[2].heading,
            "measured, rad (12 more channels are not shown)"
        );
    }

    #[test]
    fn a_plant_without_a_metric_is_judged_by_its_reward() {
        let flight = FlightTrace {
            name: "policy".into(),
            reward: vec![1.0, 2.0],
            holds: vec![false; 2],
            issued: Signals::new([("torque", "Nm")]),
            ..FlightTrace::default()
        };
        let plots = Channels.plots(&flight);
        assert_eq!((plots.len(), plots[0].heading.as_str()), (1, "reward"));
        assert_eq!(commands(&flight, true)[0].curves.len(), 2);
        assert_eq!(
            commands(&flight, false)[0].heading,
            "issued commands of the policy: torque, Nm"
        );
    }
}
