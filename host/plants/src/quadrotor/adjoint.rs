//! The transposed Jacobian of the quadrotor's step, written out: ten times as fast as dual numbers, which test it.

use super::dynamics::{
    ATTITUDE, BEFORE_LAST, Dynamics, LAST, PERIOD_S, POSITION, RATE, ROTORS, Slopes, VELOCITY,
    along, times, vector,
};

/// A gradient by the inputs of [`Dynamics::slopes`].
struct ByInputs {
    attitude: [f32; 4],
    rate: [f32; 3],
    rotors: [f32; 4],
}

impl Dynamics {
    /// From the gradient by the next state to those by state and action, which it is added to.
    pub fn pull_step(
        &self,
        state: &[f32],
        action: &[f32],
        by_next: &[f32],
        by_state: &mut [f32],
        by_action: &mut [f32],
    ) {
        // Forward, as `step` does.
        let attitude = vector::<f32, 4>(state, ATTITUDE);
        let rate = vector::<f32, 3>(state, RATE);
        let (stages, left) = self.rotor_stages(state, action);
        let half = 0.5 * PERIOD_S;
        let mut attitudes = [attitude; 4];
        let mut rates = [rate; 4];
        let mut slopes = [self.slopes(attitude, rate, stages[0]); 4];
        for (stage, seconds) in [(1, half), (2, half), (3, PERIOD_S)] {
            attitudes[stage] = along(attitude, slopes[stage - 1].turn, seconds);
            rates[stage] = along(rate, slopes[stage - 1].spin, seconds);
            slopes[stage] = self.slopes(attitudes[stage], rates[stage], stages[stage]);
        }
        let [first, second, third, fourth] = slopes;
        let mut turned = attitude;
        for (index, turned) in turned.iter_mut().enumerate() {
            let middle = second.turn[index] + third.turn[index];
            *turned += (first.turn[index] + 2.0 * middle + fourth.turn[index]) * (PERIOD_S / 6.0);
        }

        // Backward: the quaternion's length has no say.
        let length = turned.iter().map(|value| value * value).sum::<f32>().sqrt();
        let unit = turned.map(|value| value / length);
        let by_unit = vector::<f32, 4>(by_next, ATTITUDE);
        let radial: f32 = unit.iter().zip(by_unit).map(|(unit, by)| unit * by).sum();
        let mut by_turned = by_unit;
        for (by, unit) in by_turned.iter_mut().zip(unit) {
            *by = (*by - unit * radial) / length;
        }
        let by_position = vector::<f32, 3>(by_next, POSITION);
        let by_velocity = vector::<f32, 3>(by_next, VELOCITY);
        let by_rate = vector::<f32, 3>(by_next, RATE);
        let mut by_attitude_sum = by_turned;
        let mut by_rate_sum = by_rate;
        for axis in 0..3 {
            by_state[POSITION + axis] += by_position[axis];
            by_state[VELOCITY + axis] += by_velocity[axis] + PERIOD_S * by_position[axis];
        }

        let mut by_rotors = [0.0; 4];
        let mut by_command = [0.0; 4];
        for rotor in 0..4 {
            let by = by_next[ROTORS + rotor];
            by_rotors[rotor] = by * left[rotor].end;
            by_command[rotor] = by * (1.0 - left[rotor].end);
        }
        // What the stage after this one, which starts from this one's slopes, passes back to them.
        let mut from_later = ([0.0; 4], [0.0; 3]);
        for (stage, share, into_position, ahead) in [
            (3, 1.0, 0.0, half),
            (2, 2.0, 1.0, PERIOD_S),
            (1, 2.0, 1.0, half),
            (0, 1.0, 1.0, half),
        ] {
            let weight = share * (PERIOD_S / 6.0);
            // The last stage has none after it: `from_later` is still 0.
            let by_slopes = Slopes {
                turn: along(by_turned.map(|by| weight * by), from_later.0, ahead),
                push: along(
                    by_velocity.map(|by| weight * by),
                    by_position,
                    into_position * PERIOD_S * PERIOD_S / 6.0,
                ),
                spin: along(by_rate.map(|by| weight * by), from_later.1, ahead),
            };
            let by = self.pull_slopes(attitudes[stage], rates[stage], stages[stage], &by_slopes);
            by_attitude_sum = along(by_attitude_sum, by.attitude, 1.0);
            by_rate_sum = along(by_rate_sum, by.rate, 1.0);
            for rotor in 0..4 {
                let left = match stage {
                    0 => 1.0,
                    _ => left[rotor].stages[stage - 1],
                };
                by_rotors[rotor] += by.rotors[rotor] * left;
                by_command[rotor] += by.rotors[rotor] * (1.0 - left);
            }
            from_later = (by.attitude, by.rate);
        }

        let add = |to: &mut [f32], by: &[f32]| {
            for (to, by) in to.iter_mut().zip(by) {
                *to += by;
            }
        };
        add(&mut by_state[ATTITUDE..], &by_attitude_sum);
        add(&mut by_state[RATE..], &by_rate_sum);
        add(&mut by_state[ROTORS..], &by_rotors);
        add(by_action, &by_next[LAST..LAST + 4]);
        add(
            &mut by_state[LAST..],
            &by_next[BEFORE_LAST..BEFORE_LAST + 4],
        );
        let by_arrived = by_command.map(|by| 0.5 * by);
        match self.delay_steps {
            0 => add(by_action, &by_arrived),
            1 => add(&mut by_state[LAST..], &by_arrived),
            _ => add(&mut by_state[BEFORE_LAST..], &by_arrived),
        }
    }

