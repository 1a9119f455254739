//! The quadrotor's equations of motion, over any kind of number: one Runge-Kutta step of 10 ms.
//!
//! Rigid body, world x forward, y left, z up; each rotor follows its command `u = (a + 1) / 2` with a first-order lag
//! that rises faster than it falls, and pushes with `c0 + c1 u + c2 u^2`. The step is the classical one of fourth order
//! with the rotors in the state; the quaternion is normalised after it. Those are the conventions of the public l2f
//! simulator, and `scripts/check-l2f` holds the two against each other.

use crate::Real;

/// One control period, in s.
pub const PERIOD_S: f32 = 0.01;
/// Gravity, in m/s^2, down.
pub const GRAVITY_M_PER_S2: f32 = 9.81;

/// Where a state's numbers stand: position in m, world.
pub const POSITION: usize = 0;
/// Attitude: unit quaternion w, x, y, z from body to world.
pub const ATTITUDE: usize = 3;
/// Velocity in m/s, world.
pub const VELOCITY: usize = 7;
/// Angular velocity in rad/s, body.
pub const RATE: usize = 10;
/// Rotor states on [0, 1].
pub const ROTORS: usize = 13;
/// The commands of the last step, on [-1, 1].
pub const LAST: usize = 17;
/// The commands of the step before it: the dynamics need them where commands arrive late.
pub const BEFORE_LAST: usize = 21;
/// Numbers of a state.
pub const STATE: usize = 25;

/// A craft as one would measure it, in SI units. Rotors: front right, back right, back left, front left.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
pub struct Body {
    /// Mass, in kg.
    pub mass_kg: f32,
    /// Inertia about the centre of mass in body axes, in kg m^2: symmetric, positive definite.
    pub inertia_kg_m2: [[f32; 3]; 3],
    /// Where the rotors are, from the centre of mass, in m.
    pub rotor_positions_m: [[f32; 3]; 4],
    /// Thrust in N of each rotor: `c0 + c1 u + c2 u^2`.
    pub thrust_n: [[f32; 3]; 4],
    /// Yaw torque per thrust of each rotor, in m.
    pub torque_constant_m: [f32; 4],
    /// Time constants of rising rotors, in s.
    pub rise_s: [f32; 4],
    /// Time constants of falling rotors, in s.
    pub fall_s: [f32; 4],
    /// A steady force on the craft, world, in N: wind.
    pub force_n: [f32; 3],
    /// Control steps by which a command arrives late: 0, 1 or 2.
    pub delay_steps: u8,
}

/// Which way the reaction of each rotor turns the craft about body z.
const TURN: [f32; 4] = [-1.0, 1.0, -1.0, 1.0];

/// A body's coefficients of the equations, made once for each body.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dynamics {
    inverse_mass: f32,
    /// Gravity and steady force, in m/s^2.
    drift: [f32; 3],
    /// Torque about the body axes per thrust of each rotor, in m.
    torque: [[f32; 4]; 3],
    thrust: [[f32; 3]; 4],
    pub(super) inertia: [[f32; 3]; 3],
    pub(super) inverse_inertia: [[f32; 3]; 3],
    rise: [Lag; 4],
    fall: [Lag; 4],
    pub(super) delay_steps: u8,
}

/// What is left of the distance between a rotor and its command, in the stages of the Runge-Kutta step and after it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Lag {
    pub(super) stages: [f32; 3],
    pub(super) end: f32,
}

impl Lag {
    fn new(time_constant_s: f32) -> Self {
        let x = PERIOD_S / time_constant_s;
        let half = 0.5 * x;
        Self {
            stages: [
                1.0 - half,
                1.0 - half + half * half,
                1.0 - x + 0.5 * x * x - 0.25 * x * x * x,
            ],
            end: 1.0 - x + x * x / 2.0 - x * x * x / 6.0 + x * x * x * x / 24.0,
        }
    }
}

