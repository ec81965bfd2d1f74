"""Charge for answers that are out of order."""

import math
from dataclasses import dataclass, replace
from typing import Literal, get_args

from trainers.credit.numerics import check_choice
from trainers.types import Group, Turn

Charge = Literal["format", "action"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PenaliseInvalid:
    """r_t ← r_t − amount for a turn whose answer is invalid.

    The penalty is part of the reward, so it counts in the episode's total and in the returns of the turns before it.
    (verl-agent takes it off one row's score after the returns, which makes the score of an episode differ from turn to
    turn.)
    """

    amount: float = 0.1
    """In units of the reward as it is here; the paper charges 0.1 where success pays 10."""
    charge: Charge = "format"
    """format: an answer that carries no command. action: also one whose command the environment does not accept."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        if not (math.isfinite(self.amount) and self.amount >= 0):
            raise ValueError(f"expected a penalty of 0 or more, got {self.amount}")
        check_choice("charge", self.charge, get_args(Charge))

    def __call__(self, group: Group, /) -> Group:
        """Return the group with the penalty taken off."""
        return replace(
            group,
            episodes=tuple(
                replace(episode, turns=tuple(self._charged(turn) for turn in episode.turns))
                for episode in group.episodes
            ),
        )

    def _charged(self, turn: Turn) -> Turn:
        invalid = not turn.format_valid or (self.charge == "action" and not turn.action_valid)
        return replace(turn, reward=turn.reward - self.amount) if invalid else turn
