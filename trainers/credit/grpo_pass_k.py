"""GRPO for pass@k: only the best attempt of a group learns (Tang et al., 2025; arXiv 2503.19595, as verl has it).

    A_best = R_best − R_second                   0 for all others         (/ (std(R) + ε) if normalised)

Optimises the expected maximum of a group instead of its mean: the best attempt earns what it adds to the group, which
the leave-one-out argument makes an unbiased gradient of that maximum. What counts is that *some* attempt succeeds, so
the policy may stay varied. Two attempts that share the best reward add nothing to each other: with rewards of 0 and 1
only groups with exactly one success teach anything, and a policy that has become good learns no more. No attempt is
ever pushed away.
"""

from dataclasses import dataclass

import numpy as np

from trainers.credit.numerics import EPSILON, EQUAL, Floats, spread_over_turns, total_reward
from trainers.types import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class GrpoPassK:
    """An advantage for the best episode of a group only; k is the size of the group.

    Example:
        Rewards 3, 1, 0: the first episode gets 3 − 1 = 2, or 2 / 1.5275 = 1.3093 normalised.
    """

    normalise: bool = True
    """Divide by the group's standard deviation (ddof 1), as verl does."""

    @property
    def smallest_group(self) -> int:
        """Episodes a group must have to teach anything."""
        return 2

    def __call__(self, group: Group, /) -> list[Floats]:
        """Return one array per episode, of shape (turns,)."""
        totals = np.array([total_reward(episode) for episode in group.episodes], dtype=np.float64)
        advantages = np.zeros_like(totals)
        if len(totals) > 1:
            second, best = np.argsort(totals, kind="stable")[-2:]
            lead = totals[best] - totals[second]
            if lead > EQUAL * max(1.0, float(np.abs(totals).max())):
                advantages[best] = lead / (totals.std(ddof=1) + EPSILON) if self.normalise else lead
        return spread_over_turns(advantages, group)
