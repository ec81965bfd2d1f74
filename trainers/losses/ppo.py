"""PPO's clipped surrogate with the dual clip (Schulman et al., 2017, arXiv 1707.06347; Ye et al., 2020, 1912.09729).

    ρ    = exp(logprob − old_logprob)
    L    = max(−ρ·A, −clip(ρ, 1 − clip_low, 1 + clip_high)·A)
    L    = min(L, −c·A)   where A < 0                              (c = dual_clip)

Improve on the policy that acted, but take no credit for going far from it. Two limits that are apart are DAPO's
*clip-higher* (Yu et al., 2025, arXiv 2503.14476): with 0.2 and 0.28 an unlikely token can grow further before it is
held, which keeps the policy from settling early. Without the dual clip the loss of a token with A < 0 is unbounded
in ρ. A clipped token has no gradient, so what moved the policy most teaches it no more; `CispoLoss` answers that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trainers.credit.numerics import check_range
from trainers.losses.base import LossSettings, TokenLoss, Tokens, log_ratio

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class PpoLoss(LossSettings):
    """PPO's clipped loss with a pull towards a reference model. The defaults are those of GiGPO's paper."""

    clip_low: float = 0.2
    """The probability ratio is clipped below at 1 − clip_low."""
    clip_high: float = 0.2
    """The probability ratio is clipped above at 1 + clip_high; DAPO takes 0.28 (from memory, unchecked)."""
    dual_clip: float | None = 3.0
    """Bound c of the loss −c·A for negative advantages, above 1; none leaves it unbounded."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        LossSettings.__post_init__(self)
        check_range("clip_low", self.clip_low, 0, 1)
        check_range("clip_high", self.clip_high, 0)
        if self.dual_clip is not None and not self.dual_clip > 1:
            raise ValueError(f"expected a dual_clip above 1, got {self.dual_clip}: 3 is usual, none turns it off")

    def per_token(self, tokens: Tokens, /) -> TokenLoss:
        """The clipped loss of each token."""
        return clipped(
            log_ratio(tokens).exp(), tokens.advantages_n, self.clip_low, self.clip_high, dual_clip=self.dual_clip
        )


def clipped(
    ratio_n: Tensor, advantages_n: Tensor, clip_low: float, clip_high: float, *, dual_clip: float | None = None
) -> TokenLoss:
    """The formula, for any ratio."""
    free_n = -ratio_n * advantages_n
    limited_n = -ratio_n.clamp(1.0 - clip_low, 1.0 + clip_high) * advantages_n
    loss_n = free_n.maximum(limited_n)
    clipped_n = limited_n > free_n
    if dual_clip is not None:
        bound_n = -dual_clip * advantages_n
        bounded_n = (advantages_n < 0) & (bound_n < loss_n)
        loss_n = bound_n.where(bounded_n, loss_n)
        clipped_n = clipped_n | bounded_n
    return TokenLoss(loss_n, ratio_n.detach(), clipped_n.detach())
