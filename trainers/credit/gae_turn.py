"""Turn-level PPO: GAE over turns, one value per turn (as in VAGEN, Wang et al., 2025; its `no_concat_gae`).

    r_k   = Σ rewards of the tokens of turn k                 V_k = the critic's value at the anchor token of turn k
    δ_k   = r_k + γ·V_{k+1} − V_k,   A_k = δ_k + γλ·A_{k+1}   every token of turn k gets A_k

An agent's decision is a turn, not a token: γ and λ then count decisions, and an answer's wording is not credited token
by token with a critic's fluctuations. The critic is taught at the anchor only, with A_k + V_k. Within a turn nothing is
told apart: the word that decided and the words around it share A_k.

After the last turn V is 0, or the critic's value where a limit cut the episode off. A turn without tokens has no value;
its reward belongs to the turn before it. (VAGEN first takes out copies of turns that padded the batch; here nothing is
ever copied before advantages are there.)
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from trainers.credit.gae import generalised_advantages, values_after, whitened
from trainers.credit.numerics import check_choice, check_range
from trainers.credit.tokens import TokenAdvantages, TokenBatch, last_of

Anchor = Literal["first", "last"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnGae:
    """One advantage per turn, from a critic's value of each turn."""

    gamma: float = 1.0
    """γ, discount per turn."""
    lam: float = 0.95
    """λ per turn."""
    anchor: Anchor = "first"
    """Token whose value stands for the turn: first, which has seen what the turn was asked, or last."""
    whiten: bool = True
    """Bring the batch's advantages to mean 0 and variance 1, over tokens."""
    least_spread: float = 1e-3
    """Whitening gives zeros if their standard deviation is below this times the batch's largest reward, or times 1."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_range("gamma", self.gamma, 0, 1)
        check_range("lam", self.lam, 0, 1)
        check_range("least_spread", self.least_spread, 0)
        check_choice("anchor", self.anchor, get_args(Anchor))

    @property
    def needs_values(self) -> bool:
        """Whether a critic's values are asked for."""
        return True

    def assign(self, batch: TokenBatch, /) -> TokenAdvantages:
        """Return an advantage for every token, and targets at the anchors."""
        values_n = batch.require_values()
        last = np.flatnonzero(batch.turn_ends_n)
        first = np.append(0, last[:-1] + 1)[: len(last)]
        anchor = first if self.anchor == "first" else last
        rewards_t = np.add.reduceat(batch.rewards_n, first) if len(first) else np.zeros(0)
        values_t, episode_t = values_n[anchor], batch.episode_n[anchor]
        advantages_t = generalised_advantages(
            rewards_t,
            values_t,
            last_of(episode_t),
            self.gamma,
            self.lam,
            values_after(batch, batch.episode_ends_n),
        )
        advantages_n = np.repeat(advantages_t, last - first + 1)
        targets_n = np.zeros_like(values_n)
        targets_n[anchor] = advantages_t + values_t
        taught_n = np.zeros(len(values_n), dtype=np.bool_)
        taught_n[anchor] = True
        if self.whiten:
            advantages_n = whitened(advantages_n, batch, self.least_spread)
        return TokenAdvantages(advantages_n=advantages_n, targets_n=targets_n, taught_n=taught_n)
