"""GRPO: Group Relative Policy Optimization (Shao et al., DeepSeekMath, 2024; arXiv 2402.03300, §4.1.2).

No critic: the baseline of an episode is what the other episodes of its group earned. With R_i the total reward of
episode i and the statistics taken over the group,

    A_i = (R_i − mean(R)) / (std(R) + ε)

and every turn of episode i gets A_i. It fails where all episodes of a group earn the same: then nothing is learnt from
the group, however different the ways there were. `Gigpo` finds a signal inside the episodes.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from trainers.credit.numerics import Singletons, Statistics, check_choice, episode_advantages, spread_over_turns
from trainers.types import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class Grpo:
    """One advantage per episode, shared by its turns.

    Example:
        With total rewards 1, 0, 0, 1, 0 the mean is 0.4 and the deviation 0.5477: the turns of a successful episode get
        1.0954, those of a failed one -0.7303.
    """

    normalise: bool = True
    """Divide by the group's standard deviation (ddof 1), as in the paper; False leaves the difference to the mean."""
    statistics: Statistics = "episodes"
    """Mean and deviation over episodes (the paper), or over turns, each total counted once per turn (verl-agent)."""
    singletons: Singletons = "zero"
    """A group of one has nothing to compare with: zero advantage, or its plain return (as verl does)."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_choice("statistics", self.statistics, get_args(Statistics))
        check_choice("singletons", self.singletons, get_args(Singletons))

    @property
    def smallest_group(self) -> int:
        """Episodes a group must have to teach anything."""
        return 2 if self.singletons == "zero" else 1

    def __call__(self, group: Group, /) -> list[NDArray[np.float64]]:
        """Return one array per episode, of shape (turns,)."""
        advantages = episode_advantages(
            group, normalise=self.normalise, statistics=self.statistics, singletons=self.singletons
        )
        return spread_over_turns(advantages, group)
