"""Steps/s of TextWorld in this process, in one and in two workers, and on the engine's own wrapper, in one run.

    python -m benchmarks.bench_textworld                # some minutes; games are made first

The same random commands in 8 environments each time, each playing its own game, which starts over when it ends; the
best of two runs. Two figures: per second of the clock, which on a machine that does other work too says little, and per
processor second of all processes, which says what a step costs wherever it is made. Games are made, and workers
started, before either is counted.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import psutil

import agent_gym  # noqa: F401  registers the ids
from agent_gym import Frame, TextVectorEnv, keys
from agent_gym.envs.textworld.env import TextworldEnv
from agent_gym.workers import WorkerSlots

ID = "AgentGym/TextWorld-v0"
COIN: dict[str, Any] = {"challenge": "coin-collector", "level": 5}
COOKING: dict[str, Any] = {"challenge": "cooking"}


class Seconds:
    """Counts seconds of the clock and of processors, from when it is made."""

    def __init__(self, workers: Sequence[int] = ()) -> None:
        """Count for this process and for workers with these ids."""
        self._workers = [psutil.Process(pid) for pid in workers]
        self._clock, self._processor = time.perf_counter(), self._used()

    def rates(self, steps: int) -> tuple[float, float]:
        """Return steps per second of the clock, and of processors."""
        return steps / (time.perf_counter() - self._clock), steps / (self._used() - self._processor)

    def _used(self) -> float:
        times = [worker.cpu_times() for worker in self._workers]
        return time.process_time() + float(sum(one.user + one.system for one in times))


def ours(settings: dict[str, Any], envs: int, steps: int, workers: int) -> tuple[float, float]:
    """Return the rates of our environments."""
    vector = TextVectorEnv.of(ID, envs, workers=workers, layouts=envs, **settings)
    slots, places = vector.slots, list(range(envs))
    tasks, picks = slots.tasks("train"), np.random.default_rng(0).integers(0, 1 << 30, (steps, envs))

    def restarted(frames: Sequence[Frame]) -> list[Frame]:
        over = [place for place in places if frames[place].terminated or frames[place].truncated]
        fresh = dict(zip(over, slots.start(over, [tasks[place] for place in over], [0] * len(over)), strict=True))
        return [fresh.get(place, frames[place]) for place in places]

    frames = slots.start(places, list(tasks), [0] * envs)
    frames = slots.step(places, ["look"] * envs)
    seconds = Seconds(slots.processes if isinstance(slots, WorkerSlots) else ())
    for row in picks:
        texts = []
        for frame, pick in zip(frames, row, strict=True):
            choices = frame.info[keys.ADMISSIBLE_ACTIONS]
            texts.append(choices[int(pick) % len(choices)])
        frames = restarted(slots.step(places, texts))
    rates = seconds.rates(steps * envs)
    vector.close()
    return rates


def the_engines(files: Sequence[str], steps: int) -> tuple[float, float]:
    """Return the rates of the engine's own environments, asked for the same: text, commands, facts, points."""
    import textworld

    infos = textworld.EnvInfos(facts=True, admissible_commands=True, won=True, lost=True, score=True)
    envs = [textworld.start(file, infos) for file in files]
    states = [env.reset() for env in envs]
    picks = np.random.default_rng(0).integers(0, 1 << 30, (steps, len(envs)))
    seconds = Seconds()
    for number, row in enumerate(picks):
        for place, pick in enumerate(row):
            choices = states[place].admissible_commands
            states[place], _, over = envs[place].step(choices[int(pick) % len(choices)])
            if over or number % 50 == 49:  # as our limit on steps
                states[place] = envs[place].reset()
    return seconds.rates(steps * len(envs))


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
        measures: dict[str, Callable[[], tuple[float, float]]] = {
            "the engine's own wrapper": functools.partial(the_engines, files, given.steps)
        }
        for label, workers in (("in process", 0), ("1 worker", 1), ("2 workers", 2)):
            measures[label] = functools.partial(ours, settings, given.envs, given.steps, workers)
        print(f"\n{name}\n\n| | steps/s | ratio | steps per processor second | ratio |\n|---|---|---|---|---|")
        runs = {label: [measure() for _ in range(2)] for label, measure in measures.items()}
        rates = {label: tuple(max(column) for column in zip(*some, strict=True)) for label, some in runs.items()}
        for label, (clock, processor) in rates.items():
            base = rates["in process"]
            print(f"| {label} | {clock:,.0f} | {clock / base[0]:.2f} | {processor:,.0f} | {processor / base[1]:.2f} |")


if __name__ == "__main__":
    main()
