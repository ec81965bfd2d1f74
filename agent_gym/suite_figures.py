"""What was measured of every environment: numbers of tasks, speed, what chance and the expert achieve.

The figures lie in `suite_figures.json` beside this file, which `python -m benchmarks.suite_figures` writes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

FIGURES = "suite_figures.json"
COMMAND = "python -m benchmarks.suite_figures"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How often one role of a game, or the one player there is, succeeded."""

    role: str
    """Empty where there is one player."""
    successes: int
    score: float
    """Mean, 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlayFigures:
    """How one kind of player did."""

    tasks: int
    outcomes: tuple[Outcome, ...]
    steps: float
    """Mean per task; in a game, of all agents together."""
    cpu_s: float
    """Processor seconds for all tasks, of all processes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What was measured of one environment with its default settings."""

    tasks: Mapping[str, int]
    """By split; without those that need published data, of which not everybody has all."""
    split: str
    """Split that was played."""
    seed: int
    steps_per_s: float
    """Of random play, per processor second of all processes, text and `info` in every step."""
    players: Mapping[str, PlayFigures]
    """`random` and `expert`, as far as there is such a player."""

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Figures:
        """Read what `dataclasses.asdict` and JSON made of it."""
        players = {
            name: PlayFigures(**{**one, "outcomes": tuple(Outcome(**each) for each in one["outcomes"])})
            for name, one in entry["players"].items()
        }
        return cls(**{**entry, "players": players})


@functools.cache
def all_figures() -> Mapping[str, Figures]:
    """Return what was measured, by id or name of a game."""
    text = resources.files("agent_gym").joinpath(FIGURES).read_text(encoding="utf-8")
    return {name: Figures.from_json(entry) for name, entry in json.loads(text).items()}


def figures_of(name: str) -> Figures | None:
    """Return what was measured of an environment or a game; None if nothing was."""
    return all_figures().get(name)