impl Dynamics {
    /// The coefficients of a body.
    #[must_use]
    pub fn new(body: &Body) -> Self {
        let inverse_mass = 1.0 / body.mass_kg;
        let [x, y, z] = body.force_n.map(|force| force * inverse_mass);
        let mut torque = [[0.0; 4]; 3];
        for rotor in 0..4 {
            let [x, y, _] = body.rotor_positions_m[rotor];
            torque[0][rotor] = y;
            torque[1][rotor] = -x;
            torque[2][rotor] = TURN[rotor] * body.torque_constant_m[rotor];
        }
        Self {
            inverse_mass,
            drift: [x, y, z - GRAVITY_M_PER_S2],
            torque,
            thrust: body.thrust_n,
            inertia: body.inertia_kg_m2,
            inverse_inertia: inverse(body.inertia_kg_m2),
            rise: body.rise_s.map(Lag::new),
            fall: body.fall_s.map(Lag::new),
            delay_steps: body.delay_steps,
        }
    }

    /// Changes the steady force on the craft (world, in N), and nothing else.
    pub fn set_force(&mut self, force_n: [f32; 3]) {
        self.drift = force_n.map(|force| force * self.inverse_mass);
        self.drift[2] -= GRAVITY_M_PER_S2;
    }

    /// The state one control period after `state` (25 numbers) under four commands on [-1, 1]; see [`POSITION`] and what follows it.
    #[inline]
    pub fn step<T: Real>(&self, state: &[T], action: &[T], next: &mut [T]) {
        let attitude = vector::<T, 4>(state, ATTITUDE);
        let rate = vector::<T, 3>(state, RATE);
        let (stages, left) = self.rotor_stages(state, action);
        let half = 0.5 * PERIOD_S;
        let first = self.slopes(attitude, rate, stages[0]);
        let stage = |from: &Slopes<T>, seconds: f32, rotors: [T; 4]| {
            let attitude = along(attitude, from.turn, seconds);
            self.slopes(attitude, along(rate, from.spin, seconds), rotors)
        };
        let second = stage(&first, half, stages[1]);
        let third = stage(&second, half, stages[2]);
        let fourth = stage(&third, PERIOD_S, stages[3]);

        let sixth = PERIOD_S / 6.0;
        for axis in 0..3 {
            let (position, velocity) = (state[POSITION + axis], state[VELOCITY + axis]);
            let (start, middle) = (first.push[axis], second.push[axis] + third.push[axis]);
            next[POSITION + axis] =
                position + (velocity + (start + middle).scale(sixth)).scale(PERIOD_S);
            next[VELOCITY + axis] =
                velocity + (start + middle.scale(2.0) + fourth.push[axis]).scale(sixth);
            let middle = second.spin[axis] + third.spin[axis];
            next[RATE + axis] = rate[axis]
                + (first.spin[axis] + middle.scale(2.0) + fourth.spin[axis]).scale(sixth);
        }
        let mut turned = attitude;
        for (index, turned) in turned.iter_mut().enumerate() {
            let middle = second.turn[index] + third.turn[index];
            *turned += (first.turn[index] + middle.scale(2.0) + fourth.turn[index]).scale(sixth);
        }
        let arrived = self.arrived(state, action);
        let [w, x, y, z] = turned;
        let shrink = T::from(1.0) / (w * w + x * x + y * y + z * z).sqrt();
        for (index, turned) in turned.into_iter().enumerate() {
            next[ATTITUDE + index] = turned * shrink;
            let command = arrived[index].scale(0.5).offset(0.5);
            next[ROTORS + index] = command + (stages[0][index] - command).scale(left[index].end);
        }
        next[LAST..LAST + 4].copy_from_slice(&action[..4]);
        next[BEFORE_LAST..BEFORE_LAST + 4].copy_from_slice(&state[LAST..LAST + 4]);
    }

    /// The commands that reach the rotors in this step.
    #[inline(always)]
    fn arrived<T: Real>(&self, state: &[T], action: &[T]) -> [T; 4] {
        match self.delay_steps {
            0 => vector(action, 0),
            1 => vector(state, LAST),
            _ => vector(state, BEFORE_LAST),
        }
    }

