"""Steps/s of the environments over other packages beside the bare package, on the same commands, in one run.

    python -m benchmarks.bench_worlds                  # a minute; leaves out what is not installed

Random admissible commands. First ours plays them, text and the whole `info` worked out in every step; then the package
plays what was played, from the same starts. Processor seconds of one thread, the best of three rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

import agent_gym  # noqa: F401  registers the ids
from agent_gym import keys
from agent_gym.core import TextEnv
from agent_gym.envs.babyai.commands import ACTIONS
from agent_gym.envs.babyai.env import BabyAIEnv
from agent_gym.envs.babyai.game import make_game, start
from agent_gym.envs.minihack.game import MOVES, PICK_UP, UNLOCK
from agent_gym.errors import MissingExtraError

Played = list[tuple[str, list[str]]]
"""Episodes: a task and the commands that were played in it."""

ROUNDS = 3


def ours(env_id: str, steps: int, limit: int, **settings: Any) -> tuple[float, Played]:
    """Return steps/s of one of ours, bare and without the time of starts, and what was played.

    Args:
        env_id: The environment.
        steps: How many steps to play.
        limit: Steps after which an episode is given up.
        settings: Settings of the environment.
    """
    env = gym.make(env_id, disable_env_checker=True, **settings).unwrapped
    assert isinstance(env, TextEnv)
    tasks = env.tasks("train")
    rng = np.random.default_rng(0)
    spent, played = 0.0, Played()
    while steps > 0:
        task = tasks[len(played) % len(tasks)]
        _, info = env.reset(seed=0, options={"task": task})
        commands: list[str] = []
        picks, over = rng.integers(0, 1 << 30, min(limit, steps)).tolist(), False
        begin = time.process_time()
        while not over and len(commands) < len(picks):
            choices = info[keys.ADMISSIBLE_ACTIONS]
            commands.append(choices[picks[len(commands)] % len(choices)])
            _, _, over, _, info = env.step(commands[-1])
        spent += time.process_time() - begin
        steps -= len(commands)
        played.append((task, commands))
    env.close()
    return sum(len(commands) for _, commands in played) / spent, played


def babyai(played: Played, level: str) -> float:
    """Return steps/s of minigrid, which gives pictures in numbers."""
    env = gym.make("AgentGym/BabyAI-v0", disable_env_checker=True, level=level).unwrapped
    assert isinstance(env, BabyAIEnv)
    game, spent = make_game(level), 0.0
    for task, commands in played:
        start(game, env.seed_of(task))
        actions = [ACTIONS[command] for command in commands]
        begin = time.process_time()
        for action in actions:
            game.step(action)
        spent += time.process_time() - begin
    return sum(len(commands) for _, commands in played) / spent


def minihack(played: Played, level: str) -> float:
    """Return steps/s of NetHack in minihack's own environment, with its default observations, in numbers.

    Keys are picked up and doors stay locked, so the ways differ from there on; the number of steps does not.
    """
    import minihack as package  # noqa: F401  registers its ids

    env: Any = gym.make(f"MiniHack-{level}-v0", disable_env_checker=True).unwrapped
    keys_of = [*(key for key, _, _ in MOVES.values())]
    actions = {command: env.actions.index(ord(key)) for command, key in zip(MOVES, keys_of, strict=True)}
    actions |= {
        PICK_UP: len(env.actions) - 2,
        UNLOCK: len(env.actions) - 2,
    }  # its "apply" does the work of several commands
    ours_env: Any = gym.make("AgentGym/MiniHack-v0", disable_env_checker=True, level=level).unwrapped
    spent = steps = 0.0
    for task, commands in played:
        env.seed(ours_env.seed_of(task), ours_env.seed_of(task), reseed=False)
        env.reset()
        begin = time.process_time()
        for command in commands:
            *_, over, _, _ = env.step(actions[command])
            steps += 1
            if over:
                break
        spent += time.process_time() - begin
    env.close()
    ours_env.close()
    return steps / spent


Bare = Callable[[Played], float]
"""Plays the same with the bare package; steps/s."""

WORLDS: tuple[tuple[str, str, int, int, dict[str, Any], str, Bare], ...] = (
    (
        "BabyAI, GoToLocal", "AgentGym/BabyAI-v0", 2000, 64, {"level": "GoToLocal"},
        "minigrid", lambda played: babyai(played, "GoToLocal"),
    ),
    (
        "BabyAI, BossLevel", "AgentGym/BabyAI-v0", 1000, 500, {"level": "BossLevel"},
        "minigrid", lambda played: babyai(played, "BossLevel"),
    ),
    (
        "MiniHack, KeyRoom-S5", "AgentGym/MiniHack-v0", 2000, 200, {"level": "KeyRoom-S5"},
        "minihack", lambda played: minihack(played, "KeyRoom-S5"),
    ),
)  # fmt: skip
"""What is measured: a name, the id, steps, steps per episode, settings, the package, and how it plays the same."""


def main() -> None:
    """Print the Markdown rows of docs/worlds.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="part of a name")
    given = parser.parse_args()
    print("| environment | steps/s | the package alone | steps/s | ratio |")
    print("|---|---|---|---|---|")
    for title, env_id, steps, limit, settings, package, bare in WORLDS:
        if given.only not in title:
            continue
        try:
            rounds = []
            for _ in range(ROUNDS):
                speed, played = ours(env_id, steps, limit, **settings)
                rounds.append((speed, bare(played)))
        except MissingExtraError as error:
            print(f"| {title} | {error} | | | |")
            continue
        mine, other = max(speed for speed, _ in rounds), max(speed for _, speed in rounds)
        print(f"| {title} | {mine:,.0f} | {package} | {other:,.0f} | {mine / other:.2f} |", flush=True)


if __name__ == "__main__":
    main()
