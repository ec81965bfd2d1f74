"""Steps/s of TextWorld in this process, in one and in two workers, and on the engine's own wrapper, in one run.

    python -m benchmarks.bench_textworld                # some minutes; games are made first

The same random commands in 8 environments each time, each playing its own game, which starts over when it ends. Seconds
of the clock, since workers are other processes: on a machine that does other work too the ratios say more than the
rates. Games are made, and workers started, before the clock is.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import agent_gym  # noqa: F401  registers the ids
from agent_gym import Frame, TextVectorEnv, keys
from agent_gym.envs.textworld.env import TextworldEnv

ID = "AgentGym/TextWorld-v0"
COIN: dict[str, Any] = {"challenge": "coin-collector", "level": 5}
COOKING: dict[str, Any] = {"challenge": "cooking"}


def ours(settings: dict[str, Any], envs: int, steps: int, workers: int) -> float:
    """Return steps/s of our environments."""
    vector = TextVectorEnv.of(ID, envs, workers=workers, layouts=envs, **settings)
    slots, places = vector.slots, list(range(envs))
    tasks, picks = slots.tasks("train"), np.random.default_rng(0).integers(0, 1 << 30, (steps, envs))

    def restarted(frames: Sequence[Frame]) -> list[Frame]:
        over = [place for place in places if frames[place].terminated or frames[place].truncated]
        fresh = dict(zip(over, slots.start(over, [tasks[place] for place in over], [0] * len(over)), strict=True))
        return [fresh.get(place, frames[place]) for place in places]

    frames = slots.start(places, list(tasks), [0] * envs)
    frames = slots.step(places, ["look"] * envs)
    began = time.perf_counter()
    for row in picks:
        texts = []
        for frame, pick in zip(frames, row, strict=True):
            choices = frame.info[keys.ADMISSIBLE_ACTIONS]
            texts.append(choices[int(pick) % len(choices)])
        frames = restarted(slots.step(places, texts))
    rate = steps * envs / (time.perf_counter() - began)
    vector.close()
    return rate


def the_engines(files: Sequence[str], steps: int) -> float:
    """Return steps/s of the engine's own environments, asked for the same: text, commands, facts, points."""
    import textworld

    infos = textworld.EnvInfos(facts=True, admissible_commands=True, won=True, lost=True, score=True)
    envs = [textworld.start(file, infos) for file in files]
    states = [env.reset() for env in envs]
    picks = np.random.default_rng(0).integers(0, 1 << 30, (steps, len(envs)))
    began = time.perf_counter()
    for number, row in enumerate(picks):
        for place, pick in enumerate(row):
            choices = states[place].admissible_commands
            states[place], _, over = envs[place].step(choices[int(pick) % len(choices)])
            if over or number % 50 == 49:  # as our limit on steps
                states[place] = envs[place].reset()
    return steps * len(envs) / (time.perf_counter() - began)


def stories(settings: dict[str, Any], envs: int) -> list[str]:
    """Return the story files of the games that are played, which are made if need be."""
    vector = TextVectorEnv.of(ID, envs, layouts=envs, **settings)
    vector.slots.start(range(envs), list(vector.slots.tasks("train")), [0] * envs)
    bare = [env.unwrapped for env in vector.envs]
    return [str(env.player.game.path.story) for env in bare if isinstance(env, TextworldEnv)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200, help="of each environment")
    parser.add_argument("--envs", type=int, default=8)
    given = parser.parse_args()
    for name, settings in (("coin collector, level 5", COIN), ("cooking", COOKING)):
        files = stories(settings, given.envs)
        measures: dict[str, Callable[[], float]] = {
            "the engine's own wrapper": functools.partial(the_engines, files, given.steps)
        }
        for label, workers in (("in process", 0), ("1 worker", 1), ("2 workers", 2)):
            measures[label] = functools.partial(ours, settings, given.envs, given.steps, workers)
        print(f"\n{name}\n\n| | steps/s | to in process |\n|---|---|---|")
        rates = {label: max(measure() for _ in range(2)) for label, measure in measures.items()}
        for label, rate in rates.items():
            print(f"| {label} | {rate:,.0f} | {rate / rates['in process']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