    /// The rotors at the four stages of the step (they do not depend on the body), and the lag of each.
    #[inline(always)]
    pub(super) fn rotor_stages<T: Real>(
        &self,
        state: &[T],
        action: &[T],
    ) -> ([[T; 4]; 4], [&Lag; 4]) {
        let rotors = vector::<T, 4>(state, ROTORS);
        let mut stages = [rotors; 4];
        let mut lags = self.rise.each_ref();
        for (rotor, arrived) in self.arrived(state, action).into_iter().enumerate() {
            let command = arrived.scale(0.5).offset(0.5);
            let gap = rotors[rotor] - command;
            if gap > T::from(0.0) {
                lags[rotor] = &self.fall[rotor];
            }
            for (stage, left) in stages[1..].iter_mut().zip(lags[rotor].stages) {
                stage[rotor] = command + gap.scale(left);
            }
        }
        (stages, lags)
    }

    /// Acceleration along body z, in m/s^2, and torque about the body axes, in Nm, of rotors.
    #[inline(always)]
    pub(super) fn lift<T: Real>(&self, rotors: [T; 4]) -> (T, [T; 3]) {
        let mut thrusts = rotors;
        for (thrust, [c0, c1, c2]) in thrusts.iter_mut().zip(self.thrust) {
            *thrust = (*thrust * thrust.scale(c2).offset(c1)).offset(c0);
        }
        let [a, b, c, d] = thrusts;
        let torque = self
            .torque
            .map(|[wa, wb, wc, wd]| (a.scale(wa) + b.scale(wb)) + (c.scale(wc) + d.scale(wd)));
        (((a + b) + (c + d)).scale(self.inverse_mass), torque)
    }

    /// The transposed Jacobian of [`lift`](Self::lift).
    #[inline(always)]
    pub(super) fn pull_lift(
        &self,
        mut rotors: [f32; 4],
        by_push: f32,
        by_torque: [f32; 3],
    ) -> [f32; 4] {
        for (index, rotor) in rotors.iter_mut().enumerate() {
            let [_, c1, c2] = self.thrust[index];
            let mut by_thrust = by_push * self.inverse_mass;
            for (by, torque) in by_torque.iter().zip(&self.torque) {
                by_thrust += by * torque[index];
            }
            *rotor = by_thrust * (c1 + 2.0 * c2 * *rotor);
        }
        rotors
    }

    /// Derivatives by time.
    #[inline(always)]
    pub(super) fn slopes<T: Real>(
        &self,
        [w, x, y, z]: [T; 4],
        rate: [T; 3],
        rotors: [T; 4],
    ) -> Slopes<T> {
        let [p, q, r] = rate;
        let turn = [
            -(x * p + y * q + z * r),
            w * p + y * r - z * q,
            w * q + z * p - x * r,
            w * r + x * q - y * p,
        ];
        let (lift, [tx, ty, tz]) = self.lift(rotors);
        let two = lift.scale(2.0);
        let [hx, hy, hz] = times(&self.inertia, rate);
        let net = [
            tx - (q * hz - r * hy),
            ty - (r * hx - p * hz),
            tz - (p * hy - q * hx),
        ];
        Slopes {
            turn: turn.map(|slope| slope.scale(0.5)),
            push: [
                ((x * z + w * y) * two).offset(self.drift[0]),
                ((y * z - w * x) * two).offset(self.drift[1]),
                (lift - (x * x + y * y) * two).offset(self.drift[2]),
            ],
            spin: times(&self.inverse_inertia, net),
        }
    }
}

/// Derivatives by time of attitude, velocity and angular velocity.
#[derive(Clone, Copy)]
pub(super) struct Slopes<T> {
    pub(super) turn: [T; 4],
    pub(super) push: [T; 3],
    pub(super) spin: [T; 3],
}

/// Rotation matrix from body to world, row major, of a quaternion.
#[inline(always)]
pub(super) fn rotation<T: Real>([w, x, y, z]: [T; 4]) -> [T; 9] {
    let off = |a: T, b: T| (a + b).scale(2.0);
    let on = |a: T, b: T| T::from(1.0) - (a * a + b * b).scale(2.0);
    [
        on(y, z),
        off(x * y, -(w * z)),
        off(x * z, w * y),
        off(x * y, w * z),
        on(x, z),
        off(y * z, -(w * x)),
        off(x * z, -(w * y)),
        off(y * z, w * x),
        on(x, y),
    ]
}

