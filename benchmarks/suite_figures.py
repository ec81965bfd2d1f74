"""Measure what `agent-gym list` and docs/environments.md say of every environment and game.

    python -m benchmarks.suite_figures                              # what is missing in the file
    python -m benchmarks.suite_figures AgentGym/Sokoban-v0 kuhn_poker_v0    # these, again

Default settings; the split to test on; of its tasks 100 that a seed draws, or all if there are fewer, each played once
by chance and once by the expert. The file is written after each environment, so what is stopped goes on. What needs an
extra that is not installed is named and left out.

Speed is of random play of one environment as `gymnasium.make` gives it: text and `info` in every step, starts included.
Seconds are processor seconds, of this process and of those that an engine has started, so other work on the machine
does not count.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import psutil

import agent_gym
from agent_gym import keys
from agent_gym.errors import MissingExtraError
from agent_gym.multi_agent.core import TextGame
from agent_gym.multi_agent.games import is_game, load_game
from agent_gym.suite import ENVIRONMENTS, GAMES, about
from agent_gym.suite_figures import FIGURES, Figures, Outcome, PlayFigures
from trainers.baselines import choose_tasks, play_task

FILE = Path(agent_gym.__file__).parent / FIGURES
SECONDS = 2.0
"""Of processor time that speed is measured over, at least."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="ids and games; by default those without figures")
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--file", type=Path, default=FILE)
    given = parser.parse_args()
    known = read(given.file)
    for name in given.names or [name for name in (*ENVIRONMENTS, *GAMES) if name not in known]:
        try:
            figures = (measure_game if is_game(name) else measure)(name, given.tasks, given.seed)
        except MissingExtraError as error:
            print(f"{name} is left out: {error}")
            continue
        known = read(given.file) | {name: asdict(figures)}  # another process may have written meanwhile
        given.file.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        told = {player: [one.successes for one in figure.outcomes] for player, figure in figures.players.items()}
        print(f"{name}: {figures.steps_per_s:,.0f} steps/s, successes in {figures.split} {told}", flush=True)


def read(file: Path) -> dict[str, Any]:
    """Return what the file holds so far."""
    entries: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return entries


def measure(env_id: str, tasks: int, seed: int) -> Figures:
    """Measure an environment.

    Raises:
        MissingExtraError: If it needs an extra that is not installed.
    """
    split = about(env_id).splits[-1]
    env: gym.Env[str, str] = gym.make(env_id, disable_env_checker=True, split=split)
    base: Any = env.unwrapped
    env.reset(seed=seed)  # builds what is built once, so that it is in nobody's time
    chosen = choose_tasks(env, split, tasks, seed)
    players = {}
    for player in ("random", "expert"):
        began = cpu_seconds()
        played = [play_task(env, player, task, seed + place) for place, task in enumerate(chosen)]
        players[player] = PlayFigures(
            tasks=len(played),
            outcomes=(Outcome(role="", successes=sum(one.success for one in played), score=mean(played, "score")),),
            steps=mean(played, "steps"),
            cpu_s=round(cpu_seconds() - began, 2),
        )
    draws = endless_draws(seed)

    def episode() -> int:
        _, info = env.reset()
        steps, over = 0, False
        while not over:
            commands = info[keys.ADMISSIBLE_ACTIONS]
            _, _, terminated, truncated, info = env.step(commands[int(next(draws) * len(commands))])
            steps, over = steps + 1, terminated or truncated
        return steps

    speed = steps_per_s(episode)
    counts = tasks_by_split(env_id, base)
    env.close()
    return Figures(tasks=counts, split=split, seed=seed, steps_per_s=speed, players=players)


def measure_game(name: str, tasks: int, seed: int) -> Figures:
    """Measure a game: all its agents by chance, then all by their experts."""
    split = about(name).splits[-1]
    game: TextGame = load_game(name).raw_env(split=split)
    ids = game.tasks(split)
    drawn = np.random.default_rng(seed).permutation(len(ids))[:tasks]
    draws = endless_draws(seed)

    def random() -> str:
        commands = game.infos[game.turn or ""][keys.ADMISSIBLE_ACTIONS]
        return str(commands[int(next(draws) * len(commands))])

    players = {}
    choosers: dict[str, Callable[[], str]] = {"random": random, "expert": game.expert_action}
    for player, choose in choosers.items():
        began, turns, ends = cpu_seconds(), 0, []
        for place in sorted(int(one) for one in drawn):
            game.reset(seed=seed + place, options={"task": ids[place]})
            while game.turn is not None:
                game.step(choose())
                turns += 1
            ends.append({game.roles[agent]: game.infos[agent] for agent in game.possible_agents})
        players[player] = PlayFigures(
            tasks=len(ends),
            outcomes=tuple(
                Outcome(
                    role=role,
                    successes=sum(bool(end[role][keys.SUCCESS]) for end in ends),
                    score=round(float(np.mean([end[role][keys.SCORE] for end in ends])), 4),
                )
                for role in ends[0]
            ),
            steps=round(turns / len(ends), 2),
            cpu_s=round(cpu_seconds() - began, 2),
        )

    def episode() -> int:
        game.reset()
        steps = 0
        while game.turn is not None:
            game.step(random())
            steps += 1
        return steps

    speed = steps_per_s(episode)
    return Figures(tasks=tasks_by_split(name, game), split=split, seed=seed, steps_per_s=speed, players=players)


def mean(played: list[Any], name: str) -> float:
    """Return the mean of one field, with four digits."""
    return round(float(np.mean([getattr(one, name) for one in played])), 4)


def tasks_by_split(name: str, base: Any) -> dict[str, int]:
    """Return the number of tasks of each split that needs no published data."""
    return {split: len(base.tasks(split)) for split in about(name).splits}


def endless_draws(seed: int) -> Iterator[float]:
    """Yield numbers from 0 to 1, drawn many at a time, since one alone costs as much as a step."""
    rng = np.random.default_rng(seed)
    while True:
        yield from rng.random(10_000).tolist()


def steps_per_s(episode: Callable[[], int]) -> float:
    """Return steps per processor second: of twice as many episodes as before until they take `SECONDS`."""
    episodes, spent, steps = 1, 0.0, 0
    while spent < SECONDS:
        began = cpu_seconds()
        steps = sum(episode() for _ in range(episodes))
        spent = cpu_seconds() - began
        episodes *= 2
    return float(f"{steps / spent:.3g}")


def cpu_seconds() -> float:
    """Return the processor time of this process and of all that it has started and that still run."""
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


if __name__ == "__main__":
    main()
