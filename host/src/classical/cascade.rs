//! A cascaded controller for quadrotors: position, velocity, attitude, rate, mixer. It knows the craft as it was built
//! (mass, inertia, arms, thrust curve, rotor lag) and nothing of what is odd about it or becomes of it later.

use engram_plants::quadrotor::{Body, GRAVITY_M_PER_S2, PERIOD_S};

/// The designer's choices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Gains {
    /// Bandwidth of the rate loop times the rotors' shortened time constant.
    pub rate: f32,
    /// Bandwidths of attitude, velocity and position, each relative to that of the loop inside it.
    pub attitude: f32,
    /// See `attitude`.
    pub velocity: f32,
    /// See `attitude`.
    pub position: f32,
    /// Bandwidths of the integrators of velocity and of rate, relative to that of their loops.
    pub integral: [f32; 2],
    /// By how much the commands make the rotors faster than they are.
    pub lead: f32,
    /// Largest speed and tilt that are asked for, in m/s and rad.
    pub limits: [f32; 2],
}

impl Gains {
    /// The best of a random search of 400 sets over 500 training flights each (changes, gusts and sensor errors included), by the mean
    /// distance; rounded.
    #[must_use]
    pub(crate) const fn tuned() -> Self {
        Self {
            rate: 0.485,
            attitude: 0.233,
            velocity: 1.41,
            position: 0.37,
            integral: [0.095, 0.167],
            lead: 8.0,
            limits: [0.49, 1.17],
        }
    }
}

/// The controller of one trial; a new trial takes a new one.
#[derive(Clone, Debug)]
pub(crate) struct Cascade {
    craft: Body,
    gains: Gains,
    /// The rotors' time constant as the commands shorten it, in s.
    lag_s: f32,
    /// From thrust, torque of roll, pitch and yaw to the four thrusts.
    mixer: [[f32; 4]; 4],
    velocity_integral: [f32; 3],
    rate_integral: [f32; 3],
    rotors: Option<[f32; 4]>,
}

impl Cascade {
    /// For a craft that is built like `craft`.
    #[must_use]
    pub(crate) fn new(craft: Body, gains: Gains) -> Self {
        let mean = |values: [f32; 4]| values.iter().sum::<f32>() / 4.0;
        let slow_s = (mean(craft.rise_s) * mean(craft.fall_s)).sqrt();
        // A symmetric craft: half of the extent to either side, and the same reaction of each rotor.
        let [x, y, _] = craft.rotor_positions_m[3];
        let yaw = mean(craft.torque_constant_m);
        let mixer = [
            [-1.0, 1.0, -1.0],
            [-1.0, -1.0, 1.0],
            [1.0, -1.0, -1.0],
            [1.0, 1.0, 1.0],
        ]
        .map(|[left, back, turn]| [0.25, 0.25 * left / y, -0.25 * back / x, 0.25 * turn / yaw]);
        Self {
            craft,
            gains,
            lag_s: slow_s / gains.lead + PERIOD_S,
            mixer,
            velocity_integral: [0.0; 3],
            rate_integral: [0.0; 3],
            rotors: None,
        }
    }

    /// Another motion of the same craft begins: what was learned of its trim stays, where its rotors are is unknown.
    pub(crate) fn restart(&mut self) {
        self.rotors = None;
    }

