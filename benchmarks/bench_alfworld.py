"""Speed and memory of AgentGym/ALFWorld-v0 beside the original engine, in one run on the same published games.

    python benchmarks/bench_alfworld.py               # two to three minutes on one core

Both engines play the same random admissible commands and work out the admissible commands at every step. The native
engine is timed the way users meet it, through `gym.make` with its wrappers and the whole `info`, and bare. Each figure
is the median of several runs.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import agent_gym
from agent_gym import keys
from agent_gym.core import TextEnv
from agent_gym.envs.alfworld.engine import Simulator
from agent_gym.envs.alfworld.problem import load_game
from agent_gym.envs.alfworld.textworld_engine import TextworldEngine
from agent_gym.vector import TextVectorEnv
from benchmarks.differential import find_games

ID = "AgentGym/ALFWorld-v0"
STEPS = 50


def median_of(runs: int, measure: Callable[[], float]) -> float:
    """Return the median of several measurements."""
    return statistics.median(measure() for _ in range(runs))


def bench_engines(games: list[Path], rng: np.random.Generator) -> None:
    """Print steps/s, load and reset of both engines on the same games and commands."""
    original_steps, original_reset, original_load, commands = [], [], [], []
    for game in games:
        start = time.perf_counter()
        engine = TextworldEngine(game, game.parent.name)
        original_load.append(time.perf_counter() - start)
        start = time.perf_counter()
        engine.reset()
        original_reset.append(time.perf_counter() - start)
        played = []
        start = time.perf_counter()
        for _ in range(STEPS):
            choices = engine.admissible()
            played.append(choices[int(rng.integers(len(choices)))])
            engine.step(played[-1])
        original_steps.append((time.perf_counter() - start) / STEPS)
        commands.append(played)
    loads = [_timed(partial(load_game, game)) for game in games]

    def bare() -> float:
        spent = 0.0
        for game, played in zip(games, commands, strict=True):
            sim = Simulator(load_game(game))
            sim.reset()
            start = time.perf_counter()
            for command in played:
                sim.step(command)
                sim.admissible()
                _ = sim.won
                sim.state_key()
            spent += time.perf_counter() - start
        return len(games) * STEPS / spent

    def resets() -> float:
        sims = [Simulator(load_game(game)) for game in games]
        return statistics.median(_timed(sim.reset) for sim in sims)

    native, original = median_of(5, bare), 1 / statistics.median(original_steps)
    print(f"| what | native | original ({len(games)} games) | ratio |\n|---|---|---|---|")
    what = "steps/s, the engine alone, every game fresh from its file"
    print(f"| {what} | {native:,.0f} | {original:.1f} | {native / original:,.0f} |")
    row("first load of a game, ms", statistics.median(loads), statistics.median(original_load))
    row("reset of a parsed game, ms", median_of(5, resets), statistics.median(original_reset))


def row(what: str, native: float, original: float) -> None:
    """Print a line for two times in seconds."""
    print(f"| {what} | {1e3 * native:.2f} | {1e3 * original:.0f} | {original / native:,.0f} |")


def bench_gymnasium(data: Path, split: str, rng: np.random.Generator) -> None:
    """Print steps/s through gym.make: every game of a split, random admissible commands."""
    env = gym.make(ID, data=data, split=split, disable_env_checker=True)
    base = env.unwrapped
    assert isinstance(base, TextEnv)
    tasks = base.tasks(split)

    def run() -> float:
        spent, steps = 0.0, 0
        for task in tasks:
            _, info = env.reset(options={"task": task})
            ended = False
            while not ended:
                choices = info[keys.ADMISSIBLE_ACTIONS]
                command = choices[int(rng.integers(len(choices)))]
                start = time.perf_counter()
                _, _, terminated, truncated, info = env.step(command)
                spent += time.perf_counter() - start
                steps += 1
                ended = terminated or truncated
        return steps / spent

    print(
        f"| steps/s through gym.make, {len(tasks)} games of {split}, three times over | {median_of(3, run):,.0f} | | |"
    )


def bench_vector(num_envs: int, rng: np.random.Generator) -> None:
    """Print environment steps/s of the in-process vector, as a VectorEnv and by slots."""
    vector = TextVectorEnv.of(ID, num_envs)
    tasks = vector.slots.tasks("generated_train")
    everyone = list(range(num_envs))

    def as_vector() -> float:
        _, infos = vector.reset(seed=0)
        spent = 0.0
        for _ in range(10):
            chosen = tuple(choices[int(rng.integers(len(choices)))] for choices in infos[keys.ADMISSIBLE_ACTIONS])
            start = time.perf_counter()
            *_, infos = vector.step(chosen)
            spent += time.perf_counter() - start
        return 10 * num_envs / spent

    def by_slots() -> float:
        live = dict(zip(everyone, vector.slots.start(everyone, tasks[:num_envs], everyone), strict=True))
        spent, steps = 0.0, 0
        for _ in range(10):
            lists = [frame.info[keys.ADMISSIBLE_ACTIONS] for frame in live.values()]
            chosen = [choices[int(rng.integers(len(choices)))] for choices in lists]
            start = time.perf_counter()
            frames = vector.slots.step(list(live), chosen)
            spent += time.perf_counter() - start
            steps += len(frames)
            live = {slot: frame for slot, frame in zip(live, frames, strict=True) if not frame.terminated}
        return steps / spent

    merged, slots = median_of(3, as_vector), median_of(3, by_slots)
    print(f"| steps/s of TextVectorEnv, {num_envs:,} environments | {merged:,.0f} | | |")
    print(f"| steps/s by slots, {num_envs:,} environments | {slots:,.0f} | | |")
    print(f"| cost of merging infos, µs a step | {1e6 / merged - 1e6 / slots:.1f} | | |")


def memory(num_envs: int) -> None:
    """Print the peak memory of a process with many environments, each on a game of its own, after ten steps."""
    print(f"{_megabytes():.0f}", end=" ")
    slots = TextVectorEnv.of(ID, num_envs).slots
    everyone = list(range(num_envs))
    frames = slots.start(everyone, list(slots.tasks("generated_train")[:num_envs]), everyone)
    rng = np.random.default_rng(0)
    live = dict(zip(everyone, frames, strict=True))
    for _ in range(10):
        lists = [frame.info[keys.ADMISSIBLE_ACTIONS] for frame in live.values()]
        frames = slots.step(list(live), [choices[int(rng.integers(len(choices)))] for choices in lists])
        live = {slot: frame for slot, frame in zip(live, frames, strict=True) if not frame.terminated}
    gc.collect()
    print(f"{_megabytes():.0f}")


def _megabytes() -> float:
    """Return this process's peak memory; `getrusage` would also count the parent it was forked from."""
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="ascii"))
        if found is not None:
            return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def main() -> None:
    """Measure everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("ALFWORLD_DATA"), help="default: ALFWORLD_DATA")
    parser.add_argument("--games", type=int, default=8, help="published games that both engines play")
    parser.add_argument("--envs", type=int, default=1024)
    parser.add_argument("--memory", type=int, default=None, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory is not None:
        memory(args.memory)
        return
    if args.data is None or not Path(args.data).is_dir():
        parser.error("expected the published games: set ALFWORLD_DATA or pass --data")
    rng = np.random.default_rng(0)
    bench_engines(find_games(Path(args.data))[: args.games], rng)
    bench_gymnasium(Path(args.data), "valid_seen", rng)
    bench_vector(args.envs, rng)
    command = [sys.executable, __file__, "--memory", "1000"]
    before, after = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    print(f"| peak memory of 1,000 environments, each on its own game, MB | {after} (before them: {before}) | | |")
    print(f"\nagent_gym {agent_gym.__version__}, Python {sys.version.split()[0]}, one thread, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
