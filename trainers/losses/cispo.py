"""CISPO: clipped importance sampling (MiniMax-M1, 2025; arXiv 2506.13585).

    L = −sg(clip(ρ, 1 − clip_low, 1 + clip_high))·A·logprob            averaged over tokens

PPO's clip silences the tokens whose probability moved most, which are often the rare ones on which an answer turns
("however", "wait"). Here the ratio is only a weight without gradient: clipping bounds it, and every token goes on
teaching. The price is that nothing holds the policy near the one that acted but the learning rate; with many
optimiser steps per batch it runs off. log ρ is held within ±20.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainers.credit.numerics import check_range
from trainers.losses.base import LossSettings, TokenLoss, Tokens, log_ratio


@dataclass(frozen=True, kw_only=True)
class CispoLoss(LossSettings):
    """The policy gradient of every token, weighed by a clipped ratio. The limits are from memory, unchecked."""

    clip_low: float = 0.2
    """The weight of a token is at least 1 − clip_low; 1 sets no lower limit."""
    clip_high: float = 0.28
    """The weight of a token is at most 1 + clip_high."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        LossSettings.__post_init__(self)
        check_range("clip_low", self.clip_low, 0, 1)
        check_range("clip_high", self.clip_high, 0)

    def per_token(self, tokens: Tokens, /) -> TokenLoss:
        """The loss of each token; its value is no surrogate's, only its gradient means something."""
        ratio_n = log_ratio(tokens).exp().detach()
        weight_n = ratio_n.clamp(1.0 - self.clip_low, 1.0 + self.clip_high)
        return TokenLoss(-weight_n * tokens.advantages_n * tokens.logprobs_n, ratio_n, weight_n != ratio_n)
