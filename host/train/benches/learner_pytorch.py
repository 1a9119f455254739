#!/usr/bin/env python3
"""The learner's model and update in PyTorch, and a side-by-side measurement.

Set up (from PyPI, with CUDA parts that are not used; the CPU build from download.pytorch.org is smaller):
    python3 -m venv .venv && .venv/bin/pip install torch
Compare (builds the benchmark first; pairs of runs, one after the other):
    cargo bench -p engram-train --bench learner --no-run
    .venv/bin/python host/train/benches/learner_pytorch.py --against target/release/deps/learner-HASH
PyTorch alone:
    .venv/bin/python host/train/benches/learner_pytorch.py --shape paper-slot

One update is what `host/train/benches/learner.rs` does: the policy's forward pass over 20 trials of 400 steps, the
critic's, PPO's loss, the backward pass, both gradients clipped, and AdamW, in f32 on two threads. Attention is
written in the ways that PyTorch offers, and the fastest of them counts: `--attention best` tries all.
"""
import argparse
import json
import resource
import statistics
import subprocess
import time

TRIALS, STEPS, INPUTS, ACTIONS = 20, 400, 28, 6
# name: (positions, layers, heads, model, ff, window)
SHAPES = {
    "paper-slot": ("slot", 4, 16, 128, 512, 5),
    "paper-age": ("age", 4, 16, 128, 512, 5),
    "small-64-32": ("age", 2, 4, 64, 128, 32),
    "small-64-16": ("age", 2, 4, 64, 128, 16),
    "small-32-16": ("age", 2, 4, 32, 64, 16),
}
ATTENTION = {"slot": ["sdpa", "plain"], "age": ["sdpa", "plain", "windows"]}


