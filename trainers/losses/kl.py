"""Estimators of the KL divergence to a reference, from one sampled token (J. Schulman, "Approximating KL", 2020)."""

from typing import get_args

import torch
from torch import Tensor

from trainers.losses.base import KlEstimator


def kl_estimate(logprobs_n: Tensor, reference_logprobs_n: Tensor, estimator: KlEstimator) -> Tensor:
    """Estimate of KL(policy ‖ reference) at each token, shape (N,), differentiable in `logprobs_n`.

        d  = logprob − reference_logprob                     token drawn from the policy
        k1 = d                       unbiased, may be negative, large variance
        k2 = d² / 2                  small variance, biased value
        k3 = exp(−d) − 1 + d         unbiased, never negative, small variance
        k3+                          the value of k3 with the gradient of k2

    As a term of a loss they differ in another way than as numbers. The gradient of k1 is zero in expectation: it pulls
    nowhere. That of k2 is, on policy, the gradient of the divergence. That of k3 points the right way but is biased far
    from the reference; it is what GRPO and GiGPO use. For d far from 0, −d is held within ±20 in k3.
    """
    d_n = logprobs_n - reference_logprobs_n.detach()
    match estimator:
        case "k1":
            return d_n
        case "k2":
            return d_n.square() / 2
        case "k3":
            minus_d_n = (-d_n).clamp(-20.0, 20.0)
            return torch.expm1(minus_d_n) - minus_d_n
        case "k3+":
            k2_n = d_n.square() / 2
            return k2_n + (kl_estimate(logprobs_n, reference_logprobs_n, "k3") - k2_n).detach()
        case _:
            raise ValueError(f"expected a KL estimator out of {get_args(KlEstimator)}, got {estimator!r}")