/// `N` numbers of `from`, from `first` on.
#[inline(always)]
pub(super) fn vector<T: Real, const N: usize>(from: &[T], first: usize) -> [T; N] {
    let mut vector = [T::from(0.0); N];
    vector.copy_from_slice(&from[first..first + N]);
    vector
}

/// `from` and `seconds` times `slope`.
#[inline(always)]
pub(super) fn along<T: Real, const N: usize>(
    mut from: [T; N],
    slope: [T; N],
    seconds: f32,
) -> [T; N] {
    for (value, slope) in from.iter_mut().zip(slope) {
        *value += slope.scale(seconds);
    }
    from
}

#[inline(always)]
pub(super) fn times<T: Real>(matrix: &[[f32; 3]; 3], [x, y, z]: [T; 3]) -> [T; 3] {
    matrix.map(|[a, b, c]| x.scale(a) + y.scale(b) + z.scale(c))
}

/// The inverse of a symmetric matrix, by its cofactors.
fn inverse(matrix: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    // In f64: the cofactors of a small craft's inertia are too small for f32's last bits to matter less.
    let [[a, b, c], [_, d, e], [_, _, f]] = matrix.map(|row| row.map(f64::from));
    let cofactors = [
        [d * f - e * e, c * e - b * f, b * e - c * d],
        [c * e - b * f, a * f - c * c, b * c - a * e],
        [b * e - c * d, b * c - a * e, a * d - b * b],
    ];
    let determinant = a * cofactors[0][0] + b * cofactors[0][1] + c * cofactors[0][2];
    cofactors.map(|row| row.map(|cofactor| (cofactor / determinant) as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A craft of 1 kg whose rotors give 5 N each, without anything odd about it.
    fn body() -> Body {
        Body {
            mass_kg: 1.0,
            inertia_kg_m2: [[0.01, 0.0, 0.0], [0.0, 0.012, 0.0], [0.0, 0.0, 0.02]],
            rotor_positions_m: [
                [0.1, -0.1, 0.0],
                [-0.1, -0.1, 0.0],
                [-0.1, 0.1, 0.0],
                [0.1, 0.1, 0.0],
            ],
            thrust_n: [[0.0, 0.0, 5.0]; 4],
            torque_constant_m: [0.02; 4],
            rise_s: [0.05; 4],
            fall_s: [0.1; 4],
            force_n: [0.0; 3],
            delay_steps: 0,
        }
    }

    /// Level and at rest, with these rotors and these commands issued before.
    fn rest(rotors: f32) -> [f32; STATE] {
        let mut state = [0.0; STATE];
        state[ATTITUDE] = 1.0;
        state[ROTORS..LAST].fill(rotors);
        state[LAST..].fill(2.0 * rotors - 1.0);
        state
    }

    fn fly(body: &Body, mut state: [f32; STATE], action: [f32; 4], steps: usize) -> [f32; STATE] {
        let dynamics = Dynamics::new(body);
        for _ in 0..steps {
            let mut next = state;
            dynamics.step(&state, &action, &mut next);
            state = next;
        }
        state
    }

    fn close(got: f32, expected: f32, tolerance: f32) {
        assert!((got - expected).abs() < tolerance, "{got} not {expected}");
    }

    #[test]
    fn thrust_of_the_weight_hovers() {
        let hover = (GRAVITY_M_PER_S2 / 20.0).sqrt();
        let state = fly(&body(), rest(hover), [2.0 * hover - 1.0; 4], 200);
        for index in 0..3 {
            close(state[POSITION + index], 0.0, 1e-4);
            close(state[RATE + index], 0.0, 1e-4);
        }
    }

    #[test]
    fn without_thrust_it_falls() {
        let state = fly(&body(), rest(0.0), [-1.0; 4], 100);
        close(state[VELOCITY + 2], -9.81, 1e-4);
        close(state[POSITION + 2], -0.5 * 9.81, 1e-3);
    }

    #[test]
    fn a_steady_force_accelerates() {
        let blown = Body {
            force_n: [2.0, -1.0, 9.81],
            ..body()
        };
        let state = fly(&blown, rest(0.0), [-1.0; 4], 100);
        close(state[VELOCITY], 2.0, 1e-3);
        close(state[VELOCITY + 1], -1.0, 1e-3);
        close(state[VELOCITY + 2], 0.0, 1e-3);
        let mut dynamics = Dynamics::new(&body());
        dynamics.set_force(blown.force_n);
        assert_eq!(dynamics, Dynamics::new(&blown));
    }

    /// More of the left rotors rolls right, of the back ones pitches down, of those that turn against yaw the craft.
    #[test]
    fn rotors_turn_the_craft_the_right_way() {
        for (stronger, axis) in [
            ([0.0, 0.0, 1.0, 1.0], 0),
            ([0.0, 1.0, 1.0, 0.0], 1),
            ([0.0, 1.0, 0.0, 1.0], 2),
        ] {
            let state = fly(&body(), rest(0.5), stronger.map(|more: f32| 0.1 * more), 5);
            for other in 0..3 {
                let rate = state[RATE + other];
                if other == axis {
                    assert!(rate > 0.005, "{axis}: {rate}");
                } else {
                    close(rate, 0.0, 1e-5);
                }
            }
        }
        // Rolled right, it accelerates to the right: -y.
        let mut state = rest(0.7);
        (state[ATTITUDE], state[ATTITUDE + 1]) = (0.98, 0.199);
        let state = fly(&body(), state, [0.4; 4], 10);
        assert!(state[VELOCITY + 1] < -0.1 && state[VELOCITY].abs() < 1e-4);
    }

    #[test]
    fn rotors_rise_faster_than_they_fall_and_commands_arrive_late() {
        let up = fly(&body(), rest(0.0), [1.0; 4], 5);
        close(up[ROTORS], 1.0 - libm::expf(-1.0), 1e-4);
        let down = fly(&body(), rest(1.0), [-1.0; 4], 5);
        close(down[ROTORS], libm::expf(-0.5), 1e-4);
        for delay_steps in 0..=2u8 {
            let late = Body {
                delay_steps,
                ..body()
            };
            let rotor = |steps| fly(&late, rest(0.3), [1.0; 4], steps)[ROTORS];
            let steps = usize::from(delay_steps);
            close(rotor(steps), 0.3, 1e-6);
            assert!(rotor(steps + 1) > 0.4);
        }
    }

    /// A free, tumbling body keeps its energy and its angular momentum: 3 s at 15 rad/s about no principal axis.
    #[test]
    fn energy_and_angular_momentum_stay() {
        let mut state = rest(0.0);
        state[VELOCITY] = 1.0;
        state[RATE..ROTORS].copy_from_slice(&[9.0, -8.0, 9.0]);
        let invariants = |state: &[f32; STATE]| {
            let rate = vector::<f32, 3>(state, RATE);
            let momentum = times(&body().inertia_kg_m2, rate);
            let turn = rotation(vector(state, ATTITUDE));
            let mut world = [0.0; 3];
            for (row, world) in turn.chunks_exact(3).zip(&mut world) {
                *world = row.iter().zip(momentum).map(|(a, b)| a * b).sum();
            }
            let velocity = vector::<f32, 3>(state, VELOCITY);
            let square =
                |v: [f32; 3], w: [f32; 3]| v.iter().zip(w).map(|(a, b)| a * b).sum::<f32>();
            let energy = 0.5 * (square(rate, momentum) + square(velocity, velocity))
                + GRAVITY_M_PER_S2 * state[POSITION + 2];
            (energy, world)
        };
        let (energy, momentum) = invariants(&state);
        let (later_energy, later) = invariants(&fly(&body(), state, [-1.0; 4], 300));
        close(later_energy, energy, 2e-3 * energy);
        for (later, momentum) in later.iter().zip(momentum) {
            close(*later, momentum, 2e-3 * 0.2);
        }
    }

    #[test]
    fn the_inverse_of_an_inertia_is_its_inverse() {
        let inertia = [
            [9e-6, 1e-6, 2e-6],
            [1e-6, 1.1e-5, -1e-6],
            [2e-6, -1e-6, 1.7e-5],
        ];
        let inverse = inverse(inertia);
        for (row, unit) in [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
            .iter()
            .enumerate()
        {
            let column = times(&inverse, inertia[row]);
            for (got, expected) in column.iter().zip(unit) {
                close(*got, *expected, 1e-5);
            }
        }
    }
}
