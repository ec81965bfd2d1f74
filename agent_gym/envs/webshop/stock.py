"""What all environments of a process share: catalogues, their pages, and the goals that go with them."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from agent_gym.envs.diagnostic import check_path
from agent_gym.envs.webshop.building import shown_building
from agent_gym.envs.webshop.pages import Pages
from agent_gym.envs.webshop.product import Catalogue, Goal
from agent_gym.errors import DataNotFoundError, UnknownTaskError

DATA_VARIABLE = "WEBSHOP_DATA"
PUBLISHED_SPLITS = ("train", "valid", "test")
GENERATED_SPLITS = ("generated_train", "generated_valid", "generated_test")
KINDS = ("synthetic", "human")
"""Goals of published products: made from what was mined from the products, or written by people."""

_KEPT = 8


class Goals(Protocol):
    """The goals of one catalogue, by task id."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""

    def tasks(self, split: str) -> Sequence[str]:
        """Return the sorted task ids of a split."""

    def goal(self, task: str) -> Goal:
        """Return the goal that a task id names.

        Raises:
            UnknownTaskError: If there is none.
        """


@dataclass(frozen=True)
class Stock:
    """A catalogue with what belongs to it."""

    catalogue: Catalogue
    pages: Pages
    goals: Goals

    def split_of(self, task: str) -> str:
        """Return the split that lists a task.

        Raises:
            UnknownTaskError: If none does.
        """
        for split in self.goals.splits:
            tasks = self.goals.tasks(split)
            place = bisect_left(tasks, task)
            if place < len(tasks) and tasks[place] == task:
                return split
        raise UnknownTaskError(f"No split of {list(self.goals.splits)} lists the task {task!r}.")


def data_directory(data: str | os.PathLike[str] | None) -> str:
    """Return the directory of the published files: the one given, else the one that `WEBSHOP_DATA` names.

    Raises:
        DataNotFoundError: If neither is there.
    """
    named = os.environ.get(DATA_VARIABLE, "") if data is None else check_path("data", data)
    if not named:
        raise DataNotFoundError(
            f"The splits {list(PUBLISHED_SPLITS)} need the benchmark's files: name their directory with data=… or the "
            f"environment variable {DATA_VARIABLE}, or play a split of {list(GENERATED_SPLITS)}, which need none."
        )
    if not os.path.isdir(named):
        raise DataNotFoundError(
            f"{'data' if data is not None else DATA_VARIABLE} must be a directory with items_shuffle_1000.json and its "
            f"companions, got {named!r}, which is {'no directory' if os.path.exists(named) else 'not there'}."
        )
    return os.path.abspath(named)


@lru_cache(maxsize=_KEPT)
def generated_stock(products: int, seed: int) -> Stock:
    """Return a generated catalogue of some size, with its goals; it is built when it is first asked for."""
    from agent_gym.envs.webshop.goals_generated import GeneratedGoals
    from agent_gym.envs.webshop.library import open_catalogue_of

    with shown_building(products) as progress:
        catalogue = open_catalogue_of(None, products, seed, progress)
    return Stock(catalogue, _pages(catalogue), GeneratedGoals(catalogue, seed))


@lru_cache(maxsize=_KEPT)
def published_stock(directory: str, products: int, human: bool) -> Stock:
    """Return the first published products, with their goals.

    Raises:
        DataNotFoundError: If a file is missing.
        DataFileError: If a file is malformed.
    """
    from agent_gym.envs.webshop.goals import PublishedGoals
    from agent_gym.envs.webshop.library import open_catalogue_of
    from agent_gym.envs.webshop.published import find_files, read_human_instructions

    written = None
    if human:
        file = find_files(directory, products).human
        if file is None:
            raise DataNotFoundError(f"goals='human' needs items_human_ins.json in {directory!r}, which is not there.")
        written = read_human_instructions(file)
    with shown_building(products) as progress:
        catalogue = open_catalogue_of(directory, products, 0, progress)
    return Stock(catalogue, _pages(catalogue), PublishedGoals(catalogue, written))


@lru_cache(maxsize=_KEPT)
def _pages(catalogue: Catalogue) -> Pages:
    return Pages(catalogue)
