"""Levels in files of Boxoban's format: rows of signs, a line `; number` before each level.

    ; 0
    ##########
    #   @    #
    ...

The files themselves are DeepMind's (github.com/google-deepmind/boxoban-levels); none comes with this package.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from agent_gym.envs.diagnostic import SPLITS
from agent_gym.envs.sokoban.level import Level, read_level
from agent_gym.errors import DataNotFoundError, GameFileError, UnknownTaskError

_File = tuple[Path, int]
"""A file and the time of its last change, so that nothing old is remembered of it."""
_MOST = 10_000
"""Levels of a file whose places have four digits."""
ALL = "all"
"""The one split of files that are not sorted into folders by split."""


class LevelFiles:
    """The levels of a file, or of all `.txt` files below a directory.

    Folders named `train`, `valid` and `test` below the directory, however deep, make the splits, as in Boxoban's
    release. Where there are none, all levels are in a split called `all`. A task is named after its split, its file and
    its place in it, counted from 0: `train/000/0017`. Files are only looked through when a split's tasks are asked for,
    and a level is read when it is played.

    Attributes:
        splits: Those that have files.
    """

    def __init__(self, path: str) -> None:
        """Look which files there are.

        Raises:
            DataNotFoundError: If there is nothing at `path`, or no `.txt` file below it.
        """
        root = Path(path)
        if not root.exists():
            raise DataNotFoundError(f"expected level files at levels={path!r}, but there is nothing; check the path.")
        files = [root] if root.is_file() else sorted(root.rglob("*.txt"))
        if not files:
            raise DataNotFoundError(f"expected .txt files with levels below levels={path!r}, got none.")
        self._files: dict[str, dict[str, _File]] = {}
        for file in files:
            folders = [] if root.is_file() else list(file.relative_to(root).parts[:-1])
            split = next((folder for folder in folders if folder in SPLITS), None)
            kept = [folder for folder in folders if folder != split]
            self._files.setdefault(split or ALL, {})["/".join([*kept, file.stem])] = (file, file.stat().st_mtime_ns)
        if len(self._files) > 1 and ALL in self._files:
            lone, _ = next(iter(self._files[ALL].values()))
            raise GameFileError(
                f"expected every file in a folder train, valid or test, got {lone} beside such folders."
            )
        self.splits = tuple(sorted(self._files))

    def tasks(self, split: str) -> Sequence[str]:
        """Return the tasks of one of `splits`, without reading their levels.

        Raises:
            GameFileError: If a file has no level in it.
        """
        # In the order of the ids, in which a slash follows the name: "a-b" comes before "a".
        files = sorted(self._files[split].items(), key=lambda named: f"{named[0]}/")
        return _Tasks(split, [(name, len(_starts(file))) for name, file in files])

    def split_of(self, task: str) -> str:
        """Return the split of a task; nothing is read."""
        return task.partition("/")[0]

    def level(self, task: str) -> Level:
        """Read the level of a task.

        Raises:
            UnknownTaskError: If there is no such task.
            GameFileError: With file and line, if it is no level.
        """
        split, _, rest = task.partition("/")
        name, _, number = rest.rpartition("/")
        file = self._files.get(split, {}).get(name)
        if file is None or not (number.isascii() and number.isdigit()) or int(number) >= len(_starts(file)):
            known = self.tasks(self.splits[0])[0]
            raise UnknownTaskError(f"expected a task id such as {known!r}, got {task!r}; tasks(split) lists them.")
        if number != f"{int(number):04d}":
            raise UnknownTaskError(f"expected a place with four digits, {int(number):04d}, got {task!r}.")
        return _level(file, int(number))


class _Tasks(Sequence[str]):
    """Task ids by place; a million of them take no room."""

    def __init__(self, split: str, counts: list[tuple[str, int]]) -> None:
        self._split, self._names = split, [name for name, _ in counts]
        self._ends: list[int] = []
        for _, count in counts:
            self._ends.append(count + (self._ends[-1] if self._ends else 0))

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return tuple(self[number] for number in range(*place.indices(len(self))))
        number = place + len(self) if place < 0 else place
        if not 0 <= number < len(self):
            raise IndexError(place)
        file = bisect.bisect_right(self._ends, number)
        first = self._ends[file - 1] if file else 0
        return f"{self._split}/{self._names[file]}/{number - first:04d}"


@functools.lru_cache(maxsize=8)
def _lines(stamped: _File) -> list[str]:
    file, _ = stamped
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise GameFileError(f"{file}: expected levels as text, got byte {error.start} that is no UTF-8.") from error


@functools.lru_cache(maxsize=2048)
def _starts(stamped: _File) -> tuple[int, ...]:
    """Return the line, from 0, at which the rows of each level begin: after a heading, a blank line, or the top."""
    lines = _lines(stamped)
    is_row = [bool(line.strip()) and not line.startswith(";") for line in lines]
    starts = tuple(place for place, row in enumerate(is_row) if row and not (place and is_row[place - 1]))
    if not starts:
        raise GameFileError(f"{stamped[0]}: expected at least one level, got a file without rows of signs.")
    if len(starts) > _MOST:
        raise GameFileError(f"{stamped[0]}: expected {_MOST} levels or fewer in a file, got {len(starts)}: divide it.")
    return starts


@functools.lru_cache(maxsize=4096)
def _level(stamped: _File, number: int) -> Level:
    lines, first = _lines(stamped), _starts(stamped)[number]
    last = first
    while last < len(lines) and lines[last].strip() and not lines[last].startswith(";"):
        last += 1
    level = read_level([line.rstrip() for line in lines[first:last]], str(stamped[0]), first + 1)
    if level.boxes == level.goals:
        raise GameFileError(f"{stamped[0]}, line {first + 1}: expected a level that is to be solved, got one that is.")
    return level
