#!/usr/bin/env python3
"""Makes host/plants/src/mujoco/golden/*.f64: what gymnasium and MuJoCo's Python package compute, for the Rust plants to equal.

    python3 -m venv target/python && target/python/bin/pip install mujoco==3.17.0 gymnasium==1.4.0 imageio
    target/python/bin/python scripts/mujoco-golden.py

Robots are gymnasium's own environments, stepped by their own code. The tasks' rewards are written out below.
Only a new version of MuJoCo or of the models is a reason to run this again.

A file is a sequence of little-endian f64. For each seed:
  seed, number of: steps, task values, qpos, qvel, observation entries; the task; initial qpos; initial qvel;
  the initial observation;
  for each step: reward, ended (0 or 1), sum of (1 + i / 16) * observation[i]; after every 50th step the whole observation.
The action is drawn by a linear congruential generator whose state starts with the seed:
  state = (6364136223846793005 * state + 1442695040888963407) mod 2^64; action = (state >> 40) / 2^23 - 1.
Episodes go on when the robot has fallen.
"""

import math
import os
import pathlib
import tempfile

import gymnasium
import mujoco
import numpy as np

STEPS = 1000
WHOLE = 50
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "host/plants/src/mujoco/golden"


def cheetah_observation(env):
    return np.concatenate([env.data.qpos[1:], env.data.qvel, env.data.body("torso").xpos])


def cheetah_velocity(env, task, action, info):
    return -abs(info["x_velocity"] - task[0]) - 0.05 * np.sum(np.square(action))


def cheetah_direction(env, task, action, info):
    return task[0] * info["x_velocity"] - 0.05 * np.sum(np.square(action))


def ant_observation(env):
    return np.concatenate([env.data.qpos[2:], env.data.qvel])


def ant_direction(env, task, action, info):
    along = info["x_velocity"] * math.cos(task[0]) + info["y_velocity"] * math.sin(task[0])
    contacts = np.sum(np.square(np.clip(env.data.cfrc_ext, -1.0, 1.0)))
    return along - 0.5 * np.sum(np.square(action)) - 5e-4 * contacts + 1.0


def legged_observation(env):
    return np.concatenate([env.data.qpos[1:], np.clip(env.data.qvel, -10.0, 10.0)])


def change_body(env, task):
    """Torso's mass, legs' mass, damping and friction, each by 1.5 to the power of the task's value."""
    torso, leg, damping, friction = (1.5**exponent for exponent in task)
    for body in range(env.model.nbody):
        factor = torso if body == 1 else leg
        env.model.body_mass[body] *= factor
        env.model.body_inertia[body] *= factor
    env.model.dof_damping *= damping
    env.model.geom_friction *= friction
    mujoco.mj_setConst(env.model, mujoco.MjData(env.model))


# Name: gymnasium's environment, observation, reward (None: gymnasium's own), change of the model, a task per seed.
# Tasks are exactly representable in f32.
PLANTS = {
    "half-cheetah-vel": ("HalfCheetah-v5", cheetah_observation, cheetah_velocity, None, [[0.0], [1.5], [3.75]]),
    "half-cheetah-dir": ("HalfCheetah-v5", cheetah_observation, cheetah_direction, None, [[1.0], [-1.0], [1.0]]),
    "ant-dir": ("Ant-v5", ant_observation, ant_direction, None, [[1.0], [-1.0], [2.5]]),
    "ant-dir-xy": ("Ant-v5", ant_observation, ant_direction, None, [[0.0], [float(np.float32(math.pi))], [-0.5]]),
    "walker-params": ("Walker2d-v5", legged_observation, None, change_body, [[0, 0, 0, 0], [1, -2, 1, 2], [-2, 1, -1, -1]]),
    "hopper-params": ("Hopper-v5", legged_observation, None, change_body, [[0, 0, 0, 0], [1, -2, 1, 2], [-2, 1, -1, -1]]),
}


def record(name, seed, task):
    environment, observe, reward_of, change, _ = PLANTS[name]
    env = gymnasium.make(environment).unwrapped
    if change:
        change(env, task)
    env.reset(seed=seed)
    numbers = [seed, STEPS, len(task), env.model.nq, env.model.nv, len(observe(env)), *task]
    numbers += [*env.data.qpos, *env.data.qvel, *observe(env)]
    state = seed
    weights = 1.0 + np.arange(len(observe(env))) / 16.0
    for step in range(1, STEPS + 1):
        action = np.empty(env.model.nu)
        for index in range(env.model.nu):
            state = (6364136223846793005 * state + 1442695040888963407) % 2**64
            action[index] = (state >> 40) / 2.0**23 - 1.0
        _, reward, ended, _, info = env.step(action)
        if reward_of:
            reward = reward_of(env, task, action, info)
        observation = observe(env)
        numbers += [reward, float(ended), np.dot(weights, observation)]
        if step % WHOLE == 0:
            numbers += [*observation]
    return numbers


def main():
    FOLDER.mkdir(exist_ok=True)
    # The Python package writes MUJOCO_LOG.TXT into the current folder.
    os.chdir(tempfile.mkdtemp())
    for name, (*_, tasks) in PLANTS.items():
        numbers = []
        for seed, task in enumerate(tasks, start=1):
            numbers += record(name, seed, task)
        path = FOLDER / f"{name}.f64"
        np.array(numbers, dtype="<f8").tofile(path)
        print(f"{path.name}: {path.stat().st_size} bytes, mujoco {mujoco.__version__}, gymnasium {gymnasium.__version__}")


if __name__ == "__main__":
    main()
