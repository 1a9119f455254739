//! The thread of a bus: goals out as soon as a command comes, then one sample, with one more try.
//!
//! A control period after a command, in fifths: goals are written at once; the servos are asked from 2 to 3, and from 3 to 4 once more if an answer was
//! missing, damaged or late. So both tries are over when the next control step looks, and one bad exchange costs nothing.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use engram_firmware::platform::Clock;
use engram_firmware::sensors::Sample;
use engram_image::limits::MAX_ACTIONS;
use rtrb::{Consumer, Producer};

use super::channels::Channels;
use super::config::{BusConfig, BusError};
use super::health::Counters;
use super::servo::{Quantity, Servo};
use super::wire::{Answers, Failure, Wire};
use crate::news::{self, News};

/// Fifths of a period at which each of the two questions goes out.
const QUESTIONS: [u32; 2] = [2, 3];
/// How long a thread without commands sleeps at most before it looks around.
const PATIENCE: Duration = Duration::from_millis(100);

/// A command of a control step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Command {
    /// When it was issued.
    pub(super) posted: Instant,
    /// Targets in the order of the contract's actions, rad.
    pub(super) targets: [f32; MAX_ACTIONS],
}

/// What control steps are told.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a box would take from the heap; a ring of a few is made once"
)]
pub(super) enum Report {
    Sample(Sample),
    /// A servo says that something is wrong with it.
    Alarm,
}

/// What leads out of the thread, and its clock.
pub(super) struct Ends<C> {
    /// That of the control steps.
    pub(super) clock: C,
    pub(super) commands: Consumer<Command>,
    pub(super) reports: Producer<Report>,
    pub(super) counters: Arc<Counters>,
}

/// What a driven joint is to do.
#[derive(Debug, Clone, Copy)]
struct Goal {
    /// The last one, rad.
    angle_rad: f32,
    /// It has come to the command since the start, or since one of the two was away.
    arrived: bool,
    /// Its servo gave no answer in a period without a sample: it may have lost its supply, and would drive to a goal from wherever it came to
    /// meanwhile. It gets none until there is a whole sample.
    silent: bool,
}

/// Everything that the thread works with.
pub(super) struct Cycle<C> {
    config: BusConfig<'static>,
    channels: Channels,
    period: Duration,
    ends: Ends<C>,
    wire: Wire,
    /// In the order of the actions.
    goals: Vec<Goal>,
    /// When goals last went out.
    told: Option<Instant>,
    /// When the newest command was issued.
    newest: Option<Instant>,
    /// Nobody is asked before this moment, nor while late answers still trickle in.
    quiet_until: Option<Instant>,
    /// What was said of the bus last: a failure, or that there is none.
    announced: Option<Option<Failure>>,
}

impl<C: Clock> Cycle<C> {
    /// Everything before the first command: real time, the port, every servo, torque.
    ///
    /// # Errors
    /// [`BusError`]; torque is off again then, where it was off before.
    pub(super) fn begin(
        config: BusConfig<'static>,
        channels: Channels,
        period_us: u32,
        ends: Ends<C>,
    ) -> Result<Self, BusError> {
        config.real_time.enter()?;
        let first = config.joints.first().ok_or(BusError::NoJoints)?;
        let port = serialport::new(config.port, config.baud).open_native();
        let port = port.map_err(|source| BusError::Open {
            port: config.port.into(),
            source,
        })?;
        let mut wire = Wire::new(port, config.joints, first);
        wire.check_servos(&config, period_us)?;
        let driven = || channels.driven_of(config.joints);
        let mut goals = Vec::new();
        for joint in driven() {
            goals.push(Goal {
                angle_rad: wire.angle(joint)?,
                arrived: false,
                silent: false,
            });
        }
        if config.torque {
            let mut were_limp = Vec::new();
            for joint in driven() {
                if !wire.has_torque(joint)? {
                    were_limp.push(joint);
                }
            }
            for (joint, goal) in driven().zip(&goals) {
                if let Err(error) = wire.stiffen(joint, goal.angle_rad) {
                    wire.limp(were_limp.into_iter());
                    return Err(error);
                }
            }
        }
        Ok(Self {
            config,
            channels,
            period: Duration::from_micros(period_us.into()),
            ends,
            wire,
            goals,
            told: None,
            newest: None,
            quiet_until: None,
            announced: None,
        })
    }

