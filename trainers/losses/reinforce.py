"""REINFORCE (Williams, 1992): the plain policy gradient, L = −A·logprob.

No ratio and no clip: right for one optimiser step per batch, where the policy that learns is the one that acted, and
for an actor whose advantages come from a critic (ArCHer, Zhou et al., 2024, arXiv 2402.19446). With several steps per
batch it learns from what another policy did without noticing.
"""

from __future__ import annotations

from dataclasses import dataclass

from trainers.losses.base import LossSettings, TokenLoss, Tokens, log_ratio


@dataclass(frozen=True, kw_only=True)
class ReinforceLoss(LossSettings):
    """The policy gradient as it is, without a clip. Keep to one optimiser step per update."""

    def per_token(self, tokens: Tokens, /) -> TokenLoss:
        """The loss of each token; its value is no surrogate's, only its gradient means something."""
        ratio_n = log_ratio(tokens).exp().detach()
        return TokenLoss(-tokens.advantages_n * tokens.logprobs_n, ratio_n, ratio_n.new_zeros(ratio_n.shape).bool())
