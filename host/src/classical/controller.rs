//! Identification, state estimate and control law put together: one command per control period.

use super::{Feedback, Model, Observer, RecursiveLeastSquares, Window, solve, wrap};

/// What the contract says about the actuator and the clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limits {
    /// Control period, s.
    pub period_s: f64,
    /// Largest command in either direction, in the contract's unit.
    pub command: f64,
}

/// The designer's choices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Tuning {
    /// Standard deviations of the encoder (rad) and of the gyro (rad/s).
    pub sensor_std: [f64; 2],
    /// Prior mean and standard deviation of gravity, damping and effect ([`Model`]); an effect of mean
    /// zero says that the polarity is unknown.
    pub prior: [[f64; 2]; 3],
    /// Intervals of the regression window.
    pub window: usize,
    /// By how much overlapping windows repeat each other's noise.
    pub overlap: f64,
    /// Forgetting factor per period.
    pub forgetting: f64,
    /// Squared normalised innovation above which the effect is doubted.
    pub doubt: f64,
    /// Unexplained acceleration of the observer, rad/s² per period.
    pub acceleration_std: f64,
    /// LQR cost of angle², rate² and (command / largest command)².
    pub cost: [f64; 3],
    /// Share of the actuator's reach that the unstable mode may take for the LQR to hold; above 1 because
    /// the torque of gravity grows slower than the linearisation says.
    pub capture_share: f64,
    /// Excitation as a share of the largest command while the polarity is unknown.
    pub excitation: f64,
    /// Half period of the excitation, in control periods.
    pub excitation_periods: u32,
    /// Standard deviations of the effect below which its sign counts as unknown, until it was known once.
    pub unknown: f64,
    /// The same after that.
    pub unknown_again: f64,
}

impl Tuning {
    /// Found by a random search of 250 sets over 600 training tasks each, then rounded and chosen among nine
    /// neighbours by 2000 training tasks of two changes.
    #[must_use]
    pub(crate) const fn pendulum() -> Self {
        Self {
            sensor_std: [0.02, 0.6],
            prior: [[10.0, 1.0], [-0.1, 0.2], [0.0, 1.55]],
            window: 20,
            overlap: 1.2,
            forgetting: 0.994,
            doubt: 10.0,
            acceleration_std: 5.0,
            cost: [12.0, 1.0, 0.66],
            capture_share: 1.65,
            excitation: 1.0,
            excitation_periods: 22,
            unknown: 0.2,
            unknown_again: 0.05,
        }
    }
}

/// The controller. One value serves one trial; [`Classical::clear`] starts the next.
#[derive(Clone, Debug)]
pub(crate) struct Classical {
    limits: Limits,
    tuning: Tuning,
    window: Window,
    identified: RecursiveLeastSquares<3>,
    observer: Option<Observer>,
    feedback: Option<Feedback<2>>,
    known_once: bool,
    periods: u32,
}

impl Classical {
    /// A controller that knows nothing of its task yet.
    #[must_use]
    pub(crate) fn new(limits: Limits, tuning: Tuning) -> Self {
        let [angle_std, rate_std] = tuning.sensor_std;
        Self {
            limits,
            tuning,
            window: Window::new(tuning.window, limits.period_s, angle_std, rate_std),
            identified: RecursiveLeastSquares::new(
                tuning.prior.map(|p| p[0]),
                tuning.prior.map(|p| p[1]),
                tuning.forgetting,
            ),
            observer: None,
            feedback: None,
            known_once: false,
            periods: 0,
        }
    }

