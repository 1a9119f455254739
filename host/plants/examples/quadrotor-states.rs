//! Flies quadrotors open loop, for whoever wants to compare their physics with other simulators' (`scripts/check-l2f`):
//! a JSON line in, `{"body": {...}, "state": [17 numbers], "actions": [[4 numbers], ...]}` with the fields of
//! [`Body`]; a JSON line out, the state of 17 numbers after each of the actions.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io::BufRead;

use engram_plants::quadrotor::{BEFORE_LAST, Body, Dynamics, LAST, ROTORS, STATE};
use serde::Deserialize;

#[derive(Deserialize)]
struct Flight {
    body: Body,
    state: [f32; LAST],
    actions: Vec<[f32; 4]>,
}

fn main() -> Result<(), Box<dyn Error>> {
    for line in std::io::stdin().lock().lines() {
        let flight: Flight = serde_json::from_str(&line?)?;
        let dynamics = Dynamics::new(&flight.body);
        let mut state = [0.0; STATE];
        state[..LAST].copy_from_slice(&flight.state);
        // As if the rotors had been told what they do.
        for rotor in 0..4 {
            state[LAST + rotor] = 2.0 * state[ROTORS + rotor] - 1.0;
            state[BEFORE_LAST + rotor] = state[LAST + rotor];
        }
        let states: Vec<Vec<f32>> = flight
            .actions
            .iter()
            .map(|action| {
                let mut next = state;
                dynamics.step(&state, action, &mut next);
                state = next;
                state[..LAST].to_vec()
            })
            .collect();
        println!("{}", serde_json::to_string(&states)?);
    }
    Ok(())
}
