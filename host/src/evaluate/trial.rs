//! One trial: a plant with a hidden task behind the envelope, a controller, and a change.

use std::sync::Arc;

use super::{Controller, Moment};
use engram_plants::{Driven, Start, Task, UnknownChange};

/// What happens in a trial, whoever controls.
#[derive(Clone, Debug, PartialEq)]
pub struct TrialPlan {
    /// The hidden task at the start.
    pub task: Task,
    /// Decides start states and sensor noise.
    pub seed: u64,
    /// The change's name.
    pub change: String,
    /// Step of the last episode at which it comes.
    pub change_step: usize,
}

/// One control step, as a watcher sees it.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Episode within the trial.
    pub episode: usize,
    /// Step within the episode.
    pub step: usize,
    /// What was measured.
    pub observation: &'a [f32],
    /// The command words that the controller wanted.
    pub wanted: &'a [i16],
    /// What was issued.
    pub issued: &'a [i16],
    /// The plant's true state when the controller was asked.
    pub state: &'a [f32],
    /// The true state met the goal then.
    pub holds: bool,
    /// What the step earned.
    pub reward: f32,
    /// The plant's metric of the step, for a plant that has one.
    pub metric: Option<f32>,
}

/// What came of one trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Sum of rewards of each episode.
    pub returns: Vec<f64>,
    /// Reward of each control step of each episode; 0 after an episode ended by itself.
    pub rewards: Vec<Vec<f32>>,
    /// The plant's metric in each step that was made in the first episode; empty for a plant without one.
    pub metric: Vec<f32>,
    /// The same of the last episode.
    pub last_metric: Vec<f32>,
    /// Each episode: ended by itself, before its time.
    pub ended: Vec<bool>,
    /// The goal was held throughout the end of the first episode.
    pub success: bool,
    /// The goal was held from the allowed time after the change to the end.
    pub recovered: bool,
    /// The goal was lost altogether at some time after the change, or an episode ended by itself. A simulation that diverged
    /// is no fall.
    pub fell: bool,
    /// Steps from the change until the goal was held for good, if it was.
    pub recovery_steps: Option<usize>,
    /// The goal was held, for each step since the change.
    pub holds: Vec<bool>,
    /// Steps whose simulation diverged; each ended its episode.
    pub diverged_steps: u64,
}

/// Flies `controller`, freshly cleared, through the plan; `watch` sees every step.
///
/// A return sums the rewards that the commands of an episode led to, the last observation's included.
///
/// # Errors
/// [`UnknownChange`] when the plant does not know the change.
pub fn run(
    driven: &mut Driven,
    plan: &TrialPlan,
    controller: &mut dyn Controller,
    mut watch: impl FnMut(&Step<'_>),
) -> Result<Outcome, UnknownChange> {
    let spec = Arc::clone(driven.spec());
    let protocol = &spec.protocol;
    let mut wanted = vec![0; spec.channels.actions.len()];
    let mut episodes = Episodes::default();
    let mut success = true;
    let mut fell = false;
    let mut reached_last = false;
    let mut holds_after = Vec::new();
    let mut diverged_steps = 0;

    driven.begin(&plan.task, plan.seed);
    controller.clear();
    for episode in 0..protocol.episodes {
        let last_episode = episode + 1 == protocol.episodes;
        if episode > 0 {
            driven.restart(Start::Usual);
        }
        let mut rewards = Vec::with_capacity(protocol.episode_steps);
        let mut ended = false;
        for step in 0..protocol.episode_steps {
            if last_episode && step == plan.change_step {
                driven.plant_mut().apply(&plan.change)?;
            }
            let moment = Moment {
                observation: driven.plant().observe(),
                issued: driven.issued(),
                reward: driven.reward(),
                done: driven.done(),
            };
            controller.step(&moment, &mut wanted);
            let observation = moment.observation.to_vec();
            let state = driven.plant().state().to_vec();
            let holds = driven.plant().judge().holds;
            driven.act_words(&wanted);
            watch(&Step {
                episode,
                step,
                observation: &observation,
                wanted: &wanted,
                issued: driven.issued(),
                state: &state,
                holds,
                reward: driven.earned(),
                metric: driven.plant().metric(),
            });
            rewards.push(driven.earned());
            let diverged = driven.plant().diverged();
            diverged_steps += u64::from(diverged);
            let metric = driven.plant().metric();
            if episode == 0 {
                episodes.metric.extend(metric);
            }
            if last_episode {
                episodes.last_metric.extend(metric);
            }

            // Judged after the step: the last state of an episode counts.
            let judgement = driven.plant().judge();
            ended = driven.plant().ended();
            // An episode that ends with the goal held has reached it.
            let reached = ended && judgement.holds;
            fell |= ended && !diverged && !reached;
            reached_last = last_episode && reached;
            if episode == 0 && ended {
                success = reached;
            }
            if episode == 0 && !ended && step + protocol.hold_steps >= protocol.episode_steps {
                success &= judgement.holds;
            }
            if last_episode && step >= plan.change_step {
                // What diverged cannot be judged.
                holds_after.push(judgement.holds);
                fell |= judgement.fallen && !diverged;
            }
            if ended {
                break;
            }
        }
        episodes.push(rewards, ended, protocol.episode_steps);
    }
    // Entry k is the state k + 1 periods after the change.
    let lost = holds_after
        .iter()
        .rposition(|holds| !holds)
        .map_or(0, |step| step + 1);
    let recovery_steps = (lost < holds_after.len()).then_some(if lost == 0 { 0 } else { lost + 1 });
    Ok(Outcome {
        returns: episodes.returns,
        rewards: episodes.rewards,
        metric: episodes.metric,
        last_metric: episodes.last_metric,
        ended: episodes.ended,
        success,
        // Reached, be it before the change.
        recovered: reached_last
            || recovery_steps.is_some_and(|steps| steps <= protocol.recovery_steps),
        fell,
        recovery_steps,
        holds: holds_after,
        diverged_steps,
    })
}

/// What is gathered step by step.
#[derive(Default)]
struct Episodes {
    returns: Vec<f64>,
    rewards: Vec<Vec<f32>>,
    metric: Vec<f32>,
    last_metric: Vec<f32>,
    ended: Vec<bool>,
}

impl Episodes {
    /// Takes an episode whose time would have been `steps`; what follows its own end earned nothing.
    fn push(&mut self, mut rewards: Vec<f32>, ended: bool, steps: usize) {
        self.returns
            .push(rewards.iter().map(|reward| f64::from(*reward)).sum());
        self.ended.push(ended && rewards.len() < steps);
        rewards.resize(steps, 0.0);
        self.rewards.push(rewards);
    }
}
