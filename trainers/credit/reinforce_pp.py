"""REINFORCE++ (Hu et al., 2025; arXiv 2501.03262): no critic and no group, but a whitened batch.

    r_t   = reward of token t − β·(logprob_t − reference_logprob_t)
    A_t   = Σ_{k≥t} γ^{k−t} r_k                                        within an episode
    A     ← (A − mean) / sqrt(var + 1e-8)                              over all tokens of the batch

The mean over the whole batch is the baseline, so tasks of different difficulty are compared with each other: an easy
task's episodes all look good. The form with a baseline takes the group's mean off first, and then whitens:

    A_i   = R_i − mean(R)       A ← whitened over all tokens of the batch

Unlike GRPO's, its scale is the same for every group, so a group in which nearly all episodes succeed is not blown up.

The paper pays the whole reward at the last token. Here a turn's reward is paid at its own last token, which is the same
where only the end pays, and otherwise does not credit a turn with what was earned before it. The KL penalty belongs to
the reward (so set the loss's own `kl_weight` to 0); β is from memory, unchecked, and 0 leaves it out.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from trainers.credit.gae import generalised_advantages
from trainers.credit.numerics import Floats, check_choice, check_range, episode_advantages, spread_over_turns, whiten
from trainers.credit.tokens import TokenAdvantages, TokenBatch

Baseline = Literal["batch", "group"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReinforcePlusPlus:
    """Returns, or rewards relative to the group, whitened over all tokens of the batch."""

    baseline: Baseline = "batch"
    """batch: the mean over the batch alone. group: the mean over the group first (REINFORCE++-baseline)."""
    gamma: float = 1.0
    """γ per token, of the form without a group."""
    kl_weight: float = 0.0
    """β of the KL penalty in the reward, of the form without a group; 0.01 is usual."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_choice("baseline", self.baseline, get_args(Baseline))
        check_range("gamma", self.gamma, 0, 1)
        if not (math.isfinite(self.kl_weight) and self.kl_weight >= 0):
            raise ValueError(f"expected a kl_weight of 0 or more, got {self.kl_weight}")

    @property
    def smallest_group(self) -> int:
        """Episodes a group must have to teach anything."""
        return 2 if self.baseline == "group" else 1

    @property
    def needs_reference(self) -> bool:
        """Whether log-probabilities under a reference model are asked for."""
        return self.baseline == "batch" and self.kl_weight > 0

    def assign(self, batch: TokenBatch, /) -> TokenAdvantages:
        """Return an advantage for every token.

        Raises:
            ValueError: If a KL penalty is asked for and the batch has no reference log-probabilities.
        """
        if self.baseline == "group":
            per_turn = [
                spread_over_turns(
                    episode_advantages(group, normalise=False, statistics="episodes", singletons="zero"), group
                )
                for group in batch.groups
            ]
            return TokenAdvantages(advantages_n=whiten(batch.spread(per_turn)))
        rewards_n = batch.rewards_n
        if self.needs_reference:
            if batch.reference_logprobs_n is None:
                raise ValueError("expected log-probabilities under a reference model for the KL penalty, got none")
            rewards_n = rewards_n - self.kl_weight * (batch.logprobs_n - batch.reference_logprobs_n)
        return TokenAdvantages(advantages_n=whiten(_returns(rewards_n, batch, self.gamma)))


def _returns(rewards_n: Floats, batch: TokenBatch, gamma: float) -> Floats:
    """Discounted reward from each token on, to the end of its episode: with λ = 1 and no values that is GAE."""
    zeros = np.zeros_like(rewards_n)
    return generalised_advantages(rewards_n, zeros, batch.episode_ends_n, gamma, 1.0)
