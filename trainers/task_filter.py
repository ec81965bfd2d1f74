"""Which tasks are worth training on: those that the model to start from solves now and then (ARPO's task selection).

A task that is never solved gives no reward to learn from, in any group, for the whole run. ARPO (arXiv 2505.16282)
plays its base model 16 times on each task [from memory] and trains on the 128 tasks that it solved at least once.

What is left is easier than the split: a rate of success on it says nothing about the split, so evaluate on another. It
fails where learning on easy tasks would have made hard ones solvable later; choose anew then.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from trainers.types import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskFilter:
    """Keeps tasks by how often they were solved."""

    episodes: int = 16
    """Episodes to play of each task before it is judged [from memory]."""
    least: int = 1
    """Successes, of all episodes played, that a task must have."""
    most: int | None = None
    """Successes that it must not exceed, to leave out what is solved already; none: any number, as in the paper."""

    def __post_init__(self) -> None:
        """Refuse numbers that no task could have, with a ValueError."""
        most = self.episodes if self.most is None else self.most
        if not 0 <= self.least <= most or self.episodes < 1:
            raise ValueError(
                f"expected 0 ≤ least ≤ most and 1 episode or more, got {self.least}, {self.most} and {self.episodes}"
            )

    def keep(self, groups: Iterable[Group]) -> list[str]:
        """Return the tasks to train on, in the order in which they were first played.

        Args:
            groups: All that was played; groups of one task count together. Episodes that failed with an error are no
                evidence against a task, nor for it.
        """
        solved: dict[str, int] = {}
        for group in groups:
            wins = sum(episode.success for episode in group.episodes if episode.status != "failed")
            solved[group.task] = solved.get(group.task, 0) + wins
        return [
            task for task, wins in solved.items() if self.least <= wins and (self.most is None or wins <= self.most)
        ]
