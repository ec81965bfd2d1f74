"""What a judge is: it looks at one step of an episode and says how good it was."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from trainers.types import Episode, Group, Turn


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One turn, and what was before it."""

    task: str
    """Id of the task."""
    turn: Turn
    before: tuple[Turn, ...] = ()
    """Turns of the episode up to this one, in order."""


class Judge(Protocol):
    """Scores steps. A judge that can't say anything of a step gives it 0 and counts that."""

    @property
    def counts(self) -> "Counter[str]":
        """How often what happened so far: `asked`, `unparsable`, `failed` and whatever else the judge tells."""

    def score(self, step: Step, /) -> float:
        """Return how good a step was, from 0 to 1."""

    def scores(self, steps: Sequence[Step], /) -> list[float]:
        """Return one score per step; the way to ask for many."""


class GoalJudge(Protocol):
    """Says which subgoals a step achieved. What it can't make out is not achieved."""

    @property
    def counts(self) -> "Counter[str]":
        """As those of `Judge`."""

    def goals(self, steps: Sequence[Step], /) -> list[frozenset[str]]:
        """Return the names of the subgoals that each step achieved, or that hold after it."""


def steps_of(group: Group) -> list[Step]:
    """All steps of a group, in order."""
    return [step for episode in group.episodes for step in steps_of_episode(group.task, episode)]


def steps_of_episode(task: str, episode: Episode) -> list[Step]:
    """The steps of an episode, in order."""
    return [Step(task=task, turn=turn, before=episode.turns[:t]) for t, turn in enumerate(episode.turns)]


def check_score(score: float, judge: object) -> float:
    """Return a score from 0 to 1 as it is.

    Raises:
        ValueError: If it is anything else: methods that build on scores promise nothing outside.
    """
    if not 0.0 <= score <= 1.0:
        raise ValueError(f"expected a score between 0 and 1 from {type(judge).__name__}, got {score}")
    return score
