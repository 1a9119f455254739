//! What happens to every control step of a flight: it is judged, logged and shown.
//!
//! The recorder only looks. It is the one place where a flight's numbers are counted, so that the
//! log, the live view and the summary cannot disagree.

use engram_image::Contract;
use engram_link::{Faults, Log, State};

use super::envelope_check::EnvelopeCheck;
use super::lateness::Lateness;
use super::log::{LogError, LogWriter};
use super::record::{Attention, Difference, Event, EventKind, Header, Step, Summary};
use engram_plants::Plant;

/// Somebody who looks at a flight while it happens, and may ask for something.
pub trait Watcher {
    /// A control step was made. `attention` has for each layer the share on each age; empty without a policy.
    fn step(&mut self, header: &Header, step: &Step, attention: &[Vec<f32>], time_s: f64);
    /// Something happened.
    fn event(&mut self, event: &Event);
    /// What is asked for before the next step of a flight in lock-step, whose virtual time stands still until this returns.
    fn asked(&mut self) -> Asked {
        Asked::default()
    }
}

/// What a [`Watcher`] asks for. The log has an event for each, and the orders of the steps that follow from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Changes of the dynamics, by name, in their order.
    pub changes: Vec<String>,
    /// Whether to empty the memory before every step from here on; `None` leaves that as it is.
    pub wipe_memory: Option<bool>,
    /// End the flight in good order.
    pub stop: bool,
}

/// Nobody looks.
impl Watcher for () {
    fn step(&mut self, _: &Header, _: &Step, _: &[Vec<f32>], _: f64) {}
    fn event(&mut self, _: &Event) {}
}

/// Numbers that the board tells at the end of a flight.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ending {
    /// Control steps that missed their deadline.
    pub deadline_misses: u32,
    /// Faults put on the wire on purpose.
    pub faults_injected: u64,
    /// Frames sent again.
    pub retransmissions: u64,
    /// Damaged frames that the board received.
    pub board_receive_errors: u32,
    /// Answers, actions and log lines that the board dropped because the line took nothing.
    pub board_frames_dropped: u32,
    /// Damaged frames that the host received.
    pub host_receive_errors: u32,
    /// Hash of the weights before the flight; empty where none flew.
    pub weights_sha256_before: String,
    /// The same after the flight.
    pub weights_sha256_after: String,
    /// Deepest stack on the board, bytes; 0 where it cannot say.
    pub worst_stack_bytes: u32,
    /// Static RAM of the board if it lent this policy just the cache that it takes; 0: unknown.
    pub ram_bytes: u32,
    /// Longest control step by the board's clock, microseconds; 0 where it has none.
    pub worst_step_us: u32,
    /// How late steps came in real time.
    pub lateness: Option<Lateness>,
}

