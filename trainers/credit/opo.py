"""OPO: on-policy RL with the optimal reward baseline (Hao et al., 2025; arXiv 2505.23585).

    A_i = R_i − Σ_j len_j·R_j / Σ_j len_j                     len in sampled tokens

The baseline that makes the variance of a policy gradient smallest weighs each reward by the squared norm of its
gradient. If every token contributes about as much, and tokens are nearly uncorrelated, that norm grows with the length
of the answer, so the weights are lengths. It is meant for exactly on-policy updates: one optimiser step per batch, no
KL term, no entropy bonus. Where long episodes are the failed ones, as in most environments with a step limit, the
baseline is low, nearly every success counts in full, and failures are hardly pushed away.
"""

from dataclasses import dataclass

import numpy as np

from trainers.credit.numerics import EQUAL, Floats, spread_over_turns, total_reward
from trainers.types import Group


@dataclass(frozen=True, kw_only=True, slots=True)
class Opo:
    """One advantage per episode: its reward minus the length-weighted mean. A group without tokens counts turns.

    Example:
        Rewards 1, 0, 1 over 2, 6 and 2 tokens: the baseline is 4/10, the advantages are 0.6, −0.4 and 0.6.
    """

    @property
    def smallest_group(self) -> int:
        """Episodes a group must have to teach anything."""
        return 2

    def __call__(self, group: Group, /) -> list[Floats]:
        """Return one array per episode, of shape (turns,)."""
        totals = np.array([total_reward(episode) for episode in group.episodes], dtype=np.float64)
        if not len(totals):
            return []
        lengths = np.array(
            [sum(len(turn.completion.token_ids) for turn in episode.turns) for episode in group.episodes],
            dtype=np.float64,
        )
        if not lengths.any():
            lengths = np.array([len(episode.turns) for episode in group.episodes], dtype=np.float64)
        if not lengths.any() or np.ptp(totals) <= EQUAL * max(1.0, float(np.abs(totals).max())):
            return spread_over_turns(np.zeros_like(totals), group)
        return spread_over_turns(totals - np.average(totals, weights=lengths), group)