    /// Until the actuators are dropped, the control loop is dead for too long, or the port is gone.
    pub(super) fn run(mut self) {
        while let Some(command) = self.next_command() {
            let told = self.drive(&command);
            let asked = told.and_then(|()| self.measure(command.posted));
            if asked.is_err() {
                break; // the port is gone; dropping the queues says so
            }
        }
        if self.config.torque && self.config.limp_after.is_some() {
            self.wire.limp(self.channels.driven_of(self.config.joints));
        }
    }

    /// Waits for a command; `None` at the end.
    fn next_command(&mut self) -> Option<Command> {
        loop {
            let mut newest = None;
            while let Ok(command) = self.ends.commands.pop() {
                newest = Some(command);
            }
            if let Some(command) = newest {
                self.newest.replace(command.posted);
                return Some(command);
            }
            let patience = match (self.newest, self.config.limp_after) {
                (Some(newest), Some(limp_after)) => limp_after.checked_sub(newest.elapsed())?,
                _ => PATIENCE,
            };
            if self.ends.commands.is_abandoned() {
                return None;
            }
            thread::park_timeout(patience.min(PATIENCE));
        }
    }

    /// Goals to the servos. A command that nobody refreshed for two periods is dropped.
    fn drive(&mut self, command: &Command) -> Result<(), Failure> {
        if !self.config.torque || command.posted.elapsed() > 2 * self.period {
            return Ok(());
        }
        // The commands went on meanwhile, and the servos did not.
        let stalled = self
            .told
            .is_some_and(|told| told.elapsed() > 2 * self.period);
        let before = self.goals.clone();
        let (mut ids, mut values, mut address) = (Vec::new(), Vec::new(), None);
        let joints = self
            .channels
            .driven_of(self.config.joints)
            .zip(&mut self.goals);
        for ((joint, goal), target) in joints.zip(command.targets) {
            goal.arrived &= !stalled;
            if !goal.arrived {
                let step = joint.speed_rad_per_s * self.period.as_secs_f32();
                let way = target - goal.angle_rad;
                goal.arrived = way.abs() <= step;
                goal.angle_rad += way.max(-step).min(step);
            }
            if goal.arrived {
                goal.angle_rad = target;
            }
            let definition = joint.servo.definition();
            let Some(register) = definition
                .register("goal_position")
                .filter(|_| !goal.silent)
            else {
                continue;
            };
            let steps = Servo::goal_steps(joint.servo_angle(goal.angle_rad));
            // Within one turn: it fits every register.
            let raw = register.encoding.encode(steps, register.size).unwrap_or(0);
            let value = definition
                .info
                .word_order
                .to_bytes(raw, register.size.into());
            ids.push(joint.id);
            values.push(value);
            address = Some(register.addr);
        }
        let Some(address) = address else {
            return Ok(()); // a contract without actions, or whose servos are all silent
        };
        match self.wire.tell(self.period / 5, &ids, address, &values) {
            Err(Failure::Gone) => Err(self.failed(Failure::Gone)),
            // One that takes nothing gives no answers either: the sample will be missing.
            Err(_) => {
                self.goals = before;
                Ok(())
            }
            Ok(stray) => {
                let now = Instant::now();
                self.told = Some(now);
                self.heard(stray, now);
                Ok(())
            }
        }
    }

    /// One sample in this period, or none.
    ///
    /// # Errors
    /// The port is gone.
    fn measure(&mut self, posted: Instant) -> Result<(), Failure> {
        let fifth = self.period / 5;
        let mut failure = None;
        for begin in QUESTIONS {
            if !self.wait_until(posted + begin * fifth) {
                self.distrust(failure);
                return Ok(()); // the next command is here: it goes first
            }
            let now = Instant::now();
            if failure.is_none() && !self.is_quiet(now) {
                return Ok(());
            }
            Counters::count(&self.ends.counters.questions);
            // No number of the answers is older.
            let asked_us = self.ends.clock.now_us();
            match self.wire.ask(now + fifth) {
                Ok(answers) => return self.succeeded(asked_us, &answers),
                Err(Failure::Gone) => return Err(self.failed(Failure::Gone)),
                Err(alarm @ Failure::Alarm { .. }) => {
                    self.failed(alarm);
                    self.distrust(failure);
                    let _ = self.ends.reports.push(Report::Alarm); // full: nobody looks
                    return Ok(());
                }
                Err(other) => {
                    self.distrust(failure);
                    failure = Some(self.failed(other));
                }
            }
        }
        // Whatever still comes belongs to these questions, and must not be taken for the answer to another.
        self.quiet_until = Some(Instant::now() + 2 * self.period);
        self.distrust(failure);
        self.announce(failure);
        Ok(())
    }

