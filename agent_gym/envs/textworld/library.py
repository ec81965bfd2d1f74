"""Where the tasks of an environment come from: games that are generated, or files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from agent_gym.envs.diagnostic import SPLITS
from agent_gym.envs.textworld.files import SUFFIXES, GamePath, game_of_files, generated_game
from agent_gym.envs.textworld.tasks import GeneratedTasks, Kind
from agent_gym.errors import DataNotFoundError, GameFileError, UnknownTaskError, did_you_mean

ALL = "all"
"""The one split of files that are not sorted into folders by split."""


class Library(Protocol):
    """Tasks by split, and their games."""

    splits: tuple[str, ...]
    source: str

    def tasks(self, split: str) -> Sequence[str]:
        """Return the ids of one of `splits`."""

    def game(self, task: str) -> GamePath:
        """Return the game of a task, made if need be."""


class GeneratedGames:
    """Games of one kind, made when they are first played."""

    source = "generated"

    def __init__(self, kind: Kind, size: int) -> None:
        """Name `size` games per split."""
        self.splits: tuple[str, ...] = SPLITS
        self._kind = kind
        self._tasks = {split: GeneratedTasks(split, kind.label, size) for split in SPLITS}

    def tasks(self, split: str) -> Sequence[str]:
        """Return the ids of a split, listed lazily."""
        return self._tasks[split]

    def game(self, task: str) -> GamePath:
        """Return the game of a task."""
        split = task.partition("/")[0]
        number = self._tasks[split if split in self._tasks else "train"].number(task)
        return generated_game(self._kind, split, number)


class GameFiles:
    """The games of a file, or of all files below a directory; one game may have several files of the same stem.

    Folders called `train`, `valid` and `test` make the splits; without them all games are in one split, `all`.
    """

    source = "file"

    def __init__(self, path: Path) -> None:
        """Look which files there are.

        Raises:
            DataNotFoundError: If there is nothing at `path`, or no game below it.
            GameFileError: If it is a file of another kind, or games lie beside folders that make splits.
        """
        if not path.exists():
            raise DataNotFoundError(
                f"expected game files at games={str(path)!r}, but there is nothing; check the path."
            )
        if path.is_file() and path.suffix not in SUFFIXES:
            raise GameFileError(f"{path}: expected a file that ends in one of {list(SUFFIXES)}.")
        if path.is_file():
            stem = path.with_suffix("")
            files = [near for near in stem.parent.glob(f"{_literal(stem.name)}.*") if near.suffix in SUFFIXES]
            root = path.parent
        else:
            root, files = path, [file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file()]
        if not files:
            raise DataNotFoundError(f"expected files ending in {list(SUFFIXES)} below games={str(path)!r}, got none.")
        self._games: dict[str, tuple[Path, frozenset[str]]] = {}
        by_split: dict[str, set[str]] = {}
        for file in files:
            stem = file.with_suffix("")
            folders = list(file.relative_to(root).parts[:-1])
            split = next((folder for folder in folders if folder in SPLITS), ALL)
            kept = [folder for folder in folders if folder != split]
            task = "/".join([split, *kept, stem.name])
            known, suffixes = self._games.get(task, (stem, frozenset()))
            if known != stem:
                raise GameFileError(f"{file}: expected one game of a name, got {known} for {task!r} as well.")
            self._games[task] = (stem, suffixes | {file.suffix})
            by_split.setdefault(split, set()).add(task)
        if ALL in by_split and len(by_split) > 1:
            raise GameFileError(
                f"expected every game in a folder train, valid or test, got {min(by_split[ALL])} beside such folders."
            )
        self._by_split = {split: tuple(sorted(tasks)) for split, tasks in by_split.items()}
        self.splits = tuple(sorted(self._by_split))

    def tasks(self, split: str) -> Sequence[str]:
        """Return the ids of a split."""
        return self._by_split[split]

    def game(self, task: str) -> GamePath:
        """Return the game of a task, compiled if there is no story file.

        Raises:
            UnknownTaskError: If there is none.
        """
        if task not in self._games:
            some = next(iter(self._games))
            hint = did_you_mean(task, self._games)
            raise UnknownTaskError(f"expected a task id such as {some!r}, got {task!r}; tasks(split) lists them.{hint}")
        return game_of_files(*self._games[task])


def _literal(name: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in name)
