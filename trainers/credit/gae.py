"""GAE: generalised advantage estimation per token, as PPO uses it (Schulman et al., 2016; arXiv 1506.02438).

    δ_t   = r_t + γ·V_{t+1} − V_t
    A_t   = δ_t + γλ·A_{t+1}                   targets = A + V                     then A is whitened over the batch

Every action token is a step; what an environment says between two answers is skipped, so "t + 1" is the next token that
the policy sampled. After the last token V is 0, or the critic's value where a limit cut the episode off.

With γ and λ per token, the horizon is some 1 / (1 − γλ) tokens: at λ = 0.95 a reward at the end of an episode reaches
the last twenty tokens unaided and the critic has to carry it the rest of the way. `TurnGae` counts in turns instead.
Whitening amplifies a critic's noise in a batch in which nothing happened, so it gives zeros there (`least_spread`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainers.credit.numerics import Floats, check_range, whiten
from trainers.credit.tokens import TokenAdvantages, TokenBatch


@dataclass(frozen=True, kw_only=True, slots=True)
class Gae:
    """Advantages and targets at every token, from a critic's values at every token."""

    gamma: float = 1.0
    """γ, discount per token."""
    lam: float = 0.95
    """λ: 0 trusts the critic for all that follows the next token, 1 only for the baseline."""
    whiten: bool = True
    """Bring the batch's advantages to mean 0 and variance 1."""
    least_spread: float = 1e-3
    """Whitening gives zeros if their standard deviation is below this times the batch's largest reward, or times 1."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_range("gamma", self.gamma, 0, 1)
        check_range("lam", self.lam, 0, 1)
        check_range("least_spread", self.least_spread, 0)

    @property
    def needs_values(self) -> bool:
        """Whether a critic's values are asked for."""
        return True

    def assign(self, batch: TokenBatch, /) -> TokenAdvantages:
        """Return an advantage and a target for every token."""
        values_n = batch.require_values()
        ends_n = batch.episode_ends_n
        advantages_n = generalised_advantages(
            batch.rewards_n, values_n, ends_n, self.gamma, self.lam, values_after(batch, ends_n)
        )
        targets_n = advantages_n + values_n
        if self.whiten:
            advantages_n = whitened(advantages_n, batch, self.least_spread)
        return TokenAdvantages(advantages_n=advantages_n, targets_n=targets_n)


def generalised_advantages(
    rewards: Floats, values: Floats, ends: NDArray[np.bool_], gamma: float, lam: float, after: Floats | None = None
) -> Floats:
    """The recursion, over sequences that lie end to end.

    Args:
        rewards: Of each step (a token, a turn or a span), shape (n,).
        values: In front of each step, shape (n,).
        ends: True at the last step of each sequence.
        gamma: γ.
        lam: λ.
        after: Value after each sequence's end, one per sequence; by default 0.

    Returns:
        Shape (n,).
    """
    following = np.zeros_like(values)
    following[:-1] = values[1:]
    following[ends] = 0.0 if after is None else after
    delta = rewards + gamma * following - values
    decay = np.where(ends, 0.0, gamma * lam)
    result = []
    a_tp1 = 0.0
    for delta_t, decay_t in zip(delta[::-1].tolist(), decay[::-1].tolist(), strict=True):
        a_tp1 = delta_t + decay_t * a_tp1
        result.append(a_tp1)
    return np.array(result[::-1], dtype=np.float64)


def values_after(batch: TokenBatch, ends_n: NDArray[np.bool_]) -> Floats:
    """Value after the end of each episode that has tokens, in order."""
    return batch.next_values_e()[batch.episode_n[ends_n]]


def whitened(advantages: Floats, batch: TokenBatch, least_spread: float) -> Floats:
    """Advantages whitened, or zeros where they spread less than `least_spread` times the batch's largest reward.

    A batch that earned next to nothing is measured against a reward of 1, which is what environments pay.
    """
    scale = float(np.abs(batch.rewards_n).max(initial=1.0))
    return whiten(advantages, least_spread * scale)
