//! The classical adaptive controller as a pilot: it runs on the host, behind the same envelope.

use engram_firmware::safety::Envelope;
use engram_image::{Contract, Reward};
use engram_link::{CommandSource, State};

use super::{Classical, Limits, Tuning};
use engram_flight::{Decision, Ending, FlightError, Order, Pilot, PilotCard, SampleRecord};
use engram_plants::pendulum;

/// Recursive least squares, LQR and swing-up for the pendulum.
pub(crate) struct ClassicalPilot {
    controller: Classical,
    envelope: Envelope,
    reward: Reward,
    issued: Vec<i16>,
    started: bool,
}

impl ClassicalPilot {
    /// A controller that knows nothing of its task.
    ///
    /// # Errors
    /// [`FlightError::NoClassical`] for any plant but the pendulum.
    pub(crate) fn new(plant: &str, contract: &Contract<'_>) -> Result<Self, FlightError> {
        let no_classical = || FlightError::NoClassical {
            plant: plant.to_owned(),
        };
        if plant != pendulum::NAME {
            return Err(no_classical());
        }
        let torque = contract.actions.first().ok_or_else(no_classical)?;
        let limits = Limits {
            period_s: f64::from(contract.period_us) / 1e6,
            command: f64::from(torque.max),
        };
        let envelope = Envelope::new(contract);
        let issued = envelope.safe_words().to_vec();
        Ok(Self {
            controller: Classical::new(limits, Tuning::pendulum()),
            envelope,
            reward: contract.reward,
            issued,
            started: false,
        })
    }

    /// What the log says about it.
    #[must_use]
    pub(crate) fn card() -> PilotCard {
        PilotCard {
            board: "host".to_owned(),
            controller: "classical".to_owned(),
            ..PilotCard::default()
        }
    }
}

impl Pilot for ClassicalPilot {
    fn decide(&mut self, _now_us: u64, sample: &SampleRecord) -> Result<Decision, FlightError> {
        let orders = if std::mem::replace(&mut self.started, true) {
            Vec::new()
        } else {
            vec![Order::Arm]
        };
        let (angle, rate) = match sample.observation.as_slice() {
            [cos, sin, rate, ..] => (f64::from(*sin).atan2(f64::from(*cos)), f64::from(*rate)),
            _ => (0.0, 0.0),
        };
        let last = self.envelope.commands(&self.issued);
        let issued = f64::from(last.first().copied().unwrap_or(0.0));
        let reward = match &self.reward {
            Reward::Formula(formula) if orders.is_empty() => {
                formula.evaluate(&sample.observation, &last)
            }
            _ => 0.0,
        };
        let command = self.controller.step(angle, rate, issued, sample.done) as f32;
        let words: Vec<i16> = self
            .envelope
            .words(&[command])
            .map_or_else(|| self.issued.clone(), |words| words.to_vec());
        self.envelope.limit(&mut self.issued, &words);
        Ok(Decision {
            orders,
            words,
            expected: Vec::new(),
            issued: self.issued.clone(),
            source: CommandSource::Policy,
            reward,
            state: State::Armed,
            faults: 0,
            attention: Vec::new(),
        })
    }

    fn end(&mut self) -> Ending {
        Ending::default()
    }
}
