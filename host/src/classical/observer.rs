//! Extended Kalman filter for angle and rate of a pendulum with a given model.

/// `angle'' = gravity·sin(angle) + damping·rate + effect·command`, angle 0 upright.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Model {
    /// 1/s².
    pub gravity: f64,
    /// 1/s, negative for friction.
    pub damping: f64,
    /// rad/s² per unit of command; its sign is the actuator's polarity.
    pub effect: f64,
}

impl Model {
    /// Angular acceleration in rad/s².
    #[must_use]
    pub(crate) fn acceleration(&self, angle: f64, rate: f64, command: f64) -> f64 {
        self.gravity * angle.sin() + self.damping * rate + self.effect * command
    }

    /// State after `period_s` seconds of a constant command (midpoint rule).
    #[must_use]
    pub(crate) fn advance(&self, [angle, rate]: [f64; 2], command: f64, period_s: f64) -> [f64; 2] {
        let half = 0.5 * period_s;
        let middle = [
            angle + half * rate,
            rate + half * self.acceleration(angle, rate, command),
        ];
        [
            angle + period_s * middle[1],
            rate + period_s * self.acceleration(middle[0], middle[1], command),
        ]
    }
}

/// Estimate of angle (rad, wrapped) and rate (rad/s) with its covariance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Observer {
    /// Angle and rate.
    pub state: [f64; 2],
    covariance: [[f64; 2]; 2],
    angle_variance: f64,
    rate_variance: f64,
    acceleration_variance: f64,
    period_s: f64,
}

impl Observer {
    /// An estimate from one measurement. The standard deviations are those of the sensors (rad, rad/s)
    /// and of the acceleration that the model does not explain (rad/s², white per period).
    #[must_use]
    pub(crate) fn new(
        angle: f64,
        rate: f64,
        [angle_std, rate_std, acceleration_std]: [f64; 3],
        period_s: f64,
    ) -> Self {
        let square = |x: f64| x * x;
        Self {
            state: [angle, rate],
            covariance: [[square(angle_std), 0.0], [0.0, square(rate_std)]],
            angle_variance: square(angle_std),
            rate_variance: square(rate_std),
            acceleration_variance: square(acceleration_std),
            period_s,
        }
    }

    /// One period under `command`, then the measurement at its end.
    pub(crate) fn step(&mut self, model: &Model, command: f64, angle: f64, rate: f64) {
        let dt = self.period_s;
        let slope = model.gravity * self.state[0].cos();
        self.state = model.advance(self.state, command, dt);
        let f = [
            [1.0 + 0.5 * dt * dt * slope, dt],
            [dt * slope, 1.0 + dt * model.damping + 0.5 * dt * dt * slope],
        ];
        let p = self.covariance;
        let mut next = [[0.0; 2]; 2];
        for i in 0..2 {
            for j in 0..2 {
                for k in 0..2 {
                    for l in 0..2 {
                        next[i][j] += f[i][k] * p[k][l] * f[j][l];
                    }
                }
            }
        }
        let push = [0.5 * dt * dt, dt];
        for i in 0..2 {
            for j in 0..2 {
                next[i][j] += push[i] * push[j] * self.acceleration_variance;
            }
        }
        self.covariance = next;
        self.correct(0, super::wrap(angle - self.state[0]), self.angle_variance);
        self.correct(1, rate - self.state[1], self.rate_variance);
        self.state[0] = super::wrap(self.state[0]);
    }

    /// Scalar measurement update of state `index`.
    fn correct(&mut self, index: usize, error: f64, noise: f64) {
        let p = self.covariance;
        let variance = p[index][index] + noise;
        let gain = [p[0][index] / variance, p[1][index] / variance];
        for (i, gain) in gain.into_iter().enumerate() {
            self.state[i] += gain * error;
            self.covariance[i] = [p[i][0] - gain * p[index][0], p[i][1] - gain * p[index][1]];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODEL: Model = Model {
        gravity: 9.8,
        damping: -0.1,
        effect: 1.0,
    };

    #[test]
    fn follows_a_noise_free_swing() {
        let mut truth = [2.0, 0.0];
        let mut observer = Observer::new(2.1, 0.5, [0.02, 0.6, 3.0], 0.02);
        for k in 0..200 {
            let command = if k % 20 < 10 { 5.0 } else { -5.0 };
            truth = MODEL.advance(truth, command, 0.02);
            observer.step(&MODEL, command, super::super::wrap(truth[0]), truth[1]);
        }
        assert!(super::super::wrap(observer.state[0] - truth[0]).abs() < 1e-3);
        assert!((observer.state[1] - truth[1]).abs() < 1e-2);
    }
}
