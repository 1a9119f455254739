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

#[cfg(test)]
mod tests {
    use engram_flight::{Event, Header, LOG_FORMAT, SampleRecord, Step};
    use engram_link::{CommandSource, State};

    use super::*;

    fn channel(name: &str, unit: &str, most: f32) -> ChannelRecord {
        ChannelRecord {
            name: name.to_owned(),
            unit: unit.to_owned(),
            min: -most,
            max: most,
        }
    }

    fn header() -> Header {
        Header {
            format: LOG_FORMAT,
            engram: String::new(),
            board: "host".to_owned(),
            firmware: String::new(),
            controller: "policy".to_owned(),
            wiped: false,
            pace: "lock-step".to_owned(),
            plant: "crane".to_owned(),
            task_seed: 0,
            task: vec![("load".to_owned(), 2.0, "kg".to_owned())],
            change: None,
            fault: String::new(),
            period_us: 20_000,
            observations: vec![channel("swing", "rad", 1.0), channel("trolley", "m", 5.0)],
            actions: vec![channel("force", "N", 10.0), channel("winch", "N", 100.0)],
            has_goal: false,
            state_names: vec!["swing_rad".to_owned()],
            contract_sha256: String::new(),
            image_sha256: String::new(),
            weights_sha256: String::new(),
        }
    }

    fn step(step: u32) -> Step {
        // No sample and no controller in the second step.
        let there = step != 1;
        Step {
            step,
            now_us: 0,
            episode: 0,
            lost_before: 0,
            orders: Vec::new(),
            sample: there.then(|| SampleRecord {
                sample_us: 0,
                observation: vec![0.1, step as f32],
                reward: None,
                done: false,
            }),
            words: if there { vec![32_767, 0] } else { Vec::new() },
            expected: Vec::new(),
            issued: vec![0, 0],
            source: CommandSource::Policy,
            reward: 0.5,
            state: State::Armed,
            faults: 0,
            command: vec![5.0, -50.0],
            plant: vec![0.2],
            holds: false,
            fallen: false,
            ended: false,
            diverged: false,
        }
    }

    #[test]
    fn a_log_of_any_plant_is_a_trace_by_its_channels() {
        let event = |step, kind, text: &str| Event {
            time_s: 0.0,
            step,
            kind,
            text: text.to_owned(),
        };
        let flight = Flight {
            header: header(),
            steps: (0..4).map(step).collect(),
            events: vec![
                event(1, EventKind::Change, "load: a heavier load"),
                event(2, EventKind::Episode, "episode 1"),
                event(3, EventKind::Change, "wind"),
            ],
            attention: vec![engram_flight::Attention {
                step: 2,
                layers: vec![vec![0.25, 0.75], vec![1.0, 0.0]],
            }],
            board_log: Vec::new(),
            image: None,
            summary: None,
            flaws: Vec::new(),
            complete: true,
        };
        let trace = trace(&flight, "policy");
        assert_eq!((trace.steps(), trace.period_s), (4, 0.02));
        let changes: Vec<_> = trace
            .changes
            .iter()
            .map(|c| (c.step, c.words.as_str()))
            .collect();
        assert_eq!(changes, [(1, "a heavier load"), (3, "wind")]);
        assert_eq!(trace.episodes, [2]);
        let of = |signals: &Signals, channel| signals.channel(channel).collect::<Vec<_>>();
        assert_eq!(of(&trace.observation, 1), [0.0, 0.0, 2.0, 3.0]);
        assert_eq!(of(&trace.wanted, 0), [10.0, 5.0, 10.0, 10.0]);
        assert_eq!(of(&trace.issued, 1), [-50.0; 4]);
        assert_eq!(trace.judged(), ("reward".to_owned(), vec![0.5; 4]));
        let attention = trace.attention.as_ref().unwrap();
        assert_eq!((attention.at(2, 0, 1), attention.at(1, 0, 1)), (0.75, 0.0));
        let figure = super::super::picture::flight(&trace, 0.0, 0.06).inline();
        for words in [
            "reward",
            "swing",
            "measured, m",
            "force, N",
            "winch, N",
            "attention of layer 2",
        ] {
            assert!(figure.contains(words), "no {words}");
        }
    }
}
