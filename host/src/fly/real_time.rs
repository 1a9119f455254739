//! A flight in real time: the board's own clock makes the control steps, the host keeps the plant
//! moving and brings samples as they come.
//!
//! Nothing is sent again here: a late sample is worth nothing. What is compared is the same as in
//! lock-step, for every step whose sample is known to have been used.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engram_image::Contract;
use engram_link::{Action, Pace, Sensors, State, ToBoard};

use super::board_pilot::BoardPilot;
use super::flight::{
    Episode, Outcome, PilotCard, apply_change, begin_episode, finish, header, make_record,
    open_log, plant_for,
};
use super::pilot::Decision;
use super::plan::{FlightError, FlightPlan};
use super::record::{Order, SampleRecord};
use super::recorder::{Ending, Recorder, Watcher};
use crate::board::Client;
use crate::plant::Plant;

/// Samples whose steps may still be reported.
const SAMPLES_KEPT: usize = 64;
/// The newest actions that the board's clock is read off.
const CLOCK_ACTIONS: usize = 8;
/// How long the board may make no step.
const PATIENCE: Duration = Duration::from_secs(3);

/// Flies `plan` in real time on a board that was made ready in lock-step.
///
/// # Errors
/// As [`super::fly()`].
pub fn fly_real_time(
    plan: &FlightPlan,
    pilot: BoardPilot<'_>,
    card: &PilotCard,
    image: &[u8],
    log: Option<&Path>,
    watcher: &mut dyn Watcher,
    stop: &AtomicBool,
) -> Result<Outcome, FlightError> {
    let mut plant = plant_for(plan)?;
    let contract = plant.contract();
    let header = header(plan, &*plant, card);
    let log = open_log(log, &header, Some(image))?;
    let recorder = Recorder::new(header, &contract, log, watcher);
    let mut flight = RealTime {
        plan,
        contract: &contract,
        pilot,
        recorder,
        samples: VecDeque::new(),
        last_request: None,
        episode: Episode::default(),
        armed: false,
        before: None,
        flying: false,
    };
    let result = flight.run(&mut *plant, stop);
    let ending = flight.end();
    let lines: Vec<_> = flight.client().drain_logs().collect();
    Ok(finish(flight.recorder, ending, &lines, result))
}

struct RealTime<'p, 'a, 'r> {
    plan: &'p FlightPlan,
    contract: &'p Contract<'p>,
    pilot: BoardPilot<'a>,
    recorder: Recorder<'r>,
    /// Samples sent, by the number of their frame.
    samples: VecDeque<(u32, SampleRecord)>,
    /// The sample that the newest step had taken.
    last_request: Option<u32>,
    episode: Episode,
    armed: bool,
    /// The newest step before the first armed one. It goes into the log, too: how far the first command may move follows
    /// from the time between the two.
    before: Option<Action>,
    flying: bool,
}

impl RealTime<'_, '_, '_> {
    fn run(&mut self, plant: &mut dyn Plant, stop: &AtomicBool) -> Result<(), FlightError> {
        self.client().hello(Pace::RealTime)?;
        let period_us = self.contract.period_us;
        let mut clock = BoardClock::listen(self.client(), period_us)?;
        let period = Duration::from_micros(u64::from(period_us));
        let mut due = Instant::now();
        let mut heard = Instant::now();
        let mut index = 0;
        // The board gets its first sample before it is armed, so that the first step has one.
        while index < self.plan.steps {
            if stop.load(Ordering::Relaxed) {
                return Err(FlightError::Interrupted {
                    step: self.recorder.steps(),
                });
            }
            let done = begin_episode(
                self.plan,
                plant,
                index,
                &mut self.episode,
                &mut self.recorder,
            )?;
            apply_change(self.plan, plant, index, &mut self.recorder)?;
            self.send_sample(&clock, plant, done)?;
            if !self.armed {
                self.client().arm()?;
                self.armed = true;
            }
            due += period;
            let mut command = None;
            while let Some(action) = self.client().next_action(due)? {
                heard = Instant::now();
                clock.hear(&action, heard);
                command = self.take(action, plant)?.or(command);
            }
            for line in self.client().drain_logs().collect::<Vec<_>>() {
                self.recorder.board_log(&line)?;
            }
            if heard.elapsed() > PATIENCE {
                return Err(FlightError::NoSteps {
                    waited_s: heard.elapsed().as_secs_f64(),
                });
            }
            plant.step(&command.unwrap_or_else(|| self.pilot.command(self.contract)));
            self.recorder.moved(plant)?;
            index += 1;
        }
        Ok(())
    }

    fn client(&mut self) -> &mut Client {
        self.pilot.client()
    }

    fn send_sample(
        &mut self,
        clock: &BoardClock,
        plant: &dyn Plant,
        done: bool,
    ) -> Result<(), FlightError> {
        let sample_us = clock.now_us(Instant::now());
        let observation = plant.observe().to_vec();
        let reward = plant.external_reward();
        let number = self.client().send(&ToBoard::Sensors(Sensors {
            now_us: sample_us,
            sample_us,
            observation: observation.iter().copied().collect(),
            reward,
            done,
        }))?;
        if self.samples.len() == SAMPLES_KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back((
            number,
            SampleRecord {
                sample_us,
                observation,
                reward,
                done,
            },
        ));
        Ok(())
    }

    /// Takes a step of the board; `None` where it was made before the flight. Answers overtake actions, so that those may
    /// come after the answer to `Arm`.
    fn take(&mut self, action: Action, plant: &dyn Plant) -> Result<Option<Vec<f32>>, FlightError> {
        if !self.flying {
            if action.state == State::Disarmed {
                self.before = Some(action);
                return Ok(None);
            }
            self.flying = true;
            if let Some(before) = self.before.take() {
                self.last_request = Some(before.request);
                self.record(&before, Vec::new(), plant)?;
            }
            self.pilot.begin_trial();
        }
        let orders = self.pilot.take_first_order().into_iter().collect();
        self.record(&action, orders, plant).map(Some)
    }

    /// Records a step of the board; returns its command in the contract's units.
    fn record(
        &mut self,
        action: &Action,
        orders: Vec<Order>,
        plant: &dyn Plant,
    ) -> Result<Vec<f32>, FlightError> {
        // A step takes the newest sample once: a new number means that it took one.
        let fresh = self.last_request != Some(action.request);
        self.last_request = Some(action.request);
        let known = self
            .samples
            .iter()
            .find(|(number, _)| *number == action.request);
        let sample = known.filter(|_| fresh).map(|(_, sample)| sample.clone());
        let (expected, attention) = match &sample {
            Some(sample) => self.pilot.mirror_step(sample, action)?,
            None => (Vec::new(), Vec::new()),
        };
        self.pilot.note_issued(action);
        let decision = Decision {
            orders,
            words: action.words.to_vec(),
            expected,
            issued: action.issued.to_vec(),
            source: action.source,
            reward: action.reward,
            state: action.state,
            faults: action.faults.0,
            attention,
        };
        let (step, attention) = make_record(
            action.now_us,
            self.episode.number,
            sample,
            decision,
            plant,
            self.contract,
        );
        let command = step.command.clone();
        self.recorder.step(step, attention)?;
        Ok(command)
    }

    fn end(&mut self) -> Ending {
        // What was made in flight and not yet read does not tell where the board stands.
        self.client().discard_actions();
        super::pilot::Pilot::end(&mut self.pilot)
    }
}