/// The recorder of one flight.
///
/// A step is taken with what was known when it was decided, and passed on once the plant has moved: only then is it
/// known whether the robot fell in it.
pub(super) struct Recorder<'a> {
    header: Header,
    /// `None` without a log, and once it could not be written.
    log: Option<LogWriter>,
    log_path: Option<String>,
    watcher: &'a mut dyn Watcher,
    envelope: EnvelopeCheck,
    /// The newest step, until the plant has moved.
    newest: Option<(Step, Vec<Vec<f32>>)>,
    first_us: Option<u64>,
    steps: u32,
    /// Steps of the board that did not arrive.
    lost: u32,
    compared: u32,
    first_difference: Option<Difference>,
    state: State,
    faults: Faults,
    held: u32,
    /// The newest step in which the goal was not held.
    last_not_held: Option<u32>,
    change_step: Option<u32>,
    falls: u32,
    diverged_steps: u32,
    /// Whether the goal was held in this episode since the robot last fell.
    held_since_fall: bool,
    episode: u32,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(
        header: Header,
        contract: &Contract<'_>,
        log: Option<LogWriter>,
        watcher: &'a mut dyn Watcher,
    ) -> Self {
        let log_path = log.as_ref().map(|log| log.path().display().to_string());
        Self {
            header,
            log,
            log_path,
            watcher,
            envelope: EnvelopeCheck::new(contract),
            newest: None,
            first_us: None,
            steps: 0,
            lost: 0,
            compared: 0,
            first_difference: None,
            state: State::Disarmed,
            faults: Faults::NONE,
            held: 0,
            last_not_held: None,
            change_step: None,
            falls: 0,
            diverged_steps: 0,
            held_since_fall: false,
            episode: 0,
        }
    }

    /// Steps recorded so far.
    pub(super) fn steps(&self) -> u32 {
        self.steps + u32::from(self.newest.is_some())
    }

    /// Seconds from the first step to `now_us`.
    fn time_s(&self, now_us: u64) -> f64 {
        now_us.saturating_sub(self.first_us.unwrap_or(now_us)) as f64 / 1e6
    }

    fn next_time_s(&self) -> f64 {
        f64::from(self.steps) * f64::from(self.header.period_us) / 1e6
    }

    /// Writes into the log, if there is one; one that cannot be written is not tried again.
    fn write(
        &mut self,
        record: impl FnOnce(&mut LogWriter) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        let written = record(log);
        if written.is_err() {
            self.log = None;
        }
        written
    }

    pub(super) fn event(&mut self, kind: EventKind, text: String) -> Result<(), LogError> {
        if kind == EventKind::Change {
            self.change_step = Some(self.steps);
        }
        let event = Event {
            time_s: self.next_time_s(),
            step: self.steps,
            kind,
            text,
        };
        self.watcher.event(&event);
        self.write(|log| log.event(&event))
    }

    /// What the watcher asks for before the next step.
    pub(super) fn asked(&mut self) -> Asked {
        self.watcher.asked()
    }

    pub(super) fn board_log(&mut self, line: &Log) -> Result<(), LogError> {
        self.write(|log| log.board_log(line))
    }

    /// Takes one step; its running number is set here.
    pub(super) fn step(&mut self, step: Step, attention: Vec<Vec<f32>>) -> Result<(), LogError> {
        self.pass_on()?;
        self.newest = Some((step, attention));
        Ok(())
    }

    /// `count` steps of the board, the first of them its `first`th, did not arrive before the next one that did.
    pub(super) fn lost(&mut self, first: u32, count: u32) -> Result<(), LogError> {
        self.pass_on()?;
        self.lost = self.lost.saturating_add(count);
        self.envelope.skip();
        let steps = match count {
            1 => format!("step {first}"),
            _ => format!("steps {first} to {}", first.wrapping_add(count - 1)),
        };
        let text = format!(
            "{steps} of the board did not arrive: lost on the line, or left out where it took nothing; no words are compared any more"
        );
        self.event(EventKind::Link, text)
    }

    /// The plant has moved by the newest step's command.
    pub(super) fn moved(&mut self, plant: &dyn Plant) -> Result<(), LogError> {
        if plant.ended() {
            let judgement = plant.judge();
            match &mut self.newest {
                Some((step, _)) => {
                    step.ended = true;
                    step.diverged = plant.diverged();
                    step.fallen |= judgement.fallen;
                    step.holds = judgement.holds;
                }
                // In real time a board may make no step while the plant moves.
                None => {
                    if !judgement.holds {
                        self.last_not_held = self.steps.checked_sub(1);
                    }
                    self.judge_end(plant.diverged(), judgement.holds)?;
                }
            }
        }
        self.pass_on()
    }

    /// Passes the newest step on to the log, the watcher and the sums.
    fn pass_on(&mut self) -> Result<(), LogError> {
        let Some((mut step, attention)) = self.newest.take() else {
            return Ok(());
        };
        step.step = self.steps;
        self.first_us.get_or_insert(step.now_us);
        let time_s = self.time_s(step.now_us);
        if self.envelope.step(step.now_us, &step.issued) {
            let text = format!(
                "issued words {:?} break the contract's envelope",
                step.issued
            );
            self.event(EventKind::Difference, text)?;
        }
        self.compare(&step)?;
        if step.state != self.state || step.faults != self.faults.0 {
            (self.state, self.faults) = (step.state, Faults(step.faults));
            let faults = if self.faults.is_empty() {
                String::new()
            } else {
                format!("; faults: {}", self.faults)
            };
            self.event(EventKind::State, format!("{}{faults}", self.state))?;
        }
        self.judge(&step)?;
        self.watcher.step(&self.header, &step, &attention, time_s);
        self.steps += 1;
        self.write(|log| {
            log.step(&step, time_s)?;
            if attention.is_empty() {
                return Ok(());
            }
            log.attention(&Attention {
                step: step.step,
                layers: attention,
            })
        })
    }

    /// Counts what the true state says of the goal.
    fn judge(&mut self, step: &Step) -> Result<(), LogError> {
        if step.episode != self.episode {
            (self.episode, self.held_since_fall) = (step.episode, false);
        }
        self.held += u32::from(step.holds);
        if !step.holds {
            self.last_not_held = Some(step.step);
        }
        if step.ended {
            return self.judge_end(step.diverged, step.holds);
        }
        if step.fallen && std::mem::take(&mut self.held_since_fall) {
            self.fell("the goal that was held is lost")?;
        }
        self.held_since_fall |= step.holds;
        Ok(())
    }

    /// Counts an episode that ended by itself: with the goal held, because it was reached.
    fn judge_end(&mut self, diverged: bool, held: bool) -> Result<(), LogError> {
        self.held_since_fall = false;
        if held {
            let text = "the goal was reached: the episode is over";
            return self.event(EventKind::Episode, text.to_owned());
        }
        if !diverged {
            return self.fell("the episode is over");
        }
        self.diverged_steps += 1;
        self.event(
            EventKind::Diverged,
            "the simulation diverged and was set back: this step is no physics".to_owned(),
        )
    }

    fn fell(&mut self, how: &str) -> Result<(), LogError> {
        self.falls += 1;
        self.event(EventKind::Fall, format!("fall {}: {how}", self.falls))
    }

    fn compare(&mut self, step: &Step) -> Result<(), LogError> {
        if step.expected.is_empty() {
            return Ok(());
        }
        self.compared += 1;
        if self.first_difference.is_some() {
            return Ok(());
        }
        let Some(difference) = first_difference_of_words(step) else {
            return Ok(());
        };
        self.event(EventKind::Difference, difference.to_string())?;
        self.first_difference = Some(difference);
        Ok(())
    }

    /// Adds everything up and closes the log. `early` says why the flight did not reach its end.
    ///
    /// The error is that of a log that could not be completed; the numbers are whole without it, too.
    pub(super) fn finish(
        mut self,
        ending: Ending,
        early: Option<String>,
    ) -> (Summary, Option<LogError>) {
        let text = match &early {
            Some(why) => format!("ended early: {why}"),
            None => "flew to its end".to_owned(),
        };
        let mut error = self.pass_on().err();
        error = error.or(self.event(EventKind::End, text).err());
        let mut summary = self.summary(ending, early);
        if let Some(log) = self.log.take() {
            error = error.or(log.finish(&summary).err());
        }
        summary.log_complete &= error.is_none();
        if summary.ended_early.is_none() {
            summary.ended_early = error.as_ref().map(ToString::to_string);
        }
        (summary, error)
    }

    fn summary(&self, ending: Ending, early: Option<String>) -> Summary {
        let period_s = f64::from(self.header.period_us) / 1e6;
        let last_second = (1.0 / period_s).round() as u32;
        let held_from = self.last_not_held.map_or(0, |step| step + 1);
        let held_for_good = held_from < self.steps;
        let goal = self.header.has_goal;
        Summary {
            board: self.header.board.clone(),
            plant: self.header.plant.clone(),
            controller: self.header.controller.clone(),
            steps: self.steps,
            steps_lost: self.lost,
            words_compared: self.compared,
            words_equal: (self.compared > 0).then_some(self.first_difference.is_none()),
            first_difference: self.first_difference.clone(),
            deadline_misses: ending.deadline_misses,
            faults_injected: ending.faults_injected,
            retransmissions: ending.retransmissions,
            board_receive_errors: ending.board_receive_errors,
            board_frames_dropped: ending.board_frames_dropped,
            host_receive_errors: ending.host_receive_errors,
            envelope_violations: self.envelope.violations(),
            faults: self.faults.iter().map(|fault| fault.to_string()).collect(),
            final_state: self.state.to_string(),
            weights_sha256_before: ending.weights_sha256_before,
            weights_sha256_after: ending.weights_sha256_after,
            holds_at_end: goal.then_some(held_from.saturating_add(last_second) <= self.steps),
            held_share: (goal && self.steps > 0)
                .then(|| f64::from(self.held) / f64::from(self.steps)),
            recovery_s: self
                .change_step
                .filter(|_| goal && held_for_good)
                .map(|change| f64::from(held_from.saturating_sub(change)) * period_s),
            falls: self.falls,
            diverged_steps: self.diverged_steps,
            worst_stack_bytes: ending.worst_stack_bytes,
            ram_bytes: ending.ram_bytes,
            worst_step_us: ending.worst_step_us,
            lateness: ending.lateness,
            ended_early: early,
            log: self.log_path.clone(),
            log_complete: self.log.is_some() && self.lost == 0,
        }
    }
}

