"""Where games come from: published files in the benchmark's layout, and the generator. Both have task ids."""

from __future__ import annotations

import json
import os
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, overload
from weakref import WeakValueDictionary

from agent_gym.envs.alfworld.generator import GENERATED_SPLITS, Difficulty, as_difficulty, generate_game
from agent_gym.envs.alfworld.generator_facts import TASK_TYPES, WORDINGS
from agent_gym.envs.alfworld.problem import Game, load_game, parse_game
from agent_gym.envs.diagnostic import check_path
from agent_gym.errors import (
    BadOptionError,
    DataNotFoundError,
    GameFileError,
    UnknownSplitError,
    UnknownTaskError,
    did_you_mean,
)

PUBLISHED_SPLITS = ("train", "valid_train", "valid_seen", "valid_unseen")
"""Splits of the published games; `valid_train` is training data."""

SPLITS = (*PUBLISHED_SPLITS, *GENERATED_SPLITS)
DATA_VARIABLE = "ALFWORLD_DATA"

_GAME_FILE = "game.tw-pddl"
_HOW_TO_GET = "The package alfworld has a command that gets them: `alfworld-download --data-dir DIR`; then name DIR."
_SOLVABLE = re.compile(r'"solvable"\s*:\s*(true|false)')
_KEPT = 256


@dataclass(frozen=True, slots=True)
class Task:
    """One game by name, with what `info` says about it."""

    id: str
    split: str
    source: str
    task_type: str
    data: dict[str, Any] | Path
    """Contents of the game file, or the file."""


class NumberedTasks(Sequence[str]):
    """The ids `split/000000000`, `split/000000001`, … without a list in memory."""

    def __init__(self, split: str, size: int) -> None:
        """Name `size` tasks."""
        self.split = split
        self.size = size

    def __len__(self) -> int:
        """Return the number of tasks."""
        return self.size

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...

    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        """Return an id, or the ids of a slice."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.size))]
        if not -self.size <= index < self.size:
            raise IndexError(f"{self.split} has {self.size} tasks, got index {index}")
        return f"{self.split}/{index % self.size:09d}"

    def __repr__(self) -> str:
        """Say what it stands for."""
        return f"NumberedTasks({self.split!r}, {self.size})"


class GameLibrary:
    """Tasks and games of one environment's settings."""

    def __init__(self, data: str | os.PathLike[str] | None, wording: str, difficulty: str | Difficulty) -> None:
        """Check the settings; nothing is read yet.

        Args:
            data: Directory with the published games (`json_2.1.1`, or what holds it); `None` means the environment
                variable `ALFWORLD_DATA`.
            wording: Words of generated games: `"put"` (published games) or `"move"` (newer versions of the benchmark).
            difficulty: Name of a preset, or a `Difficulty`, for generated games.

        Raises:
            BadOptionError: If wording or difficulty are not known.
            DataNotFoundError: If `data` is given and is no directory.
        """
        if wording not in WORDINGS:
            raise BadOptionError(
                f"wording must be one of {list(WORDINGS)}, got {wording!r}.{did_you_mean(str(wording), WORDINGS)}"
            )
        self.wording = wording
        self.difficulty = as_difficulty(difficulty)
        self._data = Path(check_path("data", data)) if data is not None else None
        if self._data is not None and not self._data.is_dir():
            raise DataNotFoundError(
                f"data must be a directory with the published games, got {str(self._data)!r}, which does not exist."
            )

    def tasks(self, split: str) -> Sequence[str]:
        """Return the sorted task ids of a split.

        Raises:
            UnknownSplitError: If there is no such split.
            DataNotFoundError: If the split is a published one and its directory is missing.
        """
        if split in GENERATED_SPLITS:
            return NumberedTasks(split, GENERATED_SPLITS[split])
        if split not in PUBLISHED_SPLITS:
            raise UnknownSplitError(
                f"split must be one of {list(SPLITS)}, got {split!r}.{did_you_mean(str(split), SPLITS)}"
            )
        return list_published(str(self._split_directory(split)))

    def find(self, task: str) -> Task:
        """Return the task with this id.

        Raises:
            UnknownTaskError: If there is none.
            DataNotFoundError: If it is a published one and its directory is missing.
        """
        split, _, rest = task.partition("/")
        if split in GENERATED_SPLITS:
            if not re.fullmatch(r"\d{9}", rest) or int(rest) >= GENERATED_SPLITS[split]:
                raise UnknownTaskError(
                    f"Tasks of {split} are named {split}/000000000 to {split}/{GENERATED_SPLITS[split] - 1:09d}, "
                    f"got {task!r}."
                )
            data = generate_game(split, int(rest), wording=self.wording, difficulty=self.difficulty)
            return Task(task, split, "generated", data["task_type"], data)
        if split not in PUBLISHED_SPLITS:
            hint = did_you_mean(split, SPLITS) if "/" in task else ""
            raise UnknownTaskError(f"A task id begins with its split, one of {list(SPLITS)}, got {task!r}.{hint}")
        directory = self._split_directory(split)
        if task not in _published_set(str(directory)):
            raise UnknownTaskError(
                f"There is no task {task!r}: expected one of the {len(self.tasks(split))} that tasks({split!r}) lists."
            )
        return Task(task, split, "published", rest.partition("-")[0], directory.parent / task / _GAME_FILE)

    def load(self, task: str) -> tuple[Task, Game]:
        """Return a task and its parsed game, from memory if it is still there.

        Raises:
            UnknownTaskError: If there is no such task.
            GameFileError: If its file is damaged.
            UnsupportedGameError: If the native engine can't play it.
        """
        split = task.partition("/")[0]
        origin = (
            (self.wording, self.difficulty)
            if split in GENERATED_SPLITS
            else (str(self._split_directory(split)),)
            if split in PUBLISHED_SPLITS
            else ()
        )
        return _CACHE.get((task, *origin), lambda: self.find(task))

    def _split_directory(self, split: str) -> Path:
        data, given = self._data, "data="
        if data is None:
            variable, given = os.environ.get(DATA_VARIABLE), DATA_VARIABLE
            if not variable:
                raise DataNotFoundError(
                    f"Split {split!r} has published games, which are a download: expected their directory as data= or "
                    f"in {DATA_VARIABLE}, which is not set. {_HOW_TO_GET} The generated splits need none."
                )
            data = Path(variable)
        places = (data / "json_2.1.1" / split, data / split)
        for directory in places:
            if directory.is_dir():
                return directory
        problem = "does not exist" if not data.exists() else "is no directory" if not data.is_dir() else "has neither"
        raise DataNotFoundError(
            f"Expected the published games of {split!r} in {str(places[0])!r} or {str(places[1])!r}, as {given} says, "
            f"but {str(data)!r} {problem}. {_HOW_TO_GET}"
        )


