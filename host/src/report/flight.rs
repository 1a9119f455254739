//! From a flight log to what a report draws.

use engram_flight::{ChannelRecord, EventKind, Flight};
use engram_kernels::command_from_word;

use crate::evaluate::{Attention, Changed, FlightTrace, Signals};

/// A logged flight as a report shows it, under `name` in the legends.
///
/// Steps without a sample repeat the measurement before them.
#[must_use]
pub(crate) fn trace(flight: &Flight, name: &str) -> FlightTrace {
    let header = &flight.header;
    let commands = signals(&header.actions);
    let mut trace = FlightTrace {
        name: name.to_owned(),
        plant: header.plant.clone(),
        period_s: f64::from(header.period_us) / 1e6,
        task: header.task.clone(),
        observation: signals(&header.observations),
        state: Signals::new(header.state_names.iter().map(|name| (name.as_str(), ""))),
        wanted: commands.clone(),
        issued: commands,
        has_goal: header.has_goal,
        attention: attention(flight),
        ..FlightTrace::default()
    };
    for step in &flight.steps {
        let sample = step.sample.iter().flat_map(|sample| &sample.observation);
        trace.observation.push(sample.copied());
        trace.state.push(step.plant.iter().copied());
        let wanted = header.actions.iter().zip(&step.words);
        let wanted: Vec<f32> = wanted
            .map(|(channel, word)| command_from_word(*word, channel.min, channel.max))
            .collect();
        // Where no controller ran, what was issued was wanted.
        let wanted = if wanted.is_empty() {
            &step.command
        } else {
            &wanted
        };
        trace.wanted.push(wanted.iter().copied());
        trace.issued.push(step.command.iter().copied());
        trace.reward.push(step.reward);
        trace.holds.push(step.holds);
    }
    for event in &flight.events {
        let step = event.step as usize;
        match event.kind {
            // A log says `name: what it does`.
            EventKind::Change => trace.changes.push(Changed {
                step,
                words: match event.text.split_once(": ") {
                    Some((_, words)) => words.to_owned(),
                    None => event.text.clone(),
                },
            }),
            EventKind::Episode => trace.episodes.push(step),
            _ => {}
        }
    }
    trace
}

fn signals(channels: &[ChannelRecord]) -> Signals {
    Signals::new(channels.iter().map(|c| (c.name.as_str(), c.unit.as_str())))
}

fn attention(flight: &Flight) -> Option<Attention> {
    let first = flight.attention.first()?;
    let layers = first.layers.len();
    let window = first.layers.first()?.len();
    let mut weight = vec![0.0; flight.steps.len() * layers * window];
    for attention in &flight.attention {
        let from = attention.step as usize * layers * window;
        let place = weight.get_mut(from..from + layers * window)?;
        for (place, share) in place.iter_mut().zip(attention.layers.iter().flatten()) {
            *place = *share;
        }
    }
    Some(Attention {
        layers,
        window,
        weight,
    })
}
