"""Credit assignment: which turn deserves how much of what an episode earned.

An estimator is a frozen dataclass whose fields are its settings. It is called with a `Group` and returns one float64
array per episode, with one advantage per turn; all tokens of a turn share it. One estimator is one file, numpy only.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trainers.credit.gigpo import Gigpo
from trainers.credit.grpo import Grpo
from trainers.types import Group

__all__ = ["CreditEstimator", "Gigpo", "Grpo"]


class CreditEstimator(Protocol):
    """Anything that turns a group of episodes into one advantage per turn."""

    def __call__(self, group: Group, /) -> list[NDArray[np.float64]]:
        """Return one array per episode, in the group's order, of shape (turns of that episode,)."""