    /// One control period: an observation of 22 numbers to four commands on [-1, 1].
    pub(crate) fn step(&mut self, observation: &[f32]) -> [f32; 4] {
        let three = |first: usize| {
            [
                observation[first],
                observation[first + 1],
                observation[first + 2],
            ]
        };
        let (position, velocity, rate) = (three(0), three(12), three(15));
        let [row_x, row_y, row_z] = [three(3), three(6), three(9)];
        let Gains {
            limits: [speed, tilt],
            ..
        } = self.gains;
        let of_rate = self.gains.rate / self.lag_s;
        let of_attitude = self.gains.attitude * of_rate;
        let of_velocity = self.gains.velocity * of_attitude;
        let of_position = self.gains.position * of_velocity;
        let [integral_velocity, integral_rate] = self.gains.integral;

        // Position to velocity, velocity to the force that is wanted per mass.
        let wanted = limit(position.map(|error| -of_position * error), speed);
        let mut force = [0.0; 3];
        for axis in 0..3 {
            let error = wanted[axis] - velocity[axis];
            self.velocity_integral[axis] += integral_velocity * of_velocity * PERIOD_S * error;
            self.velocity_integral[axis] = self.velocity_integral[axis].clamp(-2.0, 2.0);
            force[axis] = of_velocity * (error + self.velocity_integral[axis]);
        }
        force[2] = (force[2] + GRAVITY_M_PER_S2).max(0.3 * GRAVITY_M_PER_S2);
        let flat = limit([force[0], force[1], 0.0], force[2] * tilt.tan());
        let force = [flat[0], flat[1], force[2]];

        // The body's z axis towards that force; yaw towards the world's x axis.
        let along = |column: usize| {
            row_x[column] * force[0] + row_y[column] * force[1] + row_z[column] * force[2]
        };
        let length = norm(force);
        let [x, y, z] = [along(0), along(1), along(2)].map(|value| value / length);
        let flat = x.hypot(y).max(1e-6);
        let angle = flat.atan2(z) / flat;
        let yaw = -row_y[0].atan2(row_x[0]);
        let wanted = [
            -y * angle * of_attitude,
            x * angle * of_attitude,
            0.3 * of_attitude * yaw.clamp(-1.0, 1.0),
        ];

        // Rates to torques.
        let mut spin = [0.0; 3];
        for axis in 0..3 {
            let error = wanted[axis] - rate[axis];
            self.rate_integral[axis] += integral_rate * of_rate * PERIOD_S * error;
            self.rate_integral[axis] = self.rate_integral[axis].clamp(-2.0, 2.0);
            spin[axis] = of_rate * (error + self.rate_integral[axis]);
        }
        // Yaw is slow: its rotors have little to turn with.
        spin[2] *= 0.5;
        let inertia = self.craft.inertia_kg_m2;
        let torque = [
            inertia[0][0] * spin[0],
            inertia[1][1] * spin[1],
            inertia[2][2] * spin[2],
        ];
        let up = z.max(0.0) * length * self.craft.mass_kg;
        self.mix(up, torque)
    }

    /// Thrust and torques to commands: what saturates gives up yaw first, then thrust, then roll and pitch.
    fn mix(&mut self, up: f32, [roll, pitch, yaw]: [f32; 3]) -> [f32; 4] {
        let full = self.craft.thrust_n.map(|curve| curve.iter().sum::<f32>());
        let largest = full.iter().fold(f32::INFINITY, |a, b| a.min(*b));
        let smallest = self
            .craft
            .thrust_n
            .iter()
            .fold(0.0f32, |a, [c0, ..]| a.max(*c0));
        let tilting = self.mixer.map(|[_, a, b, _]| a * roll + b * pitch);
        let turning = self.mixer.map(|[.., c]| c * yaw);
        let peak = |parts: [f32; 4]| parts.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        let room = 0.5 * (largest - smallest);
        let shrink = (room / peak(tilting).max(1e-9)).min(1.0);
        let spare = (room - shrink * peak(tilting)).max(0.15 * room);
        let turn = (spare / peak(turning).max(1e-9)).min(1.0);
        let mut parts = [0.0; 4];
        for (rotor, part) in parts.iter_mut().enumerate() {
            *part = shrink * tilting[rotor] + turn * turning[rotor];
        }
        let (low, high) = parts
            .iter()
            .fold((0.0f32, 0.0f32), |(l, h), p| (l.min(*p), h.max(*p)));
        let base = (0.25 * up).min(largest - high).max(smallest - low);

        let rotors = self.rotors;
        let mut next = [0.0; 4];
        let mut commands = [0.0; 4];
        for rotor in 0..4 {
            let [c0, c1, c2] = self.craft.thrust_n[rotor];
            let thrust = (base + parts[rotor]).clamp(c0, full[rotor]);
            let wanted = if c2 > 1e-9 {
                ((c1 * c1 + 4.0 * c2 * (thrust - c0)).sqrt() - c1) / (2.0 * c2)
            } else {
                (thrust - c0) / c1
            };
            // The rotor by its model, and a command that brings it there sooner than its lag would.
            let now = rotors.map_or(wanted, |rotors| rotors[rotor]);
            let own_s = if wanted > now {
                self.craft.rise_s[rotor]
            } else {
                self.craft.fall_s[rotor]
            };
            let gain =
                -(-PERIOD_S * self.gains.lead / own_s).exp_m1() / -(-PERIOD_S / own_s).exp_m1();
            let command = (now + gain * (wanted - now)).clamp(0.0, 1.0);
            next[rotor] = command + (now - command) * (-PERIOD_S / own_s).exp();
            commands[rotor] = 2.0 * command - 1.0;
        }
        self.rotors = Some(next);
        commands
    }
}