/// The first word of a step on which board and host disagree.
fn first_difference_of_words(step: &Step) -> Option<Difference> {
    let most = step.expected.len().max(step.words.len());
    (0..most).find_map(|index| {
        let (expected, got) = (step.expected.get(index), step.words.get(index));
        (expected != got).then(|| Difference {
            step: step.step,
            field: format!("words[{index}]"),
            expected: shown(expected),
            got: shown(got),
        })
    })
}

fn shown(word: Option<&i16>) -> String {
    word.map_or_else(|| "nothing".to_owned(), i16::to_string)
}

#[cfg(test)]
mod tests {
    use super::super::flight::{PilotCard, header, plant_for};
    use super::super::plan::FlightPlan;
    use super::super::record::example_step;
    use super::*;

    /// Judged steps of a pendulum: episode, holds, fallen, ended, diverged.
    type Judged = (u32, bool, bool, bool, bool);

    fn summary(has_goal: bool, steps: &[Judged]) -> Summary {
        let plan = FlightPlan {
            plant: engram_plants::PlantFactory::open("pendulum").expect("built in"),
            task_seed: 1,
            steps: 0,
            episode_steps: None,
            change: None,
            wipe_memory: false,
            real_time: false,
            period_us: None,
            fault: String::new(),
        };
        let plant = plant_for(&plan).expect("a pendulum");
        let header = Header {
            has_goal,
            ..header(&plan, &*plant, &PilotCard::default())
        };
        let mut nobody = ();
        let mut recorder = Recorder::new(header, &plant.spec().contract(), None, &mut nobody);
        for (episode, holds, fallen, ended, diverged) in steps.iter().copied() {
            let step = Step {
                episode,
                holds,
                fallen,
                ended,
                diverged,
                ..example_step(0)
            };
            recorder.step(step, Vec::new()).expect("no log");
        }
        let (summary, error) = recorder.finish(Ending::default(), None);
        assert!(error.is_none());
        summary
    }

