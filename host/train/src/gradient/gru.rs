//! A gated recurrent unit over a block of craft, step by step, forwards and backwards.

use engram_export::network::GruConfig;
use pulp::{Arch, Simd, WithSimd};

use super::LANES;
use super::linear::{At, Linear, Sums};
use super::places::{LinearPlace, Places};
use super::policy::{Encoder, Past};
use super::settings::GradientSettings;
use crate::fused::functions::{exp, tanh};
use crate::fused::product::{After, Matrix};

/// The recurrent unit, packed.
#[derive(Clone, Debug)]
pub(super) struct Gru {
    config: GruConfig,
    input_place: LinearPlace,
    state_place: LinearPlace,
    input: Linear,
    state: Linear,
}

/// Activations and gradients. Gates lie in the order reset, update, new.
#[derive(Debug)]
pub(super) struct Tape {
    /// Of all steps, and one more.
    columns: usize,
    x: Matrix,
    /// The state before each step, and behind the last one.
    states: Matrix,
    /// The gates: first the inputs' part, then what became of them.
    gates: Matrix,
    /// The states' part.
    own: Matrix,
    x_gradient: Matrix,
    gates_gradient: Matrix,
    own_gradient: Matrix,
    /// Of the state before each step, by what came from then on.
    states_gradient: Matrix,
}

impl Encoder for Gru {
    type Config = GruConfig;
    type Tape = Tape;

    fn config(settings: &GradientSettings, observations: usize, actions: usize) -> GruConfig {
        GruConfig {
            observations,
            actions,
            model: settings.model.model,
            state: settings.rl2.hidden,
            hidden: settings.model.hidden,
            head_input: settings.model.head_input,
        }
    }

    fn new(config: GruConfig, places: &Places) -> Self {
        Self {
            config,
            input_place: places.linear("gru.input"),
            state_place: places.linear("gru.state"),
            input: Linear::default(),
            state: Linear::default(),
        }
    }

    fn set(&mut self, parameters: &[f32]) {
        self.input.set(self.input_place, parameters);
        self.state.set(self.state_place, parameters);
    }

    fn before(&self) -> usize {
        0
    }

    fn tape(&self, capacity: usize) -> Tape {
        let GruConfig { model, state, .. } = self.config;
        let columns = (capacity + 1) * LANES;
        let matrix = |rows| Matrix::new(rows, 0, columns);
        Tape {
            columns,
            x: matrix(model),
            states: matrix(state),
            gates: matrix(3 * state),
            own: matrix(3 * state),
            x_gradient: matrix(model),
            gates_gradient: matrix(3 * state),
            own_gradient: matrix(3 * state),
            states_gradient: matrix(state),
        }
    }

    fn input(tape: &mut Tape) -> &mut Matrix {
        &mut tape.x
    }

    fn input_gradient(tape: &Tape) -> &Matrix {
        &tape.x_gradient
    }

    fn begin(&self, tape: &mut Tape, past: &Past) {
        let before = past.values.first();
        for row in 0..self.config.state {
            let state = &mut tape.states.row_mut(row)[..LANES];
            match before {
                Some(before) => state.copy_from_slice(&before[row * LANES..][..LANES]),
                None => state.fill(0.0),
            }
            // Nothing comes after the last step, whichever that will be.
            tape.states_gradient.row_mut(row)[..tape.columns].fill(0.0);
        }
    }

    /// The state, `[state][LANES]`.
    fn leave(&self, tape: &Tape, steps: usize, past: &mut Past) {
        let rows = 0..self.config.state;
        let state = rows.flat_map(|row| &tape.states.row(row)[steps * LANES..][..LANES]);
        past.values = vec![state.copied().collect()];
    }

    fn forward(&self, tape: &mut Tape, at: At, out: &mut Matrix) {
        let width = self.config.state;
        self.input
            .forward(at, &tape.x, After::Store, &mut tape.gates);
        self.state
            .forward(at, &tape.states, After::Store, &mut tape.own);
        Arch::new().dispatch(Forward { at, width, tape });
        for row in 0..width {
            let state = &tape.states.row(row)[at.column + LANES..][..LANES];
            out.row_mut(row)[at.columns()].copy_from_slice(state);
        }
    }

