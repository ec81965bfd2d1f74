"""CALM: subgoals that a model recognises become rewards (Klissarov et al. 2024; arXiv 2409.12798).

Where the reward comes at the end only, a person would still see the key being picked up and the door being opened.
CALM asks a language model, transition by transition, whether a subgoal was achieved, and pays for it:

    r̃_t = r_t + β · Σ_g 1[g achieved at t for the first time in the episode]

The latch ("for the first time") is essential: without it picking the key up and dropping it again is an endless source
of reward. `PotentialShaping(entry="subgoals")` is the other way to close that loop, and it leaves the best policy as it
is; a latched bonus does not promise that if β is large, since a subgoal that the task does not need is paid for too.

It fails with a judge of low precision: wrongly flagged transitions are paid like right ones. The released code also
has a variant that counts the model's annotations into a table by screen and action, minimum and maximum scaled to 0 and
1, from which β = 0.1 is taken here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from trainers.judges.base import GoalJudge, steps_of_episode
from trainers.judges.rules import InfoJudge
from trainers.shaping.base import Shaper, reshape
from trainers.types import Episode, Group

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Calm:
    """Adds a bonus at the first achievement of each subgoal."""

    bonus: float = 0.1
    """β, per subgoal, in units of the reward as it is here."""
    wanted: tuple[str, ...] = ()
    """Subgoals that are paid for; if empty, all that the judge names."""

    def __post_init__(self) -> None:
        """Refuse a bonus that is no finite number, with a ValueError."""
        if not np.isfinite(self.bonus):
            raise ValueError(f"expected a finite bonus, got {self.bonus}")

    def __call__(self, group: Group, /) -> Group:
        """Return the group with the bonuses added, for what the environment tells in `info["subgoals"]`."""
        return self.shaped(group, InfoJudge())

    def judged_by(self, judge: GoalJudge) -> Shaper:
        """Return the same with another judge."""
        return partial(self.shaped, judge=judge)

    def shaped(self, group: Group, /, judge: GoalJudge) -> Group:
        """Return the group with the bonuses added; all its steps go to the judge at once."""
        steps = [step for episode in group.episodes for step in steps_of_episode(group.task, episode)]
        goals = iter(judge.goals(steps))

        def rewards(episode: Episode) -> Floats:
            achieved = [next(goals) & set(self.wanted) if self.wanted else next(goals) for _ in episode.turns]
            return episode.rewards + self.bonus * first_achievements(achieved)

        return reshape(group, rewards)


def first_achievements(goals: Sequence[frozenset[str]]) -> Floats:
    """How many subgoals each step achieved that no step before it had: shape (steps,)."""
    seen: set[str] = set()
    counts = np.zeros(len(goals), dtype=np.float64)
    for t, achieved in enumerate(goals):
        counts[t] = len(achieved - seen)
        seen |= achieved
    return counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """How well flags of a judge agree with the truth; only whether a step is flagged counts, not with which subgoal."""

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def precision(self) -> float:
        """Share of the flagged steps that are so in truth; 0 if none is flagged."""
        return self.true_positives / max(self.true_positives + self.false_positives, 1)

    @property
    def recall(self) -> float:
        """Share of the steps that are so in truth that were flagged; 0 if there are none."""
        return self.true_positives / max(self.true_positives + self.false_negatives, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; 0 if both are."""
        return 2 * self.true_positives / max(2 * self.true_positives + self.false_positives + self.false_negatives, 1)

    @property
    def accuracy(self) -> float:
        """Share of all steps on which judge and truth agree; 0 if there are no steps."""
        right = self.true_positives + self.true_negatives
        return right / max(right + self.false_positives + self.false_negatives, 1)


def agreement(truth: Sequence[bool], flagged: Sequence[bool]) -> Agreement:
    """Compare a judge's flags with the truth, step by step."""
    pairs = [(bool(real), bool(said)) for real, said in zip(truth, flagged, strict=True)]
    return Agreement(
        true_positives=pairs.count((True, True)),
        false_positives=pairs.count((False, True)),
        false_negatives=pairs.count((True, False)),
        true_negatives=pairs.count((False, False)),
    )
