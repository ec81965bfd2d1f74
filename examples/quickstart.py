"""The loop every program with an environment has: here with random commands, then with the expert.

python examples/quickstart.py --episodes 20 --split generated_valid
"""

from __future__ import annotations

import argparse
from typing import cast

import gymnasium as gym
import numpy as np

import agent_gym
from agent_gym import keys


def play(env: gym.Env[str, str], task: str, rng: np.random.Generator | None, *, show: bool) -> tuple[bool, int]:
    """Play one task, with the expert or, given a generator, with random admissible commands.

    Returns:
        Whether the task was solved, and the number of steps.
    """
    text_env = cast(agent_gym.TextEnv, env.unwrapped)
    observation, info = env.reset(options={"task": task})
    if show:
        print(observation)
    steps, ended = 0, False
    while not ended:
        command = text_env.expert_action() if rng is None else str(rng.choice(info[keys.ADMISSIBLE_ACTIONS]))
        observation, _, terminated, truncated, info = env.step(command)
        steps, ended = steps + 1, terminated or truncated
        if show:
            print(f"> {command}\n{observation}")
    return info[keys.SUCCESS], steps


def main() -> None:
    """Play the first tasks of a split with both players and report how often each succeeds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--id", default="AgentGym/ALFWorld-v0")
    parser.add_argument("--split", default="generated_valid")
    parser.add_argument("--episodes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the random player")
    arguments = parser.parse_args()

    env: gym.Env[str, str] = gym.make(arguments.id, split=arguments.split)
    tasks = cast(agent_gym.TextEnv, env.unwrapped).tasks(arguments.split)[: arguments.episodes]
    players = {"random": np.random.default_rng(arguments.seed), "expert": None}
    for name, rng in players.items():
        results = [play(env, task, rng, show=name == "expert" and task == tasks[0]) for task in tasks]
        solved = sum(success for success, _ in results)
        steps = np.mean([steps for _, steps in results])
        print(f"{name}: {solved} of {len(results)} tasks of {arguments.split} solved, {steps:.1f} steps on average")


if __name__ == "__main__":
    main()
