"""Judges that ask nobody: what the environment says of itself, and rules that look at the text."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from agent_gym import keys
from trainers.judges.base import Step, check_score

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True, slots=True)
class InfoJudge:
    """Repeats what the environment says: the judge that is always right, as an upper bound for others."""

    score_entry: str = keys.PROCESS_SCORE
    """Entry of `info` with the score of the step, 0 to 1; a step without it scores 0 and is counted."""
    goals_entry: str = keys.SUBGOALS
    """Entry of `info` with the subgoals that have been reached."""
    counts: "Counter[str]" = field(default_factory=Counter, compare=False)

    def score(self, step: Step, /) -> float:
        """Return the environment's score of the step.

        Raises:
            ValueError: If it is not between 0 and 1.
        """
        self.counts["asked"] += 1
        if self.score_entry not in step.turn.info:
            self.counts["unparsable"] += 1
            return 0.0
        return check_score(float(step.turn.info[self.score_entry]), self)

    def scores(self, steps: Sequence[Step], /) -> list[float]:
        """Return one score per step."""
        return [self.score(step) for step in steps]

    def goals(self, steps: Sequence[Step], /) -> list[frozenset[str]]:
        """Return the subgoals that had been reached after each step."""
        return [frozenset(step.turn.info.get(self.goals_entry, ())) for step in steps]


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleJudge:
    """The weighted mean of four simple questions. A stand-in for a model where none is at hand, and a baseline for one.

    It can be pleased without getting anywhere (a new reply is not a useful one); what that does to a policy is what
    `Renorm` is for.
    """

    form: float = 1.0
    """Weight of: the answer carried a command."""
    accepted: float = 1.0
    """Weight of: the environment accepted the command."""
    novelty: float = 1.0
    """Weight of: the reply was not heard before in the episode."""
    overlap: float = 1.0
    """Weight of: the share of the action's words that stand in the first observation, where tasks are told."""
    counts: "Counter[str]" = field(default_factory=Counter, compare=False)

    def __post_init__(self) -> None:
        """Refuse weights that make no mean, with a ValueError."""
        weights = (self.form, self.accepted, self.novelty, self.overlap)
        if not (all(np.isfinite(weights)) and min(weights) >= 0 and sum(weights) > 0):
            raise ValueError(f"expected weights of 0 or more that are not all 0, got {weights}")

    def score(self, step: Step, /) -> float:
        """Return the weighted mean."""
        self.counts["asked"] += 1
        turn = step.turn
        first = (*step.before, turn)[0].observation
        heard = {first, *(earlier.reply for earlier in step.before)}
        words = _WORD.findall(turn.action.lower())
        known = set(_WORD.findall(first.lower()))
        answers = (
            (self.form, float(turn.format_valid)),
            (self.accepted, float(turn.format_valid and turn.action_valid)),
            (self.novelty, float(turn.reply not in heard)),
            (self.overlap, sum(word in known for word in words) / len(words) if words else 0.0),
        )
        return sum(weight * value for weight, value in answers) / sum(weight for weight, _ in answers)

    def scores(self, steps: Sequence[Step], /) -> list[float]:
        """Return one score per step."""
        return [self.score(step) for step in steps]