    /// Whether the servos may be asked at `now`. After a period without sample the bus must have been silent for two.
    fn is_quiet(&mut self, now: Instant) -> bool {
        let stray = self.wire.port.begin(now);
        self.heard(stray, now);
        if self.quiet_until.is_some_and(|until| now < until) {
            return false;
        }
        self.quiet_until = None;
        true
    }

    /// `stray` bytes had come by `now` that nobody had asked for any more: where the bus must be silent, the time begins anew.
    fn heard(&mut self, stray: usize, now: Instant) {
        if stray > 0 {
            Counters::count(&self.ends.counters.stray);
            self.quiet_until = self.quiet_until.map(|_| now + 2 * self.period);
        }
    }

    /// Waits until `moment`; `false` if a command comes first, or the actuators are dropped.
    fn wait_until(&self, moment: Instant) -> bool {
        loop {
            if !self.ends.commands.is_empty() || self.ends.commands.is_abandoned() {
                return false;
            }
            let left = moment.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::park_timeout(left);
        }
    }

    fn succeeded(&mut self, asked_us: u64, answers: &Answers) -> Result<(), Failure> {
        self.approach_anew(answers);
        let mut sample = Sample::new();
        sample.time_us = asked_us;
        for observed in &self.channels.observed {
            let joint = self.config.joints.get(observed.joint);
            let bytes = answers.bytes.get(observed.joint);
            let value = joint.zip(bytes).and_then(|(joint, bytes)| {
                let value = joint
                    .servo
                    .measured(observed.quantity, answers.first, bytes)?;
                Some(joint.in_joint(observed.quantity, value))
            });
            // Not a number is a fault of the sample: ENG-SAFE-01.
            let _ = sample.observation.push(value.unwrap_or(f32::NAN));
        }
        let _ = self.ends.reports.push(Report::Sample(sample)); // full: nobody looks
        self.announce(None);
        Ok(())
    }

    /// No goals for the servos that gave no answer: the one that failed, and where time ran out, all that would have answered after it.
    fn distrust(&mut self, failure: Option<Failure>) {
        let Some((failure, id)) = failure.and_then(|failure| Some((failure, failure.id()?))) else {
            return;
        };
        let mut joints = self.config.joints.iter();
        let Some(first) = joints.position(|joint| joint.id == id) else {
            return;
        };
        let all_behind = matches!(failure, Failure::Lost { .. });
        for (place, goal) in self.channels.driven.iter().zip(&mut self.goals) {
            goal.silent |= *place == first || (all_behind && *place > first);
        }
    }

    /// The goals of servos that were silent are where they stand, and approach the command from there.
    fn approach_anew(&mut self, answers: &Answers) {
        for (place, goal) in self.channels.driven.iter().zip(&mut self.goals) {
            let joint = self.config.joints.get(*place).filter(|_| goal.silent);
            let angle = joint
                .zip(answers.bytes.get(*place))
                .and_then(|(joint, bytes)| {
                    let angle = joint
                        .servo
                        .measured(Quantity::Position, answers.first, bytes)?;
                    Some(joint.joint_angle(angle))
                });
            if let Some(angle_rad) = angle {
                *goal = Goal {
                    angle_rad,
                    arrived: false,
                    silent: false,
                };
            }
        }
    }

    /// Counts `failure` and gives it back.
    fn failed(&mut self, failure: Failure) -> Failure {
        self.ends.counters.failed(failure);
        if matches!(failure, Failure::Alarm { .. } | Failure::Gone) {
            self.announce(Some(failure));
        }
        failure
    }

    /// Has it said what the bus does now, where that is something else than before.
    fn announce(&mut self, now: Option<Failure>) {
        if self.announced.replace(now) != Some(now) {
            news::tell(News::Bus(now));
        }
    }
}
