"""Dr. GRPO: GRPO done right (Liu et al., "Understanding R1-Zero-Like Training", 2025; arXiv 2503.20783).

    A_i = R_i − mean(R)

GRPO's division by the standard deviation weighs tasks by how uneven their outcomes are: a task that nearly always
succeeds, or nearly never does, counts most. Leaving it out removes that bias. The paper's second half is in the loss:
`aggregation = "sequence-sum"`, which divides by a constant instead of each answer's own length; this class alone is not
the method. The scale of the rewards is then the scale of the gradient, so the learning rate has to fit it.
"""

from dataclasses import dataclass
from typing import get_args

from trainers.credit.numerics import Floats, Statistics, check_choice, episode_advantages, spread_over_turns
from trainers.types import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class DrGrpo:
    """One advantage per episode: its reward minus the group's mean.

    Example:
        Total rewards 1, 0, 0, 1, 0: a successful episode gets 0.6, a failed one −0.4.
    """

    statistics: Statistics = "episodes"
    """Mean over episodes (the paper), or over turns, each total counted once per turn."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_choice("statistics", self.statistics, get_args(Statistics))

    @property
    def smallest_group(self) -> int:
        """Episodes a group must have to teach anything."""
        return 2

    def __call__(self, group: Group, /) -> list[Floats]:
        """Return one array per episode, of shape (turns,)."""
        advantages = episode_advantages(group, normalise=False, statistics=self.statistics, singletons="zero")
        return spread_over_turns(advantages, group)
