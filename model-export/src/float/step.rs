//! One control step of several trials: all tokens go through a layer together, so that a weight is read once for several
//! of them. What a trial computes does not depend on which trials step beside it.

use engram_image::{HeadInput, Positions};

use super::math::{add_scaled, dot, exponentials, tanh};
use super::scratch::{Scratch, Token, head_inputs};
use super::state::Memory;
use super::{FloatObserver, FloatPolicy, PackedLayer, Site};

impl FloatPolicy {
    /// Steps every trial: `inputs` are `[trials][inputs]`, `means` `[trials][actions]`.
    pub(super) fn step_trials(
        &self,
        memories: &mut [Memory],
        scratch: &mut Scratch,
        inputs: &[f32],
        means: &mut [f32],
        observer: &mut impl FloatObserver,
    ) {
        let config = self.config();
        let trials = memories.len();
        let rows = inputs.chunks_exact(config.inputs());
        for (raw, input) in rows.zip(scratch.input.chunks_exact_mut(config.inputs())) {
            self.normalizer().apply(raw, input);
        }
        each(observer, Site::Input, &scratch.input, config.inputs());
        let (input, embedded) = (&scratch.input, &mut scratch.embedded);
        self.embed.apply_all(trials, input, embedded);
        each(observer, Site::Embedded, embedded, config.model);
        match config.positions {
            Positions::Age => newest_tokens(memories, scratch),
            Positions::Slot => self.all_slots(memories, scratch),
        }
        for (index, layer) in self.layers.iter().enumerate() {
            self.layer(index, layer, memories, scratch, observer);
        }
        self.head(trials, scratch, means, observer);
    }

    /// `slot`: pushes the newest embeddings and begins every filled slot anew, oldest first.
    fn all_slots(&self, memories: &mut [Memory], scratch: &mut Scratch) {
        let (d, window) = (self.config().model, self.config().window);
        scratch.tokens.clear();
        let mut residuals = scratch.residual.chunks_exact_mut(d);
        let embedded = scratch.embedded.chunks_exact(d);
        for (trial, (memory, embedded)) in memories.iter_mut().zip(embedded).enumerate() {
            let newest = memory.advance();
            memory.memories[newest * d..][..d].copy_from_slice(embedded);
            let oldest = (newest + window + 1 - memory.filled) % window;
            let slots = (0..memory.filled).zip(self.positions.chunks_exact(d));
            for ((slot, position), residual) in slots.zip(&mut residuals) {
                let memory = &memory.memories[((oldest + slot) % window) * d..][..d];
                for ((x, memory), position) in residual.iter_mut().zip(memory).zip(position) {
                    *x = memory + position;
                }
                scratch.tokens.push(Token {
                    trial,
                    place: slot,
                    filled: slot + 1,
                });
            }
        }
    }

    /// All tokens through one layer.
    fn layer(
        &self,
        index: usize,
        layer: &PackedLayer,
        memories: &mut [Memory],
        scratch: &mut Scratch,
        observer: &mut impl FloatObserver,
    ) {
        let (d, ff) = (self.config().model, self.config().ff);
        let count = scratch.tokens.len();
        let residual = &mut scratch.residual[..count * d];
        let qkv = &mut scratch.qkv[..count * 3 * d];
        let branch = &mut scratch.branch[..count * d];
        let hidden = &mut scratch.ff[..count * ff];
        each(observer, Site::LayerInput(index), residual, d);
        layer.in_proj.apply_all(count, residual, qkv);
        each(observer, Site::Qkv(index), qkv, 3 * d);
        let vectors = qkv
            .chunks_exact(3 * d)
            .zip(scratch.mixed.chunks_exact_mut(d));
        for (token, (qkv, mixed)) in scratch.tokens.iter().zip(vectors) {
            let memory = &mut memories[token.trial];
            let logits = &mut scratch.logits[..token.filled];
            self.attend(index, *token, (memory, logits), qkv, mixed, observer);
        }
        let mixed = &scratch.mixed[..count * d];
        each(observer, Site::AttentionOutput(index), mixed, d);
        layer.out_proj.apply_all(count, mixed, branch);
        each(observer, Site::AttentionBranch(index), branch, d);
        add_scaled(residual, 1.0, branch);
        each(observer, Site::FeedForwardInput(index), residual, d);
        layer.linear1.apply_all(count, residual, hidden);
        for x in &mut *hidden {
            *x = if *x > 0.0 { *x } else { 0.0 };
        }
        each(observer, Site::Hidden(index), hidden, ff);
        layer.linear2.apply_all(count, hidden, branch);
        each(observer, Site::FeedForwardBranch(index), branch, d);
        add_scaled(residual, 1.0, branch);
    }