fn norm(vector: [f32; 3]) -> f32 {
    vector.iter().map(|value| value * value).sum::<f32>().sqrt()
}

/// `vector`, no longer than `most`.
fn limit(vector: [f32; 3], most: f32) -> [f32; 3] {
    let factor = (most / norm(vector).max(1e-9)).min(1.0);
    vector.map(|value| factor * value)
}

#[cfg(test)]
mod tests {
    use engram_plants::quadrotor::{Hidden, Quadrotor, STATE};
    use engram_plants::{Differentiable, Flight, Stream, TaskSet, random_stream};

    use super::*;

    /// Largest distance in the last second of 5 s, in m.
    fn fly(
        mut flight: impl Flight<Parameters = <Quadrotor as Differentiable>::Parameters>,
        craft: Body,
        mut state: [f32; STATE],
    ) -> f32 {
        let mut cascade = Cascade::new(craft, Gains::tuned());
        let mut worst = 0.0f32;
        for step in 0..500 {
            let mut observation = [0.0; 22];
            Quadrotor::observe(&state, &mut observation);
            flight.measure(&mut observation);
            let action = cascade.step(&observation);
            assert!(
                action.iter().all(|command| command.abs() <= 1.0),
                "{action:?}"
            );
            let mut next = state;
            Quadrotor::step(flight.parameters(), &state, &action, &mut next);
            state = next;
            flight.advance();
            if step >= 400 {
                let [x, y, z, ..] = state;
                worst = worst.max(norm([x, y, z]));
            }
        }
        worst
    }

    struct Still(engram_plants::quadrotor::Dynamics);

    impl Flight for Still {
        type Parameters = engram_plants::quadrotor::Dynamics;
        fn parameters(&self) -> &Self::Parameters {
            &self.0
        }
        fn measure(&mut self, _: &mut [f32]) {}
        fn advance(&mut self) {}
        fn restart(&mut self, _: &mut [f32]) {}
    }

    #[test]
    fn a_craft_as_it_was_built_comes_to_its_set_point() {
        let mut near = 0;
        for index in 0..50 {
            let mut random = random_stream(0, Stream::HeldOut, index);
            let craft = Hidden::sample(TaskSet::HeldOut, &mut random)
                .nominal()
                .body();
            let mut state = [0.0; STATE];
            Quadrotor::flight(&mut random, 500, &mut state);
            let still = Still(engram_plants::quadrotor::Dynamics::new(&craft));
            near += usize::from(fly(still, craft, state) < 0.2);
        }
        assert!(near >= 46, "{near} of 50");
    }

    #[test]
    fn most_odd_and_changing_craft_stay() {
        let mut near = 0;
        for index in 0..50 {
            let mut state = [0.0; STATE];
            let flight = Quadrotor::flight(
                &mut random_stream(1, Stream::HeldOut, index),
                500,
                &mut state,
            );
            let craft = flight.hidden().nominal().body();
            near += usize::from(fly(flight, craft, state) < 1.0);
        }
        assert!(near >= 38, "{near} of 50");
    }
}
