//! A flight in real time: the board's own clock makes the control steps, the host keeps the plant
//! moving and brings samples as they come.
//!
//! Nothing is sent again here: a late sample is worth nothing. What is compared is the same as in
//! lock-step, for every step whose sample is known to have been used. The board's own count of its steps tells a step that
//! came twice from a new one, and which did not arrive: from there on the host's policy lacks a memory, and nothing is compared.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engram_image::Contract;
use engram_link::{Action, Pace, Sensors, State, ToBoard};

use super::board_clock::{BoardClock, steps_between};
use super::board_pilot::BoardPilot;
use super::flight::{
    Episode, Outcome, PilotCard, apply_change, begin_episode, finish, header, make_record,
    open_log, plant_for,
};
use super::lateness::LatenessMeter;
use super::pilot::Decision;
use super::plan::{FlightError, FlightPlan};
use super::record::{Order, SampleRecord};
use super::recorder::{Ending, Recorder, Watcher};
use crate::board::Client;
use engram_plants::Plant;

/// Samples whose steps may still be reported.
const SAMPLES_KEPT: usize = 64;
/// How long the board may make no step.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

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
    let contract = plan.contract();
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
        newest: None,
        remembers_all: true,
        lateness: LatenessMeter::new(contract.period_us),
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
    /// The board's count at the newest step taken.
    newest: Option<u32>,
    /// Whether the host's policy has seen every step that the board's has.
    remembers_all: bool,
    lateness: LatenessMeter,
}