    /// Stores a token's keys and values at its place and leaves the weighted means of the values in `mixed`.
    fn attend(
        &self,
        index: usize,
        Token { place, filled, .. }: Token,
        (memory, logits): (&mut Memory, &mut [f32]),
        qkv: &[f32],
        mixed: &mut [f32],
        observer: &mut impl FloatObserver,
    ) {
        let config = self.config();
        let (d, window, width) = (config.model, config.window, config.head_dim());
        let scale = 1.0 / (width as f32).sqrt();
        let keys = &mut memory.keys[index * d * window..][..d * window];
        let values = &mut memory.values[index * d * window..][..d * window];
        let (query, new) = qkv.split_at(d);
        // Dimension-major rings: all inner loops below run along the window.
        for (i, (key, value)) in new[..d].iter().zip(&new[d..]).enumerate() {
            keys[i * window + place] = *key;
            values[i * window + place] = *value;
        }
        for head in 0..config.heads {
            let bias = &self.layers[index].bias[head * 2 * window + window - place..];
            logits.copy_from_slice(&bias[..filled]);
            for i in head * width..(head + 1) * width {
                add_scaled(logits, query[i] * scale, &keys[i * window..][..filled]);
            }
            let total = exponentials(logits);
            observer.attention(index, head, logits, place, total);
            let inverse = 1.0 / total;
            for i in head * width..(head + 1) * width {
                mixed[i] = dot(logits, &values[i * window..][..filled]) * inverse;
            }
        }
    }

    /// From the newest tokens to the means.
    fn head(
        &self,
        trials: usize,
        scratch: &mut Scratch,
        means: &mut [f32],
        observer: &mut impl FloatObserver,
    ) {
        let config = self.config();
        let d = config.model;
        for (token, residual) in scratch.tokens.iter().zip(scratch.residual.chunks_exact(d)) {
            // The last one of a trial stays.
            scratch.encoded[token.trial * d..][..d].copy_from_slice(residual);
        }
        each(observer, Site::Encoder, &scratch.encoded, d);
        let parts = scratch
            .encoded
            .chunks_exact(d)
            .zip(scratch.embedded.chunks_exact(d));
        let inputs = scratch.head_input.chunks_exact_mut(head_inputs(config));
        for (input, (encoded, embedded)) in inputs.zip(parts) {
            let (encoder, raw) = input.split_at_mut(d);
            encoder.copy_from_slice(encoded);
            if config.head_input == HeadInput::Mixed {
                raw.copy_from_slice(embedded);
            }
        }
        let [first, second, third] = &self.head;
        let ([h0, h1], [width0, width1]) = (&mut scratch.hidden, config.hidden);
        first.apply_all(trials, &scratch.head_input, h0);
        each(observer, Site::HeadPreactivation(0), h0, width0);
        tanh(h0);
        each(observer, Site::HeadHidden(0), h0, width0);
        second.apply_all(trials, h0, h1);
        each(observer, Site::HeadPreactivation(1), h1, width1);
        tanh(h1);
        each(observer, Site::HeadHidden(1), h1, width1);
        third.apply_all(trials, h1, means);
        each(observer, Site::Mean, means, config.actions);
    }
}

/// `age`: one token per trial, at the next place of its ring.
fn newest_tokens(memories: &mut [Memory], scratch: &mut Scratch) {
    scratch.residual.copy_from_slice(&scratch.embedded);
    scratch.tokens.clear();
    for (trial, memory) in memories.iter_mut().enumerate() {
        let place = memory.advance();
        scratch.tokens.push(Token {
            trial,
            place,
            filled: memory.filled,
        });
    }
}

/// Shows every vector at a site.
#[inline]
fn each(observer: &mut impl FloatObserver, site: Site, vectors: &[f32], width: usize) {
    for values in vectors.chunks_exact(width) {
        observer.values(site, values);
    }
}