    /// The transposed Jacobian of [`Dynamics::slopes`].
    #[inline(always)]
    fn pull_slopes(
        &self,
        [w, x, y, z]: [f32; 4],
        rate: [f32; 3],
        rotors: [f32; 4],
        by: &Slopes<f32>,
    ) -> ByInputs {
        let [p, q, r] = rate;
        let [turn_w, turn_x, turn_y, turn_z] = by.turn.map(|by| 0.5 * by);
        let mut attitude = [
            p * turn_x + q * turn_y + r * turn_z,
            -p * turn_w - r * turn_y + q * turn_z,
            -q * turn_w + r * turn_x - p * turn_z,
            -r * turn_w - q * turn_x + p * turn_y,
        ];
        let mut by_rate = [
            -x * turn_w + w * turn_x + z * turn_y - y * turn_z,
            -y * turn_w - z * turn_x + w * turn_y + x * turn_z,
            -z * turn_w + y * turn_x - x * turn_y + w * turn_z,
        ];

        let (push, _) = self.lift(rotors);
        let [push_x, push_y, push_z] = by.push;
        let up = [
            y * push_x - x * push_y,
            z * push_x - w * push_y - 2.0 * x * push_z,
            w * push_x + z * push_y - 2.0 * y * push_z,
            x * push_x + y * push_y,
        ];
        attitude = along(attitude, up, 2.0 * push);
        let by_push = 2.0 * ((x * z + w * y) * push_x + (y * z - w * x) * push_y)
            + (1.0 - 2.0 * (x * x + y * y)) * push_z;

        // spin = J^-1 (torque - rate x J rate); both matrices are symmetric.
        let by_torque = times(&self.inverse_inertia, by.spin);
        let momentum = times(&self.inertia, rate);
        by_rate = along(by_rate, cross(by_torque, momentum), 1.0);
        let by_momentum = cross(rate, by_torque);
        by_rate = along(by_rate, times(&self.inertia, by_momentum), 1.0);

        ByInputs {
            attitude,
            rate: by_rate,
            rotors: self.pull_lift(rotors, by_push, by_torque),
        }
    }
}

#[inline(always)]
fn cross([a, b, c]: [f32; 3], [x, y, z]: [f32; 3]) -> [f32; 3] {
    [b * z - c * y, c * x - a * z, a * y - b * x]
}
