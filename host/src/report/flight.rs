//! From a flight log to what a report draws.

use engram_flight::{EventKind, Flight};
use engram_kernels::command_from_word;

use super::{Attention, FlightTrace};

/// The flight of a pendulum as a report shows it, under `name` in the legends.
///
/// Steps without a sample repeat the measurement before them.
#[must_use]
pub(crate) fn trace(flight: &Flight, name: &str) -> FlightTrace {
    let mut trace = FlightTrace {
        name: name.to_owned(),
        period_s: f64::from(flight.header.period_us) / 1e6,
        attention: attention(flight),
        ..FlightTrace::default()
    };
    let (mut measured, mut rate) = (0.0, 0.0);
    for step in &flight.steps {
        if let Some([cos, sin, measured_rate, ..]) = step
            .sample
            .as_ref()
            .map(|sample| sample.observation.as_slice())
        {
            (measured, rate) = (sin.atan2(*cos), *measured_rate);
        }
        trace
            .angle_rad
            .push(step.plant.first().copied().unwrap_or(measured));
        trace.angle_measured_rad.push(measured);
        trace.rate_rad_per_s.push(rate);
        let issued = step.command.first().copied().unwrap_or(0.0);
        trace
            .command_nm
            .push(wanted(flight, &step.words).unwrap_or(issued));
        trace.issued_nm.push(issued);
        trace.upright.push(step.holds);
    }
    for event in &flight.events {
        match event.kind {
            EventKind::Change => {
                trace.change_step = Some(event.step as usize);
                trace.change = event.text.clone();
            }
            EventKind::Episode => trace.episodes.push(event.step as usize),
            _ => {}
        }
    }
    trace
}

/// The first command before the envelope, in the contract's unit.
fn wanted(flight: &Flight, words: &[i16]) -> Option<f32> {
    let (channel, word) = (flight.header.actions.first()?, words.first()?);
    Some(command_from_word(*word, channel.min, channel.max))
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
