"""Potential-based reward shaping (Ng, Harada, Russell, ICML 1999): progress that cannot be farmed.

    r̃_t = r_t + γ·Φ(s_{t+1}) − Φ(s_t),    Φ = 0 where the episode has ended

Along an episode the discounted sum telescopes to −Φ(s_0), which does not depend on what was done: every policy's value
changes by the same amount, so the best policy stays the best. Walking in circles pays nothing.

It fails in two ways. If Φ is not zero at the end, the last state's potential is a reward that was never meant. If γ is
not the discount that returns are computed with, the sum does not telescope. An estimator that adds rewards up without a
discount (GRPO) needs γ = 1, where the totals of a group all move by the same −Φ(s_0): only an estimator that looks at
single turns then learns from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from agent_gym import keys
from trainers.credit.numerics import check_choice
from trainers.shaping.base import reshape
from trainers.types import Episode, Group

Floats = NDArray[np.float64]
Cut = Literal["zero", "keep"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PotentialShaping:
    """Adds γ·Φ(s_{t+1}) − Φ(s_t) to each reward."""

    gamma: float = 0.95
    """γ, the discount that returns are computed with."""
    weight: float = 1.0
    """Factor on Φ."""
    entry: str = keys.SCORE
    """Entry of `info` that is Φ of the state it describes: a number, or a collection whose size counts. The first state
    of an episode, and a state without the entry, have Φ = 0."""
    table: Mapping[str, float] | None = None
    """Φ by state key, such as the optimal values V*, instead of `entry`; a key that is not in it has Φ = 0."""
    cut: Cut = "zero"
    """zero: an episode that a limit cut off ends like any other, as estimators without a critic see it. keep: it has Φ
    of its last state, for an estimator that goes on from there with a value."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        if not 0.0 <= self.gamma <= 1.0:
            raise ValueError(f"expected a gamma between 0 and 1, got {self.gamma}")
        if not np.isfinite(self.weight):
            raise ValueError(f"expected a finite weight, got {self.weight}")
        check_choice("cut", self.cut, get_args(Cut))

    def __call__(self, group: Group, /) -> Group:
        """Return the group with the differences of potential added."""
        return reshape(
            group, lambda episode: episode.rewards + potential_differences(self.potentials(episode), self.gamma)
        )

    def potentials(self, episode: Episode) -> Floats:
        """Φ of the states that an episode went through, the one it ended in included: shape (turns + 1,)."""
        if not episode.turns:
            return np.zeros(1)
        if self.table is not None:
            states = [turn.state_key for turn in episode.turns]
            values = [self.table.get(key, 0.0) for key in (*states, str(episode.turns[-1].info.get(keys.STATE_KEY)))]
        else:
            values = [0.0, *(number_of(turn.info.get(self.entry, 0.0), self.entry) for turn in episode.turns)]
        if self.cut == "zero" or episode.status != "cut":
            values[-1] = 0.0
        return self.weight * np.array(values, dtype=np.float64)


def potential_differences(potentials: Floats, gamma: float) -> Floats:
    """F_t = γ·Φ_{t+1} − Φ_t: shape (turns + 1,) to shape (turns,)."""
    return gamma * potentials[1:] - potentials[:-1]


def number_of(value: object, entry: str) -> float:
    """Return a number as it is, and the size of a collection.

    Raises:
        ValueError: If it is neither.
    """
    if isinstance(value, bool | int | float | np.number):
        return float(value)
    if isinstance(value, tuple | list | set | frozenset):
        return float(len(value))
    raise ValueError(f"expected info[{entry!r}] to be a number or a collection, got {value!r}")
