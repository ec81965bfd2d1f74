"""RLOO: REINFORCE with a leave-one-out baseline (Ahmadian et al., 2024, arXiv 2402.14740; Kool et al., 2019).

    A_i = R_i − mean_{j≠i} R_j = G/(G − 1) · (R_i − mean(R))

The baseline of an episode is the mean of the *others*, which does not depend on the episode itself, so the gradient is
unbiased; GRPO's mean contains the episode and shrinks every advantage by (G − 1)/G. Without a division by the standard
deviation, a group in which one of eight succeeds counts no more than the rewards say. The scale of the rewards is then
the scale of the gradient. Like GRPO it learns nothing from a group whose episodes all earn the same.
"""

from dataclasses import dataclass
from typing import get_args

from trainers.credit.numerics import (
    Floats,
    Singletons,
    Statistics,
    check_choice,
    episode_advantages,
    spread_over_turns,
)
from trainers.types import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class Rloo:
    """One advantage per episode: its reward minus the mean of the others'.

    Example:
        Total rewards 1, 0, 0, 1, 0: a successful episode gets 1 − 1/4 = 0.75, a failed one 0 − 2/4 = −0.5.
    """

    statistics: Statistics = "episodes"
    """Leave out one of the episodes, or one of the turns, each of which counts its episode's total (verl-agent)."""
    singletons: Singletons = "zero"
    """A group of one has no others: zero advantage, or its plain return (as verl does)."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_choice("statistics", self.statistics, get_args(Statistics))
        check_choice("singletons", self.singletons, get_args(Singletons))

    @property
    def smallest_group(self) -> int:
        """Episodes a group must have to teach anything."""
        return 2 if self.singletons == "zero" else 1

    def __call__(self, group: Group, /) -> list[Floats]:
        """Return one array per episode, of shape (turns,)."""
        centred = episode_advantages(group, normalise=False, statistics=self.statistics, singletons=self.singletons)
        if self.statistics == "episodes":
            rows = len(group.episodes)
        else:
            rows = sum(len(episode.turns) for episode in group.episodes)
        return spread_over_turns(centred * (rows / (rows - 1) if rows > 1 else 1.0), group)
