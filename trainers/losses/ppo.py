"""PPO's clipped surrogate with the dual clip (Schulman et al., 2017, arXiv 1707.06347; Ye et al., 2020, 1912.09729)."""

from typing import NamedTuple

import torch
from torch import Tensor


class ClippedLoss(NamedTuple):
    """One value per action token, shape (N,)."""

    loss_n: Tensor
    ratio_n: Tensor
    """ρ, without gradient."""
    clipped_n: Tensor
    """True where a clip decided, so that the token has no gradient."""


def clipped_loss(
    logprobs_n: Tensor,
    old_logprobs_n: Tensor,
    advantages_n: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = 3.0,
) -> ClippedLoss:
    """Loss of each token: improve on the policy that acted, but take no credit for going far from it.

        ρ    = exp(logprob − old_logprob)
        L    = max(−ρ·A, −clip(ρ, 1 − clip_low, 1 + clip_high)·A)
        L    = min(L, −c·A)   where A < 0                              (c = dual_clip)

    Without the dual clip the loss of a token with A < 0 is unbounded in ρ. log ρ is held within ±20, so that exp stays
    finite.

    Args:
        logprobs_n: Under the policy being learnt.
        old_logprobs_n: Under the policy before this update; no gradient flows into them.
        advantages_n: A, per token.
        clip_low: How far below 1 the ratio counts.
        clip_high: How far above 1 the ratio counts.
        dual_clip: c, above 1, or None.
    """
    ratio_n = torch.exp((logprobs_n - old_logprobs_n.detach()).clamp(-20.0, 20.0))
    free_n = -ratio_n * advantages_n
    limited_n = -ratio_n.clamp(1.0 - clip_low, 1.0 + clip_high) * advantages_n
    loss_n = torch.maximum(free_n, limited_n)
    clipped_n = limited_n > free_n
    if dual_clip is not None:
        bound_n = -dual_clip * advantages_n
        bounded_n = (advantages_n < 0) & (bound_n < loss_n)
        loss_n = torch.where(bounded_n, bound_n, loss_n)
        clipped_n = clipped_n | bounded_n
    return ClippedLoss(loss_n, ratio_n.detach(), clipped_n.detach())


def importance_weights(learner_logprobs_n: Tensor, sampler_logprobs_n: Tensor, cap: float) -> Tensor:
    """Weight of each token for the sampler not being quite the policy that is learnt, without gradient.

        w = min(exp(learner_logprob − sampler_logprob), cap)

    Two programs, or two precisions, give the same weights slightly different probabilities. The loss is an average over
    what the sampler drew, so each token is weighed by how much likelier the learner finds it (truncated importance
    sampling); the cap bounds the variance at the price of a small bias.

    Args:
        learner_logprobs_n: Of the weights that sampled, computed by the learner.
        sampler_logprobs_n: Of the same weights, as the sampler gave them.
        cap: Largest weight, 1 or more.
    """
    return torch.exp((learner_logprobs_n - sampler_logprobs_n).detach().clamp(-20.0, 20.0)).clamp(max=cap)