impl RealTime<'_, '_, '_> {
    fn run(&mut self, plant: &mut dyn Plant, stop: &AtomicBool) -> Result<(), FlightError> {
        self.client().hello(Pace::RealTime)?;
        let period_us = self.contract.period_us;
        // In time-lapse a period is hardly longer than a busy host's pauses: dated back by no more than this, a sample that comes
        // one period late leaves the one before it young enough.
        let quarters = if self.plan.period_us.is_some() { 1 } else { 3 };
        let (mut clock, newest) = BoardClock::listen(self.client(), period_us / 4 * quarters)?;
        self.newest = newest.as_ref().map(|newest| newest.step);
        self.before = newest;
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
                let Some(lost) = steps_between(self.newest, action.step) else {
                    continue;
                };
                heard = Instant::now();
                clock.hear(&action, heard);
                if self.flying {
                    self.lateness.hear(&action, heard);
                }
                command = self.take(action, lost, plant)?.or(command);
                // A board that talks without end does not hold up the plant.
                if Instant::now() >= due + period {
                    break;
                }
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

    /// Takes a new step of the board, before which `lost` did not arrive; `None` where it was made before the flight. Answers
    /// overtake actions, so that those may come after the answer to `Arm`.
    fn take(
        &mut self,
        action: Action,
        lost: u32,
        plant: &dyn Plant,
    ) -> Result<Option<Vec<f32>>, FlightError> {
        self.newest = Some(action.step);
        if !self.flying {
            if action.state == State::Disarmed {
                self.before = Some(action);
                return Ok(None);
            }
            self.flying = true;
            if let Some(before) = self.before.take() {
                self.last_request = Some(before.request);
                self.record(&before, 0, Vec::new(), plant)?;
            }
            self.pilot.begin_trial();
        }
        let orders = self.pilot.take_first_order().into_iter().collect();
        self.record(&action, lost, orders, plant).map(Some)
    }

    /// Records a step of the board; returns its command in the contract's units.
    fn record(
        &mut self,
        action: &Action,
        lost: u32,
        orders: Vec<Order>,
        plant: &dyn Plant,
    ) -> Result<Vec<f32>, FlightError> {
        if lost > 0 {
            self.remembers_all = false;
            self.recorder.lost(action.step.wrapping_sub(lost), lost)?;
        }
        // A step takes the newest sample once: a new number means that it took one, and so do words (of one that came twice).
        let fresh = self.last_request != Some(action.request) || !action.words.is_empty();
        self.last_request = Some(action.request);
        let known = self
            .samples
            .iter()
            .find(|(number, _)| *number == action.request);
        let sample = known.filter(|_| fresh).map(|(_, sample)| sample.clone());
        self.remembers_all &= sample.is_some() || action.words.is_empty();
        let (expected, attention) = match &sample {
            Some(sample) if self.remembers_all => self.pilot.mirror_step(sample, action)?,
            _ => (Vec::new(), Vec::new()),
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
        let (mut step, attention) = make_record(
            action.now_us,
            self.episode.number,
            sample,
            decision,
            plant,
            self.contract,
        );
        step.lost_before = lost;
        let command = step.command.clone();
        self.recorder.step(step, attention)?;
        Ok(command)
    }

    fn end(&mut self) -> Ending {
        // What was made in flight and not yet read does not tell where the board stands.
        self.client().discard_actions();
        Ending {
            lateness: self.lateness.lateness(),
            ..super::pilot::Pilot::end(&mut self.pilot)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::log::{FlawKind, Flight};
    use super::super::record::{Event, EventKind, Summary};
    use super::super::replay::replay;
    use super::super::shipped::shipped_image;
    use super::*;
    use crate::board::{FaultyTransport, Loopback, Patience};
    use crate::image_file::at_period;

    /// A pendulum's flight in real time whose wire is disturbed by `fault`.
    fn flown(fault: &str) -> (Summary, Flight) {
        flown_at("pendulum", None, 60, fault)
    }

    fn flown_at(plant: &str, period_us: Option<u32>, steps: u32, fault: &str) -> (Summary, Flight) {
        let plan = FlightPlan {
            plant: engram_plants::PlantFactory::open(plant).expect("built in"),
            task_seed: 1,
            steps,
            episode_steps: None,
            change: None,
            wipe_memory: false,
            real_time: true,
            period_us,
            fault: fault.to_owned(),
        };
        let contract = plan.contract();
        let image = shipped_image(plant).expect("an image");
        let image = at_period(image, contract.period_us).expect("rows");
        let wire = FaultyTransport::new(Loopback::default(), fault.parse().expect("faults"));
        let patience = Patience {
            answer: Duration::from_millis(30),
            ..Patience::default()
        };
        let (wire, nobody) = (Box::new(wire), &mut |_, _| {});
        let pilot = BoardPilot::prepare(
            wire,
            patience,
            image[..].into(),
            plan.plant.name(),
            &contract,
            false,
            nobody,
        );
        let pilot = pilot.expect("a board");
        let card = pilot.card("loopback", &image);
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("log.mcap");
        let stop = AtomicBool::new(false);
        let flown = fly_real_time(&plan, pilot, &card, &image, Some(&log), &mut (), &stop);
        let outcome = flown.expect("it begins");
        assert!(outcome.error.is_none(), "{:?}", outcome.error);
        let flight = Flight::read(&log).expect("it reads");
        assert_eq!(flight.summary.as_ref(), Some(&outcome.summary));
        // The loopback board makes a step each period: its clock tells what happened between two.
        for pair in flight.steps.windows(2) {
            let periods = (pair[1].now_us - pair[0].now_us) / u64::from(contract.period_us);
            assert_eq!(u64::from(pair[1].lost_before) + 1, periods, "{pair:?}");
        }
        let lost: u32 = flight.steps.iter().map(|step| step.lost_before).sum();
        assert_eq!(
            (lost, flight.steps.len() as u32),
            (outcome.summary.steps_lost, outcome.summary.steps)
        );
        assert_eq!(outcome.summary.first_difference, None);
        (outcome.summary, flight)
    }

    #[test]
    fn a_step_that_comes_twice_was_made_once() {
        // A machine that is busy elsewhere may lose steps by itself: another flight then.
        for _ in 0..3 {
            let (summary, flight) = flown("duplicate=0.2,seed=1");
            assert!(summary.faults_injected > 5, "{summary:?}");
            if summary.steps_lost == 0 {
                assert!(
                    summary.log_complete && flight.complete,
                    "{:?}",
                    flight.flaws
                );
                assert_eq!(summary.words_equal, Some(true));
                let again = replay(&flight).expect("it replays");
                assert!(again.equal, "{again:?}");
                return;
            }
        }
        panic!("each of three flights lost steps");
    }

    /// On a busy machine deadlines are missed, and steps are lost: then another flight shows that nothing else is.
    #[test]
    fn at_500_hz_every_step_has_its_lateness_and_the_words_stay_equal() {
        for _ in 0..3 {
            let (summary, flight) = flown_at("quadrotor", Some(2_000), 400, "");
            let late = summary.lateness.as_ref().expect("told");
            assert_eq!((late.period_us, flight.header.period_us), (2_000, 2_000));
            assert!(late.median_us <= late.p99_us && late.p99_us <= late.worst_us);
            assert!(late.missed <= late.steps && late.steps <= summary.steps);
            assert_eq!(summary.words_equal, Some(true), "{summary:?}");
            if summary.steps_lost == 0 && summary.faults.is_empty() {
                assert!(late.steps > 350, "{summary:?}");
                assert!(replay(&flight).expect("it replays").equal);
                return;
            }
        }
        eprintln!("this machine is too busy for 500 Hz: each of three flights lost steps");
    }

    #[test]
    fn steps_that_do_not_arrive_are_named_and_end_what_is_compared() {
        let (summary, flight) = flown("drop=0.1,seed=4");
        assert!(
            summary.steps_lost > 0 && !summary.log_complete,
            "{summary:?}"
        );
        let first = flight.steps.iter().find(|step| step.lost_before > 0);
        let first = first.expect("a gap").step;
        assert!(summary.words_compared <= first, "{summary:?}");
        let compared = flight
            .steps
            .iter()
            .rposition(|step| !step.expected.is_empty());
        assert!(compared < Some(first as usize), "{compared:?}");
        let named = |event: &&Event| event.kind == EventKind::Link && event.step == first;
        let event = flight.events.iter().find(named).expect("an event");
        assert!(
            event.text.contains("of the board did not arrive"),
            "{event:?}"
        );
        let flaw = &flight.flaws[0];
        assert_eq!(
            (flaw.kind, flaw.numbers),
            (FlawKind::Lost, Some((u64::from(first), u64::from(first))))
        );
        let again = replay(&flight).expect("it replays");
        assert_eq!((again.replayed, &again.first_difference), (first, &None));
        assert!(!again.equal && !again.log_complete);
    }
}