    /// Forgets the task: the next step is the first of a trial.
    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.limits, self.tuning);
    }

    /// The model as identified so far.
    #[must_use]
    pub(crate) fn model(&self) -> Model {
        let [gravity, damping, effect] = self.identified.estimate;
        Model {
            gravity: gravity.max(0.1),
            damping: damping.min(0.0),
            effect,
        }
    }

    /// One control period: measured angle (rad, 0 upright), measured rate (rad/s), the command issued in
    /// the period before, and whether the plant was reset since.
    ///
    /// Returns the command before the envelope, within the contract's range.
    pub(crate) fn step(&mut self, angle: f64, rate: f64, issued: f64, reset: bool) -> f64 {
        self.observe(angle, rate, issued, reset);
        let command = self.control();
        self.periods = self.periods.wrapping_add(1);
        command.clamp(-self.limits.command, self.limits.command)
    }

    fn observe(&mut self, angle: f64, rate: f64, issued: f64, reset: bool) {
        let Some(mut observer) = self.observer.filter(|_| !reset) else {
            // Another motion begins: the task is the same, the state is not.
            self.window.clear();
            self.window.push(angle, rate, issued);
            let [angle_std, rate_std] = self.tuning.sensor_std;
            self.observer = Some(Observer::new(
                angle,
                rate,
                [angle_std, rate_std, self.tuning.acceleration_std],
                self.limits.period_s,
            ));
            return;
        };
        if let Some(equation) = self.window.push(angle, rate, issued) {
            let noise = equation.variance * self.tuning.overlap;
            let (error, variance) =
                self.identified
                    .innovation(&equation.regressor, equation.acceleration, noise);
            if error * error > self.tuning.doubt * variance {
                self.identified.doubt(2);
            }
            self.identified
                .update(&equation.regressor, equation.acceleration, noise);
        }
        observer.step(&self.model(), issued, angle, rate);
        self.observer = Some(observer);
    }

    fn polarity_unknown(&self) -> bool {
        let deviations = if self.known_once {
            self.tuning.unknown_again
        } else {
            self.tuning.unknown
        };
        self.identified.estimate[2].abs() < deviations * self.identified.std(2)
    }

    fn control(&mut self) -> f64 {
        let Some(Observer {
            state: [angle, rate],
            ..
        }) = self.observer
        else {
            return 0.0;
        };
        let model = self.model();
        let limit = self.limits.command;
        if self.polarity_unknown() {
            let up = (self.periods / self.tuning.excitation_periods).is_multiple_of(2);
            let amplitude = self.tuning.excitation * limit;
            return if up { amplitude } else { -amplitude };
        }
        self.known_once = true;
        let reach = model.effect.abs() * limit;
        // The linearisation's unstable eigenvalue, and the coordinate that grows with it.
        let growth = 0.5 * (model.damping + (model.damping.powi(2) + 4.0 * model.gravity).sqrt());
        let unstable = rate + model.gravity / growth * angle;
        if unstable.abs() < self.tuning.capture_share * reach / growth
            && let Some(command) = self.hold(&model, [angle, rate])
        {
            return command;
        }
        // Energy over that of standing upright, in rad²/s²; pushed towards zero with all there is.
        let energy = 0.5 * rate * rate + model.gravity * (angle.cos() - 1.0);
        let push = -4.0 * energy / model.gravity;
        let along = if rate.abs() < 0.3 && wrap(angle - std::f64::consts::PI).abs() < 0.3 {
            1.0
        } else {
            rate.signum()
        };
        push.clamp(-1.0, 1.0) * along * model.effect.signum() * limit
    }

    fn hold(&mut self, model: &Model, [angle, rate]: [f64; 2]) -> Option<f64> {
        let dt = self.limits.period_s;
        let a = [
            [1.0 + 0.5 * dt * dt * model.gravity, dt],
            [
                dt * model.gravity,
                1.0 + dt * model.damping + 0.5 * dt * dt * model.gravity,
            ],
        ];
        let b = [0.5 * dt * dt * model.effect, dt * model.effect];
        let [of_angle, of_rate, of_command] = self.tuning.cost;
        let r = of_command / self.limits.command.powi(2);
        let start = self.feedback.map_or([[0.0; 2]; 2], |known| known.cost);
        let feedback = solve(&a, &b, &[of_angle, of_rate], r, &start)?;
        self.feedback = Some(feedback);
        Some(-feedback.gain[0] * angle - feedback.gain[1] * rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        period_s: 0.02,
        command: 12.0,
    };

    /// Flies a noise-free pendulum (1 kg, 1 m, with the sign of `effect`) and returns its largest deviation
    /// from upright in the last second.
    fn fly(
        controller: &mut Classical,
        model: &mut Model,
        steps: usize,
        flip_at: Option<usize>,
    ) -> f64 {
        let (mut state, mut issued, mut worst) = ([3.0, 0.0], 0.0, 0f64);
        for step in 0..steps {
            if flip_at == Some(step) {
                model.effect = -model.effect;
            }
            issued = controller.step(state[0], state[1], issued, step == 0);
            state = model.advance(state, issued, LIMITS.period_s);
            state[0] = wrap(state[0]);
            if step + 50 >= steps {
                worst = worst.max(state[0].abs());
            }
        }
        worst
    }

    #[test]
    fn swings_up_and_holds_either_polarity() {
        for effect in [1.0, -1.0, 0.4, -2.5] {
            let mut model = Model {
                gravity: 9.81,
                damping: -0.1,
                effect,
            };
            let mut controller = Classical::new(LIMITS, Tuning::pendulum());
            let worst = fly(&mut controller, &mut model, 300, None);
            assert!(worst < 0.1, "effect {effect}: {worst} rad");
            assert!((controller.model().effect - effect).abs() < 0.2 * effect.abs() + 0.05);
        }
    }

    #[test]
    fn finds_out_that_the_polarity_flipped() {
        let mut model = Model {
            gravity: 9.81,
            damping: -0.1,
            effect: 0.9,
        };
        let mut controller = Classical::new(LIMITS, Tuning::pendulum());
        let worst = fly(&mut controller, &mut model, 600, Some(300));
        assert!(worst < 0.1, "{worst} rad");
        assert!(controller.model().effect < 0.0);
    }

    #[test]
    fn a_cleared_controller_is_a_new_one() {
        let mut model = Model {
            gravity: 9.81,
            damping: -0.1,
            effect: 0.9,
        };
        let mut controller = Classical::new(LIMITS, Tuning::pendulum());
        fly(&mut controller, &mut model, 100, None);
        controller.clear();
        assert_eq!(
            controller.model(),
            Classical::new(LIMITS, Tuning::pendulum()).model()
        );
    }
}