def build(torch, shape, attention):
    """The policy as a module; `forward` takes [trials, steps, inputs]."""
    nn, F = torch.nn, torch.nn.functional
    positions, layers, heads, model, ff, window = SHAPES[shape]
    size = model // heads

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.in_proj = nn.Linear(model, 3 * model)
            self.out_proj = nn.Linear(model, model)
            self.linear1 = nn.Linear(model, ff)
            self.linear2 = nn.Linear(ff, model)
            if positions == "age":
                self.age_bias = nn.Parameter(-0.1 * torch.arange(window).float().repeat(heads, 1))

        def attend(self, x):
            sequences, length, _ = x.shape
            q, k, v = self.in_proj(x).view(sequences, length, 3, heads, size).permute(2, 0, 3, 1, 4)
            if positions == "slot" and attention == "sdpa":
                out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            elif attention == "windows":
                # Keys and values of every token's window: [sequences, heads, length, size, window], oldest first.
                k = F.pad(k, (0, 0, window - 1, 0)).unfold(2, window, 1)
                v = F.pad(v, (0, 0, window - 1, 0)).unfold(2, window, 1)
                logits = torch.einsum("bhti,bhtin->bhtn", q, k) / size**0.5
                logits = logits + self.age_bias.flip(1)[None, :, None, :] + absent
                out = torch.einsum("bhtn,bhtin->bhti", logits.softmax(-1), v)
            else:
                mask = outside
                if positions == "age":
                    mask = self.age_bias[:, ages].masked_fill(banned, float("-inf"))
                if attention == "sdpa":
                    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
                else:
                    out = (q @ k.transpose(2, 3) / size**0.5 + mask).softmax(-1) @ v
            return self.out_proj(out.transpose(1, 2).reshape(sequences, length, model))

        def forward(self, x):
            x = x + self.attend(x)
            return x + self.linear2(F.relu(self.linear1(x)))

    length = window if positions == "slot" else STEPS
    steps = torch.arange(length)
    ages = (steps[:, None] - steps[None, :])
    banned = (ages < 0) | (ages >= window)
    ages = ages.clamp(0, window - 1)
    outside = torch.zeros(length, length).masked_fill(banned, float("-inf"))
    absent = torch.zeros(length, window).masked_fill(
        steps[:, None] - torch.arange(window - 1, -1, -1)[None, :] < 0, float("-inf"))

    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Linear(INPUTS, model, bias=False)
            self.layers = nn.ModuleList(Layer() for _ in range(layers))
            self.head = nn.Sequential(nn.Linear(model, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(),
                                      nn.Linear(64, ACTIONS))
            self.log_std = nn.Parameter(torch.full((ACTIONS,), -1.0))
            # Windows: the tokens of every step's window, and the slot of the newest.
            step = torch.arange(STEPS)
            first = (step + 1 - window).clamp(min=0)
            self.register_buffer("tokens", torch.minimum(first[:, None] + torch.arange(window), step[:, None]))
            self.register_buffer("newest", step - first)
            self.register_buffer("encodings", torch.randn(window, model))

        def forward(self, x):
            x = self.embed(x)
            if positions == "slot":
                trials = x.shape[0]
                x = x[:, self.tokens].reshape(trials * STEPS, window, model) + self.encodings
                for layer in self.layers:
                    x = layer(x)
                newest = self.newest.repeat(trials)
                x = x[torch.arange(trials * STEPS), newest]
            else:
                for layer in self.layers:
                    x = layer(x)
                x = x.reshape(-1, model)
            return self.head(x)

    return Policy()


def updates(shape, attention, count, compiled, threads):
    """Wall seconds and processor seconds of each of `count` updates, after two that do not count."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    policy = build(torch, shape, attention)
    critic = torch.nn.Sequential(torch.nn.Linear(INPUTS, 64), torch.nn.Tanh(), torch.nn.Linear(64, 64),
                                 torch.nn.Tanh(), torch.nn.Linear(64, 1))
    optimizers = [torch.optim.AdamW(part.parameters(), lr=3e-5, weight_decay=0.01, fused=True)
                  for part in (policy, critic)]
    rows = TRIALS * STEPS
    memories = torch.randn(TRIALS, STEPS, INPUTS)
    actions = torch.randn(rows, ACTIONS)
    old = -8 + torch.randn(rows)
    advantages, targets = torch.randn(rows), torch.randn(rows)
    forward = torch.compile(policy) if compiled else policy

    def update():
        normal = torch.distributions.Normal(forward(memories), policy.log_std.exp(), validate_args=False)
        ratio = (normal.log_prob(actions).sum(1) - old).exp()
        surrogate = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages).mean()
        value_loss = 0.5 * (critic(memories.view(rows, INPUTS)).squeeze(1) - targets).square().mean()
        loss = value_loss - surrogate - 0.005 * normal.entropy()[0].sum()
        for optimizer in optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for part, optimizer in zip((policy, critic), optimizers):
            torch.nn.utils.clip_grad_norm_(part.parameters(), 0.5)
            optimizer.step()

    for _ in range(2):
        update()
    walls, processor = [], time.process_time()
    for _ in range(count):
        start = time.perf_counter()
        update()
        walls.append(time.perf_counter() - start)
    return min(walls), (time.process_time() - processor) / count


def measure(shape, attention, count, compiled, threads):
    kinds = ATTENTION[SHAPES[shape][0]] if attention == "best" else [attention]
    found = [(*updates(shape, kind, count, compiled, threads), kind) for kind in kinds]
    wall, processor, kind = min(found, key=lambda each: each[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"shape": shape, "attention": kind, "wall_s": wall, "processor_s": processor, "peak_bytes": peak}


def compare(binary, shapes, count, rounds):
    """Runs both, one after the other, and prints PyTorch's time divided by ours.

    On the wall both use two threads. PyTorch's processor seconds are taken with one, because its second thread
    spins while it waits, which would be counted; ours are those of both threads, which sleep.
    """
    print("| shape | PyTorch, s | Engram, s | ratio | PyTorch, CPU s | Engram, CPU s | ratio | PyTorch, MB | Engram, MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for shape in shapes:
        # Which attention is fastest is found once.
        arguments = [__file__, "--shape", shape, "--updates", str(count)]
        first = run(["python3", *arguments])
        theirs, ours = [], []
        for _ in range(rounds):
            ours.append(run([binary, "--shape", shape, "--updates", str(count)]))
            arguments_now = ["python3", *arguments, "--attention", first["attention"]]
            theirs.append(run(arguments_now))
            theirs[-1]["processor_s"] = run([*arguments_now, "--threads", "1"])["processor_s"]
        cells = [f"{shape} ({first['attention']})"]
        for key in ("wall_s", "processor_s"):
            a, b = ([each[key] for each in side] for side in (theirs, ours))
            ratio = statistics.median(x / y for x, y in zip(a, b))
            cells += [f"{statistics.median(a):.4f}", f"{statistics.median(b):.4f}", f"{ratio:.2f}"]
        cells += [f"{min(each['peak_bytes'] for each in side) / 1e6:.0f}" for side in (theirs, ours)]
        print("| " + " | ".join(cells) + " |", flush=True)


def run(command):
    import sys

    command = [sys.executable if part == "python3" else part for part in command]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, help="one shape; all with --against")
    parser.add_argument("--attention", default="best", choices=["best", "sdpa", "plain", "windows"])
    parser.add_argument("--updates", type=int, default=5, help="updates that count")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="pairs of runs with --against")
    parser.add_argument("--compile", action="store_true", help="use torch.compile (needs a C++ compiler)")
    parser.add_argument("--against", metavar="BINARY", help="the built benchmark learner.rs")
    options = parser.parse_args()
    if options.against:
        shapes = [options.shape] if options.shape else SHAPES
        compare(options.against, shapes, options.updates, options.rounds)
    else:
        shape = options.shape or "paper-slot"
        print(json.dumps(measure(shape, options.attention, options.updates, options.compile, options.threads)))


if __name__ == "__main__":
    main()
