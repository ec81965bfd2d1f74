"""What small environments have in common: a list of tasks per split, each generated from its name.

Tasks are drawn by hashing their names, not by a random generator, so that a name means the same in every version of
every library.

The diagnostic ones among them each isolate one difficulty of delayed reward (see docs/diagnostic-environments.md), and
their optimum is known. Their expert is the optimal policy: where a layout is hidden it is told the layout, so that it
is the upper line of a plot.
"""

from __future__ import annotations

import abc
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import gymnasium as gym
from gymnasium.wrappers import TimeLimit

from agent_gym import keys
from agent_gym.core import TextEnv
from agent_gym.errors import BadOptionError, UnknownSplitError, UnknownTaskError, did_you_mean

T = TypeVar("T")

SPLITS = ("test", "train", "valid")


class SmallEnv(TextEnv):
    """An environment with one list of generated tasks per split."""

    splits = SPLITS

    def __init__(self, *, tasks: Mapping[str, Sequence[str]], split: str, render_mode: str | None) -> None:
        """Take the task ids of each split."""
        super().__init__(split=split, render_mode=render_mode)
        self._tasks = {name: tuple(sorted(ids)) for name, ids in tasks.items()}
        self._split_of = {task: name for name, ids in self._tasks.items() for task in ids}

    def tasks(self, split: str) -> Sequence[str]:
        """Return the task ids of a split."""
        if split not in self._tasks:
            raise UnknownSplitError(
                f"split must be one of {list(self.splits)}, got {split!r}.{did_you_mean(str(split), self.splits)}"
            )
        return self._tasks[split]

    def _check_task(self, task: str) -> None:
        if task not in self._split_of:
            known = self._tasks[self.split][0]
            raise UnknownTaskError(
                f"expected a task id such as {known!r}, got {task!r}; tasks(split) lists those of these settings."
            )

    def _frame_info(
        self, task: str, key: str, commands: tuple[str, ...], *, success: bool, score: float, valid: bool = True
    ) -> dict[str, Any]:
        """Return the entries of `info` that all environments have."""
        return {
            keys.STATE_KEY: f"{task}:{key}",
            keys.ADMISSIBLE_ACTIONS: commands,
            keys.ALIASES[keys.ADMISSIBLE_ACTIONS]: commands,
            keys.ACTION_VALID: valid,
            keys.SUCCESS: success,
            keys.ALIASES[keys.SUCCESS]: success,
            keys.SCORE: score,
            keys.SPLIT: self._split_of[task],
            keys.SOURCE: "generated",
        }


class LevelEnv(SmallEnv):
    """Numbered starts of one level of another package, named `SPLIT/LEVEL-NUMBER`.

    Attributes:
        digits: Of the number; there are at most ten to the power of that in a split.
        level: Name of the level.
    """

    digits: ClassVar[int]

    def __init__(self, *, level: str, layouts: int, split: str, render_mode: str | None) -> None:
        """Name the first `layouts` tasks of each split.

        Raises:
            BadOptionError: If there are not so many.
        """
        check_count("layouts", layouts, 1, 10**self.digits)
        self.level = level
        super().__init__(
            tasks={name: [f"{name}/{level}-{number:0{self.digits}d}" for number in range(layouts)] for name in SPLITS},
            split=split,
            render_mode=render_mode,
        )
        self._playing = ""

    @abc.abstractmethod
    def _require_package(self) -> None:
        """Raise `MissingExtraError` without the package."""

    @abc.abstractmethod
    def _seed_of(self, split: str, number: int) -> int:
        """Return the seed with which a task starts."""

    def tasks(self, split: str) -> Sequence[str]:
        """Return the task ids of a split.

        Raises:
            UnknownSplitError: If there is no such split.
            MissingExtraError: Without the package that has the level.
        """
        self._require_package()
        return super().tasks(split)

    def seed_of(self, task: str) -> int:
        """Return the seed with which the package starts the game of a task.

        Raises:
            UnknownTaskError: If there is no such task.
        """
        self._check_task(task)
        return self._seed_of(self._split_of[task], int(task[-self.digits :]))


class DiagnosticEnv(SmallEnv):
    """A small environment with a known optimum."""

    @abc.abstractmethod
    def optimal_steps(self, task: str) -> int:
        """Return how many commands the optimal policy needs to solve a task.

        Raises:
            UnknownTaskError: If there is no such task.
        """

    def optimal_value(self, task: str, gamma: float = 1.0) -> float:
        """Return the largest expected return of an episode, discounted by `gamma` a step and without a limit on steps.

        Where the only reward is 1 in the step that solves the task this is gamma^(optimal_steps − 1).

        Raises:
            UnknownTaskError: If there is no such task.
        """
        return float(gamma ** (self.optimal_steps(task) - 1))


def limited(env: gym.Env[str, str], steps: int) -> gym.Env[str, str]:
    """Cut episodes off after `steps`: a limit that depends on settings, where a registered id has one number only."""
    return TimeLimit(env, steps)


def digest(*parts: object) -> int:
    """Return a number from 0 to 2⁶⁴ − 1 that belongs to these parts alone, the same in every process and version."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def shuffled(items: Sequence[T], *seed: object) -> list[T]:
    """Return the items in an order that the seed decides; every order is as likely as any other over seeds."""
    order = sorted(range(len(items)), key=lambda place: digest(*seed, place))
    return [items[place] for place in order]


def check_count(name: str, value: object, least: int, most: int) -> int:
    """Return a whole number between two limits.

    Raises:
        BadOptionError: If it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise BadOptionError(f"{name} must be a whole number from {least} to {most}, got {value!r}.")
    return value


def check_path(name: str, value: object) -> str:
    """Return the path of a file or directory, with `~` for the user's own, which no shell puts in after `name=`.

    Raises:
        BadOptionError: If it is no path.
    """
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if not isinstance(path, str) or not path:
        raise BadOptionError(f"{name} must be the path of a file or directory, got {value!r}.")
    return os.path.expanduser(path)


def check_name(name: str, value: object, choices: Sequence[str]) -> str:
    """Return one of several names.

    Raises:
        BadOptionError: If it is another.
    """
    if value not in choices:
        hint = did_you_mean(str(value), choices)
        raise BadOptionError(f"{name} must be one of {list(choices)}, got {value!r}.{hint}")
    return str(value)
