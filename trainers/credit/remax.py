"""ReMax (Li et al., 2023; arXiv 2310.10505): the baseline is what the greedy policy earns on the same task.

    A_i = R_i − R(greedy)

No critic and no group: one more episode per task, played by taking the most likely token each time, says how hard the
task is for the policy as it is. The baseline does not depend on the episode, so the gradient is unbiased. It costs one
episode in G + 1 that is not learnt from, and where the greedy policy is worse than the sampled one (a deterministic
agent that loops) nearly every episode looks good.

The greedy episode is part of the group, marked as `baseline`; its own turns get zero, and it is not learnt from.
"""

from dataclasses import dataclass

import numpy as np

from trainers.credit.numerics import EQUAL, Floats, spread_over_turns, total_reward
from trainers.types import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class Remax:
    """One advantage per episode: its reward minus that of the greedy episode of its group.

    Example:
        Total rewards 1, 0, and 0.25 of the greedy episode: the advantages are 0.75, −0.25 and 0.
    """

    @property
    def needs_baseline(self) -> bool:
        """Whether a greedy episode is asked for in each group."""
        return True

    def __call__(self, group: Group, /) -> list[Floats]:
        """Return one array per episode, of shape (turns,).

        Raises:
            ValueError: If the group has no greedy episode, or several.
        """
        greedy = [number for number, episode in enumerate(group.episodes) if episode.baseline]
        if group.episodes and len(greedy) != 1:
            raise ValueError(
                f"expected one greedy episode in the group of task {group.task!r}, marked as baseline, got "
                f"{len(greedy)}"
            )
        totals = np.array([total_reward(episode) for episode in group.episodes], dtype=np.float64)
        advantages = totals - totals[greedy].sum()
        advantages[np.abs(advantages) <= EQUAL * np.maximum(1.0, np.abs(totals))] = 0.0
        return spread_over_turns(advantages, group)