/// The board's clock as the host sees it.
///
/// An action tells the time at which its step began; it arrives later by the step and the wire. The
/// largest difference of the newest few is closest to the truth. Older ones are forgotten: the
/// clock of an emulated board on a busy machine falls behind. A margin keeps samples out of the
/// board's future.
struct BoardClock {
    origin: Instant,
    margin_us: i128,
    /// Board time at `origin` by each of the newest actions, microseconds.
    at_origin_us: VecDeque<i128>,
}

impl BoardClock {
    /// Waits for the board's first steps.
    fn listen(client: &mut Client, period_us: u32) -> Result<Self, FlightError> {
        let origin = Instant::now();
        let margin_us = i128::from(period_us / 4 * 3);
        let mut clock = Self {
            origin,
            margin_us,
            at_origin_us: VecDeque::new(),
        };
        let deadline = origin + PATIENCE;
        for _ in 0..CLOCK_ACTIONS {
            match client.next_action(deadline)? {
                Some(action) => clock.hear(&action, Instant::now()),
                None => {
                    return Err(FlightError::NoSteps {
                        waited_s: origin.elapsed().as_secs_f64(),
                    });
                }
            }
        }
        Ok(clock)
    }

    fn hear(&mut self, action: &Action, at: Instant) {
        if self.at_origin_us.len() == CLOCK_ACTIONS {
            self.at_origin_us.pop_front();
        }
        let elapsed = (at - self.origin).as_micros() as i128;
        self.at_origin_us
            .push_back(i128::from(action.now_us) - elapsed);
    }

    fn now_us(&self, at: Instant) -> u64 {
        let elapsed = (at - self.origin).as_micros() as i128;
        let at_origin_us = self.at_origin_us.iter().max().copied().unwrap_or(0);
        u64::try_from(at_origin_us + elapsed - self.margin_us).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use engram_link::{CommandSource, Faults};

    use super::*;

    fn action(now_us: u64) -> Action {
        Action {
            request: 0,
            now_us,
            step: 0,
            words: Default::default(),
            issued: Default::default(),
            source: CommandSource::Safe,
            reward: 0.0,
            state: State::Disarmed,
            faults: Faults::NONE,
        }
    }

    #[test]
    fn the_boards_clock_is_never_overtaken_and_its_lag_is_followed() {
        let origin = Instant::now();
        let mut clock = BoardClock {
            origin,
            margin_us: 5_000,
            at_origin_us: VecDeque::new(),
        };
        let at = |us: u64| origin + Duration::from_micros(us);
        // The board's clock is 1 s ahead; its actions arrive 1 to 3 ms late.
        for (step, delay) in [(1, 3_000), (2, 1_000), (3, 2_000)] {
            clock.hear(
                &action(1_000_000 + step * 20_000),
                at(step * 20_000 + delay),
            );
        }
        assert_eq!(
            clock.now_us(at(100_000)),
            1_000_000 + 100_000 - 1_000 - 5_000
        );
        // Then it loses 50 ms; soon only newer actions count.
        for step in 4..4 + CLOCK_ACTIONS as u64 {
            clock.hear(&action(950_000 + step * 20_000), at(step * 20_000 + 2_000));
        }
        assert_eq!(clock.now_us(at(400_000)), 950_000 + 400_000 - 2_000 - 5_000);
    }
}
