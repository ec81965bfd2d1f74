"""A soft limit on the length of answers (DAPO, Yu et al. 2025; arXiv 2503.14476, eq. 13).

An answer that is cut off at the limit earns nothing, however good it was so far, and a penalty that starts only there
is a cliff. DAPO charges for the last stretch before the limit, growing evenly:

    0                             L ≤ L_max − L_c
    ((L_max − L_c) − L) / L_c     L_max − L_c < L ≤ L_max
    −1                            L > L_max

It fails where the limit is far above what answers need (nothing is ever charged) or where a solution really takes that
long: the penalty does not ask whether the answer was right.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from trainers.credit.numerics import check_choice
from trainers.shaping.base import reshape
from trainers.types import Episode, Group

Unit = Literal["turn", "episode"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OverlongPenalty:
    """Charges for answers that come close to the limit on tokens."""

    longest: int = 20_480
    """L_max, in sampled tokens. DAPO's value [from memory]; set it to `rollout.max_new_tokens`."""
    stretch: int = 4_096
    """L_c, tokens before the limit over which the charge grows from 0 to `weight`. DAPO's value [from memory]."""
    weight: float = 1.0
    """What an answer beyond the limit costs, in units of the reward as it is here."""
    unit: Unit = "turn"
    """turn: each answer is measured and charged on its own. episode: all sampled tokens of the episode are measured
    together, and the last turn is charged; the paper's answers are episodes of one turn."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        if not 0 < self.stretch <= self.longest:
            raise ValueError(f"expected 0 < stretch ≤ longest, got stretch {self.stretch} and longest {self.longest}")
        if not (np.isfinite(self.weight) and self.weight >= 0):
            raise ValueError(f"expected a weight of 0 or more, got {self.weight}")
        check_choice("unit", self.unit, get_args(Unit))

    def __call__(self, group: Group, /) -> Group:
        """Return the group with the charges added."""
        return reshape(group, self._charged)

    def _charged(self, episode: Episode) -> NDArray[np.float64]:
        tokens = np.array([len(turn.completion.token_ids) for turn in episode.turns], dtype=np.float64)
        rewards = episode.rewards
        if self.unit == "turn":
            return rewards + self.weight * overlong_charge(tokens, self.longest, self.stretch)
        if len(rewards):
            rewards[-1] += self.weight * overlong_charge(tokens.sum(), self.longest, self.stretch)
        return rewards


def overlong_charge(tokens: NDArray[np.float64], longest: int, stretch: int) -> NDArray[np.float64]:
    """DAPO's length penalty, from 0 to −1, for lengths of any shape."""
    return np.clip((longest - stretch - tokens) / stretch, -1.0, 0.0)