    const HOLDS: Judged = (0, true, false, false, false);
    const MOVES: Judged = (0, false, false, false, false);
    const HANGS: Judged = (0, false, true, false, false);
    const FELL: Judged = (0, false, true, true, false);
    const DIVERGED: Judged = (0, false, true, true, true);

    #[test]
    fn a_fall_is_an_end_by_itself_or_a_goal_lost_after_it_was_held() {
        let falls = |steps: &[Judged]| summary(true, steps).falls;
        // Swinging up from below is no fall, whatever was above in between.
        assert_eq!(falls(&[HANGS, MOVES, HANGS, MOVES, HOLDS]), 0);
        assert_eq!(
            falls(&[HANGS, HOLDS, HOLDS, MOVES, HANGS, HANGS, MOVES, HANGS]),
            1
        );
        assert_eq!(falls(&[HOLDS, HANGS, HOLDS, HANGS]), 2);
        assert_eq!(falls(&[HOLDS, FELL, HOLDS, MOVES, FELL]), 2);
        // The next episode of a pendulum begins below.
        assert_eq!(falls(&[HOLDS, (1, false, true, false, false)]), 0);
        let summary = summary(true, &[MOVES, DIVERGED, DIVERGED, FELL]);
        assert_eq!((summary.falls, summary.diverged_steps), (1, 2));
    }

    #[test]
    fn only_a_plant_with_a_goal_holds_it() {
        let mut steps = [HOLDS; 100];
        let held = summary(true, &steps);
        assert_eq!(
            (held.held_share, held.holds_at_end),
            (Some(1.0), Some(true))
        );
        let none = summary(false, &steps);
        assert_eq!((none.held_share, none.holds_at_end), (None, None));
        steps[99] = FELL;
        let fell = summary(true, &steps);
        assert_eq!(
            (fell.held_share, fell.holds_at_end),
            (Some(0.99), Some(false))
        );
        assert_eq!(summary(true, &[]).held_share, None);
    }

    #[test]
    fn the_first_differing_word_is_named() {
        let mut step = example_step(7);
        assert_eq!(first_difference_of_words(&step), None);
        step.words = vec![-7, 3];
        step.expected = vec![-7, 4];
        let difference = first_difference_of_words(&step).expect("they differ");
        assert_eq!(
            difference.to_string(),
            "step 7, words[1]: expected 4, got 3"
        );
        step.words = vec![-7];
        let difference = first_difference_of_words(&step).expect("they differ");
        assert_eq!(difference.got, "nothing");
    }
}
