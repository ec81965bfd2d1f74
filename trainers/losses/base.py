"""What losses have in common: what they are given, what they give back, and the settings that all of them have.

A loss is a frozen dataclass whose fields are its settings, in a file of its own, called with the action tokens of a
micro-batch. The learner knows none of them by name. No module that holds one imports torch when it is loaded, so that
a command line can read the settings without: a loss uses the tensors' own methods.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from trainers.credit.numerics import check_choice, check_range

if TYPE_CHECKING:
    from torch import Tensor

Aggregation = Literal["token-mean", "sequence-mean", "sequence-sum"]
"""How much a token counts, see `trainers.losses.aggregate`."""

KlEstimator = Literal["k1", "k2", "k3", "k3+"]


class Tokens(NamedTuple):
    """The action tokens of a micro-batch, row by row: shape (N,), or (B,) with a value per row."""

    logprobs_n: Tensor
    """Under the policy being learnt, with gradient."""
    old_logprobs_n: Tensor
    """Under the policy before this update, without gradient."""
    advantages_n: Tensor
    row_n: Tensor
    """Row of each token, from 0. A row is a sample: a turn, or in a conversation an episode; all of it is here."""
    actions_per_row_b: Tensor
    """Action tokens in each row, float."""


class TokenLoss(NamedTuple):
    """One value per action token, shape (N,)."""

    loss_n: Tensor
    ratio_n: Tensor
    """What stands in for the probability ratio ρ, without gradient."""
    clipped_n: Tensor
    """True where a clip decided."""


@dataclass(frozen=True, kw_only=True)
class LossSettings(ABC):
    """The settings of every loss: how tokens are averaged, and what is added to the surrogate."""

    aggregation: Aggregation = "token-mean"
    """token-mean averages over all action tokens of the batch, sequence-mean over samples (turns or, in a conversation,
    episodes), sequence-sum is the mean over samples of the sum over tokens / sequence_length."""
    sequence_length: int = 512
    """Constant that sequence-sum divides by: the most tokens that a sample may have."""
    kl_weight: float = 0.01
    """β, weight of the KL divergence to the reference model; with 0 no reference model is held."""
    kl_estimator: KlEstimator = "k3"
    """Estimator of that divergence from one sampled token; see `trainers.losses.kl` for what each is good for."""
    entropy_weight: float = 0.0
    """Weight of the entropy bonus, subtracted from the loss."""
    importance_cap: float | None = 2.0
    """Largest weight for a token on which learner and sampler disagree; none trusts the sampler's log-probabilities."""

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing, with a ValueError."""
        check_range("kl_weight", self.kl_weight, 0)
        check_range("sequence_length", self.sequence_length, 1)
        if self.importance_cap is not None and not self.importance_cap >= 1:
            raise ValueError(f"expected an importance_cap of 1 or more, got {self.importance_cap}: none turns it off")
        if not math.isfinite(self.entropy_weight):
            raise ValueError(f"expected a finite entropy_weight, got {self.entropy_weight}")
        check_choice("aggregation", self.aggregation, get_args(Aggregation))
        check_choice("kl_estimator", self.kl_estimator, get_args(KlEstimator))

    @abstractmethod
    def per_token(self, tokens: Tokens, /) -> TokenLoss:
        """The surrogate at each token; what is added to it, and how tokens are averaged, is the learner's business."""


def log_ratio(tokens: Tokens) -> Tensor:
    """Log ρ at each token, held within ±20 so that ρ stays finite; shape (N,)."""
    return (tokens.logprobs_n - tokens.old_logprobs_n.detach()).clamp(-20.0, 20.0)


def row_mean(values_n: Tensor, tokens: Tokens) -> Tensor:
    """Mean over each row, repeated for each token of it: shape (N,) to (N,)."""
    sums_b = values_n.new_zeros(len(tokens.actions_per_row_b)).index_add(0, tokens.row_n, values_n)
    return (sums_b / tokens.actions_per_row_b.clamp(min=1).to(values_n.dtype))[tokens.row_n]
