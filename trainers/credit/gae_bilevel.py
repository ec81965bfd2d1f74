"""Bi-level GAE: first over turns, then over the tokens of each turn (VAGEN, Wang et al., 2025; RAGEN, 2025).

With e_1 … e_K the last tokens of an episode's turns:

    over turns     δ_k = r_k + γ_H·V(e_{k+1}) − V(e_k)         A^H_k = δ_k + γ_H·λ·A^H_{k+1}
    over tokens    r'(e_k) = A^H_k + V(e_k), else 0;  δ_t = r'_t + γ·V_{t+1} − V_t;  A_t = δ_t + γλ·A_{t+1}

where r_k is the sum of the turn's rewards, and in the second line the value after e_k is 0 and the sum starts anew:
what follows a turn is in A^H_k already. Targets are A + V. So the decisions of an episode are discounted by γ_H < 1,
which prefers the shorter way, while the tokens of one decision are not discounted at all.

RAGEN's release finds the ends of turns by a reward other than zero, so that a turn that earned nothing is taken
together with the next one; here they are where the turns end.
"""

from dataclasses import dataclass

import numpy as np

from trainers.credit.gae import generalised_advantages, values_after, whitened
from trainers.credit.numerics import check_range
from trainers.credit.tokens import TokenAdvantages, TokenBatch, last_of


@dataclass(frozen=True, kw_only=True, slots=True)
class BilevelGae:
    """Advantages at every token, by turns first."""

    gamma_turns: float = 0.95
    """γ_H, discount per turn."""
    gamma: float = 1.0
    """γ, discount per token within a turn."""
    lam: float = 1.0
    """λ, on both levels."""
    whiten: bool = True
    """Bring the batch's advantages to mean 0 and variance 1."""
    least_spread: float = 1e-3
    """Whitening gives zeros if their standard deviation is below this times the batch's largest reward, or times 1."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_range("gamma_turns", self.gamma_turns, 0, 1)
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
        ends_n = batch.turn_ends_n
        last = np.flatnonzero(ends_n)
        first = np.append(0, last[:-1] + 1)[: len(last)]
        rewards_t = np.add.reduceat(batch.rewards_n, first) if len(first) else np.zeros(0)
        values_t = values_n[last]
        advantages_t = generalised_advantages(
            rewards_t,
            values_t,
            last_of(batch.episode_n[last]),
            self.gamma_turns,
            self.lam,
            values_after(batch, batch.episode_ends_n),
        )
        within_n = np.zeros_like(values_n)
        within_n[last] = advantages_t + values_t
        advantages_n = generalised_advantages(within_n, values_n, ends_n, self.gamma, self.lam)
        targets_n = advantages_n + values_n
        if self.whiten:
            advantages_n = whitened(advantages_n, batch, self.least_spread)
        return TokenAdvantages(advantages_n=advantages_n, targets_n=targets_n)