    fn backward(&self, tape: &mut Tape, at: At, gradient: &Matrix) {
        let width = self.config.state;
        Arch::new().dispatch(Backward {
            at,
            width,
            gradient,
            tape,
        });
        let (input, state) = (&self.input, &self.state);
        let (gates, own) = (&tape.gates_gradient, &tape.own_gradient);
        input.backward(at, gates, After::Store, &mut tape.x_gradient);
        state.backward(at, own, After::Accumulate, &mut tape.states_gradient);
    }

    fn weight_gradients(&self, tape: &Tape, _gradient: &Matrix, sums: &mut Sums) {
        sums.add(self.input_place, &tape.gates_gradient, &tape.x);
        sums.add(self.state_place, &tape.own_gradient, &tape.states);
    }
}

#[inline(always)]
fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, simd.neg_f32s(x))))
}

/// The gates of a step, and the state after it.
struct Forward<'a> {
    at: At,
    width: usize,
    tape: &'a mut Tape,
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { at, width, tape } = self;
        for unit in 0..width {
            for column in at.columns().step_by(S::F32_LANES) {
                let [reset, update, new] = [0, 1, 2].map(|gate| gate * width + unit);
                let own = |row| tape.own.load::<S>(row, column, 0);
                let gate = |row| tape.gates.load::<S>(row, column, 0);
                let r = sigmoid(simd, simd.add_f32s(gate(reset), own(reset)));
                let z = sigmoid(simd, simd.add_f32s(gate(update), own(update)));
                let n = simd.add_f32s(gate(new), simd.mul_f32s(r, own(new)));
                let n = tanh(simd, n);
                for (row, value) in [(reset, r), (update, z), (new, n)] {
                    tape.gates.store::<S>(row, column, value);
                }
                let before = tape.states.load::<S>(unit, column, 0);
                let kept = simd.mul_f32s(z, simd.sub_f32s(before, n));
                let after = simd.add_f32s(n, kept);
                tape.states.store::<S>(unit, column + LANES, after);
            }
        }
    }
}

/// From the gradient of the state after a step to those of both parts of the gates, and to what the state before it
/// is given directly.
struct Backward<'a> {
    at: At,
    width: usize,
    /// What the head says of the state after the step.
    gradient: &'a Matrix,
    tape: &'a mut Tape,
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            at,
            width,
            gradient,
            tape,
        } = self;
        let one = simd.splat_f32s(1.0);
        let rest = |x| simd.sub_f32s(one, x);
        let product = |a, b| simd.mul_f32s(a, b);
        for unit in 0..width {
            for column in at.columns().step_by(S::F32_LANES) {
                let [reset, update, new] = [0, 1, 2].map(|gate| gate * width + unit);
                let [r, z, n] =
                    [reset, update, new].map(|row| tape.gates.load::<S>(row, column, 0));
                let own_new = tape.own.load::<S>(new, column, 0);
                let before = tape.states.load::<S>(unit, column, 0);
                let later = tape.states_gradient.load::<S>(unit, column + LANES, 0);
                let g = simd.add_f32s(gradient.load::<S>(unit, column, 0), later);
                let by_new = product(product(g, rest(z)), rest(product(n, n)));
                let by_reset = product(product(by_new, own_new), product(r, rest(r)));
                let by_update = product(g, simd.sub_f32s(before, n));
                let by_update = product(by_update, product(z, rest(z)));
                for (row, value) in [(reset, by_reset), (update, by_update), (new, by_new)] {
                    tape.gates_gradient.store::<S>(row, column, value);
                }
                let by_own_new = product(by_new, r);
                for (row, value) in [(reset, by_reset), (update, by_update), (new, by_own_new)] {
                    tape.own_gradient.store::<S>(row, column, value);
                }
                let states = &mut tape.states_gradient;
                states.store::<S>(unit, column, product(g, z));
            }
        }
    }
}