class _Cache:
    """The parsed games that somebody is playing, and the last few others."""

    def __init__(self) -> None:
        self._alive: WeakValueDictionary[Any, Game] = WeakValueDictionary()
        self._tasks: dict[Any, Task] = {}
        self._recent: OrderedDict[Any, Game] = OrderedDict()

    def get(self, key: Any, find: Any) -> tuple[Task, Game]:
        game = self._alive.get(key)
        if game is None:
            task = find()
            game = load_game(task.data) if isinstance(task.data, Path) else parse_game(task.data, task.id)
            if len(self._tasks) > 4 * len(self._alive) + _KEPT:
                self._tasks = {known: self._tasks[known] for known in self._alive if known in self._tasks}
            light = task if isinstance(task.data, Path) else Task(task.id, task.split, task.source, task.task_type, {})
            self._alive[key], self._tasks[key] = game, light
        self._recent[key] = game
        self._recent.move_to_end(key)
        if len(self._recent) > _KEPT:
            self._recent.popitem(last=False)
        return self._tasks[key], game


_CACHE = _Cache()


@lru_cache(maxsize=32)
def list_published(directory: str) -> tuple[str, ...]:
    """Return the sorted task ids in a split's directory, by the rules of the benchmark's own collector.

    Left out are games with movable receptacles or slicing, of other task types, without a game file, and those not
    marked as solvable. A damaged game file stays in the list: playing it says what is wrong.
    """
    root = Path(directory)
    found = []
    for description in root.rglob("traj_data.json"):
        folder = description.parent
        name = folder.relative_to(root.parent).as_posix()
        game = folder / _GAME_FILE
        if "movable" in name or "Sliced" in name or not game.exists():
            continue
        try:
            task_type = json.loads(description.read_text(encoding="utf-8"))["task_type"]
        except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise GameFileError(
                f"{description}: expected JSON with a task_type, got {type(error).__name__}: {error}."
            ) from error
        text = game.read_text(encoding="utf-8", errors="replace")
        marks = _SOLVABLE.findall(text)
        if task_type in TASK_TYPES and (marks == ["true"] or (not marks and not _is_json(text))):
            found.append(name)
    return tuple(sorted(found))


@lru_cache(maxsize=32)
def _published_set(directory: str) -> frozenset[str]:
    return frozenset(list_published(directory))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return False
    return True
