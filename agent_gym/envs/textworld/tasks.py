"""Names of generated games: challenge, settings and a number, from which the game can be made anywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

from agent_gym.envs.diagnostic import SPLITS, check_count, check_name
from agent_gym.errors import BadOptionError, UnknownTaskError, did_you_mean

CHALLENGES = ("coin-collector", "cooking", "simple", "treasure-hunter")
REWARDS = ("balanced", "dense", "sparse")
GOALS = ("brief", "detailed", "none")
SKILLS = ("cook", "cut", "drop", "open")
ROOMS = (1, 6, 9, 12)
MOST_ROOMS = 100
"""Of a game that fits into a `.z8` file."""
MOST_LAYOUTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Kind:
    """A challenge with its settings: what all tasks of an environment have in common."""

    challenge: str
    settings: tuple[tuple[str, Any], ...]
    label: str
    """Both, as they stand in the names of tasks."""

    def request(self, split: str, number: int, attempt: int) -> dict[str, Any]:
        """Return what the maker of games is asked for.

        Seeds of different splits differ, and so do those of the attempts to make a game where the engine can't make one
        of some seed. The engine's own lists of foods and preparations per split are kept.
        """
        settings = dict(self.settings)
        if self.challenge == "cooking":
            settings["split"] = split
        if self.challenge == "simple":
            settings["test"] = split == "test"
        seed = (attempt * MOST_LAYOUTS + number) * len(SPLITS) + SPLITS.index(split)
        return {"challenge": self.challenge, "settings": settings, "seed": seed}


def kind_of(
    challenge: str, *, level: int, rewards: str, goal: str, recipe: int, take: int, rooms: int, skills: str
) -> Kind:
    """Check all settings, and put together those that a challenge has.

    Raises:
        BadOptionError: If one is not known or out of range.
    """
    check_name("challenge", challenge, CHALLENGES)
    check_name("goal", goal, GOALS)
    check_name("rewards", rewards, REWARDS)
    check_count("level", level, 1, 30 if challenge == "treasure-hunter" else 300)
    cooking = _cooking(recipe, take, rooms, skills)
    if challenge == "simple":
        return Kind(challenge, (("rewards", rewards), ("goal", goal)), f"{challenge}-{rewards}-{goal}")
    if challenge == "cooking":
        return cooking
    if challenge == "coin-collector" and (level - 1) // 100 * ((level - 1) % 100 + 1) + (level - 1) % 100 >= MOST_ROOMS:
        raise BadOptionError(f"level must be one with at most {MOST_ROOMS} rooms, which fit into a game, got {level}.")
    return Kind(challenge, (("level", level), ("goal", goal)), f"{challenge}-{level}-{goal}")


def _cooking(recipe: int, take: int, rooms: int, skills: str) -> Kind:
    check_count("recipe", recipe, 1, 5)
    check_count("take", take, 0, recipe)
    if rooms not in ROOMS or isinstance(rooms, bool):
        raise BadOptionError(f"rooms must be one of {list(ROOMS)}, got {rooms!r}.")
    chosen = [word for word in str(skills).split("+") if word]
    for word in chosen:
        if word not in SKILLS:
            raise BadOptionError(
                f"skills must be some of {list(SKILLS)} joined by '+', got {skills!r}.{did_you_mean(word, SKILLS)}"
            )
    settings: dict[str, Any] = {"recipe": recipe, "take": take, "go": rooms, "recipe_seed": 0}
    settings |= {word: word in chosen for word in SKILLS}
    label = f"cooking-{recipe}-{take}-{rooms}-{'+'.join(sorted(set(chosen))) or 'plain'}"
    return Kind("cooking", tuple(settings.items()), label)


class GeneratedTasks(Sequence[str]):
    """The ids of one split, `split/label-000000` and so on, without a list in memory."""

    def __init__(self, split: str, label: str, size: int) -> None:
        """Name `size` tasks."""
        self._prefix, self._size = f"{split}/{label}-", size

    def __len__(self) -> int:
        """Return the number of tasks."""
        return self._size

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        """Return an id, or those of a slice."""
        if isinstance(index, slice):
            return tuple(self[place] for place in range(*index.indices(self._size)))
        if not -self._size <= index < self._size:
            raise IndexError(f"there are {self._size} tasks, got index {index}")
        return f"{self._prefix}{index % self._size:06d}"

    def number(self, task: str) -> int:
        """Return the number of a task.

        Raises:
            UnknownTaskError: If it is none of these.
        """
        digits = task.removeprefix(self._prefix)
        if task.startswith(self._prefix) and re.fullmatch(r"[0-9]{6}", digits) and int(digits) < self._size:
            return int(digits)
        raise UnknownTaskError(
            f"expected a task id such as {self[0]!r}, got {task!r}; tasks(split) lists those of these settings."
        )
